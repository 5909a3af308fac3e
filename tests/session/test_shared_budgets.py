"""Budgets of users and days over several instances on virtual time: honest crowds, evaders, midnight (F14, I16)."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.budget_fixture import NOON, AwayState
from tests.support.session_fixture import SESSION_CONFIG
from voice_trio import limits
from voice_trio.billing.prices import load_prices
from voice_trio.conversation import commands, events
from voice_trio.errors import StateUnavailable
from voice_trio.session.spend.daily_budget import DailyBudget
from voice_trio.settings import load_settings
from voice_trio.state.budget_shares import DAY_SCOPE, MemoryShares, Share, ShareLedger, ShareRequest
from voice_trio.state.rollout import first_rollout
from voice_trio.state.state import Quotas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio.testing import MockClock

    from voice_trio.conversation.session_events import BudgetWarning

SOUND_USD = Decimal(64 * 20) / 10**6
"""A second of what a model says."""
MAX_ANSWER_USD = Decimal(4096 * 64) / 10**6
REDIS_SECONDS = 0.004


class SlowShares(MemoryShares):
    """Shares that take a while, as those in Redis do."""

    calls = 0
    is_away = False

    async def renew(self, day: str, requests: Sequence[ShareRequest]) -> list[Share]:
        SlowShares.calls += 1
        await trio.sleep(REDIS_SECONDS)
        if self.is_away:
            raise StateUnavailable("away")
        return await super().renew(day, requests)


class Fleet:
    """Instances over one ledger, each with its own memory of everything else."""

    def __init__(self, nursery: trio.Nursery, count: int, *, noon: float = NOON, **budgets: str) -> None:
        settings = load_settings(budgets)
        self.ledger = ShareLedger()
        self.unix_time = lambda: noon + trio.current_time()
        self.instances: list[DailyBudget] = []
        self.scopes: list[trio.CancelScope] = []
        for number in range(count):
            state = AwayState(Quotas(5, 2), first_rollout(settings.access))
            state.shares = SlowShares(f"i{number}", self.ledger)
            daily = DailyBudget(load_prices(), state, settings.limits, unix_time=self.unix_time)
            scope = trio.CancelScope()
            nursery.start_soon(_run_tasks, scope, daily)
            self.instances.append(daily)
            self.scopes.append(scope)

    @property
    def spent(self) -> Decimal:
        """What all instances together booked."""
        return sum((daily.spending.total_usd for daily in self.instances), Decimal(0))


async def _run_tasks(scope: trio.CancelScope, daily: DailyBudget) -> None:
    with scope:
        async with trio.open_nursery() as tasks:
            tasks.start_soon(daily.run)
            tasks.start_soon(daily.lease_shares)


@dataclass
class Talker:
    """A session of a user on one instance, without a conversation: its responses, and what becomes of them."""

    daily: DailyBudget
    user: str
    name: str
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    told: Counter[str] = field(default_factory=Counter)
    generated_s: float = 0.0
    pieces: int = 20

    def __post_init__(self) -> None:
        self.bill = self.daily.open(replace(SESSION_CONFIG, session_id=self.name, user=self.user))
        self.is_over = trio.Event()
        self.warnings: list[BudgetWarning] = []
        self.bill.open(self.warnings.append, self.is_over.set)

    async def answer(self, tag: str, seconds: float, *, took: float, body: dict[str, Any] | None = None) -> None:
        """Ask for a response of so many seconds of sound, which takes a while."""
        ask = commands.CreateClientResponse(tag, {"vt": tag}, body or {})
        if not self.bill.admits(ask):
            self.told["ended" if self.is_over.is_set() else "denied"] += 1
            return
        self.told["admitted"] += 1
        self.bill.on_event(events.ResponseCreated(f"r {tag}", {"vt": tag}), 0.0)
        for _ in range(self.pieces):
            await trio.sleep(took / self.pieces)
            if self.is_over.is_set():
                return
            self.generated_s += seconds / self.pieces
            piece = events.ResponseAudioDelta(f"r {tag}", "a", "", seconds / self.pieces * 1000)
            self.bill.on_event(piece, 0.0)
        tokens = round(seconds * 20)
        usage = {"output_tokens": tokens, "output_token_details": {"audio_tokens": tokens}}
        self.bill.on_command(commands.CountUsage("response", f"r {tag}", usage), 0.0)

    def close(self) -> None:
        self.bill.session_closing(0.0)

    async def talk(self, turns: int, told: Counter[str]) -> None:
        """An honest user: some questions in a minute, each answered in a quarter of a minute."""
        await trio.sleep(self.chance.uniform(0.5, 20.0))
        for turn in range(turns):
            await self.answer(f"{self.name} {turn}", self.chance.lognormvariate(2.3, 0.5), took=3.0)
            await trio.sleep(self.chance.uniform(5.0, 15.0))
        told.update(self.told)
        self.close()


async def test_a_thousand_honest_users_are_not_refused_while_the_budget_has_room_I16(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    turns, count = 3, 1000
    chance = random.Random(16)
    needed = _cost_of_a_crowd(count, turns)
    fleet = Fleet(nursery, 4, DAILY_BUDGET_USD=str(round(needed * Decimal("1.05"), 2)), USER_DAILY_BUDGET_USD="1")
    told: Counter[str] = Counter()
    async with trio.open_nursery() as crowd:
        for number in range(count):
            busy = chance.choices(range(4), (6, 2, 1, 1))[0]  # a load balancer that is far from fair
            talker = Talker(fleet.instances[busy], f"u{number}", f"s{number}", random.Random(number), pieces=2)
            crowd.start_soon(talker.talk, turns, told)
    assert told == {"admitted": turns * count}
    assert fleet.spent == pytest.approx(needed, rel=Decimal("0.001"))
    assert fleet.instances[0].account("day", "").reserved_usd == 0


def _cost_of_a_crowd(count: int, turns: int) -> Decimal:
    total = Decimal(0)
    for number in range(count):
        chance = random.Random(number)
        chance.uniform(0.5, 20.0)
        for _ in range(turns):
            total += Decimal(round(chance.lognormvariate(2.3, 0.5) * 20) * 64) / 10**6
            chance.uniform(5.0, 15.0)
    return total


async def test_a_crowd_spends_a_days_budget_to_its_end_and_overruns_it_by_a_response_an_instance_I16(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    fleet = Fleet(nursery, 4, DAILY_BUDGET_USD="5")
    told: Counter[str] = Counter()
    async with trio.open_nursery() as crowd:
        for number in range(200):
            talker = Talker(fleet.instances[number % 4], f"u{number}", f"s{number}", random.Random(number))
            crowd.start_soon(talker.talk, 20, told)
    assert Decimal("4.9") < fleet.spent < Decimal(5) + 4 * MAX_ANSWER_USD
    assert told["ended"]


async def evade(fleet: Fleet, number: int, user: str, talkers: list[Talker]) -> None:
    """Session after session on one instance, each with five responses of the greatest length at once."""
    daily = fleet.instances[number]
    for turn in range(1000):
        if await daily.is_exhausted_for(user):
            return
        talker = Talker(daily, user, f"s{number} {turn}")
        talkers.append(talker)
        with trio.move_on_after(20.0):
            async with trio.open_nursery() as responses:
                for each in range(5):
                    body = {"conversation": "none", "input": []} if each else {}
                    responses.start_soon(_ask_again, talker, f"{number} {turn} {each}", body)
                await talker.is_over.wait()
                responses.cancel_scope.cancel()
        talker.close()


async def _ask_again(talker: Talker, tag: str, body: dict[str, Any]) -> None:
    for again in range(1000):
        await talker.answer(f"{tag} {again}", 204.8, took=5.0, body=body)
        await trio.sleep(0.05)


async def test_one_evader_spends_its_own_budget_and_nobody_elses_F14(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    fleet = Fleet(nursery, 3, DAILY_BUDGET_USD="20", USER_DAILY_BUDGET_USD="1")
    talkers: list[Talker] = []
    neighbour = Talker(fleet.instances[0], "neighbour", "n")
    async with trio.open_nursery() as evaders:
        for number in range(3):
            evaders.start_soon(evade, fleet, number, "evader", talkers)
    generated = sum(Decimal(talker.generated_s) for talker in talkers) * SOUND_USD
    assert generated <= Decimal(1) + 3 * MAX_ANSWER_USD
    assert fleet.spent >= generated
    assert fleet.spent < Decimal("2")  # what was cut off is booked as it was expected
    await neighbour.answer("still here", 10.0, took=3.0)
    assert neighbour.told == {"admitted": 1}
    assert not fleet.instances[0].is_exhausted
    assert [warning.scope for warning in neighbour.warnings] == []


async def test_a_user_is_warned_and_then_ended_on_every_instance_F14(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    fleet = Fleet(nursery, 2, USER_DAILY_BUDGET_USD="0.1")
    here, there = (Talker(daily, "ann", f"s{number}") for number, daily in enumerate(fleet.instances))
    other = Talker(fleet.instances[1], "bob", "b")
    await trio.sleep(1.0)
    await here.answer("1", 66.0, took=5.0)  # 8.4 cents
    await trio.sleep(2 * limits.SHARE_RENEW_SECONDS)
    assert [(warning.scope, warning.limit_usd) for warning in there.warnings] == [("user", 0.1)]
    assert not there.is_over.is_set()
    await here.answer("2", 20.0, took=5.0)
    assert here.is_over.is_set()
    await trio.sleep(2 * limits.SHARE_RENEW_SECONDS)
    assert there.is_over.is_set()
    assert there.bill.retry_after == pytest.approx(limits.DAY_SECONDS / 2, abs=60)
    assert not other.is_over.is_set()
    assert [await daily.is_exhausted_for("ann") for daily in fleet.instances] == [True, True]
    assert [await daily.is_exhausted_for("bob") for daily in fleet.instances] == [False, False]


async def test_at_midnight_everybody_has_a_new_budget_and_a_share_of_it_at_once_F14(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    midnight = NOON + limits.DAY_SECONDS / 2
    fleet = Fleet(nursery, 2, noon=midnight - 60.0, DAILY_BUDGET_USD="1", USER_DAILY_BUDGET_USD="0.5")
    talkers = [Talker(fleet.instances[0], "ann", f"s{number}") for number in range(4)]
    await trio.sleep(50.0)
    await talkers[0].answer("before", 300.0, took=5.0)
    assert await fleet.instances[1].is_exhausted_for("ann") is False
    await trio.sleep_until(59.99)
    assert talkers[0].bill.spent_usd > Decimal("0.3")
    await trio.sleep_until(60.0)
    async with trio.open_nursery() as at_once:
        for number, talker in enumerate(talkers):
            at_once.start_soon(partial(talker.answer, f"after {number}", 10.0, took=3.0))
    assert [talker.told["admitted"] for talker in talkers] == [2, 1, 1, 1]
    assert fleet.instances[0].spent_today_usd == 4 * 200 * Decimal(64) / 10**6
    await trio.sleep(2 * limits.SHARE_RENEW_SECONDS)
    ledger = fleet.ledger._days
    assert {sum(entry.used for entry in day[DAY_SCOPE].values()) > 0 for day in ledger.values()} == {True}


async def test_a_reserve_over_midnight_is_billed_to_the_new_day(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    fleet = Fleet(nursery, 1, noon=NOON + limits.DAY_SECONDS / 2 - 2.0, DAILY_BUDGET_USD="1")
    talker = Talker(fleet.instances[0], "ann", "s")
    await trio.sleep(1.0)
    await talker.answer("over", 10.0, took=3.0)
    assert fleet.instances[0].spent_today_usd == Decimal(200 * 64) / 10**6
    assert fleet.instances[0].account("day", "").reserved_usd == 0


async def test_before_a_share_has_come_one_response_at_a_time_is_admitted_and_none_waits(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    fleet = Fleet(nursery, 1, DAILY_BUDGET_USD="1")
    talker = Talker(fleet.instances[0], "ann", "s")  # nothing ran since: no share can have come
    nursery.start_soon(lambda: talker.answer("1", 10.0, took=3.0))
    nursery.start_soon(lambda: talker.answer("2", 10.0, took=3.0))
    await trio.sleep(0.001)
    assert talker.told == {"admitted": 1, "denied": 1}
    await trio.sleep(1.0)
    nursery.start_soon(lambda: talker.answer("3", 10.0, took=3.0))
    await trio.sleep(0.001)
    assert talker.told == {"admitted": 2, "denied": 1}


async def test_a_rush_finds_a_new_share_at_once(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    fleet = Fleet(nursery, 2, DAILY_BUDGET_USD="1")
    talkers = [Talker(fleet.instances[0], f"u{number}", f"s{number}") for number in range(45)]
    await trio.sleep_until(5.5)  # in the middle between two renewals
    for talker in talkers[:30]:
        assert talker.bill.admits(commands.CreateResponse("t", {}))
    assert fleet.instances[0].account("day", "").is_short
    await trio.sleep(limits.SHARE_RENEW_PAUSE_SECONDS + 2 * REDIS_SECONDS)
    assert not fleet.instances[0].account("day", "").is_short
    assert [talker.bill.admits(commands.CreateResponse("t", {})) for talker in talkers[30:42]] == [True] * 12


async def test_a_process_that_ends_returns_what_it_does_not_need(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    fleet = Fleet(nursery, 2, DAILY_BUDGET_USD="1")
    leaving, staying = fleet.instances
    talker = Talker(leaving, "ann", "s")
    await talker.answer("1", 10.0, took=3.0)
    stays = Talker(staying, "bob", "b")
    await trio.sleep(2.5)
    room = staying._accounts._day.account._share_usd
    fleet.scopes[0].cancel()
    talker.close()
    await leaving.close()
    await trio.sleep(limits.SHARE_RENEW_SECONDS * 2)
    grown = staying._accounts._day.account._share_usd
    assert room is not None
    assert grown is not None
    assert room < Decimal("0.5") < grown < Decimal("0.75")
    stays.close()


async def test_renewals_are_few_however_many_users_there_are(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    fleet = Fleet(nursery, 1, DAILY_BUDGET_USD="100", USER_DAILY_BUDGET_USD="1")
    for number in range(150):
        Talker(fleet.instances[0], f"u{number}", f"s{number}")
    await trio.sleep(1.0)
    before = SlowShares.calls
    await trio.sleep(60.0)
    assert SlowShares.calls - before <= 62


async def test_a_share_that_cannot_be_renewed_ends_with_its_lease(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    fleet = Fleet(nursery, 1, DAILY_BUDGET_USD="1")
    shares = fleet.instances[0]._state.shares
    assert isinstance(shares, SlowShares)
    talkers = [Talker(fleet.instances[0], "ann", f"s{number}") for number in range(4)]
    await trio.sleep(1.5)
    shares.is_away = True
    assert talkers[0].bill.admits(commands.CreateResponse("t", {}))
    await trio.sleep(limits.SHARE_LEASE_SECONDS - 3.0)
    assert talkers[1].bill.admits(commands.CreateResponse("t", {}))
    await trio.sleep(5.0)
    assert not talkers[2].bill.admits(commands.CreateResponse("t", {}))
    shares.is_away = False
    await trio.sleep(2.0)
    assert talkers[3].bill.admits(commands.CreateResponse("t", {}))


async def test_users_without_a_session_are_forgotten_where_there_are_too_many(
    autojump_clock: MockClock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "USERS_REMEMBERED_MAX", 5)
    fleet = Fleet(nursery, 1, USER_DAILY_BUDGET_USD="1")
    kept = Talker(fleet.instances[0], "kept", "s")
    for number in range(20):
        talker = Talker(fleet.instances[0], f"u{number}", f"s{number}")
        await talker.answer("t", 1.0, took=0.1)
        talker.close()
    assert len(fleet.instances[0]._accounts._users) == 5
    assert "kept" in fleet.instances[0]._accounts._users
    await kept.answer("t", 1.0, took=0.1)
    assert fleet.instances[0].account("user", "kept").used_usd > 0
    await trio.sleep(1.0)
    assert {scope for day in fleet.ledger._days.values() for scope in day} >= {f"u{number}" for number in range(20)}
    monkeypatch.undo()
    assert fleet.instances[0].account("user", "u0").used_usd == Decimal(20 * 64) / 10**6  # it is known all the same


async def test_a_look_up_finds_what_was_spent_elsewhere_F14(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    fleet = Fleet(nursery, 2, USER_DAILY_BUDGET_USD="0.1")
    here, there = fleet.instances
    talker = Talker(here, "ann", "s")
    await trio.sleep(0.1)
    await talker.answer("t", 100.0, took=5.0)
    talker.close()
    await trio.sleep(2.0)
    assert there.account("user", "ann").spent_usd == 0
    assert await there.is_exhausted_for("ann")
    assert there.account("user", "ann").spent_usd >= Decimal("0.1")
    assert not await there.is_exhausted_for("bob")


async def test_without_budgets_nothing_is_leased(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    fleet = Fleet(nursery, 1)
    talker = Talker(fleet.instances[0], "ann", "s")
    before = SlowShares.calls
    await talker.answer("t", 10.0, took=3.0)
    assert not await fleet.instances[0].is_exhausted_for("ann")
    talker.close()
    await fleet.instances[0].close()
    assert SlowShares.calls == before


async def test_sessions_that_begin_on_an_idle_instance_find_a_share_for_all_their_first_responses_I16(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    fleet = Fleet(nursery, 2, DAILY_BUDGET_USD="20", USER_DAILY_BUDGET_USD="1")
    idle = fleet.instances[0]
    await trio.sleep(10.0)  # without a session: its share has no room
    assert not await idle.is_exhausted_for("ann")  # as at every admission
    assert not await idle.is_exhausted_for("bob")
    talkers = [Talker(idle, user, f"{user} {number}") for user in ("ann", "bob") for number in range(2)]
    asked = [talker.bill.admits(commands.CreateResponse(f"t{n}", {})) for talker in talkers for n in range(2)]
    assert asked == [True] * 8


async def test_a_share_for_a_session_that_never_begins_is_left_to_the_others(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    fleet = Fleet(nursery, 2, DAILY_BUDGET_USD="1")
    idle, busy = fleet.instances
    assert not await idle.is_exhausted_for("ann")
    talker = Talker(busy, "bob", "b")
    await trio.sleep(limits.SHARE_LEASE_SECONDS + limits.SHARE_RENEW_SECONDS)
    await talker.answer("t", 1.0, took=1.0)
    await trio.sleep(limits.SHARE_RENEW_SECONDS)
    room = busy._accounts._day.account._share_usd
    assert room is not None
    assert room >= Decimal("0.74")


async def test_what_was_used_is_reported_although_a_look_up_is_cancelled(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    fleet = Fleet(nursery, 1, USER_DAILY_BUDGET_USD="1")
    here = fleet.instances[0]
    talker = Talker(here, "ann", "s")
    await trio.sleep(1.5)
    await talker.answer("t", 10.0, took=0.01)
    talker.close()
    with trio.move_on_after(REDIS_SECONDS / 2):  # the client leaves while it is being admitted
        await here.is_exhausted_for("ann")
    await trio.sleep(2 * limits.SHARE_RENEW_SECONDS)
    [day] = fleet.ledger._days.values()
    assert day["ann"]["i0"].used == 200 * 64
