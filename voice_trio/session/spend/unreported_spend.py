"""What one process has spent and not reported to the shared state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voice_trio import limits
from voice_trio.billing.spending import MICRO, ZERO
from voice_trio.state.state import OTHERS

if TYPE_CHECKING:
    from decimal import Decimal


@dataclass(frozen=True, slots=True)
class _Taken:
    """Whole millionths of a US dollar, in all and by user."""

    micro_usd: int
    by_user: dict[str, int]

    def __bool__(self) -> bool:
        return bool(self.micro_usd or self.by_user)


@dataclass(slots=True)
class _Day:
    usd: Decimal = ZERO
    by_user: dict[str, Decimal] = field(default_factory=dict)


class UnreportedSpend:
    """What this process has spent and not reported, by day (ISO date, UTC).

    The shared state counts whole millionths of a US dollar. Fractions stay here until they make up a whole one.
    """

    def __init__(self) -> None:
        self._days: dict[str, _Day] = {}

    @property
    def days(self) -> tuple[str, ...]:
        """The days with spending."""
        return tuple(self._days)

    def usd(self, day: str) -> Decimal:
        """What is still to be reported of that day."""
        return self._days[day].usd if day in self._days else ZERO

    def users(self, day: str) -> set[str]:
        """The users of whom something is still to be reported."""
        return (
            {user for user, usd in self._days[day].by_user.items() if usd * MICRO >= 1} if day in self._days else set()
        )

    def add(self, day: str, user: str, usd: Decimal) -> None:
        """Add spending of a user."""
        spent = self._days.setdefault(day, _Day())
        spent.usd += usd
        name = user if user in spent.by_user or len(spent.by_user) < limits.USERS_REMEMBERED_MAX else OTHERS
        spent.by_user[name] = spent.by_user.get(name, ZERO) + usd

    def take(self, day: str) -> _Taken:
        """Take what can be reported now; the caller puts it back if it could not be reported."""
        spent = self._days[day]
        by_user = {user: whole for user, usd in spent.by_user.items() if (whole := int(usd * MICRO))}
        taken = _Taken(int(spent.usd * MICRO), by_user)
        self._change(day, taken, -1)
        return taken

    def put_back(self, day: str, taken: _Taken) -> None:
        """Undo a `take` that could not be reported."""
        self._change(day, taken, 1)

    def forget(self, day: str) -> None:
        """Remove the day; a fraction of a millionth may be lost."""
        self._days.pop(day, None)

    def _change(self, day: str, taken: _Taken, sign: int) -> None:
        spent = self._days.setdefault(day, _Day())
        spent.usd += sign * taken.micro_usd / MICRO
        for user, whole in taken.by_user.items():
            spent.by_user[user] = spent.by_user.get(user, ZERO) + sign * whole / MICRO
