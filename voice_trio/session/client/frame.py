"""One text frame for a client, and the lane in which it waits to be written."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Lane(Enum):
    URGENT = "overtakes everything"
    RESPONSE = "in order with the response's sound"
    OTHER = "in order with everything else, unless that is held back"


@dataclass(slots=True)
class Frame:
    """One text frame for the client; `audio_ms` > 0 if it carries that much of `item_id`'s sound."""

    text: str = field(repr=False)
    lane: Lane = Lane.OTHER
    item_id: str = ""
    audio_ms: float = 0.0
    dies_with_response: bool = False
    """Dropped by a flush."""
    flush_at: float | None = None
    """Of a flush: when it was queued."""
    begins: str = ""
    """The response whose `response.created` it is."""
    ends: str = ""
    """The response whose `response.done` it is."""
