"""What clients make a process hold is bounded, and no connection waits for what another one never gives back."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from voice_trio import limits
from voice_trio.net.byte_budget import ByteAccount, ByteBudget, Place

if TYPE_CHECKING:
    from trio.testing import MockClock

BASE, SHARE, ALL = 10, 100, 400


def make_budget() -> ByteBudget:
    return ByteBudget(ALL, SHARE, BASE)


def test_the_bounds_fit_each_other() -> None:
    """The largest message fits into a share, and four shares into the budget."""
    assert limits.MESSAGE_BYTES_MAX - limits.CLIENT_BASE_BYTES < limits.USER_BYTES_MAX
    assert 4 * limits.USER_BYTES_MAX == limits.CLIENTS_BYTES_MAX
    assert limits.VOICE_MESSAGE_BYTES_MAX <= limits.CLIENT_BASE_BYTES


def test_only_what_is_above_the_base_amount_is_charged_and_all_of_it_is_given_back() -> None:
    budget = make_budget()
    with budget.open("ada") as account:
        account.hold(Place.RECEIVED, BASE)
        used = [budget.used]
        account.hold(Place.UPSTREAM, 30)
        used.append(budget.used)
        account.hold(Place.RECEIVED, 0)
        used.append(budget.used)
        account.hold(Place.UPSTREAM, 60)
    assert [*used, budget.used] == [0, 30, 20, 0]
    assert budget._by_owner == Counter()


async def reserve(account: ByteAccount, size: int, seen: list[str]) -> None:
    await account.reserve(size)
    seen.append(account.owner)


async def test_a_user_may_hold_a_quarter_over_all_connections_and_others_are_served_meanwhile(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    budget, seen = make_budget(), list[str]()
    with budget.open("ada") as one, budget.open("ada") as two, budget.open("bob") as other:
        await one.reserve(100)
        nursery.start_soon(reserve, two, 100, seen)
        await trio.sleep(1)
        await reserve(other, 100, seen)
        assert (seen, budget.used) == (["bob"], 180)
        one.hold(Place.INCOMING, 0)
        await trio.testing.wait_all_tasks_blocked()
        assert (seen, budget.used) == (["bob", "ada"], 180)


async def test_those_who_wait_are_served_in_their_order_and_a_small_one_does_not_overtake(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    budget, seen = make_budget(), list[str]()
    full = [ByteAccount(budget, f"full-{number}") for number in range(4)]
    for account in full:
        account.hold(Place.INCOMING, 109)
    for owner, size in (("large", 100), ("small", 12)):
        nursery.start_soon(reserve, ByteAccount(budget, owner), size, seen)
        await trio.testing.wait_all_tasks_blocked()
    full[0].hold(Place.INCOMING, 60)
    await trio.testing.wait_all_tasks_blocked()
    before = list(seen)
    full[1].hold(Place.INCOMING, 60)
    await trio.testing.wait_all_tasks_blocked()
    assert (before, sorted(seen)) == ([], ["large", "small"])


async def test_one_who_leaves_while_waiting_takes_nothing_and_holds_up_nobody(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    budget, seen = make_budget(), list[str]()
    for number in range(4):
        ByteAccount(budget, f"full-{number}").hold(Place.INCOMING, 99 + BASE)
    with trio.move_on_after(1), budget.open("leaver") as leaver:
        async with trio.open_nursery() as leaving:
            leaving.start_soon(reserve, leaver, 100, seen)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(reserve, ByteAccount(budget, "small"), BASE + 4, seen)
    await trio.testing.wait_all_tasks_blocked()
    assert (seen, budget.used) == (["small"], 400)


async def test_what_is_within_the_base_amount_never_waits(autojump_clock: MockClock) -> None:
    budget = make_budget()
    ByteAccount(budget, "greedy").hold(Place.UPSTREAM, 1000)
    with trio.fail_after(1):
        await ByteAccount(budget, "greedy").reserve(BASE)
        await ByteAccount(budget, "other").reserve(BASE)


async def test_while_the_budget_is_scarce_a_paused_connection_begins_no_large_message(
    autojump_clock: MockClock,
) -> None:
    budget = make_budget()
    paused = ByteAccount(budget, "paused")
    paused.paused_until = 88.0
    await paused.reserve(50)
    at = [trio.current_time()]
    paused.hold(Place.INCOMING, 0)
    for number in range(3):
        ByteAccount(budget, f"{number}").hold(Place.RECEIVED, 90)
    await paused.reserve(50)
    assert [*at, trio.current_time()] == [0.0, 88.0]


@pytest.mark.parametrize("seed", range(20))
async def test_I13_any_number_of_connections_gets_all_messages_through_within_the_bound(
    autojump_clock: MockClock, seed: int
) -> None:
    """Large and small messages, received, handled and written at any pace: no deadlock, and never over the budget."""
    budget, chance, highest = make_budget(), random.Random(seed), 0

    async def connection(owner: str, pace: float) -> None:
        nonlocal highest
        with budget.open(owner) as account:
            for _ in range(10):
                size = chance.choice((1, BASE, 40, 100))
                if size > BASE:
                    await account.reserve(size)
                highest = max(highest, budget.used)
                await trio.sleep(pace * chance.random())  # it comes
                account.hold(Place.UPSTREAM, size)
                account.hold(Place.INCOMING, 0)
                highest = max(highest, budget.used)
                await trio.sleep(pace * chance.random())  # it is written
                account.hold(Place.UPSTREAM, 0)

    with trio.fail_after(1000):
        async with trio.open_nursery() as nursery:
            for number in range(30):
                nursery.start_soon(connection, f"user-{number // 2}", chance.choice((0.1, 1.0)))
    assert highest <= ALL + SHARE  # for a moment a message counts as received and as waiting
    assert budget.used == 0
