"""What a client has sent and nobody has heeded yet, bounded: so that its leaving is seen while it is not heeded."""

from __future__ import annotations

from collections import deque

import trio

BYTES_MAX = 16 * 1024 * 1024
FRAMES_MAX = 1000


class ReceiveQueue:
    """One task puts, one takes."""

    def __init__(self) -> None:
        self._frames: deque[str | bytes] = deque()
        self._bytes = 0
        self._changed = trio.Event()

    async def put(self, frame: str | bytes) -> None:
        """Waits while more than `BYTES_MAX` or `FRAMES_MAX` are here; one frame more always fits."""
        while self._bytes > BYTES_MAX or len(self._frames) >= FRAMES_MAX:
            await self._change()
        self._frames.append(frame)
        self._bytes += len(frame)
        self._tell()

    async def take(self) -> str | bytes:
        """The oldest frame; waits for one."""
        while not self._frames:
            await self._change()
        frame = self._frames.popleft()
        self._bytes -= len(frame)
        self._tell()
        return frame

    def _tell(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def _change(self) -> None:
        await self._changed.wait()
