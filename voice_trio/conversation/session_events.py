"""What the session itself sends a client: beginnings, warnings and ends. No conversation decides these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from voice_trio.conversation.commands import ClientNotice, PassthroughNotice
from voice_trio.conversation.events import UpstreamEvent

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ConnectionReady:
    """The session may begin; `expires_at` is Unix time in seconds."""

    session_id: str
    resume_token: str = field(repr=False)
    expires_at: float


@dataclass(frozen=True, slots=True)
class SessionDescribed:
    """`session.created` or `session.updated` of the upstream; `session` is its JSON text with the instructions."""

    type: str
    session: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionExpiring:
    seconds_left: int


@dataclass(frozen=True, slots=True)
class SessionTimeout:
    message: str


@dataclass(frozen=True, slots=True)
class SessionEnding:
    reason: str


@dataclass(frozen=True, slots=True)
class SessionDraining:
    resume_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionRecovering:
    pass


@dataclass(frozen=True, slots=True)
class SessionRecovered:
    pass


@dataclass(frozen=True, slots=True)
class BudgetWarning:
    scope: str
    spent_usd: float
    limit_usd: float


@dataclass(frozen=True, slots=True)
class QueryMetrics:
    """One search of a turn: when it began, how long it took (`None`: the turn was over first), and what came of it."""

    at_ms: int
    took_ms: int | None
    outcome: str
    """found, nothing, failed, or unfinished."""
    local: bool


@dataclass(frozen=True, slots=True)
class TurnMetrics:
    """A turn in figures, for clients that asked for them; ms count from when its first words began, or it was typed."""

    turn: int
    status: str
    user_items: tuple[str, ...]
    answer_items: tuple[str, ...]
    stages_ms: Mapping[str, int]
    queries: tuple[QueryMetrics, ...]
    cost_usd: float
    session_cost_usd: float
    cost_is_estimate: bool


@dataclass(frozen=True, slots=True)
class PingAnswered:
    id: str | int | None = None


@dataclass(frozen=True, slots=True)
class PassageOpened:
    """A passage of this session that its client asked for."""

    id: str
    title: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PassageRefused:
    """The client gets no such passage; `code` and `message` are those of an `error`."""

    passage_id: str
    code: str
    message: str


Reply: TypeAlias = PingAnswered | PassageOpened | PassageRefused
"""What a client is sent because it asked for it, whatever the conversation does."""

SessionEvent: TypeAlias = (
    ConnectionReady
    | SessionDescribed
    | SessionExpiring
    | SessionTimeout
    | SessionEnding
    | SessionDraining
    | SessionRecovering
    | SessionRecovered
    | BudgetWarning
    | TurnMetrics
    | Reply
)

ToClient: TypeAlias = UpstreamEvent | ClientNotice | PassthroughNotice | SessionEvent
"""All that a client connection is given to send; its protocol decides what leaves, and how."""
