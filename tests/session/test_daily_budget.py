"""The sum of a day over all instances: what is known of it here, reported and not, and which days are kept."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import structlog
import trio

from tests.support.budget_fixture import NOON, AwayState, Budgets
from voice_trio import limits
from voice_trio.billing.prices import Cost
from voice_trio.conversation import commands
from voice_trio.errors import StateUnavailable
from voice_trio.session.spend.unreported_spend import UnreportedSpend
from voice_trio.session.spend.utc_days import UtcDays
from voice_trio.settings import load_settings
from voice_trio.state.rollout import first_rollout
from voice_trio.state.state import OTHERS, Quotas

if TYPE_CHECKING:
    from trio.testing import MockClock

DAY, NEXT_DAY = "2026-11-21", "2026-11-22"


class CountingState(AwayState):
    """Counts how often its sum is read, and can be away for that too."""

    def __init__(self) -> None:
        super().__init__(Quotas(5, 2), first_rollout(load_settings({}).access))
        self.reads: list[str] = []

    async def spent(self, day: str) -> int:
        self.reads.append(day)
        if self.is_away:
            raise StateUnavailable("away")
        return await super().spent(day)


def spend(budgets: Budgets, source_id: str, usd: str) -> None:
    """A response of ann's costs so much."""
    if not budgets.daily._bills:
        budgets.open_bill("ann")
    (bill,) = budgets.daily._open_bills
    assert budgets.daily.record(bill, "response", source_id, 1, Cost(Decimal(usd)))


async def test_the_days_sum_is_what_all_instances_reported_and_what_this_one_has_not_F73(
    autojump_clock: MockClock,
) -> None:
    budgets = Budgets(DAILY_BUDGET_USD="10")
    await budgets.state.add_spent(DAY, 2_000_000)
    spend(budgets, "r1", "0.5")
    assert budgets.daily.spent_today_usd == Decimal("0.5")
    await budgets.daily.share()
    assert budgets.daily.spent_today_usd == Decimal("2.5")
    spend(budgets, "r2", "0.25")
    assert budgets.daily.spent_today_usd == Decimal("2.75")
    await budgets.state.add_spent(DAY, 1_000_000)
    await budgets.daily.share()
    assert budgets.daily.spent_today_usd == Decimal("3.75")
    assert await budgets.state.spent(DAY) == 3_750_000


async def test_what_others_spend_is_read_without_spending_here_if_the_day_has_a_budget_F73(
    autojump_clock: MockClock,
) -> None:
    for limit, reads in (({"DAILY_BUDGET_USD": "10"}, [DAY]), ({}, [])):
        state = CountingState()
        budgets = Budgets(state, **limit)
        await state.add_spent(DAY, 2_000_000)
        await budgets.daily.share()
        assert state.reads == reads
        assert budgets.daily.spent_today_usd == len(reads) * 2
    spend(budgets, "r1", "0.5")
    await budgets.daily.share()
    await budgets.daily.share()
    assert state.reads == [DAY]  # nothing was new in the second
    assert budgets.daily.spent_today_usd == Decimal("2.5")


async def test_a_sum_that_others_have_spent_ends_the_sessions_here_F73(autojump_clock: MockClock) -> None:
    budgets = Budgets(DAILY_BUDGET_USD="10")
    budgets.open_bill("ann")
    await budgets.state.add_spent(DAY, 9_000_000)
    await budgets.daily.share()
    assert [(warning.scope, warning.limit_usd) for warning in budgets.warnings] == [("day", 10.0)]
    assert not budgets.daily.is_exhausted
    await budgets.state.add_spent(DAY, 1_000_000)
    await budgets.daily.share()
    assert budgets.exhausted == ["ann"]
    assert budgets.daily.is_exhausted


async def test_what_could_not_be_reported_is_reported_with_the_next_sum_F73(autojump_clock: MockClock) -> None:
    state = CountingState()
    budgets = Budgets(state, DAILY_BUDGET_USD="10")
    state.is_away = True
    spend(budgets, "r1", "0.5")
    await budgets.daily.share()
    await budgets.daily.share()
    assert budgets.daily.spent_today_usd == Decimal("0.5")
    state.is_away = False
    await budgets.daily.share()
    assert budgets.daily.spent_today_usd == Decimal("0.5")
    assert await state.spent(DAY) == 500_000


