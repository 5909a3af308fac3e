"""What a turn and a session are in figures, field by field: the log, `turn.metrics`, traces, the summary."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.support.turn_records import turn
from voice_trio import limits
from voice_trio.billing.prices import Cost
from voice_trio.conversation import commands
from voice_trio.conversation.session_events import QueryMetrics, TurnMetrics
from voice_trio.conversation.turn.record import Outcome, SearchRecord, TurnRecord, TurnTimestamps
from voice_trio.session.endings import Ending
from voice_trio.session.observers import Observer, Observers
from voice_trio.session.spend.cost_meter import CostMeter
from voice_trio.session.summary import Activity, Summary, activity_of, count_bounded
from voice_trio.session.telemetry.turn_reports import (
    SummaryObserver,
    TurnLog,
    TurnMetricsSender,
    TurnTraces,
    turn_fields,
)

SEARCHES = (
    SearchRecord(10.2, 0.0504, "found", local=False),
    SearchRecord(11.0, None, "unfinished", local=True),
)
STAGES = TurnTimestamps(speech_started=10.0, committed=12.5, asked=12.512, flush_queued=9.0, flush_sent=13.0)
RECORD = replace(
    turn(number=7),
    typed=True,
    outcome=Outcome.WAITED,
    stale=True,
    waited_ms=120,
    queries=2,
    passages=(("p1", "one"), ("p2", "two"), ("p3", "three")),
    heard_ms=800,
    received_ms=1200,
    said_items=(("u1", "hello"), ("vt_1", "context"), ("u2", "you")),
    heard_items=(("a1", "hello"), ("vt_2", "to you")),
    stages=STAGES,
    searches=SEARCHES,
)


class Meter(CostMeter):
    """Turn n has cost n cents, the session a dollar."""

    def __init__(self, *, turn_is_estimate: bool = False, session_is_estimate: bool = False) -> None:
        self.turn_is_estimate = turn_is_estimate
        self.session_is_estimate = session_is_estimate

    @property
    def cost(self) -> Cost:
        return Cost(Decimal(1), self.session_is_estimate)

    def cost_of_turn(self, turn_id: int) -> Cost:
        return Cost(Decimal(turn_id) / 100, self.turn_is_estimate)


class Lines:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))


LINE = {
    "turn": 7,
    "status": "completed",
    "typed": True,
    "retrieval": "waited",
    "stale": True,
    "waited_ms": 120,
    "queries": 2,
    "passages": 3,
    "heard_ms": 800,
    "received_ms": 1200,
    "cost_usd": 0.07,
    "stages_ms": {"speech_started": 1000, "committed": 3500, "asked": 3512, "flush_queued": 0, "flush_sent": 4000},
    "searches": [
        {"at_ms": 1200, "took_ms": 50.4, "outcome": "found", "local": False},
        {"at_ms": 2000, "took_ms": None, "outcome": "unfinished", "local": True},
    ],
}


def test_a_turn_has_one_line_in_the_log_with_all_of_its_figures() -> None:
    log = Lines()
    reporter = TurnLog(log, Meter())
    reporter.on_turn(RECORD)
    reporter.on_turn(replace(RECORD, status="joined"))
    assert log.lines == [("turn", LINE)]
    bare = turn_fields(replace(turn(), searches=(SEARCHES[0],)), Cost())
    assert (bare["retrieval"], bare["stages_ms"], bare["searches"][0]["at_ms"]) == (None, {}, 10_200)


def metrics(record: TurnRecord, meter: CostMeter, *before: TurnRecord) -> TurnMetrics:
    """What the client is sent after this turn, and those `before` it that are merged into it."""
    sent: list[TurnMetrics] = []
    sender = TurnMetricsSender("vt_", meter, sent.append)
    for each in (*before, record):
        sender.on_over(each)
    (only,) = sent
    return only


METRICS = TurnMetrics(
    turn=7,
    status="completed",
    user_items=("u1", "u2"),
    answer_items=("a1", "vt_2"),
    stages_ms={"committed": 2500, "asked": 2512},
    queries=(QueryMetrics(200, 50, "found", local=False), QueryMetrics(1000, None, "unfinished", local=True)),
    cost_usd=0.07,
    session_cost_usd=1.0,
    cost_is_estimate=False,
)


def test_a_client_gets_the_figures_of_a_turn_from_its_first_word_on() -> None:
    assert metrics(RECORD, Meter()) == METRICS
    typed = replace(RECORD, stages=TurnTimestamps(committed=10.0, asked=10.03))
    assert metrics(typed, Meter()) == replace(METRICS, stages_ms={"committed": 0, "asked": 30})
    neither = replace(RECORD, stages=TurnTimestamps(asked=10.0))
    assert metrics(neither, Meter()) == replace(METRICS, stages_ms={}, queries=())
    assert [
        metrics(RECORD, Meter(turn_is_estimate=one, session_is_estimate=other)).cost_is_estimate
        for one, other in ((True, False), (False, True))
    ] == [True, True]


def test_turns_that_are_merged_count_from_the_first_of_them_and_the_next_turn_from_its_own() -> None:
    joined = replace(RECORD, status="joined", stages=TurnTimestamps(speech_started=8.0))
    again = replace(joined, stages=TurnTimestamps(speech_started=9.0))
    merged = metrics(RECORD, Meter(), joined, again)
    assert merged.stages_ms == {"committed": 4500, "asked": 4512}
    assert [query.at_ms for query in merged.queries] == [2200, 3000]
    sent: list[TurnMetrics] = []
    sender = TurnMetricsSender("vt_", Meter(), sent.append)
    for record in (joined, RECORD, RECORD):
        sender.on_over(record)
    assert [each.stages_ms["committed"] for each in sent] == [4500, 2500]


def test_traces_have_each_turn_with_its_session_and_its_user() -> None:
    seen: list[tuple[object, ...]] = []

    class Recorder:
        def trace(self, record: TurnRecord) -> None:
            seen.append((record,))

        def turn(self, record: TurnRecord, session_id: str, user: str) -> None:
            seen.append((record, session_id, user))

    recorder = Recorder()
    TurnTraces(recorder, recorder, "s1", "ann").on_turn(RECORD)  # type: ignore[arg-type]  # only these two are called
    assert seen == [(RECORD,), (RECORD, "s1", "ann")]


def test_the_summary_counts_each_turn_each_usage_once_and_the_cost_so_far() -> None:
    summary, meter = Summary("s1"), Meter(session_is_estimate=True)
    observer = SummaryObserver(summary, meter)
    records = [
        turn("joined"),
        replace(turn("completed"), outcome=Outcome.HIDDEN),
        replace(turn("cancelled"), outcome=Outcome.HIDDEN),
        replace(turn("cancelled"), outcome=Outcome.LATE),
        turn("failed"),
    ]
    for record in records:
        observer.on_command(commands.ReportTurn(record), 0.0)
    assert (summary.turns, summary.interruptions, summary.cost) == (4, 2, Cost())
    assert summary.outcomes == {"hidden": 2, "late": 1}
    observer.on_command(commands.CountUsage("response", "r1", {"output_tokens": 1}), 0.0)
    observer.on_command(commands.CountUsage("response", "r1", None), 0.0)
    observer.on_command(commands.CountUsage("transcription", "i1", None), 0.0)
    assert summary.usages == {"r1": ("response", {"output_tokens": 1}), "i1": ("transcription", None)}
    assert summary.cost == meter.cost
    summary.cost = Cost()
    observer.session_closing(0.0)
    assert summary.cost == meter.cost


def test_a_session_has_one_line_in_the_log_with_all_of_its_figures() -> None:
    summary = Summary(
        "s1",
        "ann",
        Ending.IDLE,
        was_ready=True,
        duration_s=60.12345,
        audio_in_s=50.126,
        audio_out_s=20.124,
        turns=3,
        outcomes=Counter(hidden=2),
        interruptions=1,
        recoveries=4,
        transcription_fallback=True,
        cost=Cost(Decimal("0.5"), is_estimate=True),
    )
    summary.count_error("idle")
    assert summary.log_fields() == {
        "ending": "idle",
        "ready": True,
        "duration_s": 60.123,
        "audio_in_s": 50.13,
        "audio_out_s": 20.12,
        "turns": 3,
        "retrieval": {"hidden": 2},
        "interruptions": 1,
        "recoveries": 4,
        "errors": {"idle": 1},
        "cost_usd": 0.5,
        "cost_is_estimate": True,
        "transcription_fallback": True,
        "sidecar": False,
    }
    fresh = Summary("s2").log_fields()
    assert (fresh["ending"], fresh["ready"], fresh["transcription_fallback"]) == (None, False, False)
    assert [fresh[name] for name in ("duration_s", "audio_in_s", "audio_out_s", "turns", "interruptions")] == [0] * 5
    assert (fresh["recoveries"], fresh["cost_usd"], fresh["cost_is_estimate"]) == (0, 0.0, False)


def test_errors_are_counted_by_code_up_to_a_number_of_codes() -> None:
    counts: Counter[str] = Counter()
    long = "x" * limits.ERROR_CODE_CHARS_MAX
    assert count_bounded(counts, long + "yz", 2, 2) == long
    assert count_bounded(counts, "b", 1, 2) == "b"
    assert count_bounded(counts, "c", 1, 2) == count_bounded(counts, "d", 5, 2) == "other"
    assert count_bounded(counts, "b", 3, 2) == "b"
    assert counts == {long: 2, "b": 4, "other": 6}
    summary = Summary("s1")
    for number in range(limits.ERROR_CODES_OF_SESSION_MAX + 3):
        summary.count_error(f"code {number}")
    assert (len(summary.errors), summary.errors["other"]) == (limits.ERROR_CODES_OF_SESSION_MAX + 1, 3)
    assert set(summary.errors.values()) == {1, 3}


@pytest.mark.parametrize(
    ("ending", "was_ready", "is_connected", "is_answering", "activity"),
    [
        (None, False, False, False, Activity.CONNECTING),
        (None, False, True, True, Activity.CONNECTING),
        (None, True, False, True, Activity.RECOVERING),
        (None, True, True, True, Activity.ANSWERING),
        (None, True, True, False, Activity.LISTENING),
        (Ending.IDLE, True, True, True, Activity.ENDING),
        (Ending.IDLE, False, False, False, Activity.ENDING),
    ],
)
def test_what_a_session_does_now(
    ending: Ending | None, was_ready: bool, is_connected: bool, is_answering: bool, activity: Activity
) -> None:
    summary = Summary("s1", ending=ending, was_ready=was_ready)
    assert activity_of(summary, is_connected=is_connected, is_answering=is_answering) is activity


def test_each_observer_sees_the_session_begin_close_and_end_in_the_order_of_the_list() -> None:
    seen: list[tuple[str, str, object]] = []

    class Named(Observer):
        def __init__(self, name: str) -> None:
            self.name = name

        def session_ready(self, summary: Summary) -> None:
            seen.append((self.name, "ready", summary))

        def session_closing(self, now: float) -> None:
            seen.append((self.name, "closing", now))

        def session_ended(self, summary: Summary) -> None:
            seen.append((self.name, "ended", summary))

    summary = Summary("s1")
    observers = Observers(Named("a"), Observer(), Named("b"))
    observers.session_ready(summary)
    observers.session_closing(7.5)
    observers.session_ended(summary)
    told = [("ready", summary), ("closing", 7.5), ("ended", summary)]
    assert seen == [(name, *each) for each in told for name in ("a", "b")]
    assert observers.audio_sent == ()
