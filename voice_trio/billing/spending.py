"""Spending: exact sums by turn, session, user and day, and the budgets that limit them.

Pure: no clock, no task, no state shared with other processes. Each cost is added to every sum that includes it, so the
totals over all turns, sessions, users and days are equal.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from voice_trio import limits
from voice_trio.billing.prices import Cost
from voice_trio.state.state import OTHERS

WARNING_SHARE = Decimal("0.8")
"""Share of a budget from which the user is warned."""
MICRO = Decimal(1_000_000)
ZERO = Decimal(0)


class BudgetLevel(Enum):
    """How much of a budget is spent."""

    WITHIN = "below four fifths, or there is no budget"
    NEARLY = "four fifths or more"
    SPENT = "all of it"


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `limit_usd`; None is no limit."""

    limit_usd: Decimal | None = None

    @classmethod
    def of(cls, limit_usd: float | None) -> Budget:
        """The budget of a setting, exact in decimal: 0.1 is one tenth."""
        return cls(None if limit_usd is None else Decimal(repr(limit_usd)))

    def level(self, spent_usd: Decimal) -> BudgetLevel:
        """The level of `spent_usd`."""
        if self.limit_usd is None or spent_usd < self.limit_usd * WARNING_SHARE:
            return BudgetLevel.WITHIN
        return BudgetLevel.NEARLY if spent_usd < self.limit_usd else BudgetLevel.SPENT


@dataclass(slots=True)
class SessionCosts:
    """The sums of one session. Each source (a response, a transcribed item) counts once, also if reported twice."""

    session_id: str
    user: str
    total: Cost = field(default_factory=Cost)
    estimated_usd: Decimal = ZERO
    by_turn: dict[int, Decimal] = field(default_factory=dict)
    _sources: set[str] = field(default_factory=set)

    def has_counted(self, source_id: str) -> bool:
        """Whether the source has been counted."""
        return source_id in self._sources

    def add(self, source_id: str, turn_id: int, cost: Cost) -> bool:
        """Add `cost`, unless its source was counted before; returns whether it was added."""
        if source_id in self._sources:
            return False
        self._sources.add(source_id)
        self.total += cost
        self.by_turn[turn_id] = self.by_turn.get(turn_id, ZERO) + cost.usd
        self.estimated_usd += cost.usd if cost.is_estimate else ZERO
        return True


@dataclass(slots=True)
class DayCosts:
    """The sums of one day in this process."""

    usd: Decimal = ZERO
    estimated_usd: Decimal = ZERO
    by_user: OrderedDict[str, Decimal] = field(default_factory=OrderedDict)

    def add(self, user: str, cost: Cost) -> None:
        """Add `cost`."""
        self.usd += cost.usd
        self.estimated_usd += cost.usd if cost.is_estimate else ZERO
        name = user if user in self.by_user or len(self.by_user) < limits.USERS_REMEMBERED_MAX else OTHERS
        self.by_user[name] = self.by_user.get(name, ZERO) + cost.usd


class Spending:
    """The sums of one process. Days are ISO dates (UTC)."""

    def __init__(self) -> None:
        self.total_usd = ZERO
        self._days: OrderedDict[str, DayCosts] = OrderedDict()

    def record(self, day: str, session: SessionCosts, source_id: str, turn_id: int, cost: Cost) -> bool:
        """Add `cost` to every sum, or to none if the session counted its source before."""
        if not session.add(source_id, turn_id, cost):
            return False
        self.total_usd += cost.usd
        self._open(day).add(session.user, cost)
        return True

    def day(self, day: str) -> DayCosts:
        """The sums of a day; zeros for an unknown one."""
        return self._days.get(day) or DayCosts()

    def days(self) -> tuple[str, ...]:
        """The stored days, ISO dates."""
        return tuple(self._days)

    def _open(self, day: str) -> DayCosts:
        if day not in self._days:
            self._days[day] = DayCosts()
            while len(self._days) > limits.SPENDING_DAYS_REMEMBERED:
                del self._days[min(self._days)]
        return self._days.get(day) or DayCosts()


def micro_usd(usd: Decimal) -> int:
    """Whole millionths of a dollar, rounded half to even."""
    return int((usd * MICRO).to_integral_value())
