"""What waits to be written to the client: control overtakes audio, everything else keeps its order.

Only `playback.flush`, `speech_started`, `error` and `session.*` overtake; the events of one answer stay in order with
its sound. A flush drops the queued answer. Nothing here waits but `next`, and nothing is dropped from the middle of an
answer.

A paced queue holds sound until its time, and then the rest of the answer waits behind it; what does not belong to the
answer does not wait, as if the model spoke no faster than that. A client that never says how far it has played may not
know how to fall silent: so that an interruption is heard soon it has at most `LEAD_SECONDS_MAX` of sound unplayed.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import Enum

import trio

AUDIO_SECONDS_MAX = 240.0  # the longest answer a model gives is about 205 s (4,096 audio tokens of 50 ms)
FRAMES_MAX = 20_000  # what that much audio comes to in 20 ms pieces with their text, and then some
LEAD_SECONDS_MAX = 1.0  # of sound that a client which never reports its position may have unplayed


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
    """One writer takes frames and says when each is `written`; anybody puts, without waiting."""

    def __init__(self, *, is_paced: bool = False) -> None:
        self._is_paced = is_paced
        self._dry_at = -math.inf  # when all sound that was written will have been played
        self._taken: Frame | None = None  # being written
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

    def written(self, frame: Frame) -> None:
        """The frame that was taken has left; its sound can be heard from now on, unless a flush came meanwhile."""
        if frame.audio_ms and frame is self._taken:
            self._dry_at = max(self._dry_at, trio.current_time()) + frame.audio_ms / 1000

    def stop_pacing(self) -> None:
        """The client reports its position: it knows how to fall silent, and may have everything at once."""
        self._is_paced = False
        self._changed.set()

    def drop_answer(self) -> None:
        """The answer was interrupted: what of it has not left dies here."""
        self._dry_at = -math.inf
        self._taken = None
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
        self._taken = frame
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
        if not self._is_paced or not frame.audio_ms:
            return -math.inf
        return self._dry_at + frame.audio_ms / 1000 - LEAD_SECONDS_MAX
