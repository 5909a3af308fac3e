"""A WebSocket without a network: two `Link`s joined in memory, for virtual time.

They keep a Link's promises and add the ways in which networks break them: `reset` loses the connection, `stall` makes
an end stop taking what the other sends.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol, runtime_checkable

import trio

from voice_trio import limits
from voice_trio.errors import LinkClosed
from voice_trio.net.link import Link

FRAMES_BUFFERED = 64  # about what a kernel holds of 40 ms audio frames on both sides of a connection


def memory_link_pair(buffer: int = FRAMES_BUFFERED) -> tuple[MemoryLink, MemoryLink]:
    """Two ends of one connection; each direction holds `buffer` frames, then its sender waits."""
    there, back = _Pipe(buffer), _Pipe(buffer)
    return MemoryLink(back, there), MemoryLink(there, back)


@runtime_checkable
class Losable(Protocol):
    """A link that can lose its connection on purpose, by `reset`."""

    def reset(self) -> None: ...


class MemoryLink(Link):
    """One end of a connection in memory. Sending after a cancelled send raises `LinkClosed`, as on a broken stream."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    def send_nowait(self, message: str | bytes) -> bool:
        """Send one frame without waiting; while the peer takes none, it waits for `drain`."""
        return self._outgoing.put_nowait(message)

    @property
    def is_behind(self) -> bool:
        """Whether a frame still waits for the peer."""
        return self._outgoing.held is not None

    async def drain(self) -> None:
        """Wait until no frame waits; raises `LinkClosed`. Cancellation loses nothing."""
        await self._outgoing.drain()

    async def send(self, message: str | bytes) -> None:
        """Send one frame; waits while the peer's buffer is full or the peer has stalled. Raises `LinkClosed`."""
        await self._outgoing.put(message)

    async def receive(self) -> str | bytes:
        """The next frame; frames sent before a close still arrive. Raises `LinkClosed`. Cancelling loses nothing."""
        return await self._incoming.get()

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Close: the peer reads what is on its way, then raises `LinkClosed(code, reason)`.

        Raises `ValueError` for a reason of more than 123 bytes.
        """
        if len(reason.encode()) > limits.CLOSE_REASON_BYTES_MAX:
            raise ValueError(f"a close reason has at most {limits.CLOSE_REASON_BYTES_MAX} bytes: {reason!r}")
        goodbye = LinkClosed(code, reason)
        self._outgoing.end(goodbye, drained=False)
        self._incoming.end(goodbye, drained=True)
        await trio.lowlevel.checkpoint()

    def reset(self) -> None:
        """Lose the connection, for both ends at once, with the frames on their way."""
        for pipe in (self._incoming, self._outgoing):
            pipe.end(LinkClosed(), drained=True)

    def stall(self) -> None:
        """Read nothing more: from now on the peer's sends wait, as if all buffers were full."""
        self._incoming.stalled = True

    def resume(self) -> None:
        """Read again what the peer sends."""
        self._incoming.stalled = False
        self._incoming.wake()


class _Pipe:
    """One direction: frames, and how it ended."""

    def __init__(self, buffer: int) -> None:
        self.stalled = False
        self.held: str | bytes | None = None
        self._buffer = buffer
        self._frames: deque[str | bytes] = deque()
        self._ended: LinkClosed | None = None
        self._torn = False
        self._waiting = trio.lowlevel.ParkingLot()

    def put_nowait(self, message: str | bytes) -> bool:
        self._check_open()
        if self.held is not None:
            return False
        if self._is_full:
            self.held = message
        else:
            self._frames.append(message)
            self.wake()
        return True

    async def drain(self) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        while self.held is not None:
            self._check_open()
            if self._is_full:
                await self._waiting.park()
            else:
                self._frames.append(self.held)
                self.held = None
                self.wake()

    async def put(self, message: str | bytes) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            await self.drain()
            self._check_open()
            while self._is_full:
                await self._waiting.park()
                self._check_open()
        except trio.Cancelled:
            # Half a frame may be out: on a real stream nothing sensible can follow it.
            self._torn = True
            raise
        self._frames.append(message)
        self.wake()
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def get(self) -> str | bytes:
        await trio.lowlevel.checkpoint()
        while self.stalled or not self._frames:
            if self._ended is not None and not self.stalled:
                raise LinkClosed(self._ended.code, self._ended.reason)
            await self._waiting.park()
        frame = self._frames.popleft()
        self.wake()
        return frame

    def end(self, how: LinkClosed, *, drained: bool) -> None:
        if drained:
            self._frames.clear()
            self.stalled = False
        self._ended = self._ended or how
        self.wake()

    def wake(self) -> None:
        self._waiting.unpark_all()

    @property
    def _is_full(self) -> bool:
        return self.stalled or len(self._frames) >= self._buffer

    def _check_open(self) -> None:
        if self._ended is not None:
            raise LinkClosed(self._ended.code, self._ended.reason)
        if self._torn:
            raise LinkClosed()
