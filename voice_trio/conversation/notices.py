"""What the session itself tells a client: beginnings, warnings and ends. Nothing here is decided by a conversation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class ConnectionReady:
    """The session may begin; `expires_at` is Unix time in seconds."""

    session_id: str
    resume_token: str = field(repr=False)
    expires_at: float


@dataclass(frozen=True, slots=True)
class SessionDescribed:
    """`session.created` or `session.updated` of the model; `session` is its JSON text, instructions and all."""

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
class Pong:
    id: str | int | None = None


Notice: TypeAlias = (
    ConnectionReady
    | SessionDescribed
    | SessionExpiring
    | SessionTimeout
    | SessionEnding
    | SessionDraining
    | SessionRecovering
    | SessionRecovered
    | BudgetWarning
    | Pong
)
