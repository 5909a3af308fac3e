"""Rate limit, concurrency, capacity and budget: what a session consumes, and what is released."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.admission_fixture import SECRET, AdmissionFixture, summary, token
from voice_trio.admission.grant import SessionGrant
from voice_trio.auth.tokens import user_hash
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from trio.testing import MockClock

    from voice_trio.admission.refusals import Refusal


@pytest.fixture
def fixture() -> AdmissionFixture:
    return AdmissionFixture()


async def test_the_sixth_session_within_the_hour_waits_for_the_first_slot(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    for _ in range(5):
        await (await fixture.grant(token())).end()
        await trio.sleep(60.0)

    assert summary(await fixture.refusal(token())) == (
        ("rate_limited", 1008, "Rate limit exceeded (5 sessions/hour max)", 429, 3300)
    )
    await trio.sleep(3299.5)
    assert (await fixture.refusal(token())).retry_after == 1
    await trio.sleep(0.5)
    await fixture.grant(token())


async def test_the_configured_number_stands_in_the_reason(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(MAX_SESSIONS_PER_USER_PER_HOUR="1")
    await fixture.grant(token())

    assert (await fixture.refusal(token())).reason == "Rate limit exceeded (1 sessions/hour max)"


async def test_a_third_session_at_a_time_is_refused_and_costs_no_slot(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    first = await fixture.grant(token())
    await fixture.grant(token())

    for _ in range(10):
        assert summary(await fixture.refusal(token()))[:4] == (
            ("too_many_sessions", 1008, "Too many concurrent sessions", 429)
        )
    for _ in range(3):
        await first.end()
        first = await fixture.grant(token())


async def test_a_full_process_refuses_and_gives_the_slot_back(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(MAX_CONCURRENT_SESSIONS="1", MAX_SESSIONS_PER_USER_PER_HOUR="1")
    other = await fixture.grant(token("bob"))

    assert summary(await fixture.refusal(token("ann"))) == ("at_capacity", 1013, "At capacity", 503, None)
    await other.end()
    await fixture.grant(token("ann"))


async def test_a_draining_process_sends_callers_elsewhere_and_gives_the_slot_back(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(MAX_SESSIONS_PER_USER_PER_HOUR="1")
    fixture.capacity.drain()

    for _ in range(2):
        assert summary(await fixture.refusal(token())) == ("draining", 1012, "Server restarting, resume", 503, None)


async def test_i12_a_session_that_never_became_ready_gives_everything_back(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    for _ in range(15):
        session = await fixture.grant(token())
        await session.release_unused()
        await session.end()

    assert fixture.capacity.taken == 0
    for _ in range(5):
        await (await fixture.grant(token())).end()
    assert (await fixture.refusal(token())).code == "rate_limited"


async def test_giving_back_twice_gives_back_once(autojump_clock: MockClock, fixture: AdmissionFixture) -> None:
    session = await fixture.grant(token())
    await fixture.grant(token("bob"))
    for _ in range(3):
        await session.end()
        await session.release_unused()

    assert fixture.capacity.taken == 1


async def test_a_lease_is_kept_while_the_session_runs_and_lapses_when_it_was_killed(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    one, two = await fixture.grant(token()), await fixture.grant(token())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.keep_lease)
        nursery.start_soon(two.keep_lease)
        await trio.sleep(500.0)
        assert (await fixture.refusal(token())).code == "too_many_sessions"
        nursery.cancel_scope.cancel()
    await trio.sleep(30.0)

    await fixture.grant(token())


async def test_limits_that_cannot_be_looked_at_refuse_and_a_session_ends_all_the_same(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    session = await fixture.grant(token())
    fixture.state.is_unavailable = True

    assert (await fixture.refusal(token("bob"))).code == "at_capacity"
    await session.end()
    assert fixture.capacity.taken == 0


async def test_a_caller_who_leaves_during_the_checks_leaves_nothing_taken(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    fixture.plans.seconds = 2.0
    for _ in range(10):
        with trio.move_on_after(1.0):
            await fixture.admit(token())
    fixture.plans.seconds = 0.0

    assert fixture.capacity.taken == 0
    for _ in range(5):
        await (await fixture.grant(token())).end()


async def test_many_callers_at_once_get_exactly_what_there_is(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(MAX_CONCURRENT_SESSIONS="7", MAX_CONCURRENT_SESSIONS_PER_USER="1")
    outcomes: list[SessionGrant | Refusal] = []

    async def admit(user: str) -> None:
        outcomes.append(await fixture.admit(token(user), address=f"address of {user}"))

    async with trio.open_nursery() as nursery:
        for number in range(40):
            nursery.start_soon(admit, f"user-{number % 20}")

    inside = [outcome.user.id for outcome in outcomes if isinstance(outcome, SessionGrant)]
    assert len(inside) == len(set(inside)) == fixture.capacity.taken == 7


@dataclass
class FixedBudget:
    is_exhausted: bool = False
    seconds_to_midnight: float = 3600.4
    spent_users: set[str] = field(default_factory=set)

    async def is_exhausted_for(self, user: str) -> bool:
        await trio.lowlevel.checkpoint()
        return user in self.spent_users


async def test_once_the_days_budget_is_spent_nobody_gets_in_and_nothing_is_taken(autojump_clock: MockClock) -> None:
    fixture, budget = AdmissionFixture(), FixedBudget()
    fixture.admission._budget = budget
    await fixture.grant(token())
    budget.is_exhausted = True

    assert summary(await fixture.refusal(token())) == ("budget_exhausted", 4002, "Budget exhausted", 429, 3601)
    assert fixture.capacity.taken == 1
    assert (await fixture.refusal(token(plan="free"))).code == "plan_required"


async def test_once_a_users_budget_is_spent_they_alone_are_refused_until_midnight_F14(
    autojump_clock: MockClock,
) -> None:
    fixture, budget = AdmissionFixture(), FixedBudget()
    fixture.admission._budget = budget
    budget.spent_users.add(user_hash("ada", load_settings({"JWT_SECRET": SECRET}).signing_secret))

    refused = await fixture.refusal(token("ada"))
    assert summary(refused) == ("budget_exhausted", 4002, "Budget exhausted", 429, 3601)
    assert refused.message.startswith("Your budget")
    assert fixture.capacity.taken == 0
    await fixture.grant(token("grace"))
