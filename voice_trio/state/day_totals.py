"""What an instance spent, by day and by user, in memory; synchronous, for the states that share it.

Sums only grow and are told whole, so telling one twice counts once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voice_trio.state.state import OTHERS, USERS_REMEMBERED, Spenders

if TYPE_CHECKING:
    from collections.abc import Mapping

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
