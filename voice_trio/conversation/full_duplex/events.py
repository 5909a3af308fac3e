"""What a full-duplex upstream says. It knows no turns, no commits and no responses: only words and sound, with times.

`start_ms` and `end_ms` count on the upstream's clock, which both sides' words share.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from voice_trio.conversation.events import FromUpstream, UpstreamEvent


@dataclass(frozen=True, slots=True)
class UserWords(FromUpstream):
    """A word or more of what the user says, some hundred ms after it was said; a new word begins with its space."""

    delta: str
    start_ms: int = 0
    end_ms: int = 0


@dataclass(frozen=True, slots=True)
class AssistantWords(FromUpstream):
    """A word or more of what the assistant says."""

    delta: str
    start_ms: int = 0
    end_ms: int = 0


@dataclass(frozen=True, slots=True)
class OutputAudio(FromUpstream):
    """The next piece of output, base64; it comes without a pause, and most of it is silence (`is_loud` is false)."""

    audio: str = field(repr=False)
    duration_ms: float
    is_loud: bool


@dataclass(frozen=True, slots=True)
class DelegationCreated(FromUpstream):
    """The upstream asks the gateway for knowledge, and waits for an answer that names `delegation_id`."""

    delegation_id: str


@dataclass(frozen=True, slots=True)
class SessionUsageUpdated(FromUpstream):
    """The upstream counts the time of its session: `seconds` since it began. For what bills it."""

    seconds: float
    paused_seconds: float = 0.0
    """The part of it in which the session was paused."""


@dataclass(frozen=True, slots=True)
class WordsPaused:
    """The user may have stopped: since `words` words of this turn nothing has come."""

    turn_id: int
    words: int


@dataclass(frozen=True, slots=True)
class LateWordsOver:
    """No more words of this turn's question will come."""

    turn_id: int


@dataclass(frozen=True, slots=True)
class AnswerQuiet:
    """The response may be over: it has been quiet for some time."""

    response_id: str


@dataclass(frozen=True, slots=True)
class AnswerOverdue:
    """The typed question of this turn should long have been answered."""

    turn_id: int


@dataclass(frozen=True, slots=True)
class DelegationOverdue:
    """The upstream has waited long enough for what it asked the gateway."""

    delegation_id: str


FullDuplexTimer: TypeAlias = WordsPaused | LateWordsOver | AnswerQuiet | AnswerOverdue | DelegationOverdue
FullDuplexInput: TypeAlias = UserWords | AssistantWords | OutputAudio | DelegationCreated | SessionUsageUpdated
FullDuplexEvent: TypeAlias = FullDuplexInput | FullDuplexTimer
AnyUpstreamEvent: TypeAlias = UpstreamEvent | FullDuplexInput
"""Of whichever kind of upstream."""
