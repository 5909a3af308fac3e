"""The accounts of a day and of its users, and the task that leases this instance's shares of their budgets in advance.

No response waits for a share: `account` and `hold` are synchronous, and the task renews what they use up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
import trio

from voice_trio import limits
from voice_trio.billing.accounts import BudgetAccount
from voice_trio.billing.spending import ZERO, Budget, BudgetLevel, micro_usd
from voice_trio.errors import StateUnavailable
from voice_trio.state.budget_shares import DAY_SCOPE, ShareRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from voice_trio.billing.spending import Spending
    from voice_trio.session.spend.utc_days import UtcDays
    from voice_trio.state.budget_shares import BudgetShares, Share

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _LeasedAccount:
    """One account; `sessions` of this instance want room in it, and until `awaited_until` one that may begin."""

    scope: str
    account: BudgetAccount
    sessions: int = 0
    awaited_until: float = float("-inf")
    renewed_at: float = float("-inf")
    is_alone: bool = True
    level: BudgetLevel = BudgetLevel.WITHIN

    def is_due(self, now: float) -> bool:
        """Whether its share is to be renewed: it was used, or others may want what is not."""
        if self.account.budget.limit_usd is None:
            return False
        is_kept = self.sessions > 0 and (not self.is_alone or now - self.renewed_at >= limits.SHARE_KEEP_SECONDS)
        return self.account.is_changed or is_kept

    def begin_day(self, used_usd: Decimal) -> None:
        """Another day, of which `used_usd` is used here."""
        self.account.begin_day(used_usd)
        self.level = BudgetLevel.WITHIN

    def request(self, *, is_next_day: bool) -> ShareRequest:
        """What is asked for; of the next day nothing is used yet."""
        account = self.account
        amounts = () if is_next_day else (account.used_usd, account.reserved_usd, account.observed_usd)
        used, reserved, observed = map(micro_usd, amounts or (ZERO, ZERO, ZERO))
        weight = max(self.sessions, int(trio.current_time() < self.awaited_until))
        return ShareRequest(self.scope, account.limit_micro_usd, used, reserved, weight, observed)


class SharedAccounts:
    """`on_level` is called when an account reaches another level: with its scope, a user's hash or `DAY_SCOPE`."""

    def __init__(
        self,
        shares: BudgetShares,
        spending: Spending,
        days: UtcDays,
        budgets: tuple[Budget, Budget],
        on_level: Callable[[str, BudgetLevel], None],
    ) -> None:
        """`budgets` are the day's and each user's."""
        day_budget, user_budget = budgets
        self._shares = shares
        self._spending = spending
        self._days = days
        self._user_budget = user_budget
        self._on_level = on_level
        self._day = _LeasedAccount(DAY_SCOPE, BudgetAccount(day_budget, is_shared=shares.is_shared))
        self._users: dict[str, _LeasedAccount] = {}
        self._date = days.today()
        self._news = trio.Event()

    def account(self, scope: str) -> BudgetAccount:
        """Today's account of a user's hash, or of `DAY_SCOPE`."""
        self.follow_date()
        return self._entry(scope).account

    def enter(self, user: str) -> None:
        """A session of the user begins: a share is leased before its first response."""
        for entry in (self._day, self._entry(user)):
            entry.sessions += 1
            entry.account.is_changed = True
        self._news.set()

    def leave(self, user: str) -> None:
        """A session of the user is over: what it does not need of the shares goes back."""
        for entry in (self._day, self._entry(user)):
            entry.sessions -= 1
            entry.account.is_changed = True

    def changed(self, user: str) -> None:
        """Something was used or reserved: check the levels, and renew what is short."""
        for entry in (self._day, self._entry(user)):
            self._check_level(entry)
            if entry.account.is_short:
                self._news.set()

    def spent(self, usd: Decimal) -> None:
        """All instances together have spent so much today, by another source than the shares."""
        account = self._day.account
        account.elsewhere_usd = max(account.elsewhere_usd, usd - account.used_usd)
        self._check_level(self._day)

    def follow_date(self) -> str:
        """Open the accounts of another day once it begins, and drop users without a session; returns the date."""
        today = self._days.today()
        if today != self._date:
            self._date = today
            costs = self._spending.day(today)
            self._day.begin_day(costs.usd)
            for user, entry in tuple(self._users.items()):
                entry.begin_day(costs.by_user.get(user, ZERO))
                if not entry.sessions and not entry.account.reserved_usd:
                    del self._users[user]
            self._news.set()
        return today

    # Renewal. Shares are asked for once a second, and at once when half of the room that one left is used up. A call
    # that fails changes nothing: the last share is valid until its lease ends, then one response at a time is admitted.

    async def run(self) -> None:
        """Renew the shares until cancelled."""
        while self._shares.is_shared:
            await self.renew()
            if self._days.seconds_to_midnight < limits.SHARE_AHEAD_SECONDS:
                await self._lease_tomorrow()
            self._news = trio.Event()
            with trio.move_on_after(limits.SHARE_RENEW_SECONDS):
                await self._news.wait()
                await trio.sleep(limits.SHARE_RENEW_PAUSE_SECONDS)
        await trio.sleep_forever()

    async def renew(self) -> None:
        """Renew the shares that are due, once."""
        self.follow_date()
        now = trio.current_time()
        await self._renew([entry for entry in self._entries() if entry.is_due(now)])

    async def look_up(self, user: str) -> None:
        """Learn at once what a user has spent on other instances, and lease a share for a session that may begin."""
        self.follow_date()
        entries = [self._entry(user)] if self._day.sessions else [self._day, self._entry(user)]
        for entry in entries:
            entry.awaited_until = trio.current_time() + limits.SHARE_KEEP_SECONDS
        if self._shares.is_shared:
            await self._renew([entry for entry in entries if entry.account.budget.limit_usd is not None])

    async def return_all(self) -> None:
        """The process ends: what is neither used nor reserved goes back at once."""
        for entry in self._entries():
            entry.sessions, entry.awaited_until = 0, float("-inf")
        if self._shares.is_shared:
            await self._renew([entry for entry in self._entries() if entry.account.budget.limit_usd is not None])

    async def _renew(self, entries: Sequence[_LeasedAccount]) -> None:
        day = self._date
        for entry, share in await self._ask(day, entries, is_tomorrow=False):
            if day == self._date:
                entry.account.set_share(share.ceiling, share.used_elsewhere)
                entry.is_alone, entry.renewed_at = share.is_alone, trio.current_time()
                self._check_level(entry)

    async def _lease_tomorrow(self) -> None:
        """The first responses of a day find a share."""
        wanted = [entry for entry in self._entries() if entry.sessions and entry.account.budget.limit_usd is not None]
        for entry, share in await self._ask(self._days.tomorrow(), wanted, is_tomorrow=True):
            entry.account.set_next_share(share.ceiling)

    async def _ask(
        self, day: str, entries: Sequence[_LeasedAccount], *, is_tomorrow: bool
    ) -> list[tuple[_LeasedAccount, Share]]:
        answers: list[tuple[_LeasedAccount, Share]] = []
        for start in range(0, len(entries), limits.SHARES_RENEWED_MAX):
            some = entries[start : start + limits.SHARES_RENEWED_MAX]
            for entry in some:
                entry.account.is_changed = False
            try:
                shares = await self._shares.renew(day, [entry.request(is_next_day=is_tomorrow) for entry in some])
            except StateUnavailable as error:
                log.warning("shares_not_renewed", reason=str(error))
                self._note_failure(some)
            except BaseException:  # a client that left during its admission: what it asked for is still to be told
                for entry in some:
                    entry.account.is_changed = True
                raise
            else:
                answers += zip(some, shares, strict=True)
        return answers

    def _note_failure(self, entries: Sequence[_LeasedAccount]) -> None:
        for entry in entries:
            entry.account.is_changed = True
            if trio.current_time() - entry.renewed_at >= limits.SHARE_LEASE_SECONDS:
                entry.account.drop_share()

    def _check_level(self, entry: _LeasedAccount) -> None:
        level = entry.account.level
        if level is not entry.level:
            entry.level = level
            self._on_level(entry.scope, level)

    def _entries(self) -> list[_LeasedAccount]:
        return [self._day, *self._users.values()]

    def _entry(self, scope: str) -> _LeasedAccount:
        if scope == DAY_SCOPE:
            return self._day
        entry = self._users.get(scope)
        if entry is None:
            used = self._spending.day(self._date).by_user.get(scope, ZERO)  # of one that was forgotten
            account = BudgetAccount(self._user_budget, is_shared=self._shares.is_shared, used_usd=used)
            entry = self._users[scope] = _LeasedAccount(scope, account)
            if len(self._users) > limits.USERS_REMEMBERED_MAX:
                self._forget_one()
        return entry

    def _forget_one(self) -> None:
        """The least recently seen user without a session; what they spent here stays known to the other instances."""
        for user, entry in self._users.items():
            if not entry.sessions and not entry.account.reserved_usd:
                del self._users[user]
                return
