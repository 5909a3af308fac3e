"""Budgets at work: a `Purse` for every session, one `Treasury` for the process, the day's sum shared through `State`.

Counting never waits. What was spent goes to the shared state a moment later, by the treasury's one task, so another
instance learns of it within `SHARE_SECONDS`; that, and the answers in progress, is by how much a day may be exceeded.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import structlog
import trio

from voice_trio.billing.spending import MICRO, Budget, Level, Spending, micro_usd
from voice_trio.errors import StateUnavailable
from voice_trio.session.spend.session_bill import SessionBill
from voice_trio.session.spend.unreported_spend import UnreportedSpend

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.billing.prices import Cost, Prices
    from voice_trio.session.config import SessionConfig
    from voice_trio.settings import Limits
    from voice_trio.state.state import State

SHARE_SECONDS = 5.0
"""How often the day's sum is told and asked, at the latest."""
DAY_SECONDS = 86_400
FLUSH_SECONDS_MAX = 2.0

log = structlog.get_logger(__name__)


class DailyBudget:
    """The money of one process. `run` is its task; everything else is synchronous."""

    def __init__(
        self,
        prices: Prices,
        state: State,
        limits: Limits,
        *,
        unix_time: Callable[[], float] = time.time,
        on_cost: Callable[[str, Cost], None] | None = None,
    ) -> None:
        self.prices = prices
        self.spending = Spending()
        self.session_budget = Budget.of(limits.session_budget_usd)
        self.day_budget = Budget.of(limits.daily_budget_usd)
        self._state = state
        self._unix_time = unix_time
        self._on_cost = on_cost
        self._purses: set[SessionBill] = set()
        self._unshared = UnreportedSpend()
        self._shared: dict[str, int] = {}
        self._day = self._today()
        self._news = trio.Event()

    @property
    def spent_today_usd(self) -> Decimal:
        """What all instances spent since midnight UTC, as far as is known here."""
        day = self._today()
        return Decimal(self._shared.get(day, 0)) / MICRO + self._unshared.usd(day)

    @property
    def is_exhausted(self) -> bool:
        """Whether the day's budget is spent; it opens again at midnight UTC."""
        return self.day_budget.level(self.spent_today_usd) is Level.SPENT

    @property
    def seconds_to_midnight(self) -> float:
        """Until the next day's budget."""
        return DAY_SECONDS - self._unix_time() % DAY_SECONDS

    @property
    def today(self) -> str:
        """The date whose budget is being spent (ISO, UTC)."""
        return self._today()

    def open(self, terms: SessionConfig, *, spent_before_micro_usd: int = 0) -> SessionBill:
        """A purse for one connection; `spent_before…` is what the session cost before it was resumed."""
        return SessionBill(self, terms, Decimal(spent_before_micro_usd) / MICRO)

    def watch(self, purse: SessionBill) -> None:
        """From now on the purse hears of the day's budget."""
        self._purses.add(purse)

    def leave(self, purse: SessionBill) -> None:
        """The session is over."""
        self._purses.discard(purse)

    def count(self, purse: SessionBill, kind: str, source_id: str, turn_id: int, cost: Cost) -> bool:
        """Record a cost once, and see what it does to the day; False if it was recorded before."""
        day = self._today()
        if not self.spending.record(day, purse.costs, source_id, turn_id, cost):
            return False
        self._unshared.add(day, purse.costs.user, cost.usd)
        if self._on_cost is not None:
            self._on_cost(kind, cost)
        self._news.set()
        self._look_at_day()
        return True

    async def run(self) -> None:
        """Tell the shared state what was spent, and learn what others spent, until cancelled."""
        while True:
            await self.share()
            with trio.move_on_after(SHARE_SECONDS):
                await self._news.wait()
                await trio.sleep(SHARE_SECONDS / 10)  # one call for what comes together
            self._news = trio.Event()

    async def share(self) -> None:
        """Once; what could not be told stays to be told. Whole millionths go, fractions wait for company."""
        for day in self._unshared.days:
            try:
                await self._share_day(day)
            except StateUnavailable:
                log.warning("spending_not_shared", usd=float(self._unshared.usd(day)))
        await self._learn_today()
        self._forget_old_days()
        self._look_at_day()

    async def _share_day(self, day: str) -> None:
        taken = self._unshared.take(day)
        if taken:
            try:
                self._shared[day] = await self._state.add_spent(day, taken.micro_usd, taken.by_user)
            except BaseException:
                self._unshared.put_back(day, taken)
                raise
        elif day == self._today():
            self._shared[day] = await self._state.spent(day)

    async def _learn_today(self) -> None:
        """A day on which this process has spent nothing yet may be spent by others."""
        day = self._today()
        if day not in self._unshared.days and self.day_budget.limit_usd is not None:
            try:
                self._shared[day] = await self._state.spent(day)
            except StateUnavailable:
                log.warning("spending_not_known")

    def _look_at_day(self) -> None:
        """Warn or end whoever is talking, when the day's sum has come far enough."""
        level = self.day_budget.level(self.spent_today_usd)
        if level is not Level.WITHIN:
            for purse in tuple(self._purses):
                purse.hear_of_day(level)

    def _forget_old_days(self) -> None:
        today = self._today()
        for day in [day for day in self._shared if day != today and not micro_usd(self._unshared.usd(day))]:
            self._shared.pop(day)
            self._unshared.forget(day)

    def _today(self) -> str:
        day = datetime.fromtimestamp(self._unix_time(), UTC).date().isoformat()
        if day < getattr(self, "_day", day):
            log.warning("clock_went_back", from_day=self._day, to_day=day)
        self._day = day
        return day
