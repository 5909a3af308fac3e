"""What every kind of shared state must do; each implementation joins by a subject that can let time pass."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tests.support.state_fixture import ROLLOUT, Clock
from voice_trio import limits
from voice_trio.errors import StateUnavailable
from voice_trio.settings import load_settings
from voice_trio.state.instance_registry import InstanceInfo
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.session_record import RecordedItem, RecordedTurn, SessionRecord, encode_record
from voice_trio.state.state import OTHERS, Granted, Limit, LimitReached, Quotas, Spenders

if TYPE_CHECKING:
    from tests.support.state_fixture import Subject
    from voice_trio.state.rollout import Rollout
    from voice_trio.state.state import State


async def begin_and_end(state: State, user: str, session: str) -> Granted | LimitReached:
    decision = await state.admit(user, session)
    await state.end(user, session)
    return decision


async def test_the_sixth_session_is_told_when_the_first_slot_opens_and_is_admitted_then(subject: Subject) -> None:
    for number in range(5):
        assert await begin_and_end(subject.state, "ann", f"s{number}") == Granted()
        await subject.pass_time(100.0)

    refused = await subject.state.admit("ann", "s6")
    assert refused == LimitReached(Limit.RATE, retry_after=3100.0)
    await subject.pass_time(3099.0)
    assert await subject.state.admit("ann", "s6") == LimitReached(Limit.RATE, retry_after=1.0)
    await subject.pass_time(1.0)
    assert await subject.state.admit("ann", "s6") == Granted()


async def test_asking_again_for_the_same_session_takes_no_second_slot(subject: Subject) -> None:
    for _ in range(10):
        assert await subject.state.admit("ann", "s1") == Granted()

    for number in range(2, 6):
        await subject.state.end("ann", f"s{number - 1}")
        assert await subject.state.admit("ann", f"s{number}") == Granted()
    await subject.state.admit("ann", "s6")
    assert await subject.state.admit("ann", "s5") == Granted()


async def test_a_released_session_gives_slot_and_lease_back(subject: Subject) -> None:
    for number in range(20):
        assert await subject.state.admit("ann", f"s{number}") == Granted()
        await subject.state.release("ann", f"s{number}")


async def test_an_ended_session_keeps_its_slot_and_frees_its_lease(subject: Subject) -> None:
    decisions = [await begin_and_end(subject.state, "ann", f"s{number}") for number in range(6)]

    assert decisions[:5] == [Granted()] * 5
    assert decisions[5] == LimitReached(Limit.RATE, retry_after=3600.0)


async def test_a_third_open_session_is_refused_without_taking_a_rate_slot(subject: Subject) -> None:
    await subject.state.admit("ann", "s1")
    await subject.state.admit("ann", "s2")

    for _ in range(10):
        assert await subject.state.admit("ann", "s3") == LimitReached(Limit.CONCURRENCY)
    for number in range(1, 3):
        await subject.state.end("ann", f"s{number}")
    for number in range(3, 6):
        assert await begin_and_end(subject.state, "ann", f"s{number}") == Granted()


async def test_the_rate_is_looked_at_before_concurrency(subject: Subject) -> None:
    for number in range(3):
        await begin_and_end(subject.state, "ann", f"s{number}")
    await subject.state.admit("ann", "s3")
    await subject.state.admit("ann", "s4")

    refused = await subject.state.admit("ann", "s5")
    assert isinstance(refused, LimitReached)
    assert refused.limit is Limit.RATE


async def test_a_lease_nobody_renews_lapses(subject: Subject) -> None:
    await subject.state.admit("ann", "s1")
    await subject.state.admit("ann", "s2")
    await subject.pass_time(20.0)
    await subject.state.renew("ann", "s2")
    await subject.pass_time(10.0)

    assert await subject.state.admit("ann", "s3") == Granted()
    assert await subject.state.admit("ann", "s4") == LimitReached(Limit.CONCURRENCY)


async def test_renewing_takes_a_lapsed_lease_again_and_counts(subject: Subject) -> None:
    await subject.state.admit("ann", "s1")
    await subject.pass_time(31.0)
    await subject.state.renew("ann", "s1")
    await subject.state.admit("ann", "s2")

    assert await subject.state.admit("ann", "s3") == LimitReached(Limit.CONCURRENCY)


async def test_users_do_not_share_slots(subject: Subject) -> None:
    for number in range(6):
        await begin_and_end(subject.state, "ann", f"s{number}")

    assert await subject.state.admit("bob", "s7") == Granted()


async def test_a_reset_opens_the_rate_slots_and_leaves_open_sessions_counted(subject: Subject) -> None:
    for number in range(3):
        await begin_and_end(subject.state, "ann", f"s{number}")
    await subject.state.admit("ann", "s3")
    await subject.state.admit("ann", "s4")
    await subject.state.reset("ann")

    assert await subject.state.admit("ann", "s5") == LimitReached(Limit.CONCURRENCY)
    await subject.state.end("ann", "s4")
    assert await subject.state.admit("ann", "s5") == Granted()


async def test_giving_back_what_was_never_taken_does_nothing(subject: Subject) -> None:
    await subject.state.release("ann", "never")
    await subject.state.end("ann", "never")
    await subject.state.reset("ann")

    assert await subject.state.admit("ann", "s1") == Granted()


async def test_many_attempts_at_once_get_exactly_the_quota(subject: Subject) -> None:
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
    assert isinstance(await subject.state.admit("ann", "last"), LimitReached)


async def test_a_rollout_is_replaced_only_from_the_version_in_force(subject: Subject) -> None:
    assert await subject.state.rollout() == ROLLOUT
    changed = await subject.state.replace_rollout(msgspec.structs.replace(ROLLOUT, percent=10))

    assert changed is not None
    assert (changed.percent, changed.version) == (10, 1)
    assert await subject.state.replace_rollout(msgspec.structs.replace(ROLLOUT, percent=90)) is None
    assert await subject.state.rollout() == changed


async def test_whoever_waits_learns_of_another_rollout(subject: Subject) -> None:
    learnt: list[Rollout] = []

    async def wait() -> None:
        learnt.append(await subject.state.wait_rollout_change(ROLLOUT))

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert not learnt
            changed = await subject.state.replace_rollout(msgspec.structs.replace(ROLLOUT, enabled=False))
    assert learnt == [changed]


def record(session: str = "s1", user: str = "ann", **changes: Any) -> SessionRecord:
    turn = RecordedTurn(
        said=(RecordedItem(item_id="i1", text="how warm?"),), heard=(RecordedItem(item_id="i2", text="Thirty-four."),)
    )
    usual = SessionRecord(
        session_id=session,
        user_id=user,
        instance="a",
        started=time.time() - 60,
        duration_seconds=600.0,
        connected_seconds=12.5,
        language="fr",
        voice="marin",
        turns=(turn,),
        usage={"total_tokens": 9},
        cost_micro_usd=1234,
        revision=1,
    )
    return msgspec.structs.replace(usual, **changes)


async def test_a_record_comes_back_as_it_was(subject: Subject) -> None:
    await subject.state.put_record(record())

    assert await subject.state.record("ann", "s1") == record(started=(await kept(subject)).started)
    assert await subject.state.record("ann", "s2") is None
    assert await subject.state.record("bob", "s1") is None


async def kept(subject: Subject) -> SessionRecord:
    found = await subject.state.record("ann", "s1")
    assert found is not None
    return found


async def test_an_older_writing_never_replaces_a_newer_one(subject: Subject) -> None:
    await subject.state.put_record(record(revision=3, end_reason="idle"))
    await subject.state.put_record(record(revision=2))
    await subject.state.put_record(record(revision=3, end_reason="timeout"))

    assert (await kept(subject)).end_reason == "idle"
    await subject.state.put_record(record(revision=4, end_reason="client_ended", resumable=False))
    assert (await kept(subject)).resumable is False


async def test_deleting_a_users_records_leaves_nothing_and_lets_nothing_come_back(subject: Subject) -> None:
    for session in ("s1", "s2"):
        await subject.state.put_record(record(session))
    await subject.state.put_record(record("s3", "bob"))

    try:
        assert await subject.state.delete_records("ann") == 2
    except StateUnavailable:  # it says so where a store is away; what is here is deleted all the same
        assert subject.state.health.using_fallback
    await subject.state.put_record(record("s1", revision=2))  # the session was open, and goes on
    await subject.state.put_record(record("s4", started=time.time() + 1))  # this one began later

    assert await subject.state.record("ann", "s1") is None
    assert await subject.state.record("ann", "s2") is None
    assert await subject.state.record("ann", "s4") is not None
    assert await subject.state.record("bob", "s3") is not None


async def test_what_is_spent_adds_up_by_day(subject: Subject) -> None:
    assert await subject.state.spent("2026-11-20") == 0
    assert await subject.state.add_spent("2026-11-20", 1_500_000) == 1_500_000
    assert await subject.state.add_spent("2026-11-20", 1) == 1_500_001
    assert await subject.state.add_spent("2026-11-21", 7) == 7
    assert await subject.state.spent("2026-11-20") == 1_500_001


async def test_who_spent_most_is_known_by_day_the_biggest_first(subject: Subject) -> None:
    await subject.state.add_spent("2026-11-20", 30, {"ann": 10, "bob": 20})
    await subject.state.add_spent("2026-11-20", 15, {"ann": 15})
    await subject.state.add_spent("2026-11-21", 1, {"eve": 1})

    result = await subject.state.spenders("2026-11-20", 10, "bob")
    assert result == Spenders((("ann", 25), ("bob", 20)), asked_for=20)
    assert await subject.state.spenders("2026-11-20", 1) == Spenders((("ann", 25),))
    assert await subject.state.spenders("2026-11-19", 10, "ann") == Spenders()


async def test_beyond_ten_thousand_users_a_day_they_are_counted_together(subject: Subject) -> None:
    for start in range(0, limits.USERS_REMEMBERED_MAX + 100, 100):
        await subject.state.add_spent("2026-11-20", 100, {f"u{number}": 1 for number in range(start, start + 100)})
    await subject.state.add_spent("2026-11-20", 5, {"u0": 5})

    result = await subject.state.spenders("2026-11-20", 3)
    assert result.top[:2] == ((OTHERS, 100), ("u0", 6))
    assert await subject.state.spent("2026-11-20") == limits.USERS_REMEMBERED_MAX + 105


PRESENT = InstanceInfo(instance="i", host="h", pid=7, version="1", started=5.0, active=2, places=60)


async def test_who_is_there_is_known_until_half_a_minute_of_silence(subject: Subject) -> None:
    assert await subject.state.instances() == ()
    assert await subject.state.announce(PRESENT) == (PRESENT,)
    await subject.pass_time(10.0)
    (seen,) = await subject.state.instances()
    assert seen == msgspec.structs.replace(PRESENT, seen_seconds=10.0)
    await subject.state.announce(msgspec.structs.replace(PRESENT, draining=True, active=1))
    await subject.pass_time(29.9)
    (seen,) = await subject.state.instances()
    assert (seen.draining, seen.active) == (True, 1)
    await subject.pass_time(0.1)
    assert await subject.state.instances() == ()


async def test_who_ends_in_order_is_gone_at_once(subject: Subject) -> None:
    await subject.state.announce(PRESENT)
    await subject.state.withdraw()
    assert await subject.state.instances() == ()
    await subject.state.withdraw()


async def test_in_memory_a_record_is_forgotten_after_an_hour() -> None:
    clock = Clock()
    state = MemoryState(Quotas(5, 2), ROLLOUT, clock)
    await state.put_record(record())
    clock.now += 3599.0
    assert await state.record("ann", "s1") is not None
    clock.now += 1.0
    assert await state.record("ann", "s1") is None


async def test_no_words_are_kept_where_none_may_be() -> None:
    state = MemoryState(Quotas(5, 2), ROLLOUT, Clock(), store_transcripts=False)
    await state.put_record(record())

    found = await state.record("ann", "s1")
    assert found is not None
    assert (found.turns, found.usage) == ((), {"total_tokens": 9})


def test_a_record_that_grows_too_long_loses_its_oldest_turns() -> None:
    turns = tuple(RecordedTurn(said=(RecordedItem(item_id=str(number), text="x" * 10_000),)) for number in range(200))
    data = encode_record(record(turns=turns))

    assert len(data) <= limits.RECORD_BYTES_MAX
    assert b'"item_id":"199"' in data
    assert b'"item_id":"0"' not in data


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
    assert await state.admit("ann", "s2") == LimitReached(Limit.RATE, retry_after=1.0)
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
