"""What a session came to, in figures: one log line and one entry in the statistics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from voice_trio.billing.prices import Cost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.conversation.turn.record import TurnRecord
    from voice_trio.observability.sentry import Reports
    from voice_trio.observability.tracing import Traces
    from voice_trio.session.endings import Ending


@dataclass(slots=True)
class Summary:
    """Counted while the session lives; audio in seconds of sound, `duration_s` in seconds since it was ready."""

    session_id: str
    user: str = ""
    """Hashed: logs name no people."""
    ending: Ending | None = None
    was_ready: bool = False
    duration_s: float = 0.0
    audio_in_s: float = 0.0
    audio_out_s: float = 0.0
    turns: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    interruptions: int = 0
    recoveries: int = 0
    """How often the upstream was lost in mid-session."""
    errors: Counter[str] = field(default_factory=Counter)
    transcription_fallback: bool = False
    sidecar: bool = False
    """Whether a second socket transcribed, some of the time at least."""
    usages: dict[str, tuple[str, Mapping[str, object] | None]] = field(default_factory=dict)
    """(kind, usage) of every response and transcription, by id: whatever is told twice is counted once (I10)."""

    cost: Cost = field(default_factory=Cost)
    """Of this connection; what a session cost before it was resumed is not in it."""

    def count_turn(self, record: TurnRecord) -> None:
        if record.status == "joined":  # it goes on as the next turn
            return
        self.turns += 1
        self.interruptions += record.status == "cancelled"
        if record.outcome is not None:
            self.outcomes[record.outcome.value] += 1

    def log_fields(self) -> dict[str, Any]:
        return {
            "ending": self.ending.value.name if self.ending else None,
            "ready": self.was_ready,
            "duration_s": round(self.duration_s, 3),
            "audio_in_s": round(self.audio_in_s, 2),
            "audio_out_s": round(self.audio_out_s, 2),
            "turns": self.turns,
            "retrieval": dict(self.outcomes),
            "interruptions": self.interruptions,
            "recoveries": self.recoveries,
            "errors": dict(self.errors),
            "cost_usd": float(self.cost.usd),
            "cost_is_estimate": self.cost.is_estimate,
            "transcription_fallback": self.transcription_fallback,
            "sidecar": self.sidecar,
        }


class Observer(Protocol):
    """Whoever keeps statistics; called between two events of a session, so it must not wait."""

    def session_ready(self, summary: Summary) -> None: ...

    def turn_finished(self, record: TurnRecord) -> None: ...

    def session_ended(self, summary: Summary) -> None: ...


class Observers:
    """Several, told one after the other."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def session_ready(self, summary: Summary) -> None:
        for observer in self._observers:
            observer.session_ready(summary)

    def turn_finished(self, record: TurnRecord) -> None:
        for observer in self._observers:
            observer.turn_finished(record)

    def session_ended(self, summary: Summary) -> None:
        for observer in self._observers:
            observer.session_ended(summary)


class TurnTraces:
    """Hands each turn of one session to where traces go."""

    def __init__(self, reports: Reports, traces: Traces, session_id: str, user: str) -> None:
        self._reports = reports
        self._traces = traces
        self._session_id = session_id
        self._user = user

    def session_ready(self, summary: Summary) -> None:
        pass

    def turn_finished(self, record: TurnRecord) -> None:
        self._reports.trace(record)
        self._traces.turn(record, self._session_id, self._user)

    def session_ended(self, summary: Summary) -> None:
        pass


class NoObserver:
    """Nobody keeps statistics."""

    def session_ready(self, summary: Summary) -> None:
        pass

    def turn_finished(self, record: TurnRecord) -> None:
        pass

    def session_ended(self, summary: Summary) -> None:
        pass
