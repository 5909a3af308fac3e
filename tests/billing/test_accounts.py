"""Accounts: whether a budget admits another response, alone and with a share of it."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from voice_trio.billing.accounts import BudgetAccount, Room
from voice_trio.billing.spending import Budget, BudgetLevel

if TYPE_CHECKING:
    from collections.abc import Callable

USD = Decimal("0.1")


def account(limit: float | None = 1.0, *, is_shared: bool = False, elsewhere: str = "0") -> BudgetAccount:
    return BudgetAccount(Budget.of(limit), is_shared, elsewhere_usd=Decimal(elsewhere))


def room(one: BudgetAccount) -> Room:
    return one.room


def short(one: BudgetAccount) -> bool:
    return one.is_short


def test_a_response_is_admitted_while_what_is_spent_and_reserved_by_others_is_below_the_budget_I16() -> None:
    one = account()
    rooms = []
    for _ in range(11):
        rooms.append(one.room)
        one.hold(USD, Decimal(0))
    assert rooms == [Room.FREE] * 10 + [Room.RESERVED]
    one.hold(-5 * USD, Decimal(0))
    one.use(3 * USD)
    assert room(one) is Room.FREE
    one.use(USD)
    assert room(one) is Room.RESERVED
    one.use(6 * USD)
    assert (one.room, one.level) == (Room.SPENT, BudgetLevel.SPENT)


def test_what_open_responses_have_visibly_used_counts_as_spent() -> None:
    one = account()
    one.use(5 * USD)
    one.hold(4 * USD, 3 * USD)
    assert one.level is BudgetLevel.NEARLY
    one.hold(USD, 2 * USD)
    assert (one.room, one.spent_usd) == (Room.SPENT, 5 * USD)
    one.hold(-USD, -2 * USD)
    assert room(one) is Room.FREE


def test_what_was_spent_elsewhere_counts() -> None:
    one = account(elsewhere="0.9")
    assert room(one) is Room.FREE
    one.hold(USD, Decimal(0))
    assert room(one) is Room.RESERVED
    assert account(elsewhere="1").room is Room.SPENT


def test_without_a_budget_there_is_always_room() -> None:
    free = account(None)
    free.use(Decimal(10**6))
    free.hold(Decimal(10**6), Decimal(10**6))
    assert (free.room, free.level, free.is_short, free.limit_micro_usd) == (Room.FREE, BudgetLevel.WITHIN, False, 0)


def test_a_budget_of_nothing_is_spent() -> None:
    assert account(0.0).room is Room.SPENT


def test_with_a_share_an_instance_keeps_to_it() -> None:
    shared = account(is_shared=True)
    assert room(shared) is Room.FREE  # one response, although there is no share yet
    shared.hold(USD, Decimal(0))
    assert room(shared) is Room.RESERVED
    shared.set_share(250_000, elsewhere_micro_usd=300_000)
    assert (shared.room, shared.spent_usd) == (Room.FREE, Decimal("0.3"))
    shared.hold(Decimal("0.149999"), Decimal(0))
    assert room(shared) is Room.FREE
    shared.hold(Decimal("0.000001"), Decimal(0))
    assert room(shared) is Room.RESERVED
    shared.drop_share()
    assert room(shared) is Room.RESERVED
    shared.hold(-2 * USD - Decimal("0.05"), Decimal(0))
    assert room(shared) is Room.FREE


@pytest.mark.parametrize(("used", "reserved"), [("0.1", "0"), ("0", "0.1"), ("0.05", "0.05")])
def test_a_share_is_short_when_half_of_its_room_is_used_up(used: str, reserved: str) -> None:
    shared = account(is_shared=True)
    assert not short(shared)
    shared.use(Decimal("0.3"))
    shared.set_share(500_000, 0)
    shared.use(Decimal(used))
    shared.hold(Decimal(reserved), Decimal(0))
    assert not short(shared)
    shared.use(Decimal("0.000001"))
    assert short(shared)
    shared.set_share(700_000, 0)
    assert not short(shared)


def test_what_others_used_never_becomes_less_within_a_day() -> None:
    shared = account(is_shared=True)
    shared.set_share(100_000, 400_000)
    shared.set_share(100_000, 300_000)
    assert shared.elsewhere_usd == Decimal("0.4")


def test_another_day_has_its_share_and_keeps_what_is_reserved() -> None:
    shared = account(is_shared=True)
    shared.set_share(900_000, 50_000)
    shared.use(Decimal("0.9"))
    shared.hold(USD, USD / 2)
    shared.set_next_share(300_000)
    shared.is_changed = False
    shared.begin_day()
    assert (shared.spent_usd, shared.reserved_usd, shared.observed_usd) == (Decimal(0), USD, USD / 2)
    assert (shared.room, shared.is_short, shared.is_changed) == (Room.FREE, False, True)
    shared.hold(2 * USD, Decimal(0))
    assert room(shared) is Room.RESERVED
    shared.begin_day(Decimal("0.7"))  # the next day, and a clock that goes back to one that was begun
    assert (shared.spent_usd, shared.room) == (Decimal("0.7"), Room.RESERVED)


def test_every_change_is_to_be_reported() -> None:
    one = account()
    changes: list[Callable[[], None]] = [partial(one.use, USD), partial(one.hold, USD, Decimal(0)), one.begin_day]
    for change in changes:
        one.is_changed = False
        change()
        assert one.is_changed


def test_a_new_days_share_is_short_when_half_of_it_is_used_up_and_is_no_share_of_the_day_after() -> None:
    shared = account(is_shared=True)
    shared.set_share(1_000_000, 0)
    shared.set_next_share(400_000)
    shared.begin_day()
    shared.hold(2 * USD, Decimal(0))
    assert not short(shared)
    shared.use(USD / 10)
    assert short(shared)
    shared.begin_day()
    shared.set_share(300_000, 0)
    assert (shared.is_short, shared.limit_micro_usd) == (False, 1_000_000)
