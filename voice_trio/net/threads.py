"""The only door to worker threads: one bulkhead a service, so that a slow one starves nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class Bulkhead:
    """A private pool of at most `size` worker threads for one service.

    A read that is cancelled is abandoned: its thread runs on and keeps its place in the pool until the driver's own
    timeout ends it. A write is never abandoned, because nobody would know whether it took place.
    """

    def __init__(self, size: int) -> None:
        self._limiter = trio.CapacityLimiter(size)

    async def read(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in a thread; cancellation returns at once and leaves the thread to finish by itself."""
        return await trio.to_thread.run_sync(
            lambda: function(*args, **kwargs), abandon_on_cancel=True, limiter=self._limiter
        )

    async def write(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in a thread; cancellation waits until it has finished."""
        return await trio.to_thread.run_sync(lambda: function(*args, **kwargs), limiter=self._limiter)

    @property
    def busy(self) -> int:
        """Threads in use now, abandoned ones included."""
        return int(self._limiter.borrowed_tokens)
