"""A session in figures: one line of the log, one entry in the statistics, and one in the list of live sessions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from voice_trio import limits
from voice_trio.billing.prices import Cost

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from voice_trio.conversation.turn.record import TurnRecord
    from voice_trio.session.endings import Ending


def count_bounded(counts: Counter[str], code: str, count: int, codes_max: int) -> str:
    """Count `code`, cut to a label's length; as `other` if it is new and there are `codes_max`. Returns its name."""
    name = code[: limits.ERROR_CODE_CHARS_MAX]
    if name not in counts and len(counts) >= codes_max:
        name = "other"
    counts[name] += count
    return name


@dataclass(slots=True)
class Summary:
    """Counted while the session lives; audio in seconds of sound, `duration_s` in seconds since it was ready."""

    session_id: str
    user: str = ""
    """Hashed: logs name no people."""
    ending: Ending | None = None
    retry_after: float | None = None
    """Seconds until another session is possible, where the ending says so."""
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

    def count_error(self, code: str) -> None:
        """Count an error that the client gets; beyond a number of codes, which upstreams invent, as `other`."""
        count_bounded(self.errors, code, 1, limits.ERROR_CODES_OF_SESSION_MAX)

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


class Activity(Enum):
    """What a session does now; the values are public: operators see them in the list of live sessions."""

    CONNECTING = "connecting"
    """The upstream is not reached yet."""
    LISTENING = "listening"
    """Ready, and no response is due."""
    ANSWERING = "answering"
    """A response is due, being generated or being heard."""
    RECOVERING = "recovering"
    """The upstream was lost; another one is looked for."""
    DRAINING = "draining"
    """The server stops: the session ends after its response."""
    ENDING = "ending"
    """The end is being said and recorded."""


@dataclass(frozen=True, slots=True)
class SessionNow:
    """A live session at one moment."""

    activity: Activity
    ready_seconds: float
    """How long it has been ready."""
    cost_usd: Decimal
    """Of this connection."""


def activity_of(summary: Summary, *, is_connected: bool, is_answering: bool) -> Activity:
    """What a session does; `is_connected`: whether it has an upstream."""
    if summary.ending is not None:
        return Activity.ENDING
    if not summary.was_ready:
        return Activity.CONNECTING
    if not is_connected:
        return Activity.RECOVERING
    return Activity.ANSWERING if is_answering else Activity.LISTENING
