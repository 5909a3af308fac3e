"""The budgets of one process: it gives each session a `SessionBill`, and shares days and users through `State`.

Counting and reserving never wait. One task reports what was spent, within `SPENDING_REPORT_SECONDS`. Another leases
shares of the budgets that limit several instances, so a day is exceeded by one response an instance at most.
"""

from __future__ import annotations

import time
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

import structlog
import trio

from voice_trio import limits
from voice_trio.billing.expected_output import ExpectedOutput
from voice_trio.billing.spending import MICRO, ZERO, Budget, BudgetLevel, Spending, micro_usd
from voice_trio.errors import StateUnavailable
from voice_trio.session.spend.session_bill import SessionBill
from voice_trio.session.spend.shared_accounts import SharedAccounts
from voice_trio.session.spend.unreported_spend import UnreportedSpend
from voice_trio.session.spend.utc_days import UtcDays
from voice_trio.state.budget_shares import DAY_SCOPE
from voice_trio.state.state import OTHERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.billing.accounts import BudgetAccount
    from voice_trio.billing.prices import Cost, Prices
    from voice_trio.session.config import SessionConfig
    from voice_trio.session.spend.cost_meter import BudgetListener
    from voice_trio.settings import Limits
    from voice_trio.state.state import State


log = structlog.get_logger(__name__)


