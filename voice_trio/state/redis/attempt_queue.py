"""One attempt of a user at a time, so that a crowd of one user costs Redis hardly more than one attempt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from voice_trio.state.redis.connection import CALL_SECONDS_MAX
from voice_trio.state.state import Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voice_trio.state.state import Granted


@dataclass(slots=True)
class _Queue:
    """Attempts of one user that stand in line, and the refusal heard last."""

    turn: trio.Lock = field(default_factory=trio.Lock)
    waiting: int = 0
    refusal: Refused | None = None
    refused_at: float = 0.0


class AttemptQueue:
    """Users without an attempt under way are not remembered."""

    def __init__(self) -> None:
        self._queues: dict[str, _Queue] = {}

    async def admit(self, user_id: str, ask: Callable[[float], Awaitable[Granted | Refused]]) -> Granted | Refused:
        """What `ask` says, by the deadline that it is given; those in line when one is refused hear the same."""
        queue = self._queues.setdefault(user_id, _Queue())
        queue.waiting += 1
        came_at = trio.current_time()
        deadline = came_at + CALL_SECONDS_MAX
        try:
            with trio.move_on_at(deadline) as patience:
                await queue.turn.acquire()
            if patience.cancelled_caught:
                return await ask(deadline)
            try:
                if queue.refusal is not None and came_at <= queue.refused_at:
                    return queue.refusal
                return self._heard(queue, await ask(deadline))
            finally:
                queue.turn.release()
        finally:
            queue.waiting -= 1
            if not queue.waiting:
                del self._queues[user_id]

    def _heard(self, queue: _Queue, decision: Granted | Refused) -> Granted | Refused:
        if isinstance(decision, Refused):
            queue.refusal, queue.refused_at = decision, trio.current_time()
        return decision
