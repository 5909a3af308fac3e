"""What is played, and exactly how much of it has been heard. Shared by the sound card's thread and the conversation.

A sample is queued, handed to the card, and heard a little later, when the card's own buffer has played so far; a flush
drops what is queued, and what was handed over is still heard. Nothing here waits for more than a copy of 20 ms.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_trio.client.sounds import BYTES_PER_MS

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Position:
    """`played_ms` of an answer's item have been heard."""

    item_id: str
    played_ms: float


@dataclass(frozen=True, slots=True)
class _Piece:
    """Of an item, from `start_ms` on: heard from `heard_at` on."""

    item_id: str
    start_ms: float
    ms: float
    heard_at: float


class Speaker:
    """`clock` is read on both sides, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: deque[tuple[str, memoryview]] = deque()
        self._handed: deque[_Piece] = deque()
        self._item_id = ""
        self._item_ms = 0.0  # of that item, handed over so far

    def queue(self, item_id: str, pcm: bytes) -> None:
        """To be played after everything queued before."""
        if pcm:
            with self._lock:
                self._queue.append((item_id, memoryview(pcm)))

    def play(self, size: int, delay_seconds: float) -> bytes:
        """The next `size` bytes for the card, to be heard `delay_seconds` from now; silence where there is nothing."""
        block = bytearray(size)
        with self._lock:
            heard_at, filled = self._clock() + delay_seconds, 0
            while self._queue and filled < size:
                item_id, pcm = self._queue.popleft()
                taken, rest = pcm[: size - filled], pcm[size - filled :]
                if rest:
                    self._queue.appendleft((item_id, rest))
                block[filled : filled + len(taken)] = taken
                self._hand_over(item_id, len(taken) / BYTES_PER_MS, heard_at + filled / BYTES_PER_MS / 1000)
                filled += len(taken)
        return bytes(block)

    def position(self) -> Position | None:
        """What is being heard now, or was last; `None` before anything was."""
        with self._lock:
            now = self._clock()
            while len(self._handed) > 1 and self._handed[1].heard_at <= now:
                self._handed.popleft()
            if not self._handed or self._handed[0].heard_at > now:
                return None
            piece = self._handed[0]
            return Position(piece.item_id, piece.start_ms + min(piece.ms, (now - piece.heard_at) * 1000))

    def flush(self) -> Position | None:
        """Silence from the next block on. Returns what will have been heard when the card is through with its own."""
        with self._lock:
            self._queue.clear()
            if not self._handed:
                return None
            last = self._handed[-1]
            return Position(last.item_id, last.start_ms + last.ms)

    @property
    def is_playing(self) -> bool:
        """Whether anything is still to be heard."""
        with self._lock:
            last = self._handed[-1] if self._handed else None
            return bool(self._queue) or (last is not None and last.heard_at + last.ms / 1000 > self._clock())

    def _hand_over(self, item_id: str, ms: float, heard_at: float) -> None:
        if item_id != self._item_id:
            self._item_id, self._item_ms = item_id, 0.0
        self._handed.append(_Piece(item_id, self._item_ms, ms, heard_at))
        self._item_ms += ms
        while len(self._handed) > 1 and self._handed[1].heard_at <= self._clock():
            self._handed.popleft()
