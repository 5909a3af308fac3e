"""The tasks of turns: each turn has a scope of its own, and cancelling it ends whatever works for that turn."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio

JOBS_MAX = 256  # searches, tools and timers of one turn that have not been started yet

Job: TypeAlias = Callable[[], Awaitable[None]]


class TurnScopes:
    """Opens, fills and cancels turns' scopes; all synchronous, so that it can be done between two commands."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._turns: dict[int, tuple[trio.CancelScope, trio.MemorySendChannel[Job]]] = {}

    def begin(self, turn_id: int) -> None:
        scope = trio.CancelScope()
        send_job, receive_job = trio.open_memory_channel[Job](JOBS_MAX)
        self._turns[turn_id] = (scope, send_job)
        self._nursery.start_soon(run_turn, scope, receive_job, name=f"turn {turn_id}")

    def start(self, turn_id: int, job: Job) -> None:
        """Start a job in the turn's scope; a turn that is over starts nothing."""
        if turn_id in self._turns:
            self._turns[turn_id][1].send_nowait(job)

    def start_anywhere(self, turn_id: int | None, job: Job) -> None:
        """Start a job in the turn's scope, or, without a turn, for as long as the session lives."""
        if turn_id is None:
            self._nursery.start_soon(job)
        else:
            self.start(turn_id, job)

    def end(self, turn_id: int, reason: str) -> None:
        if turn_id in self._turns:
            scope, send_job = self._turns.pop(turn_id)
            send_job.close()
            scope.cancel(reason=reason)


async def run_turn(scope: trio.CancelScope, jobs: trio.MemoryReceiveChannel[Job]) -> None:
    """A turn's jobs, each a task, until the turn is over. Barge-in cancels here."""
    with scope, jobs:
        async with trio.open_nursery() as nursery:
            async for job in jobs:
                nursery.start_soon(job)
