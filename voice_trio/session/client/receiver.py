"""Reads a client on while its frames wait for their time, so that a client that leaves is noticed at once (I8)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.errors import LinkClosed
from voice_trio.net.byte_budget import ByteAccount, ByteBudget, Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.net.link import Link


class ClientReceiver:
    """Receives the frames of one client and has them handled in order, each when the pause after the last is over.

    `handle` takes a frame and the time, and returns that pause in seconds. While `is_held` says so, no frame is
    handled; those for which `overtakes` holds are handled at once in any case.
    """

    def __init__(
        self,
        link: Link,
        handle: Callable[[str | bytes, float], float],
        *,
        is_held: Callable[[], bool] = lambda: False,
        overtakes: Callable[[str | bytes], bool] = lambda frame: False,
    ) -> None:
        self.account = link.account or ByteAccount(ByteBudget(), "")
        self._link = link
        self._handle = handle
        self._is_held = is_held
        self._overtakes = overtakes
        self._queue = ReceiveQueue(self.account)
        self._is_draining = False
        self._paused_until = -math.inf

    async def run(self) -> LinkClosed:
        """Receive until the link is closed; returns how. What waits then is not handled any more."""
        async with trio.open_nursery() as nursery:
            closed = await self._receive(nursery)
            nursery.cancel_scope.cancel(reason="client gone")
        return closed

    # A frame is handled by the task that received it while nothing holds it back, so a frame in real time wakes no
    # other task. There is a second task only while frames wait.

    async def _receive(self, nursery: trio.Nursery) -> LinkClosed:
        while True:
            try:
                frame = await self._link.receive()
            except LinkClosed as closed:
                return closed
            now = trio.current_time()
            is_free = not self._is_draining and now >= self._paused_until and not self._is_held()
            if is_free or self._overtakes(frame):
                self._handle_now(frame, now)
            else:
                if not self._is_draining:
                    self._is_draining = True
                    nursery.start_soon(self._handle_waiting)
                await self._queue.put(frame)
            del frame  # none stays in memory until the next one

    async def _handle_waiting(self) -> None:
        """Handle what waits, until nothing does."""
        while self._queue:
            await trio.sleep_until(self._paused_until)
            while self._is_held():  # noqa: ASYNC110  # what holds frames back has no event
                await trio.sleep(limits.PASSTHROUGH_CHECK_SECONDS)
            self._handle_now(self._queue.take(), trio.current_time())
        self._is_draining = False

    def _handle_now(self, frame: str | bytes, now: float) -> None:
        self._paused_until = self.account.paused_until = now + self._handle(frame, now)


class ReceiveQueue:
    """Frames that were received and not handled yet, bounded. One task puts, one takes.

    It lets a client be read while its frames wait; beyond the base amount of `account` only while memory is not tight.
    """

    def __init__(self, account: ByteAccount) -> None:
        self._account = account
        self._frames: list[str | bytes] = []
        self._bytes = 0
        self._changed = trio.Event()

    def __len__(self) -> int:
        """Frames that wait."""
        return len(self._frames)

    async def put(self, frame: str | bytes) -> None:
        """Add a frame, and wait while the queue is over a bound, so that one frame more always fits."""
        self._frames.append(frame)
        self._bytes += len(frame)
        self._account.hold(Place.RECEIVED, self._bytes)
        self._account.hold(Place.INCOMING, 0)  # it counts here from now on
        while self._is_full:
            await self._changed.wait()

    @property
    def _is_full(self) -> bool:
        """What frees the queue is that its own frames are handled; it never waits for other connections."""
        if self._bytes > self._account.base_bytes and self._account.is_tight:
            return True
        return self._bytes > limits.CLIENT_BYTES_QUEUED_MAX or len(self._frames) >= limits.CLIENT_FRAMES_QUEUED_MAX

    def take(self) -> str | bytes:
        """The oldest frame; raises `IndexError` if none waits."""
        frame = self._frames.pop(0)
        self._bytes -= len(frame)
        self._account.hold(Place.RECEIVED, self._bytes)
        changed, self._changed = self._changed, trio.Event()
        changed.set()
        return frame
