"""Worker threads: one bulkhead for each service, so that a slow service does not block others.

No other module starts worker threads; a test enforces that. Trio's default limiter of 40 threads would be shared by all
services, and cancellation would wait for each thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class Bulkhead:
    """A private pool of at most `size` worker threads for one service.

    A cancelled read is abandoned: its thread keeps its place in the pool until the timeout of the driver ends it. A
    write is never abandoned, because its caller must know whether it took effect.
    """

    def __init__(self, size: int) -> None:
        self._limiter = trio.CapacityLimiter(size)

    async def read(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `function` in a thread; cancellation returns at once and abandons the thread."""
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
