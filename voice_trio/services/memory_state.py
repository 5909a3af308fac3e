"""State in this process's memory: for a single instance, for tests, and for while a shared store is away."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import trio

from voice_trio.services.state import Granted, Limit, Quotas, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.services.rollout import Rollout


@dataclass(slots=True)
class _Holdings:
    """What one user holds, by session id: when each slot was taken (oldest first), when each lease lapses."""

    slots: dict[str, float] = field(default_factory=dict)
    leases: dict[str, float] = field(default_factory=dict)


class MemoryState:
    """Fills `State`. Users who hold nothing any more are forgotten, so memory is bounded by what is granted.

    `clock` tells seconds from any origin and never goes back; Trio's by default, so that virtual time rules here too.
    """

    def __init__(self, quotas: Quotas, rollout: Rollout, clock: Callable[[], float] = trio.current_time) -> None:
        self._quotas = quotas
        self._rollout = rollout
        self._clock = clock
        # Least recently touched first; whoever heads the line without holding anything is forgotten.
        self._users: OrderedDict[str, _Holdings] = OrderedDict()

    def __len__(self) -> int:
        """Users remembered."""
        return len(self._users)

    async def admit(self, user_id: str, session_id: str) -> Granted | Refused:
        """Take a rate slot and a lease, or neither."""
        await trio.lowlevel.checkpoint()
        now = self._clock()
        self._forget_idle_users(now)
        held = self._current(user_id, now)
        if session_id not in held.slots and len(held.slots) >= self._quotas.sessions_per_window:
            oldest = next(iter(held.slots.values()))
            return Refused(Limit.RATE, retry_after=oldest + self._quotas.window_seconds - now)
        if session_id not in held.leases and len(held.leases) >= self._quotas.concurrent:
            return Refused(Limit.CONCURRENCY)
        held.slots.setdefault(session_id, now)
        held.leases[session_id] = now + self._quotas.lease_seconds
        self._keep(user_id, held)
        return Granted()

    async def release(self, user_id: str, session_id: str) -> None:
        """Give the rate slot and the lease back."""
        held = self._current(user_id, self._clock())
        held.slots.pop(session_id, None)
        held.leases.pop(session_id, None)
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def renew(self, user_id: str, session_id: str) -> None:
        """Keep the lease, or take it again."""
        await trio.lowlevel.checkpoint()
        now = self._clock()
        held = self._current(user_id, now)
        held.leases[session_id] = now + self._quotas.lease_seconds
        self._keep(user_id, held)

    async def end(self, user_id: str, session_id: str) -> None:
        """Give only the lease back."""
        self._current(user_id, self._clock()).leases.pop(session_id, None)
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def reset(self, user_id: str) -> None:
        """Open all of a user's rate slots."""
        await trio.lowlevel.checkpoint()
        self._current(user_id, self._clock()).slots.clear()

    async def rollout(self) -> Rollout:
        """The rollout document in force."""
        await trio.lowlevel.checkpoint()
        return self._rollout

    async def replace_rollout(self, wanted: Rollout) -> Rollout | None:
        """Put `wanted` in force if its version is still the one in force."""
        await trio.lowlevel.checkpoint()
        if wanted.version != self._rollout.version:
            return None
        self._rollout = msgspec.structs.replace(wanted, version=wanted.version + 1)
        return self._rollout

    def _current(self, user_id: str, now: float) -> _Holdings:
        """What the user holds at `now`, without what has lapsed; not yet kept if they held nothing."""
        held = self._users.get(user_id) or _Holdings()
        for session_id, taken_at in list(held.slots.items()):
            if taken_at + self._quotas.window_seconds <= now:
                del held.slots[session_id]
        for session_id, lapses_at in list(held.leases.items()):
            if lapses_at <= now:
                del held.leases[session_id]
        return held

    def _keep(self, user_id: str, held: _Holdings) -> None:
        self._users[user_id] = held
        self._users.move_to_end(user_id)

    def _forget_idle_users(self, now: float) -> None:
        while self._users:
            user_id = next(iter(self._users))
            held = self._current(user_id, now)
            if held.slots or held.leases:
                return
            del self._users[user_id]
