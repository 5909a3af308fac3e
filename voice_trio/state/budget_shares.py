"""Shares of budgets: how much of a day's budget each instance may spend, leased in advance.

`BudgetShares` is the protocol, `MemoryShares` the implementation without Redis, and `ShareLedger` the rule that both it
and the Lua of `redis/shares.py` follow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import trio

from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DAY_SCOPE = "day"
"""The scope of the budget that all users share; every other scope is a user's hash."""


@dataclass(frozen=True, slots=True)
class ShareRequest:
    """What one instance has used and reserved of one budget; amounts in millionths of a US dollar.

    `used` is the whole sum of this instance on that day. `weight` is the number of sessions for which it wants room.
    `observed` is the part of what is reserved that is known to have been used.
    """

    scope: str
    limit: int
    used: int
    reserved: int
    weight: int
    observed: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """Up to `ceiling` this instance may use and reserve; the others have used `used_elsewhere`, billed or not yet.

    `is_alone`: no other instance has a share of this budget now.
    """

    ceiling: int
    used_elsewhere: int = 0
    is_alone: bool = True


class BudgetShares(Protocol):
    """The budgets of days, divided between instances. A share is valid for `limits.SHARE_LEASE_SECONDS`.

    The shares of all instances together never exceed a budget, but for a millionth of a dollar each: so every instance
    can have one response at a time until the budget is spent. An instance that is gone keeps what it had reported as
    used and reserved; the rest of its share comes back when its lease ends.
    """

    @property
    def is_shared(self) -> bool:
        """Whether there can be other instances; without them every share is the whole budget."""
        ...

    async def renew(self, day: str, requests: Sequence[ShareRequest]) -> list[Share]:
        """Report and get new shares of `day` (ISO date, UTC), one a request. Idempotent.

        While the store is unavailable each instance has what the others had not used when it was last heard of, or,
        with the policy `deny`, this raises `StateUnavailable`.
        """
        ...


# How a budget is divided. What is neither used nor reserved is free. An instance gets of it in proportion to its
# sessions, but at most three quarters of what the others have not leased: so one that begins to need some finds some.
# Each renewal, once a second and sooner where room is short, divides anew. What one instance does not use flows to
# those that do, and no instance is refused for long while the budget has room. A renewal takes nothing from the others:
# their shares shrink when they renew themselves.


@dataclass(slots=True)
class _Entry:
    used: int = 0
    reserved: int = 0
    ceiling: int = 0
    weight: int = 0
    observed: int = 0
    expires: float = 0.0

    def committed(self, now: float) -> int:
        """What others cannot have."""
        known = self.used + self.reserved
        return max(known, self.ceiling) if self.expires > now else known


@dataclass(slots=True)
class ShareLedger:
    """The entries of all instances, by day and scope. `clock` gives seconds from any origin and is monotonic."""

    clock: Callable[[], float] = trio.current_time
    _days: dict[str, dict[str, dict[str, _Entry]]] = field(default_factory=dict)

    def renew(self, instance: str, day: str, request: ShareRequest) -> Share:
        """Enter what the instance reports, and give it its share."""
        now = self.clock()
        entries = self._entries(day, request.scope)
        own = entries.setdefault(instance, _Entry())
        own.used, own.reserved = max(own.used, request.used), request.reserved
        own.weight, own.observed = request.weight, request.observed
        own.expires = now + limits.SHARE_LEASE_SECONDS
        others = [entry for name, entry in entries.items() if name != instance]
        alive = [entry for entry in others if entry.expires > now]
        known = own.used + own.reserved
        free = request.limit - known - sum(entry.used + entry.reserved for entry in others)
        weights = own.weight + sum(entry.weight for entry in alive)
        fair = free * own.weight // weights if weights else 0
        available = request.limit - known - sum(entry.committed(now) for entry in others)
        room = min(fair, available * limits.SHARED_PERCENT // 100)
        own.ceiling = known + (max(1, room) if free > 0 else 0)
        used_elsewhere = sum(entry.used + entry.observed for entry in others)
        return Share(own.ceiling, used_elsewhere, not any(entry.weight for entry in alive))

    def _entries(self, day: str, scope: str) -> dict[str, _Entry]:
        if day not in self._days:
            self._days[day] = {}
            while len(self._days) > limits.SHARE_DAYS_REMEMBERED:
                del self._days[min(self._days)]
        return self._days.setdefault(day, {}).setdefault(scope, {})


class MemoryShares:
    """Shares without Redis. Alone an instance has every budget whole; tests let several share one `ledger`."""

    def __init__(self, instance: str, ledger: ShareLedger | None = None) -> None:
        self._instance = instance
        self._ledger = ShareLedger() if ledger is None else ledger
        self._is_shared = ledger is not None

    @property
    def is_shared(self) -> bool:
        """Whether the ledger is shared with others."""
        return self._is_shared

    async def renew(self, day: str, requests: Sequence[ShareRequest]) -> list[Share]:
        """Report and get new shares."""
        await trio.lowlevel.checkpoint()
        if not self._is_shared:
            return [Share(request.limit) for request in requests]
        return [self._ledger.renew(self._instance, day, request) for request in requests]
