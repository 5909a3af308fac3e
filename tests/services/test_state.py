"""What every kind of shared state must do; each implementation joins by a subject that can let time pass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from voice_trio.services.memory_state import MemoryState
from voice_trio.services.rollout import Rollout
from voice_trio.services.state import Granted, Limit, Quotas, Refused
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from voice_trio.services.state import State

ROLLOUT = Rollout(enabled=True, percent=100, beta_users=(), plans=("elite",), version=0)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class MemorySubject:
    quotas: Quotas
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.state: State = MemoryState(self.quotas, ROLLOUT, self.clock)

    async def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds


@pytest.fixture(params=[MemorySubject])
def subject(request: pytest.FixtureRequest) -> MemorySubject:
    made: MemorySubject = request.param(Quotas(5, 2, window_seconds=3600.0, lease_seconds=30.0))
    return made


async def begin_and_end(state: State, user: str, session: str) -> Granted | Refused:
    decision = await state.admit(user, session)
    await state.end(user, session)
    return decision


async def test_the_sixth_session_is_told_when_the_first_slot_opens_and_is_admitted_then(subject: MemorySubject) -> None:
    for number in range(5):
        assert await begin_and_end(subject.state, "ann", f"s{number}") == Granted()
        await subject.pass_time(100.0)

    refused = await subject.state.admit("ann", "s6")
    assert refused == Refused(Limit.RATE, retry_after=3100.0)
    await subject.pass_time(3099.0)
    assert await subject.state.admit("ann", "s6") == Refused(Limit.RATE, retry_after=1.0)
    await subject.pass_time(1.0)
    assert await subject.state.admit("ann", "s6") == Granted()


async def test_asking_again_for_the_same_session_takes_no_second_slot(subject: MemorySubject) -> None:
    for _ in range(10):
        assert await subject.state.admit("ann", "s1") == Granted()

    for number in range(2, 6):
        await subject.state.end("ann", f"s{number - 1}")
        assert await subject.state.admit("ann", f"s{number}") == Granted()
    await subject.state.admit("ann", "s6")
    assert await subject.state.admit("ann", "s5") == Granted()


async def test_a_released_session_gives_slot_and_lease_back(subject: MemorySubject) -> None:
    for number in range(20):
        assert await subject.state.admit("ann", f"s{number}") == Granted()
        await subject.state.release("ann", f"s{number}")


async def test_an_ended_session_keeps_its_slot_and_frees_its_lease(subject: MemorySubject) -> None:
    decisions = [await begin_and_end(subject.state, "ann", f"s{number}") for number in range(6)]

    assert decisions[:5] == [Granted()] * 5
    assert decisions[5] == Refused(Limit.RATE, retry_after=3600.0)


async def test_a_third_open_session_is_refused_without_taking_a_rate_slot(subject: MemorySubject) -> None:
    await subject.state.admit("ann", "s1")
    await subject.state.admit("ann", "s2")

    for _ in range(10):
        assert await subject.state.admit("ann", "s3") == Refused(Limit.CONCURRENCY)
    for number in range(1, 3):
        await subject.state.end("ann", f"s{number}")
    for number in range(3, 6):
        assert await begin_and_end(subject.state, "ann", f"s{number}") == Granted()


async def test_the_rate_is_looked_at_before_concurrency(subject: MemorySubject) -> None:
    for number in range(3):
        await begin_and_end(subject.state, "ann", f"s{number}")
    await subject.state.admit("ann", "s3")
    await subject.state.admit("ann", "s4")

    refused = await subject.state.admit("ann", "s5")
    assert isinstance(refused, Refused)
    assert refused.limit is Limit.RATE


async def test_a_lease_nobody_renews_lapses(subject: MemorySubject) -> None:
    await subject.state.admit("ann", "s1")
    await subject.state.admit("ann", "s2")
    await subject.pass_time(20.0)
    await subject.state.renew("ann", "s2")
    await subject.pass_time(10.0)

    assert await subject.state.admit("ann", "s3") == Granted()
    assert await subject.state.admit("ann", "s4") == Refused(Limit.CONCURRENCY)


async def test_renewing_takes_a_lapsed_lease_again_and_counts(subject: MemorySubject) -> None:
    await subject.state.admit("ann", "s1")
    await subject.pass_time(31.0)
    await subject.state.renew("ann", "s1")
    await subject.state.admit("ann", "s2")

    assert await subject.state.admit("ann", "s3") == Refused(Limit.CONCURRENCY)


async def test_users_do_not_share_slots(subject: MemorySubject) -> None:
    for number in range(6):
        await begin_and_end(subject.state, "ann", f"s{number}")

    assert await subject.state.admit("bob", "s7") == Granted()


async def test_a_reset_opens_the_rate_slots_and_leaves_open_sessions_counted(subject: MemorySubject) -> None:
    for number in range(3):
        await begin_and_end(subject.state, "ann", f"s{number}")
    await subject.state.admit("ann", "s3")
    await subject.state.admit("ann", "s4")
    await subject.state.reset("ann")

    assert await subject.state.admit("ann", "s5") == Refused(Limit.CONCURRENCY)
    await subject.state.end("ann", "s4")
    assert await subject.state.admit("ann", "s5") == Granted()


async def test_giving_back_what_was_never_taken_does_nothing(subject: MemorySubject) -> None:
    await subject.state.release("ann", "never")
    await subject.state.end("ann", "never")
    await subject.state.reset("ann")

    assert await subject.state.admit("ann", "s1") == Granted()


async def test_many_attempts_at_once_get_exactly_the_quota(subject: MemorySubject) -> None:
    granted: list[str] = []

    async def try_once(session: str) -> None:
        if await subject.state.admit("ann", session) == Granted():
            granted.append(session)
            await subject.state.end("ann", session)

    async with trio.open_nursery() as nursery:
        for number in range(200):
            nursery.start_soon(try_once, f"s{number}")

    assert len(granted) <= 5
    while len(granted) < 5:
        await try_once(f"late{len(granted)}")
    assert isinstance(await subject.state.admit("ann", "last"), Refused)


async def test_a_rollout_is_replaced_only_from_the_version_in_force(subject: MemorySubject) -> None:
    assert await subject.state.rollout() == ROLLOUT
    changed = await subject.state.replace_rollout(msgspec.structs.replace(ROLLOUT, percent=10))

    assert changed is not None
    assert (changed.percent, changed.version) == (10, 1)
    assert await subject.state.replace_rollout(msgspec.structs.replace(ROLLOUT, percent=90)) is None
    assert await subject.state.rollout() == changed


async def test_memory_forgets_users_who_hold_nothing() -> None:
    clock = Clock()
    state = MemoryState(Quotas(5, 2), ROLLOUT, clock)
    for number in range(500):
        await begin_and_end(state, f"user{number}", "s")
    assert len(state) == 500

    clock.now += 3600.0
    await state.admit("somebody", "s")

    assert len(state) == 1


async def test_time_is_trios_unless_told_otherwise(autojump_clock: trio.testing.MockClock) -> None:
    state = MemoryState(Quotas(1, 1), ROLLOUT)
    await begin_and_end(state, "ann", "s1")
    await trio.sleep(3599.0)
    assert await state.admit("ann", "s2") == Refused(Limit.RATE, retry_after=1.0)
    await trio.sleep(1.0)

    assert await state.admit("ann", "s2") == Granted()


def test_quotas_follow_the_settings() -> None:
    settings = load_settings({"MAX_SESSIONS_PER_USER_PER_HOUR": "9", "MAX_CONCURRENT_SESSIONS_PER_USER": "3"})

    assert Quotas.of(settings.limits) == Quotas(9, 3, window_seconds=3600.0, lease_seconds=30.0)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["admit", "release", "end"])), max_size=60),
    st.integers(1, 4),
)
def test_no_window_wherever_it_begins_holds_more_sessions_than_the_limit(
    steps: list[tuple[int, str]], limit: int
) -> None:
    window = 100.0
    kept: dict[str, float] = {}

    async def run() -> None:
        clock = Clock(0.0)
        state = MemoryState(Quotas(limit, 1000, window_seconds=window), ROLLOUT, clock)
        for number, (pause, verb) in enumerate(steps):
            clock.now += pause
            match verb:
                case "admit":
                    if await state.admit("ann", f"s{number}") == Granted():
                        kept[f"s{number}"] = clock.now
                case "release" if kept:
                    session, _ = kept.popitem()
                    await state.release("ann", session)
                case "end" if kept:
                    await state.end("ann", next(iter(kept)))

    trio.run(run)

    for start in kept.values():
        assert sum(start <= taken < start + window for taken in kept.values()) <= limit
