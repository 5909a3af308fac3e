"""Counts and percentiles: exact, bounded, and nothing counted twice."""

from __future__ import annotations

from prometheus_client import generate_latest

from voice_trio.conversation.records import Outcome, Stages, TurnRecord
from voice_trio.session.endings import Ending
from voice_trio.session.summary import Summary
from voice_trio.web.statistics import TURNS_REMEMBERED, Statistics, percentile


def turn(status: str = "completed", outcome: Outcome | None = Outcome.HIDDEN, **stages: float) -> TurnRecord:
    return TurnRecord(
        turn_id=1,
        typed=False,
        said="",
        answer="",
        status=status,
        outcome=outcome,
        stale=False,
        waited_ms=0,
        queries=0,
        passages=(),
        heard_ms=0,
        received_ms=0,
        stages=Stages(**stages),
    )


def ended(ending: Ending, user: str = "u", *, ready: bool = True, fallback: bool = False) -> Summary:
    summary = Summary("s", user, ending, was_ready=ready, transcription_fallback=fallback)
    summary.errors["bad_message"] = 2
    return summary


def test_percentiles_are_of_the_values_themselves() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.5) == percentile([7.0], 0.99) == 7.0


def test_a_turns_stages_become_latencies_in_ms() -> None:
    statistics = Statistics(lambda: 0)
    statistics.turn_finished(turn(committed=10.0, asked=10.15, first_audio_in=10.6, first_audio_out=10.61))
    latency = statistics.as_json()["latency_ms"]
    assert latency["commit_to_ask"] == {"count": 1, "p50": 150.0, "p95": 150.0, "p99": 150.0}
    assert latency["commit_to_first_audio_out"]["p50"] == 610.0
    assert latency["speech_to_first_word"] == {"count": 0}


def test_memory_is_bounded_in_turns_and_users() -> None:
    statistics = Statistics(lambda: 0)
    for number in range(TURNS_REMEMBERED + 10):
        statistics.turn_finished(turn(committed=0.0, asked=float(number)))
    assert statistics.as_json()["latency_ms"]["commit_to_ask"]["count"] == TURNS_REMEMBERED
    assert statistics.as_json()["turns"] == {"completed": TURNS_REMEMBERED + 10}


def test_a_turn_that_goes_on_as_the_next_is_none() -> None:
    statistics = Statistics(lambda: 0)
    statistics.turn_finished(turn(status="joined"))
    assert statistics.as_json()["turns"] == statistics.as_json()["retrieval"] == {}


def test_sessions_are_counted_by_ending_and_failures_make_the_error_rate() -> None:
    statistics = Statistics(lambda: 3)
    for ending in (Ending.CLIENT_LEFT, Ending.TIMEOUT, Ending.UPSTREAM_LOST, Ending.CLIENT_LEFT):
        statistics.session_ended(ended(ending))
    statistics.refused("rate_limited")
    told = statistics.as_json()
    assert told["sessions"] == {
        "active": 3,
        "ended": 4,
        "by_ending": {"client_left": 2, "timeout": 1, "upstream_lost": 1},
        "refused": {"rate_limited": 1},
    }
    assert told["error_rate"] == 0.25
    assert told["errors"] == {"bad_message": 8}


def test_users_are_counted_once_a_day_and_only_if_they_talked() -> None:
    now = [0.0]
    statistics = Statistics(lambda: 0, unix_time=lambda: now[0])
    for user, ready in (("a", True), ("a", True), ("b", True), ("c", False)):
        statistics.session_ended(ended(Ending.CLIENT_LEFT, user, ready=ready))
    assert statistics.as_json()["adoption"] == {"users_who_talked_today": 2}
    now[0] = 86_400.0
    assert statistics.as_json()["adoption"] == {"users_who_talked_today": 0}


def test_the_last_session_tells_how_the_upstream_is() -> None:
    statistics = Statistics(lambda: 0)
    statistics.session_ended(ended(Ending.UPSTREAM_UNAVAILABLE, ready=False))
    before = statistics.upstream_failed
    statistics.session_ended(ended(Ending.CLIENT_LEFT, fallback=True))
    assert (before, statistics.upstream_failed, statistics.transcription_fallback) == (True, False, True)


def test_prometheus_reads_the_same() -> None:
    statistics = Statistics(lambda: 2)
    statistics.turn_finished(turn(committed=1.0, asked=1.1))
    statistics.session_ended(ended(Ending.TIMEOUT))
    text = generate_latest(statistics.registry).decode()
    assert "voice_trio_active_sessions 2.0" in text
    assert 'voice_trio_sessions_total{ending="timeout"} 1.0' in text
    assert 'voice_trio_stage_seconds_count{stage="commit_to_ask"} 1.0' in text
