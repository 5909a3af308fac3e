"""Frames on their way to one client. Putting never waits, so that the order of frames is the order of causes."""

from __future__ import annotations

from collections import deque

import trio

FRAMES_QUEUED_MAX = 4000
"""Some 4 minutes of speech: a client that has taken none of it for so long takes nothing any more."""
FRAMES_TO_WAIT_AT = 64
"""Whoever makes many frames waits while so many are on their way."""


class Outbox:
    def __init__(self) -> None:
        self._frames: deque[str] = deque()
        self._moved = trio.lowlevel.ParkingLot()

    def put(self, frame: str) -> bool:
        """Whether there was room."""
        if len(self._frames) >= FRAMES_QUEUED_MAX:
            return False
        self._frames.append(frame)
        self._moved.unpark_all()
        return True

    async def take(self) -> str:
        """The next frame, waiting for it if need be."""
        while not self._frames:
            await self._moved.park()
        frame = self._frames.popleft()
        self._moved.unpark_all()
        return frame

    async def wait_until_short(self) -> None:
        """Return once few frames are on their way."""
        while len(self._frames) >= FRAMES_TO_WAIT_AT:
            await self._moved.park()

    async def wait_until_empty(self) -> None:
        """Return once the last frame was taken."""
        while self._frames:
            await self._moved.park()
