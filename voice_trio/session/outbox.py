"""What waits to be written to the client: control overtakes audio, everything else keeps its order.

Only `playback.flush`, `speech_started`, `error` and `session.*` overtake; the events of one response stay in order with
it. A flush drops the queued answer. Nothing here waits but `next`, and nothing is dropped from the middle of an answer.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import trio

AUDIO_SECONDS_MAX = 240.0  # the longest answer a model gives is about 205 s (4,096 audio tokens of 50 ms)
FRAMES_MAX = 20_000  # what that much audio comes to in 20 ms pieces with their text, and then some


@dataclass(frozen=True, slots=True)
class Frame:
    """One text frame for the client; `audio_ms` > 0 if it carries that much of `item_id`'s sound."""

    text: str = field(repr=False)
    item_id: str = ""
    audio_ms: float = 0.0
    of_answer: bool = False
    is_urgent: bool = False
    flush_at: float | None = None
    """Of a flush: when it was queued."""


class Outbox:
    """One writer takes; anybody puts, without waiting."""

    def __init__(self) -> None:
        self._urgent: deque[Frame] = deque()
        self._stream: deque[Frame] = deque()
        self._audio_ms = 0.0
        self._filled = trio.Event()

    def put(self, frame: Frame) -> None:
        (self._urgent if frame.is_urgent else self._stream).append(frame)
        self._audio_ms += frame.audio_ms
        self._filled.set()

    def put_back(self, frame: Frame) -> None:
        """A frame that was taken but not written is next again."""
        (self._urgent if frame.is_urgent else self._stream).appendleft(frame)
        self._audio_ms += frame.audio_ms
        self._filled.set()

    def drop_answer(self) -> None:
        """The answer was interrupted: what of it has not left dies here."""
        self._stream = deque(frame for frame in self._stream if not frame.of_answer)
        self._audio_ms = 0.0

    async def next(self) -> Frame:
        """The next frame to write; waits for one. Cancelling loses nothing."""
        while not self._urgent and not self._stream:
            self._filled = trio.Event()
            await self._filled.wait()
        if self._urgent:
            return self._urgent.popleft()
        frame = self._stream.popleft()
        self._audio_ms -= frame.audio_ms
        return frame

    def take_urgent(self) -> list[Frame]:
        """What should still be said although the session is over."""
        frames = list(self._urgent)
        self._urgent.clear()
        return frames

    @property
    def audio_seconds(self) -> float:
        return self._audio_ms / 1000

    @property
    def is_overfull(self) -> bool:
        frames = len(self._stream) + len(self._urgent)
        return self.audio_seconds > AUDIO_SECONDS_MAX or frames > FRAMES_MAX
