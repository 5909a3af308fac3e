"""Counts and percentiles: exact, bounded, and nothing counted twice."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from prometheus_client import generate_latest

from tests.support.statistics_fixture import session_summary, turn_record
from voice_trio import limits
from voice_trio.billing.prices import Cost
from voice_trio.conversation.turn.record import SearchRecord
from voice_trio.session.endings import Ending
from voice_trio.web.statistics import Statistics


def test_a_turns_stages_become_latencies_in_ms() -> None:
    statistics = Statistics(lambda: 0)
    statistics.on_turn(turn_record(committed=10.0, asked=10.15, first_audio_in=10.6, first_audio_out=10.61))
    for window in ("5m", "1h", "24h"):
        latency = statistics.as_json()["latency_ms"][window]
        assert latency["commit_to_ask"]["count"] == 1
        assert latency["commit_to_ask"]["p99"] == pytest.approx(150, rel=0.01)
        assert latency["commit_to_first_audio_out"]["p50"] == pytest.approx(610, rel=0.01)
        assert latency["speech_to_first_word"] == {"count": 0}


def test_searches_become_latencies_by_where_and_counts_by_what_came_of_them() -> None:
    statistics = Statistics(lambda: 0)
    searches = (
        SearchRecord(1.0, 0.08, "found", local=False),
        SearchRecord(1.1, 0.002, "nothing", local=True),
        SearchRecord(1.2, 3.0, "failed", local=False),
        SearchRecord(1.3, None, "unfinished", local=False),
    )
    statistics.on_turn(replace(turn_record(), searches=searches))
    latency = statistics.as_json()["latency_ms"]["1h"]
    assert (latency["search_store"]["count"], latency["search_local"]["count"]) == (1, 1)
    assert latency["search_store"]["p99"] == pytest.approx(80, rel=0.01)
    assert latency["search_local"]["p50"] == pytest.approx(2, rel=0.06)  # rounded to tenths of a ms
    text = generate_latest(statistics.registry).decode()
    for outcome in ("found", "failed", "unfinished"):
        assert f'voice_trio_searches_total{{outcome="{outcome}",source="store"}} 1.0' in text
    assert 'voice_trio_search_seconds_bucket{le="0.0025",outcome="nothing",source="local"} 1.0' in text
    assert 'voice_trio_search_seconds_sum{outcome="failed",source="store"} 3.0' in text
    assert 'voice_trio_search_seconds_count{outcome="unfinished"' not in text


def test_memory_is_bounded_in_users() -> None:
    statistics = Statistics(lambda: 0)
    for number in range(limits.USERS_REMEMBERED_MAX + 10):
        statistics.session_ready(session_summary(Ending.CLIENT_LEFT, f"u{number}"))
    assert statistics.as_json()["adoption"]["users_who_talked_today"] == limits.USERS_REMEMBERED_MAX


def test_the_last_hour_is_there_minute_by_minute() -> None:
    now, active = [3_600_000.0], [2]
    statistics = Statistics(lambda: active[0], unix_time=lambda: now[0])
    statistics.count_admission("a")
    statistics.on_turn(turn_record(committed=0.0, first_audio_out=0.7))
    statistics.count_cost("response", Cost(Decimal("0.25"), is_estimate=True))
    now[0] += 120
    active[0] = 5
    statistics.on_turn(turn_record("cancelled"))
    minutes = statistics.as_json()["minutes"]
    assert [minute["at"] for minute in minutes[::59]] == [3_600_000 + 120 - 59 * 60, 3_600_000 + 120]
    first, quiet, last = minutes[-3:]
    assert (first["active"], first["sessions"], first["turns"], first["cost_usd"]) == (2, 1, 1, 0.25)
    assert first["answer_ms"]["p95"] == pytest.approx(700, rel=0.01)
    assert (quiet["turns"], quiet["answer_ms"]["p50"]) == (0, None)
    assert (last["active"], last["turns"], last["interruptions"], last["cost_usd"]) == (5, 1, 1, 0.0)
    now[0] += 7200
    assert sum(minute["turns"] for minute in statistics.as_json()["minutes"]) == 0


def test_what_a_conversation_costs_is_over_those_in_which_somebody_talked() -> None:
    statistics = Statistics(lambda: 0)
    for usd, ready in (("0.10", True), ("0.30", True), ("0", False)):
        summary = session_summary(Ending.CLIENT_LEFT, ready=ready)
        summary.cost = Cost(Decimal(usd))
        statistics.session_ended(summary)
    assert statistics.as_json()["cost"] == {"per_session_usd": 0.2}


def test_a_turn_that_goes_on_as_the_next_is_none() -> None:
    statistics = Statistics(lambda: 0)
    statistics.on_turn(turn_record(status="joined"))
    assert statistics.as_json()["turns"] == statistics.as_json()["retrieval"] == {}


def test_sessions_are_counted_by_ending_and_failures_make_the_error_rate() -> None:
    statistics = Statistics(lambda: 3)
    for ending in (Ending.CLIENT_LEFT, Ending.TIMEOUT, Ending.UPSTREAM_LOST, Ending.CLIENT_LEFT):
        statistics.session_ended(session_summary(ending))
    statistics.count_refusal("rate_limited")
    told = statistics.as_json()
    assert told["sessions"] == {
        "active": 3,
        "ended": 4,
        "by_ending": {"client_left": 2, "timeout": 1, "upstream_lost": 1},
        "refused": {"rate_limited": 1},
    }
    assert told["error_rate"] == 0.25
    assert told["errors"] == {"bad_message": 8}


def test_codes_that_an_upstream_invents_are_few_labels() -> None:
    statistics = Statistics(lambda: 0)
    for session in range(50):
        summary = session_summary(Ending.CLIENT_LEFT)
        summary.errors.clear()
        for number in range(100):
            summary.count_error(f"{session}-{number}-" + "x" * 10_000)
        assert len(summary.errors) == limits.ERROR_CODES_OF_SESSION_MAX + 1
        assert sum(summary.errors.values()) == 100
        statistics.session_ended(summary)

    errors = statistics.as_json()["errors"]
    assert len(errors) <= limits.ERROR_CODES_MAX + 1
    assert max(map(len, errors)) <= limits.ERROR_CODE_CHARS_MAX
    assert sum(errors.values()) == 5000


def test_users_are_counted_once_a_day_when_their_session_begins_and_only_if_it_did_F38() -> None:
    now = [0.0]
    statistics = Statistics(lambda: 0, unix_time=lambda: now[0])
    for user in ("a", "b", "c", "d", "d"):
        statistics.count_admission(user)
    for user in ("a", "a", "b"):
        statistics.session_ready(session_summary(Ending.CLIENT_LEFT, user))
    statistics.session_ended(session_summary(Ending.UPSTREAM_UNAVAILABLE, "c", ready=False))
    told = statistics.as_json()["adoption"]
    assert told == {"users_who_talked_today": 2, "users_admitted_today": 4, "share": 0.5}
    assert gauges_of_users(statistics) == (2.0, 4.0)
    now[0] = 86_400.0
    told = statistics.as_json()["adoption"]
    assert told == {"users_who_talked_today": 0, "users_admitted_today": 0, "share": None}
    assert gauges_of_users(statistics) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("age", "recent"),
    [
        (0.0, {"turns": 22, "seconds": 0.0}),
        (40.0, {"turns": 22, "seconds": 40.0}),
        (200.0, {"turns": 22, "seconds": 200.0}),
        (320.0, {"turns": 22, "seconds": 320.0}),
        (370.0, {"turns": 0, "seconds": 310.0}),
    ],
)
def test_turns_are_of_the_time_that_has_really_passed_F38(age: float, recent: dict[str, float]) -> None:
    now = [3_600_000.0]
    statistics = Statistics(lambda: 0, unix_time=lambda: now[0])
    for _ in range(22):
        statistics.on_turn(turn_record())
    now[0] += age
    told = statistics.as_json()
    assert (told["recent"], told["now"] - told["since"]) == (recent, age)


def test_a_minute_in_which_nothing_happens_still_has_its_open_sessions_F38() -> None:
    now = [3_600_000.0]
    statistics = Statistics(lambda: 3, unix_time=lambda: now[0])
    statistics.count_admission("a")
    for _ in range(6):
        now[0] += 30
        statistics.sample_active()
    assert [minute["active"] for minute in statistics.as_json()["minutes"][-5:]] == [0, 3, 3, 3, 3]


def gauges_of_users(statistics: Statistics) -> tuple[float | None, float | None]:
    """The users who talked and were admitted today, as Prometheus reads them."""
    read = statistics.registry.get_sample_value
    return read("voice_trio_users_talked_today"), read("voice_trio_users_admitted_today")


def test_the_last_session_tells_how_the_upstream_is() -> None:
    statistics = Statistics(lambda: 0)
    statistics.session_ended(session_summary(Ending.UPSTREAM_UNAVAILABLE, ready=False))
    before = statistics.upstream_failed
    statistics.session_ended(session_summary(Ending.CLIENT_LEFT, fallback=True))
    assert (before, statistics.upstream_failed, statistics.transcription_fallback) == (True, False, True)


def test_prometheus_reads_the_same() -> None:
    statistics = Statistics(lambda: 2)
    statistics.on_turn(turn_record(committed=1.0, asked=1.1))
    statistics.session_ended(session_summary(Ending.TIMEOUT))
    statistics.count_cost("response", Cost(Decimal("0.5"), warnings=("price_missing",)))
    text = generate_latest(statistics.registry).decode()
    assert "voice_trio_active_sessions 2.0" in text
    assert 'voice_trio_sessions_total{ending="timeout"} 1.0' in text
    assert 'voice_trio_stage_seconds_count{stage="commit_to_ask"} 1.0' in text
    assert 'voice_trio_cost_usd_total{estimated="no",kind="response"} 0.5' in text
    assert 'voice_trio_usage_warnings_total{name="price_missing"} 1.0' in text
