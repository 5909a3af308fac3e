"""What a turn is in figures, field by field, in the log and in `turn.metrics`; and when observers see a session."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from tests.support.turn_records import turn
from voice_trio.billing.prices import Cost
from voice_trio.conversation.session_events import QueryMetrics, TurnMetrics
from voice_trio.conversation.turn.record import Outcome, SearchRecord, TurnRecord, TurnTimestamps
from voice_trio.session.observers import Observer, Observers
from voice_trio.session.spend.cost_meter import CostMeter
from voice_trio.session.summary import Summary
from voice_trio.session.telemetry.turn_reports import (
    TurnLog,
    TurnMetricsSender,
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
    assert len(turn_fields(replace(RECORD, searches=SEARCHES * 20), Cost())["searches"]) == 32


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
