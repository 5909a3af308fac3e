"""A session in figures: one line of the log and one entry in the statistics."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voice_trio.billing.prices import Cost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.conversation.turn.record import TurnRecord
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
    """Whether a sidecar transcribed at any time."""
    usages: dict[str, tuple[str, Mapping[str, object] | None]] = field(default_factory=dict)
    """(kind, usage) of every response and transcription, by id: a usage that comes twice is counted once (I10)."""
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
