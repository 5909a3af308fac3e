"""Counters in memory: rate slots and leases by user, spending by day.

Pure decisions and synchronous, so that no other task runs between a check and its update. `MemoryState` uses them as
its only store; `RedisState` keeps them beside Redis and decides by them while Redis is unavailable.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voice_trio import limits
from voice_trio.state.session_claims import HeldBy
from voice_trio.state.state import OTHERS, Granted, Limit, LimitReached, Spenders

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voice_trio.state.state import Quotas


@dataclass(slots=True)
class Holdings:
    """What one user holds, by session id: when each slot was taken, oldest first, and when each lease expires.

    `holders` has the connection that holds the session, and since when.
    """

    slots: dict[str, float] = field(default_factory=dict)
    leases: dict[str, float] = field(default_factory=dict)
    holders: dict[str, tuple[str, float]] = field(default_factory=dict)

    def is_lost(self, session_id: str, holder: str) -> bool:
        """Whether another connection than `holder` holds the session."""
        current, _ = self.holders.get(session_id, ("", 0.0))
        return bool(holder and current and holder != current)


class LimitCounters:
    """Rate slots and leases by user. Users without any are evicted, so what is granted bounds the memory.

    `clock` gives seconds from any origin and is monotonic.
    """

    def __init__(self, quotas: Quotas, clock: Callable[[], float]) -> None:
        self._quotas = quotas
        self._clock = clock
        # Least recently changed first, so that eviction looks only at the head.
        self._users: OrderedDict[str, Holdings] = OrderedDict()

    def __len__(self) -> int:
        """Number of users in memory."""
        return len(self._users)

    @property
    def users(self) -> tuple[str, ...]:
        """Users in memory; what some of them held may have expired."""
        return tuple(self._users)

    def admit(self, user_id: str, session_id: str, holder: str = "") -> Granted | LimitReached:
        """Take a rate slot and a lease, or neither."""
        now = self._clock()
        self._evict_idle_users(now)
        held = self._unexpired(user_id, now)
        room = self._quotas.sessions_per_window
        if session_id not in held.slots and len(held.slots) >= room:
            # A lowered limit leaves more slots taken than there are: several must expire before one is free.
            freeing = list(held.slots.values())[len(held.slots) - room]
            return LimitReached(Limit.RATE, retry_after=freeing + self._quotas.window_seconds - now)
        if not self._has_lease_for(held, session_id):
            return LimitReached(Limit.CONCURRENCY)
        held.slots.setdefault(session_id, now)
        self._hold(user_id, held, session_id, holder, now)
        return Granted()

    def claim(self, user_id: str, session_id: str, holder: str, replacing: str) -> Granted | LimitReached | HeldBy:
        """Make `holder` the holder in place of none or of `replacing`, with a lease and without a slot."""
        now = self._clock()
        held = self._unexpired(user_id, now)
        current, _ = held.holders.get(session_id, ("", 0.0))
        if current not in ("", holder, replacing):
            return HeldBy(current)
        if not self._has_lease_for(held, session_id):
            return LimitReached(Limit.CONCURRENCY)
        self._hold(user_id, held, session_id, holder, now)
        return Granted()

    def record_grant(self, user_id: str, session_id: str, holder: str, *, takes_slot: bool) -> None:
        """Take the slot and lease of a session that Redis admitted, without checking anything."""
        now = self._clock()
        self._evict_idle_users(now)
        held = self._unexpired(user_id, now)
        if takes_slot:
            held.slots.setdefault(session_id, now)
        self._hold(user_id, held, session_id, holder, now)

    def release(self, user_id: str, session_id: str, holder: str = "") -> None:
        """Give the rate slot and the lease back."""
        self._unexpired(user_id, self._clock()).slots.pop(session_id, None)
        self.end(user_id, session_id, holder)

    def renew(self, user_id: str, session_id: str, holder: str = "") -> bool:
        """Extend the lease, or take it again if it expired; False if another connection holds the session."""
        now = self._clock()
        held = self._unexpired(user_id, now)
        if held.is_lost(session_id, holder):
            return False
        self._hold(user_id, held, session_id, holder, now)
        return True

    def end(self, user_id: str, session_id: str, holder: str = "") -> None:
        """Give back the lease alone, unless another connection holds the session."""
        held = self._unexpired(user_id, self._clock())
        if not held.is_lost(session_id, holder):
            held.leases.pop(session_id, None)
            held.holders.pop(session_id, None)

    def reset(self, user_id: str) -> None:
        """Open all of a user's rate slots."""
        self._unexpired(user_id, self._clock()).slots.clear()

    def holdings(self, user_id: str) -> Holdings:
        """What the user holds, in seconds relative to now: the age of each slot and claim, the time left of leases."""
        now = self._clock()
        held = self._unexpired(user_id, now)
        return Holdings(
            {session: now - taken_at for session, taken_at in held.slots.items()},
            {session: expires_at - now for session, expires_at in held.leases.items()},
            {session: (holder, now - since) for session, (holder, since) in held.holders.items()},
        )

    def _has_lease_for(self, held: Holdings, session_id: str) -> bool:
        return session_id in held.leases or len(held.leases) < self._quotas.concurrent

    def _hold(self, user_id: str, held: Holdings, session_id: str, holder: str, now: float) -> None:
        held.leases[session_id] = now + self._quotas.lease_seconds
        current, _ = held.holders.get(session_id, ("", 0.0))
        if holder and holder != current:
            held.holders[session_id] = (holder, now)
        self._users[user_id] = held
        self._users.move_to_end(user_id)

    def _unexpired(self, user_id: str, now: float) -> Holdings:
        """What the user holds at `now`, without what has expired; a new object if the user is unknown."""
        held = self._users.get(user_id) or Holdings()
        for session_id, taken_at in list(held.slots.items()):
            if taken_at + self._quotas.window_seconds <= now:
                del held.slots[session_id]
        for session_id, expires_at in list(held.leases.items()):
            if expires_at <= now:
                del held.leases[session_id]
        return held

    def _evict_idle_users(self, now: float) -> None:
        while self._users:
            user_id = next(iter(self._users))
            held = self._unexpired(user_id, now)
            if held.slots or held.leases:
                return
            del self._users[user_id]


