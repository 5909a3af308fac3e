"""The connections of this process that hold a session or wait for it: one at a time, and the newest wins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.state.session_claims import new_holder

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class _Queue:
    """The connections of one session, oldest first."""

    holders: list[SessionHolder] = field(default_factory=list)
    changed: trio.lowlevel.ParkingLot = field(default_factory=trio.lowlevel.ParkingLot)


class SessionHolder:
    """One connection, from before it claims its session until its grant is released.

    `name` is its name in the shared state. Once `is_lost`, another connection has the session or waits for it.
    """

    def __init__(self, holders: SessionHolders, queue: _Queue, session_id: str, name: str) -> None:
        self.session_id = session_id
        self.name = name
        self.is_lost = False
        self._holders = holders
        self._queue = queue
        self._end: Callable[[], None] | None = None

    def when_lost(self, end: Callable[[], None]) -> None:
        """Have `end` called when the session is lost; at once if it is already."""
        self._end = end
        if self.is_lost:
            end()

    def lose(self) -> None:
        """The session is, or will be, another connection's."""
        if not self.is_lost:
            self.is_lost = True
            self._queue.changed.unpark_all()
            if self._end is not None:
                self._end()

    async def wait_turn(self) -> bool:
        """Wait until the connections before have released the session, 5 s at most; False once this one is lost."""
        with trio.move_on_after(limits.EVICT_SECONDS_MAX):
            while not self.is_lost and self._queue.holders[0] is not self:
                await self._queue.changed.park()
        return not self.is_lost

    def release(self) -> None:
        """The next connection may begin. Idempotent."""
        self._holders.remove(self, self._queue)


class SessionHolders:
    """All of them, by session id; `instance` is the id of this process in the shared state."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._queues: dict[str, _Queue] = {}

    def __len__(self) -> int:
        """The number of sessions."""
        return len(self._queues)

    def enter(self, session_id: str) -> SessionHolder:
        """A new connection wants the session: those before lose it. The caller releases the holder."""
        queue = self._queues.setdefault(session_id, _Queue())
        for older in tuple(queue.holders):
            older.lose()
        holder = SessionHolder(self, queue, session_id, new_holder(self._instance))
        queue.holders.append(holder)
        return holder

    def lose(self, session_id: str, name: str) -> None:
        """A connection of another instance takes the session over from the holder of that name, if it is here."""
        queue = self._queues.get(session_id, _Queue())
        for holder in tuple(queue.holders):
            if holder.name == name:
                holder.lose()

    def remove(self, holder: SessionHolder, queue: _Queue) -> None:
        """Forget a holder that is released."""
        if holder in queue.holders:
            queue.holders.remove(holder)
            queue.changed.unpark_all()
            if not queue.holders:
                del self._queues[holder.session_id]
