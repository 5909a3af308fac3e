"""Queues between the sound card's thread and the conversation's tasks: playback, and the microphone.

A sample is queued, handed to the sound card, and heard a little later, when the card's own buffer reaches it. A flush
drops the queue; samples that the card already has are still heard. Each lock is held for at most a copy of 20 ms.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from voice_trio.client.sound_card import BLOCK_MS
from voice_trio.client.sounds import BYTES_PER_MS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

WAITING_MS_MAX = 1000  # of microphone audio; if sending takes longer, the oldest block is dropped


@dataclass(frozen=True, slots=True)
class Position:
    """The user has heard `played_ms` milliseconds of an item."""

    item_id: str
    played_ms: float


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of an item: `ms` milliseconds from `start_ms` on, heard from `heard_at` (seconds) on."""

    item_id: str
    start_ms: float
    ms: float
    heard_at: float


class PlaybackQueue:
    """Audio to be played, and the exact position that the user has heard.

    `clock` returns seconds; both threads read it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._queue: deque[tuple[str, memoryview]] = deque()
        self._handed: deque[_Piece] = deque()
        self._item_id = ""
        self._item_ms = 0.0  # of that item, handed over so far

    def queue(self, item_id: str, pcm: bytes) -> None:
        """Append PCM of an item."""
        if pcm:
            with self._lock:
                self._queue.append((item_id, memoryview(pcm)))

    def play(self, size: int, delay_seconds: float) -> bytes:
        """The next `size` bytes for the card, heard `delay_seconds` from now; silence if the queue is empty."""
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
        """The position heard now, or the last one; `None` before the first sample is heard."""
        with self._lock:
            now = self._clock()
            while len(self._handed) > 1 and self._handed[1].heard_at <= now:
                self._handed.popleft()
            if not self._handed or self._handed[0].heard_at > now:
                return None
            piece = self._handed[0]
            return Position(piece.item_id, piece.start_ms + min(piece.ms, (now - piece.heard_at) * 1000))

    def flush(self) -> Position | None:
        """Drop the queue. Returns the position that will have been heard when the card has played its own buffer."""
        with self._lock:
            self._queue.clear()
            if not self._handed:
                return None
            last = self._handed[-1]
            return Position(last.item_id, last.start_ms + last.ms)

    @property
    def is_playing(self) -> bool:
        """Whether audio is queued or still being heard."""
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


class MicrophoneQueue:
    """Microphone audio from the card's thread to a task; when it is full, the newest audio replaces the oldest.

    Make it inside `trio.run`. `hear` may be called from any thread and never waits. Iterate over it to take blocks.
    """

    def __init__(self) -> None:
        self._blocks, self._taken = trio.open_memory_channel[bytes](WAITING_MS_MAX // BLOCK_MS)
        self._trio = trio.lowlevel.current_trio_token()
        self.dropped = 0
        """Blocks that were dropped because the queue was full."""

    def hear(self, pcm: bytes) -> None:
        """Append a block of PCM."""
        with suppress(trio.RunFinishedError):  # the card's thread may call once more after the run has ended
            self._trio.run_sync_soon(self._put, pcm)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._taken

    def _put(self, pcm: bytes) -> None:
        try:
            self._blocks.send_nowait(pcm)
        except trio.WouldBlock:
            self._taken.receive_nowait()
            self._blocks.send_nowait(pcm)
            self.dropped += 1
