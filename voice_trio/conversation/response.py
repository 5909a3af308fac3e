"""A response of the upstream that was asked for, and the texts of its end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voice_trio.conversation.turn.turn import Turn

TAG = "vt"  # the metadata key by which a response is known to be ours

# Reasons of a `response.done`. The first two are the upstream's own words for a cancelled response.
TURN_DETECTED = "turn_detected"
CLIENT_CANCELLED = "client_cancelled"
UPSTREAM_LOST = "upstream_lost"
STALLED = "stalled"


class ResponseState(Enum):
    ASKED = "response.create has left"
    ACTIVE = "response.created came"
    DONE = "response.done came, or the response was given up"


@dataclass(slots=True)
class Response:
    """A response that was asked for; `tag` is the `event_id` of its `response.create`."""

    turn: Turn
    tag: str
    state: ResponseState = ResponseState.ASKED
    response_id: str | None = None
    interrupted: bool = False
    """Nothing more of it is forwarded as sound."""
    interrupted_by: str = TURN_DETECTED
    """By what, as the upstream would say in the `reason` of its `response.done`."""
    cancel_resent: bool = False
    active_at: float = 0.0
    """When the upstream last said something of it."""
