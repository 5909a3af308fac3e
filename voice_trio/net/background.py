"""Tasks beside the sessions: a failure in one of them must not end the process with every session in it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ParamSpec

import structlog
import trio

from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

P = ParamSpec("P")

log = structlog.get_logger(__name__)


async def keep_running(task: Callable[P, Awaitable[object]], *args: P.args, **kwargs: P.kwargs) -> None:
    """Run `task` until it returns; when it fails, log the failure, pause, and run it again.

    The pause grows from `BACKGROUND_PAUSE_SECONDS` and begins anew after a run of `BACKGROUND_PROVEN_SECONDS`.
    """
    pause = limits.BACKGROUND_PAUSE_SECONDS
    while True:
        began_at = trio.current_time()
        if await contain(task, *args, **kwargs):
            return
        if trio.current_time() - began_at > limits.BACKGROUND_PROVEN_SECONDS:
            pause = limits.BACKGROUND_PAUSE_SECONDS
        await trio.sleep(pause)
        pause = min(2 * pause, limits.BACKGROUND_PAUSE_SECONDS_MAX)


async def contain(task: Callable[P, Awaitable[object]], *args: P.args, **kwargs: P.kwargs) -> bool:
    """Run `task` once; True when it returned, False when it failed, which is logged with its traceback."""
    try:
        await task(*args, **kwargs)
    except* Exception as failures:
        failed = failures.exceptions[0] if len(failures.exceptions) == 1 else failures
        log.error("background_task_failed", task=_name_of(task), exc_info=failed)
    else:
        return True
    return False


def _name_of(task: Callable[..., object]) -> str:
    function = task.func if isinstance(task, partial) else task
    return getattr(function, "__qualname__", type(function).__name__)