async def test_a_day_is_kept_until_all_of_it_is_reported_and_today_always_F73(autojump_clock: MockClock) -> None:
    state = CountingState()
    budgets = Budgets(state, DAILY_BUDGET_USD="10")
    spend(budgets, "r1", "0.5")
    await budgets.daily.share()
    assert budgets.daily._shared == {DAY: 500_000}
    spend(budgets, "r2", "0.25")
    state.is_away = True
    budgets.now = NOON + limits.DAY_SECONDS
    await budgets.daily.share()
    assert budgets.daily._shared == {DAY: 500_000}
    assert budgets.daily._unreported.usd(DAY) == Decimal("0.25")
    state.is_away = False
    await budgets.daily.share()
    assert await state.spent(DAY) == 750_000
    assert budgets.daily._shared == {NEXT_DAY: 0}
    assert budgets.daily._unreported.days == ()
    assert budgets.daily.spent_today_usd == 0


async def test_costs_are_reported_within_a_second_and_together(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    state = CountingState()
    budgets = Budgets(state)
    nursery.start_soon(budgets.daily.run)
    await trio.sleep(limits.SPENDING_REPORT_SECONDS / 2)
    spend(budgets, "r1", "0.5")
    spend(budgets, "r2", "0.25")
    await trio.sleep(limits.SPENDING_REPORT_SECONDS / 20)
    assert await state.spent(DAY) == 0
    spend(budgets, "r3", "0.125")
    await trio.sleep(limits.SPENDING_REPORT_SECONDS / 10)
    assert await state.spent(DAY) == 875_000


def test_whole_millionths_are_taken_and_fractions_stay_until_they_make_one() -> None:
    unreported = UnreportedSpend()
    assert not unreported.days
    assert not unreported.users(DAY)
    assert unreported.usd(DAY) == 0
    unreported.add(DAY, "ann", Decimal("0.0000015"))
    unreported.add(DAY, "bob", Decimal("0.0000006"))
    assert unreported.users(DAY) == {"ann"}
    taken = unreported.take(DAY)
    assert (taken.micro_usd, taken.by_user) == (2, {"ann": 1})
    assert unreported.usd(DAY) == Decimal("0.0000001")
    assert not unreported.take(DAY)
    unreported.put_back(DAY, taken)
    assert unreported.usd(DAY) == Decimal("0.0000021")
    unreported.add(DAY, "bob", Decimal("0.0000004"))
    assert unreported.users(DAY) == {"ann", "bob"}
    taken = unreported.take(DAY)
    assert (taken.micro_usd, taken.by_user) == (2, {"ann": 1, "bob": 1})
    assert unreported.usd(DAY) == Decimal("0.0000005")
    unreported.forget(DAY)
    assert not unreported.days
    unreported.put_back(DAY, taken)
    assert (unreported.days, unreported.usd(DAY), unreported.users(DAY)) == (
        (DAY,),
        Decimal("0.000002"),
        {"ann", "bob"},
    )


def test_users_beyond_a_number_are_taken_together() -> None:
    unreported = UnreportedSpend()
    for number in range(limits.USERS_REMEMBERED_MAX + 2):
        unreported.add(DAY, f"u{number}", Decimal(1))
    unreported.add(DAY, "u0", Decimal(1))
    by_user = unreported.take(DAY).by_user
    assert len(by_user) == limits.USERS_REMEMBERED_MAX + 1
    assert (by_user["u0"], by_user["u1"], by_user[OTHERS]) == (2_000_000, 1_000_000, 2_000_000)


async def test_the_accounts_are_of_the_day_and_of_each_user_and_spent_by_the_same_costs(
    autojump_clock: MockClock,
) -> None:
    budgets = Budgets(DAILY_BUDGET_USD="10", USER_DAILY_BUDGET_USD="1")
    daily = budgets.daily
    ann, bob = budgets.open_bill("ann"), budgets.open_bill("bob")
    assert daily.record(ann, "response", "r1", 1, Cost(Decimal("0.5")))
    assert daily.record(bob, "response", "r1", 1, Cost(Decimal("0.25")))
    assert not daily.record(bob, "response", "r1", 1, Cost(Decimal("0.25")))
    daily.hold("ann", Decimal("0.125"), Decimal("0.0625"))
    spent = [
        (daily.account(scope, user).spent_usd, daily.account(scope, user).reserved_usd) for scope, user in ACCOUNTS
    ]
    assert spent == [
        (Decimal("0.75"), Decimal("0.125")),
        (Decimal("0.5"), Decimal("0.125")),
        (Decimal("0.25"), Decimal(0)),
    ]
    assert [await daily.is_exhausted_for(user) for user in ("ann", "bob", "new")] == [False] * 3
    assert daily.record(ann, "response", "r2", 1, Cost(Decimal("0.5")))
    assert budgets.exhausted == ["ann"]
    assert [(warning.scope, warning.spent_usd) for warning in budgets.warnings] == []
    assert [await daily.is_exhausted_for(user) for user in ("ann", "bob", "new")] == [True, False, False]
    assert not daily.is_exhausted
    ann.session_closing(0.0)
    bob.session_closing(0.0)
    assert daily._bills == {}


ACCOUNTS = (("day", ""), ("user", "ann"), ("user", "bob"))


def test_each_cost_is_told_once_with_its_kind() -> None:
    told: list[tuple[str, Cost]] = []
    budgets = Budgets()
    budgets.daily._on_cost = lambda kind, cost: told.append((kind, cost))
    spend(budgets, "r1", "0.5")
    (bill,) = budgets.daily._open_bills
    budgets.daily.record(bill, "transcription", "i1", 1, Cost(Decimal("0.25")))
    budgets.daily.record(bill, "transcription", "i1", 1, Cost(Decimal("0.25")))
    assert told == [("response", Cost(Decimal("0.5"))), ("transcription", Cost(Decimal("0.25")))]


def test_a_warning_is_for_the_sessions_of_the_user_whose_budget_is_nearly_spent() -> None:
    budgets = Budgets(USER_DAILY_BUDGET_USD="1")
    ann, _ = budgets.open_bill("ann"), budgets.open_bill("bob")
    budgets.daily.record(ann, "response", "r1", 1, Cost(Decimal("0.8")))
    assert [(warning.scope, warning.spent_usd, warning.limit_usd) for warning in budgets.warnings] == [
        ("user", 0.8, 1.0)
    ]


async def test_what_is_expected_of_a_day_is_all_that_was_billed_of_users_with_something_open(
    autojump_clock: MockClock,
) -> None:
    budgets = Budgets()
    daily = budgets.daily
    ann, bob, _ = budgets.open_bill("ann"), budgets.open_bill("bob"), budgets.open_bill("cid")
    daily.record(ann, "response", "r1", 1, Cost(Decimal("0.5")))
    assert daily.expected(DAY) == {"ann": 500_000}
    await daily.share()
    assert daily.expected(DAY) == {}
    assert bob.admits(commands.CreateResponse("t1", {}))
    reserved = bob.reserved_micro_usd
    assert reserved > 0
    assert daily.expected(DAY) == {"bob": reserved}
    daily.record(bob, "response", "r0", 1, Cost(Decimal("0.25")))
    assert daily.expected(DAY) == {"bob": 250_000 + reserved}
    await daily.share()
    assert daily.expected(DAY) == {"bob": 250_000 + reserved}
    assert daily.expected(NEXT_DAY) == {}


def test_days_are_of_utc_and_the_next_one_begins_at_midnight() -> None:
    now = NOON
    days = UtcDays(lambda: now)
    assert (days.today(), days.tomorrow(), days.seconds_to_midnight) == (DAY, NEXT_DAY, limits.DAY_SECONDS / 2)
    now = NOON + limits.DAY_SECONDS / 2 - 1.0
    assert (days.today(), days.seconds_to_midnight) == (DAY, 1.0)
    now += 1.0
    assert (days.today(), days.seconds_to_midnight) == (NEXT_DAY, limits.DAY_SECONDS)


def test_a_clock_that_goes_back_to_another_day_is_logged() -> None:
    now = NOON
    days = UtcDays(lambda: now)
    with structlog.testing.capture_logs() as lines:
        days.today()
        now = NOON + limits.DAY_SECONDS
        days.today()
        days.today()
        assert lines == []
        now = NOON
        assert days.today() == DAY
    assert lines == [
        {"event": "clock_went_back", "log_level": "warning", "from_day": NEXT_DAY, "to_day": DAY},
    ]
