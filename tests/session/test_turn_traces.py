"""Each finished turn is reported to the traces and to the error reports, once and as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from tests.support.turn_records import turn
from voice_trio.session.telemetry.turn_reports import TurnTraces

if TYPE_CHECKING:
    from voice_trio.observability.sentry import Reports
    from voice_trio.observability.tracing import Traces


class Told:
    """Takes the place of both."""

    def __init__(self) -> None:
        self.traced: list[object] = []
        self.turns: list[tuple[Any, ...]] = []

    def trace(self, record: object) -> None:
        self.traced.append(record)

    def turn(self, *what: Any) -> None:
        self.turns.append(what)


def test_a_turn_is_reported_with_its_session_and_user() -> None:
    told = Told()
    traces = TurnTraces(cast("Reports", told), cast("Traces", told), "sess_1", "ann")
    traces.on_turn(turn())
    assert told.traced == [turn()]
    assert told.turns == [(turn(), "sess_1", "ann")]
