"""Counters in memory: rate slots and leases by user, spending by day.

Pure decisions and synchronous, so that no other task runs between a check and its update. `MemoryState` uses them as
the whole truth; `RedisState` keeps them beside Redis, for the time in which Redis is away.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voice_trio.state.state import OTHERS, USERS_REMEMBERED, Granted, Limit, Refused, Spenders

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voice_trio.state.state import Quotas


@dataclass(slots=True)
class Holdings:
    """What one user holds, by session id: when each slot was taken (oldest first), when each lease lapses."""

    slots: dict[str, float] = field(default_factory=dict)
    leases: dict[str, float] = field(default_factory=dict)


class LimitCounters:
    """Users who hold nothing any more are forgotten, so memory is bounded by what is granted.

    `clock` tells seconds from any origin and never goes back.
    """

    def __init__(self, quotas: Quotas, clock: Callable[[], float]) -> None:
        self._quotas = quotas
        self._clock = clock
        # Least recently touched first; whoever heads the line without holding anything is forgotten.
        self._users: OrderedDict[str, Holdings] = OrderedDict()

    def __len__(self) -> int:
        """Users remembered."""
        return len(self._users)

    @property
    def users(self) -> tuple[str, ...]:
        """Users remembered; some may hold nothing any more."""
        return tuple(self._users)

    def admit(self, user_id: str, session_id: str) -> Granted | Refused:
        """Take a rate slot and a lease, or neither."""
        now = self._clock()
        self._forget_idle_users(now)
        held = self._current(user_id, now)
        room = self._quotas.sessions_per_window
        if session_id not in held.slots and len(held.slots) >= room:
            # With more slots taken than there are (the limit was lowered), several must open before one is free.
            freeing = list(held.slots.values())[len(held.slots) - room]
            return Refused(Limit.RATE, retry_after=freeing + self._quotas.window_seconds - now)
        if session_id not in held.leases and len(held.leases) >= self._quotas.concurrent:
            return Refused(Limit.CONCURRENCY)
        self._grant(user_id, held, session_id, now)
        return Granted()

    def note(self, user_id: str, session_id: str) -> None:
        """The session was admitted by somebody who knows better: take its slot and lease without a look at limits."""
        now = self._clock()
        self._forget_idle_users(now)
        self._grant(user_id, self._current(user_id, now), session_id, now)

    def release(self, user_id: str, session_id: str) -> None:
        """Give the rate slot and the lease back."""
        held = self._current(user_id, self._clock())
        held.slots.pop(session_id, None)
        held.leases.pop(session_id, None)

    def renew(self, user_id: str, session_id: str) -> None:
        """Keep the lease, or take it again."""
        now = self._clock()
        held = self._current(user_id, now)
        held.leases[session_id] = now + self._quotas.lease_seconds
        self._keep(user_id, held)

    def end(self, user_id: str, session_id: str) -> None:
        """Give only the lease back."""
        self._current(user_id, self._clock()).leases.pop(session_id, None)

    def reset(self, user_id: str) -> None:
        """Open all of a user's rate slots."""
        self._current(user_id, self._clock()).slots.clear()

    def holdings(self, user_id: str) -> Holdings:
        """What the user holds now, as seconds: how long ago each slot was taken, how long each lease still runs."""
        now = self._clock()
        held = self._current(user_id, now)
        return Holdings(
            {session: now - taken_at for session, taken_at in held.slots.items()},
            {session: lapses_at - now for session, lapses_at in held.leases.items()},
        )

    def _grant(self, user_id: str, held: Holdings, session_id: str, now: float) -> None:
        held.slots.setdefault(session_id, now)
        held.leases[session_id] = now + self._quotas.lease_seconds
        self._keep(user_id, held)

    def _current(self, user_id: str, now: float) -> Holdings:
        """What the user holds at `now`, without what has lapsed; not yet kept if they held nothing."""
        held = self._users.get(user_id) or Holdings()
        for session_id, taken_at in list(held.slots.items()):
            if taken_at + self._quotas.window_seconds <= now:
                del held.slots[session_id]
        for session_id, lapses_at in list(held.leases.items()):
            if lapses_at <= now:
                del held.leases[session_id]
        return held

    def _keep(self, user_id: str, held: Holdings) -> None:
        self._users[user_id] = held
        self._users.move_to_end(user_id)

    def _forget_idle_users(self, now: float) -> None:
        while self._users:
            user_id = next(iter(self._users))
            held = self._current(user_id, now)
            if held.slots or held.leases:
                return
            del self._users[user_id]


DAYS_MAX = 2
USERS_TOLD_MAX = 200
"""With one telling; the others with the next."""


@dataclass(slots=True)
class _Day:
    """Millionths of a US dollar."""

    own: int = 0
    others: int = 0
    by_user: dict[str, int] = field(default_factory=dict)
    untold: dict[str, None] = field(default_factory=dict)
    """Users, longest waiting first."""


class DayTotals:
    """What this instance spent, and what is known of the others."""

    def __init__(self) -> None:
        self._days: dict[str, _Day] = {}

    def add(self, day: str, micro_usd: int, by_user: Mapping[str, int]) -> None:
        """So much more was spent; beyond `USERS_REMEMBERED` a day users are counted together."""
        sums = self._days.setdefault(day, _Day())
        sums.own += micro_usd
        for user, micro in by_user.items():
            name = user if user in sums.by_user or len(sums.by_user) < USERS_REMEMBERED else OTHERS
            sums.by_user[name] = sums.by_user.get(name, 0) + micro
            sums.untold[name] = None
        for old in sorted(self._days)[:-DAYS_MAX]:
            del self._days[old]

    def own(self, day: str) -> int:
        """What this instance spent."""
        return self._day(day).own

    def learn(self, day: str, own: int, total: int) -> None:
        """All instances were at `total` when this one was at `own`."""
        sums = self._days.setdefault(day, _Day())
        sums.others = max(sums.others, total - own)

    def total(self, day: str) -> int:
        """As far as it is known here."""
        sums = self._day(day)
        return sums.own + sums.others

    @property
    def days(self) -> tuple[str, ...]:
        """Days on which this instance spent anything."""
        return tuple(day for day, sums in self._days.items() if sums.own)

    def untold(self, day: str) -> dict[str, int]:
        """Some users' sums that the shared store may not know; at most `USERS_TOLD_MAX`."""
        sums = self._day(day)
        return {user: sums.by_user[user] for user in list(sums.untold)[:USERS_TOLD_MAX]}

    def note_told(self, day: str, told: Mapping[str, int]) -> None:
        """The store knows these sums; who spent more since is still to be told."""
        sums = self._day(day)
        for user, micro in told.items():
            if sums.by_user.get(user) == micro:
                sums.untold.pop(user, None)

    def owe_all(self) -> None:
        """The store may know nothing any more."""
        for sums in self._days.values():
            sums.untold = dict.fromkeys(sums.by_user)

    def spenders(self, day: str, count: int, user: str | None) -> Spenders:
        """Of this instance alone."""
        by_user = self._day(day).by_user
        top = sorted(by_user.items(), key=lambda item: (-item[1], item[0]))[:count]
        return Spenders(tuple(top), by_user.get(user or "", 0))

    def _day(self, day: str) -> _Day:
        return self._days.get(day) or _Day()
