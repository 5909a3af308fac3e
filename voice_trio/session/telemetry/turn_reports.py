"""Where a finished turn is reported: the summary, one line of the log, `turn.metrics`, traces. Without its words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, assert_never

from voice_trio.conversation import commands
from voice_trio.conversation.session_events import QueryMetrics, TurnMetrics
from voice_trio.conversation.turn import timeline
from voice_trio.session.observers import Observer, Observers
from voice_trio.session.telemetry.turn_recorder import TurnRecorder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voice_trio.billing.prices import Cost
    from voice_trio.conversation.turn.record import SearchRecord, TurnRecord
    from voice_trio.observability.sentry import Reports
    from voice_trio.observability.tracing import Traces
    from voice_trio.session.config import SessionConfig
    from voice_trio.session.spend.cost_meter import CostMeter
    from voice_trio.session.summary import Summary

SEARCHES_MAX = 32
"""Searches in one line of the log: the first ones of a turn to which the user keeps adding."""
_NOT_AFTER_BEGINNING = timeline.FLUSH_STAGES | {"speech_started"}


def make_observers(
    config: SessionConfig,
    summary: Summary,
    log: Any,
    meter: CostMeter,
    send: Callable[[TurnMetrics], None],
    others: Sequence[Observer],
) -> Observers:
    """The observers of a session in their order; `send` sends to the client, `log` is bound to the session.

    The recorder comes first: when the session closes, it publishes a waiting turn before the meter adds its estimates.
    The summary comes after the meter, whose cost it copies.
    """
    reports = (TurnLog(log, meter), *others)
    on_over = TurnMetricsSender(config.id_prefix, meter, send).on_over if config.metrics else None
    recorder = TurnRecorder(summary, reports, on_over)
    return Observers(recorder, meter, SummaryObserver(summary, meter), *reports)


class SummaryObserver(Observer):
    """Counts turns, usages and cost into the session's summary. It comes after the cost meter in the list."""

    command_types: ClassVar = (commands.CountUsage, commands.ReportTurn)

    def __init__(self, summary: Summary, meter: CostMeter) -> None:
        self._summary = summary
        self._meter = meter

    def on_command(self, command: commands.CountUsage | commands.ReportTurn, now: float) -> None:
        match command:
            case commands.CountUsage(kind, source_id, usage):
                self._summary.usages.setdefault(source_id, (kind, usage))
                self._summary.cost = self._meter.cost
            case commands.ReportTurn(record):
                self._summary.count_turn(record)
            case _:
                assert_never(command)

    def session_closing(self, now: float) -> None:
        self._summary.cost = self._meter.cost


class TurnLog(Observer):
    """Writes a line for each turn; `log` is a structlog logger bound to the session."""

    def __init__(self, log: Any, meter: CostMeter) -> None:
        self._log = log
        self._meter = meter

    def on_turn(self, record: TurnRecord) -> None:
        if record.status != "joined":
            self._log.info("turn", **turn_fields(record, self._meter.cost_of_turn(record.turn_id)))


class TurnTraces(Observer):
    """Reports each turn of one session to Sentry and to the tracing backend."""

    def __init__(self, reports: Reports, traces: Traces, session_id: str, user: str) -> None:
        self._reports = reports
        self._traces = traces
        self._session_id = session_id
        self._user = user

    def on_turn(self, record: TurnRecord) -> None:
        self._reports.trace(record)
        self._traces.turn(record, self._session_id, self._user)


class TurnMetricsSender:
    """Sends `turn.metrics` for each turn; `id_prefix` marks items that the client never sees."""

    def __init__(self, id_prefix: str, meter: CostMeter, send: Callable[[TurnMetrics], None]) -> None:
        self._id_prefix = id_prefix
        self._meter = meter
        self._send = send
        self._began: float | None = None

    def on_over(self, record: TurnRecord) -> None:
        """The turn is over; one that goes on as the next turn only says when that one began."""
        stages = record.stages
        began = self._began
        if began is None:
            began = stages.speech_started if stages.speech_started is not None else stages.committed
        if record.status == "joined":
            self._began = began
        else:
            self._began = None
            self._send(self._metrics(record, began))

    def _metrics(self, record: TurnRecord, began: float | None) -> TurnMetrics:
        cost, session_cost = self._meter.cost_of_turn(record.turn_id), self._meter.cost
        stages = {} if began is None else timeline.reached(record.stages, without=_NOT_AFTER_BEGINNING)
        return TurnMetrics(
            turn=record.turn_id,
            status=record.status,
            user_items=tuple(item for item, _ in record.said_items if not item.startswith(self._id_prefix)),
            answer_items=tuple(item for item, _ in record.heard_items),
            stages_ms=timeline.in_ms(stages, began or 0.0),
            queries=() if began is None else tuple(_query_metrics(search, began) for search in record.searches),
            cost_usd=float(cost.usd),
            session_cost_usd=float(session_cost.usd),
            cost_is_estimate=cost.is_estimate or session_cost.is_estimate,
        )


def turn_fields(record: TurnRecord, cost: Cost) -> dict[str, Any]:
    """The fields of a turn's line in the log; stages and searches in ms after the turn's first stage.

    A search that was asked in a turn that was joined to this one has a negative `at_ms`.
    """
    stages = timeline.reached(record.stages)
    first = min(stages.values(), default=0.0)
    return {
        "turn": record.turn_id,
        "status": record.status,
        "typed": record.typed,
        "retrieval": record.outcome.value if record.outcome else None,
        "stale": record.stale,
        "waited_ms": record.waited_ms,
        "queries": record.queries,
        "passages": len(record.passages),
        "heard_ms": record.heard_ms,
        "received_ms": record.received_ms,
        "cost_usd": float(cost.usd),
        "stages_ms": timeline.in_ms(stages, first),
        "searches": [_search_fields(search, first) for search in record.searches[:SEARCHES_MAX]],
    }


def _search_fields(search: SearchRecord, first: float) -> dict[str, Any]:
    return {
        "at_ms": round((search.at - first) * 1000),
        "took_ms": None if search.took is None else round(search.took * 1000, 1),
        "outcome": search.outcome,
        "local": search.local,
    }


def _query_metrics(search: SearchRecord, began: float) -> QueryMetrics:
    took_ms = None if search.took is None else round(search.took * 1000)
    return QueryMetrics(round((search.at - began) * 1000), took_ms, search.outcome, search.local)
