"""The bounded queues of one connection: frames on their way to the client, audio on its way to the recognizer."""

from __future__ import annotations

from collections import deque

import trio

from voice_trio.protocols.audio import BYTES_PER_MS

FRAMES_QUEUED_MAX = 4000
"""Some 4 minutes of speech: a client that has read none of it for so long does not read any more."""
FRAMES_TO_WAIT_AT = 64
"""A task that makes many frames waits while so many are queued."""
PIECE_BYTES_MAX = 200 * BYTES_PER_MS
"""Small enough that words are reported early."""
BYTES_QUEUED_MAX = 32 * 1024 * 1024
"""Eleven minutes: a client may send a recording at once, and not two of the largest events the API allows."""


class FrameQueue:
    """Frames for one client. `put` never waits, so the order of frames is the order of their causes."""

    def __init__(self) -> None:
        self._frames: deque[str] = deque()
        self._moved = trio.lowlevel.ParkingLot()

    def put(self, frame: str) -> bool:
        """Add a frame; false if there is no room."""
        if len(self._frames) >= FRAMES_QUEUED_MAX:
            return False
        self._frames.append(frame)
        self._moved.unpark_all()
        return True

    async def take(self) -> str:
        """The next frame; waits until there is one."""
        while not self._frames:
            await self._moved.park()
        frame = self._frames.popleft()
        self._moved.unpark_all()
        return frame

    async def wait_until_short(self) -> None:
        """Return once fewer than `FRAMES_TO_WAIT_AT` frames are queued."""
        while len(self._frames) >= FRAMES_TO_WAIT_AT:
            await self._moved.park()

    async def wait_until_empty(self) -> None:
        """Return once the last frame was taken."""
        while self._frames:
            await self._moved.park()


class AudioQueue:
    """Audio of one recognition. `scope` is the recognition's, cancelled when its text is not needed any more."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self._bytes = bytearray()
        self._is_finished = False
        self._moved = trio.lowlevel.ParkingLot()

    def put(self, pcm: bytes) -> bool:
        """Add audio; false if there is no room."""
        if len(self._bytes) + len(pcm) > BYTES_QUEUED_MAX:
            return False
        self._bytes += pcm
        self._moved.unpark_all()
        return True

    def finish(self) -> None:
        """No more audio will come."""
        self._is_finished = True
        self._moved.unpark_all()

    async def take(self) -> bytes:
        """The next piece, of at most `PIECE_BYTES_MAX`; empty at the end."""
        while not self._bytes and not self._is_finished:
            await self._moved.park()
        piece = bytes(self._bytes[:PIECE_BYTES_MAX])
        del self._bytes[:PIECE_BYTES_MAX]
        return piece
