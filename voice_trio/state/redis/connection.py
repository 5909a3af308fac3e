"""The line to Redis with its breaker: open for calls, or down since the first call that failed.

A call waits 250 ms at most, and not at all once the line is down: those under way are given up in the same instant.
Only where Redis was restarted, and is told what it has forgotten, do calls wait for that, within their 250 ms.
Whoever keeps the line decides when it is up again.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import structlog
import trio

from voice_trio.net.threads import Bulkhead
from voice_trio.state.redis.driver import RedisFailed, RedisFault

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

CALL_SECONDS_MAX = 0.25
"""What an admission may wait for Redis, and so every other call."""
SILENCE_SECONDS_MAX = 0.2
"""A call that gave up has found Redis slow if nobody got an answer for so long; else it only stood in a long queue."""
THREADS_MAX = 8


class RedisConnection:
    """Starts down, for nobody has looked yet."""

    def __init__(self) -> None:
        self.fault: RedisFault | None = RedisFault.UNKNOWN
        self._threads = Bulkhead(THREADS_MAX)
        self._calls: set[trio.CancelScope] = set()
        self._answered_at = -math.inf  # by the threads' clock: an event loop that is late is not Redis's fault
        self._went_down = trio.Event()
        self._came_up = trio.Event()

    @property
    def is_up(self) -> bool:
        """Whether calls reach Redis."""
        return self.fault is None

    async def ask(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The answer of a blocking `function`; raises `RedisFailed` within 250 ms, at once while the line is down.

        After a failure, or when cancelled, nobody knows whether the call took place or still will. `RedisFault.BUSY`
        says that Redis is there and this call did not get its turn.
        """
        return await self.ask_until(trio.current_time() + CALL_SECONDS_MAX, function, *args, **kwargs)

    async def ask_until(self, deadline: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for a call that has waited already; `deadline` by Trio's clock, at most 250 ms from now."""
        began_at = time.monotonic()
        await trio.lowlevel.checkpoint_if_cancelled()
        with trio.move_on_at(deadline) as patience:
            self._calls.add(patience)
            try:
                while True:
                    await self._wait_usable()
                    try:
                        # What Redis is told may be told twice: a thread may be left behind like one that only reads.
                        return await self._threads.read(self._noting_answers(function), *args, **kwargs)
                    except RedisFailed as failed:
                        if failed.fault is RedisFault.BROKEN:  # the call is at fault, not the line
                            raise
                        self.go_down(failed.fault)
            finally:
                self._calls.discard(patience)
        if self.is_up:
            if time.monotonic() - max(began_at, self._answered_at) < SILENCE_SECONDS_MAX:
                raise RedisFailed(RedisFault.BUSY)
            self.go_down(RedisFault.SLOW)  # or worse; whoever keeps the line finds out
        raise RedisFailed(self.fault or RedisFault.SLOW)

    def _noting_answers(self, function: Callable[P, T]) -> Callable[P, T]:
        def answered(*args: P.args, **kwargs: P.kwargs) -> T:
            answer = function(*args, **kwargs)
            self._answered_at = time.monotonic()
            return answer

        return answered

    async def _wait_usable(self) -> None:
        """Nobody waits for a Redis that is away; one that was restarted has to be told a few things first."""
        if self.fault is RedisFault.RESTARTED:
            await self._came_up.wait()
        elif not self.is_up:
            raise RedisFailed(self.fault or RedisFault.UNKNOWN)

    def go_down(self, fault: RedisFault) -> None:
        """No call reaches Redis from now on."""
        if self.fault is not fault:
            log.warning("redis_away", fault=fault.value)
        self.fault = fault
        if fault is not RedisFault.RESTARTED:
            for patience in tuple(self._calls):
                patience.cancel(reason="Redis is away")
        self._went_down.set()

    def come_up(self) -> None:
        """Calls reach Redis again."""
        self.fault = None
        self._went_down = trio.Event()
        self._came_up.set()
        self._came_up = trio.Event()

    async def wait_down(self) -> None:
        """Return when the line is down."""
        await self._went_down.wait()
