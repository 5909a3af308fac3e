"""What this process has spent and not yet told the shared state: whole millionths go, fractions wait for company."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voice_trio.billing.spending import MICRO, ZERO
from voice_trio.state.state import OTHERS, USERS_REMEMBERED

if TYPE_CHECKING:
    from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Taken:
    """Whole millionths of a US dollar, and whose they are."""

    micro_usd: int
    by_user: dict[str, int]

    def __bool__(self) -> bool:
        return bool(self.micro_usd or self.by_user)


@dataclass(slots=True)
class _Day:
    usd: Decimal = ZERO
    by_user: dict[str, Decimal] = field(default_factory=dict)


class UnreportedSpend:
    """By day (ISO date, UTC)."""

    def __init__(self) -> None:
        self._days: dict[str, _Day] = {}

    @property
    def days(self) -> tuple[str, ...]:
        """On which anything was spent."""
        return tuple(self._days)

    def usd(self, day: str) -> Decimal:
        """What is still to be told."""
        return self._days[day].usd if day in self._days else ZERO

    def add(self, day: str, user: str, usd: Decimal) -> None:
        """So much more was spent."""
        spent = self._days.setdefault(day, _Day())
        spent.usd += usd
        name = user if user in spent.by_user or len(spent.by_user) < USERS_REMEMBERED else OTHERS
        spent.by_user[name] = spent.by_user.get(name, ZERO) + usd

    def take(self, day: str) -> Taken:
        """What can be told now; the caller puts back what could not."""
        spent = self._days[day]
        by_user = {user: whole for user, usd in spent.by_user.items() if (whole := int(usd * MICRO))}
        taken = Taken(int(spent.usd * MICRO), by_user)
        self._change(day, taken, -1)
        return taken

    def put_back(self, day: str, taken: Taken) -> None:
        """It could not be told."""
        self._change(day, taken, 1)

    def forget(self, day: str) -> None:
        """A fraction of a millionth may be lost."""
        self._days.pop(day, None)

    def _change(self, day: str, taken: Taken, sign: int) -> None:
        spent = self._days.setdefault(day, _Day())
        spent.usd += sign * taken.micro_usd / MICRO
        for user, whole in taken.by_user.items():
            spent.by_user[user] = spent.by_user.get(user, ZERO) + sign * whole / MICRO
