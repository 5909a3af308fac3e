"""The budgets of one process: it gives each session a `SessionBill`, and shares the day's sum through `State`.

Counting never waits. One task reports what was spent to the shared state, so other instances learn of it within
`SPENDING_REPORT_SECONDS`. A day can be exceeded by what is spent in that time, and by the responses in progress.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import structlog
import trio

from voice_trio import limits
from voice_trio.billing.spending import MICRO, ZERO, Budget, BudgetLevel, Spending, micro_usd
from voice_trio.errors import StateUnavailable
from voice_trio.session.spend.cost_meter import SessionBill
from voice_trio.state.state import OTHERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.billing.prices import Cost, Prices
    from voice_trio.session.config import SessionConfig
    from voice_trio.settings import Limits
    from voice_trio.state.state import State


log = structlog.get_logger(__name__)


class DailyBudget:
    """Budgets and spending of one process. `run` is its task; everything else is synchronous."""

    def __init__(
        self,
        prices: Prices,
        state: State,
        settings: Limits,
        *,
        unix_time: Callable[[], float] = time.time,
        on_cost: Callable[[str, Cost], None] | None = None,
    ) -> None:
        self.prices = prices
        self.spending = Spending()
        self.session_budget = Budget.of(settings.session_budget_usd)
        self.day_budget = Budget.of(settings.daily_budget_usd)
        self._state = state
        self._unix_time = unix_time
        self._on_cost = on_cost
        self._bills: set[SessionBill] = set()
        self._unreported = UnreportedSpend()
        self._shared: dict[str, int] = {}
        self._day = self._today()
        self._news = trio.Event()

    @property
    def spent_today_usd(self) -> Decimal:
        """What all instances spent since midnight UTC, as far as is known here."""
        day = self._today()
        return Decimal(self._shared.get(day, 0)) / MICRO + self._unreported.usd(day)

    @property
    def is_exhausted(self) -> bool:
        """Whether the day's budget is spent; it opens again at midnight UTC."""
        return self.day_budget.level(self.spent_today_usd) is BudgetLevel.SPENT

    @property
    def seconds_to_midnight(self) -> float:
        """Until the next day's budget."""
        return limits.DAY_SECONDS - self._unix_time() % limits.DAY_SECONDS

    @property
    def today(self) -> str:
        """The date whose budget is being spent (ISO, UTC)."""
        return self._today()

    def open(self, config: SessionConfig, *, spent_before_micro_usd: int = 0) -> SessionBill:
        """A bill for one connection; `spent_before…` is what the session cost before it was resumed."""
        return SessionBill(self, config, Decimal(spent_before_micro_usd) / MICRO)

    def subscribe(self, bill: SessionBill) -> None:
        """Call the bill's `on_day_level` when the day's budget is nearly or fully spent."""
        self._bills.add(bill)

    def unsubscribe(self, bill: SessionBill) -> None:
        self._bills.discard(bill)

    def record(self, bill: SessionBill, kind: str, source_id: str, turn_id: int, cost: Cost) -> bool:
        """Record a cost once; False if `source_id` was recorded before. It may end sessions, if the day is spent."""
        day = self._today()
        if not self.spending.record(day, bill.costs, source_id, turn_id, cost):
            return False
        self._unreported.add(day, bill.costs.user, cost.usd)
        if self._on_cost is not None:
            self._on_cost(kind, cost)
        self._news.set()
        self._check_day()
        return True

    def expected(self, day: str) -> dict[str, int]:
        """What will have been billed on `day`, of users with something reserved or not yet reported, by user hash.

        Millionths of a US dollar, all that this process billed them on that day included.
        """
        billed = self.spending.day(day).by_user
        has_room = len(billed) < limits.USERS_REMEMBERED_MAX
        reserved = Counter[str]()
        for bill in self._bills if day == self._today() else ():
            user = bill.costs.user
            reserved[user if has_room or user in billed else OTHERS] += bill.reserved_micro_usd
        users = {user for user, micro in reserved.items() if micro} | self._unreported.users(day)
        return {user: int(billed.get(user, ZERO) * MICRO) + reserved[user] for user in users}

    # Reporting. A call to the shared state on the way to a response would add its latency to every turn, and its outage
    # would stop them all. So costs are counted here at once, and one task reports their sum. What could not be reported
    # is put back and reported with the next sum: an outage delays the day's sum and loses nothing of it.

    async def run(self) -> None:
        """Report to the shared state what was spent, and read what other instances spent, until cancelled."""
        while True:
            await self.share()
            with trio.move_on_after(limits.SPENDING_REPORT_SECONDS):
                await self._news.wait()
                await trio.sleep(limits.SPENDING_REPORT_SECONDS / 10)  # one call for what comes together
            self._news = trio.Event()

    async def share(self) -> None:
        """Report and read once. What could not be reported is reported the next time."""
        for day in self._unreported.days:
            try:
                await self._share_day(day)
            except StateUnavailable:
                log.warning("spending_not_shared", usd=float(self._unreported.usd(day)))
        await self._read_today()
        self._forget_old_days()
        self._check_day()

    async def _share_day(self, day: str) -> None:
        taken = self._unreported.take(day)
        if taken:
            try:
                self._shared[day] = await self._state.add_spent(day, taken.micro_usd, taken.by_user)
            except BaseException:
                self._unreported.put_back(day, taken)
                raise
        elif day == self._today():
            self._shared[day] = await self._state.spent(day)

    async def _read_today(self) -> None:
        """Read the day's sum although this process has spent nothing today: other instances may have."""
        day = self._today()
        if day not in self._unreported.days and self.day_budget.limit_usd is not None:
            try:
                self._shared[day] = await self._state.spent(day)
            except StateUnavailable:
                log.warning("spending_not_known")

    def _check_day(self) -> None:
        """Warn or end all sessions, when the day's sum has reached a level."""
        level = self.day_budget.level(self.spent_today_usd)
        if level is not BudgetLevel.WITHIN:
            for bill in tuple(self._bills):
                bill.on_day_level(level)

    def _forget_old_days(self) -> None:
        today = self._today()
        for day in [day for day in self._shared if day != today and not micro_usd(self._unreported.usd(day))]:
            self._shared.pop(day)
            self._unreported.forget(day)

    def _today(self) -> str:
        day = datetime.fromtimestamp(self._unix_time(), UTC).date().isoformat()
        if day < getattr(self, "_day", day):
            log.warning("clock_went_back", from_day=self._day, to_day=day)
        self._day = day
        return day


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