class DailyBudget:
    """Budgets and spending of one process. `run` and `lease_shares` are its tasks; counting is synchronous."""

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
        self.expected_output = ExpectedOutput(prices)
        self.spending = Spending()
        self.session_budget = Budget.of(settings.session_budget_usd)
        self.day_budget = Budget.of(settings.daily_budget_usd)
        self.user_budget = Budget.of(settings.user_daily_budget_usd)
        self._days = UtcDays(unix_time)
        self._accounts = SharedAccounts(
            state.shares, self.spending, self._days, (self.day_budget, self.user_budget), self._on_level
        )
        self._state = state
        self._on_cost = on_cost
        self._bills: dict[str, set[BudgetListener]] = {}
        self._unreported = UnreportedSpend()
        self._shared: dict[str, int] = {}
        self._news = trio.Event()

    @property
    def spent_today_usd(self) -> Decimal:
        """What all instances spent since midnight UTC, as far as is known here."""
        day = self.today
        known = Decimal(self._shared.get(day, 0)) / MICRO + self._unreported.usd(day)
        return max(known, self._accounts.account(DAY_SCOPE).spent_usd)

    @property
    def is_exhausted(self) -> bool:
        """Whether the day's budget is spent; it opens again at midnight UTC."""
        return self.account("day", "").level is BudgetLevel.SPENT

    async def is_exhausted_for(self, user: str) -> bool:
        """Whether the user's budget of the day is spent, on all instances together; `user` is the hash."""
        await self._accounts.look_up(user)
        return self.account("user", user).level is BudgetLevel.SPENT

    @property
    def seconds_to_midnight(self) -> float:
        """Until the next day's budget."""
        return self._days.seconds_to_midnight

    @property
    def today(self) -> str:
        """The date whose budget is being spent (ISO, UTC)."""
        return self._accounts.follow_date()

    def open(self, config: SessionConfig, *, spent_before_micro_usd: int = 0) -> SessionBill:
        """A bill for one connection; `spent_before…` is what the session cost before it was resumed."""
        self._accounts.enter(config.user)
        return SessionBill(self, config, Decimal(spent_before_micro_usd) / MICRO)

    def account(self, scope: str, user: str) -> BudgetAccount:
        """Today's account of all users (`day`) or of one (`user`)."""
        return self._accounts.account(DAY_SCOPE if scope == "day" else user)

    def subscribe(self, bill: BudgetListener) -> None:
        """Call the bill's `on_level` when a budget of its user or of the day is nearly or fully spent."""
        self._bills.setdefault(bill.costs.user, set()).add(bill)

    def unsubscribe(self, bill: BudgetListener) -> None:
        """The bill is closed."""
        user = bill.costs.user
        self._accounts.leave(user)
        bills = self._bills.get(user, set())
        bills.discard(bill)
        if not bills:
            self._bills.pop(user, None)

    def hold(self, user: str, reserved_usd: Decimal, observed_usd: Decimal) -> None:
        """Reserve more, or less, of the user's budget and the day's. It may end sessions, if one is spent."""
        for scope in ("user", "day"):
            self.account(scope, user).hold(reserved_usd, observed_usd)
        self._accounts.changed(user)

    def record(self, bill: BudgetListener, kind: str, source_id: str, turn_id: int, cost: Cost) -> bool:
        """Record a cost once; False if `source_id` was recorded before. It may end sessions, if a budget is spent."""
        day, user = self.today, bill.costs.user
        if not self.spending.record(day, bill.costs, source_id, turn_id, cost):
            return False
        self._unreported.add(day, user, cost.usd)
        if self._on_cost is not None:
            self._on_cost(kind, cost)
        for scope in ("user", "day"):
            self.account(scope, user).use(cost.usd)
        self._news.set()
        self._accounts.changed(user)
        return True

    def expected(self, day: str) -> dict[str, int]:
        """What will have been billed on `day`, of users with something reserved or not yet reported, by user hash.

        Millionths of a US dollar, all that this process billed them on that day included.
        """
        billed = self.spending.day(day).by_user
        has_room = len(billed) < limits.USERS_REMEMBERED_MAX
        reserved = Counter[str]()
        for bill in self._open_bills if day == self.today else ():
            user = bill.costs.user
            reserved[user if has_room or user in billed else OTHERS] += bill.reserved_micro_usd
        users = {user for user, micro in reserved.items() if micro} | self._unreported.users(day)
        return {user: int(billed.get(user, ZERO) * MICRO) + reserved[user] for user in users}

    def _on_level(self, scope: str, level: BudgetLevel) -> None:
        """Warn or end the sessions of a budget that has reached a level."""
        named = "day" if scope == DAY_SCOPE else "user"
        for bill in self._open_bills if scope == DAY_SCOPE else tuple(self._bills.get(scope, ())):
            bill.on_level(named, level)

    @property
    def _open_bills(self) -> list[BudgetListener]:
        return [bill for bills in self._bills.values() for bill in bills]

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

    async def lease_shares(self) -> None:
        """Lease shares of the day's and the users' budgets before they are needed, until cancelled."""
        await self._accounts.run()

    async def close(self) -> None:
        """The process ends: report what was spent, and return what is left of the shares. The caller bounds it."""
        await self.share()
        await self._accounts.return_all()

    async def share(self) -> None:
        """Report and read once. What could not be reported is reported the next time."""
        for day in self._unreported.days:
            try:
                await self._share_day(day)
            except StateUnavailable:
                log.warning("spending_not_shared", usd=float(self._unreported.usd(day)))
        await self._read_today()
        self._forget_old_days()
        self._accounts.spent(self.spent_today_usd)

    async def _share_day(self, day: str) -> None:
        taken = self._unreported.take(day)
        if taken:
            try:
                self._shared[day] = await self._state.add_spent(day, taken.micro_usd, taken.by_user)
            except BaseException:
                self._unreported.put_back(day, taken)
                raise
        elif day == self.today:
            self._shared[day] = await self._state.spent(day)

    async def _read_today(self) -> None:
        """Read the day's sum although this process has spent nothing today: other instances may have."""
        day = self.today
        if day not in self._unreported.days and self.day_budget.limit_usd is not None:
            try:
                self._shared[day] = await self._state.spent(day)
            except StateUnavailable:
                log.warning("spending_not_known")

    def _forget_old_days(self) -> None:
        today = self.today
        for day in [day for day in self._shared if day != today and not micro_usd(self._unreported.usd(day))]:
            self._shared.pop(day)
            self._unreported.forget(day)
