"""The connection to Redis with its circuit breaker: up, or down since the first call that failed.

A call takes at most 250 ms, and fails at once while the connection is down; calls under way then fail in the same
instant. One exception: after a restart of Redis, or when it lost its data, calls wait up to 2 s until the supervisor
has replayed the writes that Redis lost. The supervisor decides when the connection is up again.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import structlog
import trio

from voice_trio import limits
from voice_trio.net.threads import Bulkhead
from voice_trio.state.redis.driver import RedisFailed, RedisFault

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class RedisConnection:
    """Starts down: Redis has not been checked yet."""

    def __init__(self) -> None:
        self.fault: RedisFault | None = RedisFault.UNKNOWN
        self._threads = Bulkhead(limits.REDIS_THREADS_MAX)
        self._calls: set[trio.CancelScope] = set()
        self._replied_at = -math.inf  # by the clock of the threads: a late event loop must not count against Redis
        self._down = trio.Event()
        self._up = trio.Event()
        self._changed_at = -math.inf  # when it went down, or returned

    @property
    def is_unsettled(self) -> bool:
        """Whether Redis is away for a moment, or was, so that records of other instances may be missing for now."""
        seconds = limits.REDIS_RECORDS_SECONDS if self.is_up else limits.REDIS_SHORT_OUTAGE_SECONDS
        return trio.current_time() - self._changed_at < seconds

    @property
    def is_up(self) -> bool:
        """Whether calls reach Redis."""
        return self.fault is None

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking `function` in a thread and return its result.

        Raises `RedisFailed` within 250 ms, and at once while the connection is down. After a failure or a cancellation
        the call may have taken effect, and may still. `RedisFault.BUSY` means that Redis replies, but this call waited
        in a queue for too long.
        """
        return await self.call_until(trio.current_time() + limits.REDIS_CALL_SECONDS_MAX, function, *args, **kwargs)

    async def call_until(self, deadline: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `call`, for a caller that has waited already; `deadline` by Trio's clock, at most 250 ms from now."""
        began_at = time.monotonic()
        restored_by = trio.current_time() + limits.REDIS_RESTORE_SECONDS_MAX
        await trio.lowlevel.checkpoint_if_cancelled()
        with trio.move_on_at(deadline) as call_scope:
            self._calls.add(call_scope)
            try:
                while True:
                    await self._wait_usable(call_scope, restored_by)
                    try:
                        # Every write is idempotent, so an abandoned thread does no harm, as with a read.
                        return await self._threads.read(self._noting_replies(function), *args, **kwargs)
                    except RedisFailed as failed:
                        if failed.fault is RedisFault.BROKEN:  # the call failed, not the connection
                            raise
                        self.mark_down(failed.fault)
                    except Exception as error:  # of whatever kind: callers expect a call to fail, and go on without it
                        log.exception("redis_call_failed")
                        raise RedisFailed(RedisFault.BROKEN) from error
            finally:
                self._calls.discard(call_scope)
        if self.is_up:
            is_late = trio.current_time() - call_scope.deadline > limits.REDIS_LATE_SECONDS_MAX
            silence = time.monotonic() - max(began_at, self._replied_at)
            if is_late or silence < limits.REDIS_SILENCE_SECONDS_MAX:
                raise RedisFailed(RedisFault.BUSY)
            self.mark_down(RedisFault.SLOW)  # the supervisor's probe finds the exact fault
        raise RedisFailed(self.fault or RedisFault.SLOW)

    def mark_down(self, fault: RedisFault) -> None:
        """Let no call reach Redis, and fail the calls under way unless Redis was only restarted."""
        if self.fault is not fault:
            log.warning("redis_down", fault=fault.value)
        if self.is_up:
            self._changed_at = trio.current_time()
        self.fault = fault
        if fault is not RedisFault.RESTARTED:
            for call_scope in tuple(self._calls):
                call_scope.cancel(reason="Redis is unavailable")
        self._down.set()

    def mark_up(self) -> None:
        """Let calls reach Redis again."""
        if self._changed_at > -math.inf:  # not for the first time
            self._changed_at = trio.current_time()
        self.fault = None
        self._down = trio.Event()
        self._up.set()
        self._up = trio.Event()

    async def wait_down(self) -> None:
        """Return when the connection is down."""
        await self._down.wait()

    async def _wait_usable(self, call_scope: trio.CancelScope, restored_by: float) -> None:
        """Wait for the replay after a restart of Redis; raise `RedisFailed` for any other fault."""
        if self.fault is RedisFault.RESTARTED:
            call_scope.deadline = restored_by
            await self._up.wait()
            call_scope.deadline = min(restored_by, trio.current_time() + limits.REDIS_CALL_SECONDS_MAX)
        elif not self.is_up:
            raise RedisFailed(self.fault or RedisFault.UNKNOWN)

    def _noting_replies(self, function: Callable[P, T]) -> Callable[P, T]:
        def noting(*args: P.args, **kwargs: P.kwargs) -> T:
            result = function(*args, **kwargs)
            self._replied_at = time.monotonic()
            return result

        return noting
