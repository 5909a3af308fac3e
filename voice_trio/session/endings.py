"""The ways a session ends: each with the close code and reason that its client gets, and the error before them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voice_trio.errors import LinkClosed


@dataclass(frozen=True, slots=True)
class CloseDetails:
    """`error_code` and `message` become an `error` event before the close, where there is one."""

    name: str
    close_code: int
    close_reason: str
    error_code: str | None = None
    message: str = ""


_UNAVAILABLE = "upstream_unavailable"


class Ending(Enum):
    """Why a session ended; the names are public: they stand in logs, metrics and session records."""

    CLIENT_LEFT = CloseDetails("client_left", 1000, "Session ended")
    """The client's connection is gone; nothing more is sent."""
    CLIENT_ENDED = CloseDetails("client_ended", 1000, "Session ended")
    """`session.end`: not to be resumed."""
    TIMEOUT = CloseDetails("timeout", 1000, "Session duration limit reached")
    IDLE = CloseDetails("idle", 1000, "Idle", "idle", "Nothing was said for a while; the session was closed.")
    UPSTREAM_UNAVAILABLE = CloseDetails(
        "upstream_unavailable", 1011, "OpenAI connection failed", _UNAVAILABLE, "The assistant cannot be reached now."
    )
    """The upstream could not be reached at the start, or refused the session."""
    UPSTREAM_LOST = CloseDetails(
        "upstream_lost", 1011, "OpenAI connection failed", _UNAVAILABLE, "The connection to the assistant was lost."
    )
    TOO_SLOW = CloseDetails("too_slow", 1013, "Too slow", "too_slow", "The connection took nothing for too long.")
    NOT_JSON = CloseDetails("not_json", 1007, "Not JSON", "bad_message", "Too many messages were not valid JSON.")
    TOO_BIG = CloseDetails("too_big", 1009, "Message over the limit", "bad_message", "A message was over 1 MiB.")
    TAKEN_OVER = CloseDetails("taken_over", 4001, "Resumed elsewhere")
    """The session was resumed by another connection; this client must not resume it again."""
    SWITCHED_OFF = CloseDetails("switched_off", 1008, "Voice realtime feature disabled")
    """The live rollout document ended all sessions; `session.ending` is sent before the close."""
    ENDED_BY_OPERATOR = CloseDetails(
        *("ended_by_operator", 1008, "Session ended by an operator"),
        *("ended_by_operator", "An operator has ended this session."),
    )
    """By command, or because the user was barred: not to be resumed; `session.ending` is sent before the close."""
    BUDGET_EXHAUSTED = CloseDetails(
        "budget_exhausted", 4002, "Budget exhausted", "budget_exhausted", "The budget for voice is used up for now."
    )
    """The session's budget or the day's is spent: not to be resumed."""
    DRAINING = CloseDetails("draining", 1012, "Server restarting, resume")
    CRASHED = CloseDetails("crashed", 1011, "Internal error", "internal_error", "Something went wrong on our side.")


def ending_of(closed: LinkClosed) -> Ending:
    """How a session ends whose client's link has ended."""
    if closed.code == Ending.TOO_BIG.value.close_code:
        return Ending.TOO_BIG
    return Ending.TOO_SLOW if closed.timed_out else Ending.CLIENT_LEFT
