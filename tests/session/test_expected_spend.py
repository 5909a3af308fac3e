"""What a process states ahead of its bills, and when it looks for processes that were killed."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.budget_fixture import Budgets
from voice_trio import limits
from voice_trio.billing.prices import Cost
from voice_trio.session.spend.expected_spend import ExpectedSpendReporter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trio.testing import MockClock

DAY = "2026-11-21"


class Store:
    """Keeps what it is told, unless it is away."""

    def __init__(self) -> None:
        self.stated: list[tuple[float, str, dict[str, int]]] = []
        self.settled: list[tuple[float, str]] = []
        self.is_away = False

    async def expect(self, day: str, by_user: Mapping[str, int]) -> bool:
        await trio.lowlevel.checkpoint()
        if not self.is_away:
            self.stated.append((trio.current_time(), day, dict(by_user)))
        return not self.is_away

    async def settle_lost(self, day: str) -> dict[str, int]:
        await trio.lowlevel.checkpoint()
        self.settled.append((trio.current_time(), day))
        return {}


async def test_what_is_billed_and_not_reported_is_stated_within_a_tenth_of_a_second_and_withdrawn_F62(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    budgets, store = Budgets(), Store()
    nursery.start_soon(ExpectedSpendReporter(budgets.daily, store).run)
    bill = budgets.open_bill("ann")
    await trio.sleep(1.1)
    assert store.stated == []
    budgets.daily.record(bill, "response", "r1", 1, Cost(Decimal("0.0021")))
    budgets.daily.record(bill, "response", "r2", 1, Cost(Decimal("0.0009")))
    await trio.sleep(limits.EXPECTED_SPEND_SECONDS)
    assert [(day, stated) for _, day, stated in store.stated] == [(budgets.daily.today, {"ann": 3_000})]
    await budgets.daily.share()
    await trio.sleep(limits.EXPECTED_SPEND_SECONDS)
    assert store.stated[1][2] == {}
    await trio.sleep(60)
    assert len(store.stated) == 2


async def test_what_was_not_stored_is_stated_again(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    budgets, store = Budgets(), Store()
    store.is_away = True
    nursery.start_soon(ExpectedSpendReporter(budgets.daily, store).run)
    budgets.daily.record(budgets.open_bill("ann"), "response", "r1", 1, Cost(Decimal("0.0021")))
    await trio.sleep(5)
    store.is_away = False
    await trio.sleep(limits.EXPECTED_SPEND_SECONDS)
    assert [stated for _, _, stated in store.stated] == [{"ann": 2_100}]


async def test_killed_instances_are_looked_for_today_and_yesterday(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    budgets, store = Budgets(), Store()
    nursery.start_soon(ExpectedSpendReporter(budgets.daily, store).run)
    await trio.sleep(2.5 * limits.LOST_SPEND_SECONDS)
    assert [at for at, _ in store.settled] == pytest.approx([5.0, 5.0, 10.0, 10.0], abs=0.3)
    assert [day for _, day in store.settled[:2]] == [budgets.daily.today, DAY_BEFORE]


DAY_BEFORE = "2026-11-20"