@dataclass(slots=True)
class _DayCounters:
    """Sums of one day, in millionths of a US dollar."""

    own: int = 0
    others: int = 0
    by_user: dict[str, int] = field(default_factory=dict)
    unreported: dict[str, None] = field(default_factory=dict)
    """Users with a sum that Redis may not have, longest waiting first."""


class DayTotals:
    """What this instance spent by day and user, and what the other instances spent as far as known.

    Sums only grow and are reported whole, so that a repeated report counts once.
    """

    def __init__(self) -> None:
        self._days: dict[str, _DayCounters] = {}

    def add(self, day: str, micro_usd: int, by_user: Mapping[str, int]) -> None:
        """Add spending; beyond `limits.USERS_REMEMBERED_MAX` a day further users are counted as `OTHERS`."""
        totals = self._days.setdefault(day, _DayCounters())
        totals.own += micro_usd
        for user, micro in by_user.items():
            name = user if user in totals.by_user or len(totals.by_user) < limits.USERS_REMEMBERED_MAX else OTHERS
            totals.by_user[name] = totals.by_user.get(name, 0) + micro
            totals.unreported[name] = None
        for old in sorted(self._days)[: -limits.DAY_TOTALS_REMEMBERED]:
            del self._days[old]

    def own(self, day: str) -> int:
        """What this instance spent on `day`."""
        return self._day(day).own

    def update_others(self, day: str, own: int, total: int) -> None:
        """Note that all instances had spent `total` when this one had spent `own`."""
        totals = self._days.setdefault(day, _DayCounters())
        totals.others = max(totals.others, total - own)

    def total(self, day: str) -> int:
        """What all instances spent on `day`, as far as known."""
        totals = self._day(day)
        return totals.own + totals.others

    @property
    def days(self) -> tuple[str, ...]:
        """Days on which this instance spent anything, ISO dates."""
        return tuple(day for day, totals in self._days.items() if totals.own)

    def unreported(self, day: str) -> dict[str, int]:
        """Sums that Redis may not have, for at most `limits.USERS_REPORTED_MAX` users."""
        totals = self._day(day)
        return {user: totals.by_user[user] for user in list(totals.unreported)[: limits.USERS_REPORTED_MAX]}

    def mark_reported(self, day: str, reported: Mapping[str, int]) -> None:
        """Redis has these sums; users with a higher sum by now stay unreported."""
        totals = self._day(day)
        for user, micro in reported.items():
            if totals.by_user.get(user) == micro:
                totals.unreported.pop(user, None)

    def mark_all_unreported(self) -> None:
        """Redis may have lost everything: report all sums again."""
        for totals in self._days.values():
            totals.unreported = dict.fromkeys(totals.by_user)

    def spenders(self, day: str, count: int, user: str | None) -> Spenders:
        """The `count` users who spent most on this instance, and what `user` spent here."""
        by_user = self._day(day).by_user
        top = sorted(by_user.items(), key=lambda item: (-item[1], item[0]))[:count]
        return Spenders(tuple(top), by_user.get(user or "", 0))

    def _day(self, day: str) -> _DayCounters:
        return self._days.get(day) or _DayCounters()
