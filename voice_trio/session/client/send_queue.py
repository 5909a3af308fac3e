"""What waits to be written to the client: control overtakes audio, everything else keeps its order.

Only `playback.flush`, `speech_started`, `error` and `session.*` overtake; the events of one answer stay in order with
its sound. A flush drops the queued answer. Nothing here waits but `next`, and nothing is dropped from the middle of an
answer.

Sound may be held until its time (`may_leave_at`), and then the rest of the answer waits behind it; what does not belong
to the answer does not, as if the model spoke no faster than that.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

AUDIO_SECONDS_MAX = 240.0  # the longest answer a model gives is about 205 s (4,096 audio tokens of 50 ms)
FRAMES_MAX = 20_000  # what that much audio comes to in 20 ms pieces with their text, and then some


class Lane(Enum):
    URGENT = "overtakes everything"
    ANSWER = "in order with the answer's sound"
    OTHER = "in order with everything else, unless that is held back"


@dataclass(frozen=True, slots=True)
class Frame:
    """One text frame for the client; `audio_ms` > 0 if it carries that much of `item_id`'s sound."""

    text: str = field(repr=False)
    lane: Lane = Lane.OTHER
    item_id: str = ""
    audio_ms: float = 0.0
    dies_with_answer: bool = False
    """Dropped by a flush."""
    flush_at: float | None = None
    """Of a flush: when it was queued."""


class SendQueue:
    """One writer takes; anybody puts, without waiting.

    `may_leave_at(duration_ms)` says when the next piece of sound may go; without it none is ever held.
    """

    def __init__(self, may_leave_at: Callable[[float], float] = lambda duration_ms: -math.inf) -> None:
        self._may_leave_at = may_leave_at
        self._lanes: dict[Lane, deque[tuple[int, Frame]]] = {lane: deque() for lane in Lane}
        self._number = 0
        self._audio_ms = 0.0
        self._changed = trio.Event()

    def put(self, frame: Frame) -> None:
        self._number += 1
        self._lanes[frame.lane].append((self._number, frame))
        self._audio_ms += frame.audio_ms
        self._changed.set()

    def put_back(self, frame: Frame) -> None:
        """A frame that was taken but not written is next again."""
        self._lanes[frame.lane].appendleft((0, frame))
        self._audio_ms += frame.audio_ms
        self._changed.set()

    def look_again(self) -> None:
        """What may leave may have changed."""
        self._changed.set()

    def drop_answer(self) -> None:
        """The answer was interrupted: what of it has not left dies here."""
        kept = [entry for entry in self._lanes[Lane.ANSWER] if not entry[1].dies_with_answer]
        self._lanes[Lane.ANSWER] = deque(kept)
        self._audio_ms = 0.0

    async def next(self) -> Frame:
        """The next frame to write; waits for one. Cancelling loses nothing."""
        while (lane := self._next_lane()) is None:
            self._changed = trio.Event()
            with trio.move_on_at(self._held_until()):
                await self._changed.wait()
        _, frame = self._lanes[lane].popleft()
        self._audio_ms -= frame.audio_ms
        return frame

    def take_urgent(self) -> list[Frame]:
        """What should still be said although the session is over."""
        frames = [frame for _, frame in self._lanes[Lane.URGENT]]
        self._lanes[Lane.URGENT].clear()
        return frames

    @property
    def audio_seconds(self) -> float:
        return self._audio_ms / 1000

    @property
    def is_overfull(self) -> bool:
        return self.audio_seconds > AUDIO_SECONDS_MAX or sum(map(len, self._lanes.values())) > FRAMES_MAX

    def _next_lane(self) -> Lane | None:
        if self._lanes[Lane.URGENT]:
            return Lane.URGENT
        lanes = [Lane.OTHER] if self._held_until() > trio.current_time() else [Lane.ANSWER, Lane.OTHER]
        waiting = [lane for lane in lanes if self._lanes[lane]]
        return min(waiting, key=lambda lane: self._lanes[lane][0][0], default=None)

    def _held_until(self) -> float:
        """When the answer may go on; infinity if nothing of it is here."""
        if not self._lanes[Lane.ANSWER]:
            return math.inf
        _, frame = self._lanes[Lane.ANSWER][0]
        return self._may_leave_at(frame.audio_ms) if frame.audio_ms else -math.inf
