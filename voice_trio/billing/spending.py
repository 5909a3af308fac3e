"""What was spent: exact sums by turn, session, user and day, and the budgets they are held against.

Pure: no clock, no task, nothing shared with other processes. What is recorded once is in every sum it belongs to, so
the sums of all turns, sessions, users and days are the same.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from voice_trio.billing.prices import Cost
from voice_trio.state.state import OTHERS, USERS_REMEMBERED

WARNING_SHARE = Decimal("0.8")
"""Of a budget: from here on the user is warned."""
DAYS_REMEMBERED = 3
MICRO = Decimal(1_000_000)
ZERO = Decimal(0)


class Level(Enum):
    """How far a budget is spent."""

    WITHIN = "below four fifths, or there is no budget"
    NEARLY = "four fifths or more"
    SPENT = "all of it"


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `limit_usd`; None is no limit."""

    limit_usd: Decimal | None = None

    @classmethod
    def of(cls, limit_usd: float | None) -> Budget:
        """As the settings state it: 0.1 is a tenth."""
        return cls(None if limit_usd is None else Decimal(repr(limit_usd)))

    def level(self, spent_usd: Decimal) -> Level:
        """Where `spent_usd` stands."""
        if self.limit_usd is None or spent_usd < self.limit_usd * WARNING_SHARE:
            return Level.WITHIN
        return Level.NEARLY if spent_usd < self.limit_usd else Level.SPENT


@dataclass(slots=True)
class SessionCosts:
    """One session's sums. Each source (a response, a transcribed item) counts once, whatever is told twice."""

    session_id: str
    user: str
    total: Cost = field(default_factory=Cost)
    estimated_usd: Decimal = ZERO
    by_turn: dict[int, Decimal] = field(default_factory=dict)
    _sources: set[str] = field(default_factory=set)

    def counts(self, source_id: str) -> bool:
        """Whether that source has been counted already."""
        return source_id in self._sources

    def add(self, source_id: str, turn_id: int, cost: Cost) -> bool:
        """Count `cost`, unless its source was counted before; says whether it was counted."""
        if source_id in self._sources:
            return False
        self._sources.add(source_id)
        self.total += cost
        self.by_turn[turn_id] = self.by_turn.get(turn_id, ZERO) + cost.usd
        self.estimated_usd += cost.usd if cost.is_estimate else ZERO
        return True


@dataclass(slots=True)
class DayCosts:
    """One day's sums, of this process."""

    usd: Decimal = ZERO
    estimated_usd: Decimal = ZERO
    by_user: OrderedDict[str, Decimal] = field(default_factory=OrderedDict)

    def add(self, user: str, cost: Cost) -> None:
        """Count `cost`."""
        self.usd += cost.usd
        self.estimated_usd += cost.usd if cost.is_estimate else ZERO
        name = user if user in self.by_user or len(self.by_user) < USERS_REMEMBERED else OTHERS
        self.by_user[name] = self.by_user.get(name, ZERO) + cost.usd


class Spending:
    """The sums of one process. Days are ISO dates (UTC)."""

    def __init__(self) -> None:
        self.total_usd = ZERO
        self._days: OrderedDict[str, DayCosts] = OrderedDict()

    def record(self, day: str, session: SessionCosts, source_id: str, turn_id: int, cost: Cost) -> bool:
        """Count `cost` everywhere, or nowhere if the session counted that source before."""
        if not session.add(source_id, turn_id, cost):
            return False
        self.total_usd += cost.usd
        self._open(day).add(session.user, cost)
        return True

    def day(self, day: str) -> DayCosts:
        """The sums of a day; zeros for one nothing is known of."""
        return self._days.get(day) or DayCosts()

    def days(self) -> tuple[str, ...]:
        """The days remembered."""
        return tuple(self._days)

    def _open(self, day: str) -> DayCosts:
        if day not in self._days:
            self._days[day] = DayCosts()
            while len(self._days) > DAYS_REMEMBERED:
                del self._days[min(self._days)]
        return self._days.get(day) or DayCosts()


def micro_usd(usd: Decimal) -> int:
    """Whole millionths of a dollar, rounded half to even."""
    return int((usd * MICRO).to_integral_value())
