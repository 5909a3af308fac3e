"""Newcomers are refused before those who talk are late; a session in progress and one that resumes are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.support.admission_fixture import AdmissionFixture, summary, token
from voice_trio import limits
from voice_trio.admission.grant import Capacity
from voice_trio.admission.overload import Overload

if TYPE_CHECKING:
    from trio.testing import MockClock

LAG_MAX = limits.LAG_NEWCOMERS_MS_MAX / 1000
HIGH, EXTREME = 1.1 * LAG_MAX, 1.1 * limits.LAG_SECONDS_MAX


def note(overload: Overload, *, p50: float = 0.0, p95: float = 0.0, unsent: float = 0.0) -> tuple[bool, bool]:
    overload.note(lag_p50=p50, lag_p95=max(p50, p95), unsent_share=unsent)
    return overload.is_high, overload.is_extreme


@pytest.mark.parametrize(
    ("delays", "expected"),
    [
        ({}, (False, False)),
        ({"p95": 0.9 * LAG_MAX}, (False, False)),
        ({"p95": HIGH}, (True, False)),
        ({"p95": 10.0}, (True, False)),
        ({"p50": EXTREME}, (True, True)),
        ({"unsent": limits.UNSENT_SHARE_MAX}, (False, False)),
        ({"unsent": limits.UNSENT_SHARE_MAX + 0.01}, (True, False)),
    ],
)
def test_the_tail_of_the_lag_and_unsent_frames_of_many_are_an_overload(
    delays: dict[str, float], expected: tuple[bool, bool]
) -> None:
    assert note(Overload(), **delays) == expected


def test_an_overload_is_over_at_half_of_its_bound() -> None:
    overload = Overload()
    half = LAG_MAX * limits.OVERLOAD_RELIEF
    seen = [note(overload, p95=p95)[0] for p95 in (HIGH, 1.1 * half, 0.9 * half, 1.9 * half, HIGH)]
    assert seen == [True, True, False, False, True]


def taken(capacity: Capacity, places: int) -> Capacity:
    for _ in range(places):
        assert capacity.take()
    return capacity


def test_a_newcomer_is_refused_and_a_resume_is_not() -> None:
    capacity = taken(Capacity(60), limits.OVERLOAD_SESSIONS_MIN)
    note(capacity.overload, p95=HIGH)
    assert (capacity.is_overloaded, capacity.take(), capacity.take(is_resume=True)) == (True, False, True)
    note(capacity.overload, p50=EXTREME)
    assert (capacity.take(), capacity.take(is_resume=True)) == (False, False)
    note(capacity.overload)
    assert (capacity.is_overloaded, capacity.take()) == (False, True)


async def test_a_resume_waits_for_an_extreme_overload_to_pass_F70(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    capacity = taken(Capacity(60), limits.OVERLOAD_SESSIONS_MIN)
    capacity.note_load(lag_p50=EXTREME, lag_p95=EXTREME, unsent_share=0.0)
    resumed: list[float] = []

    async def resume() -> None:
        await capacity.wait_relief(is_resume=True)
        assert capacity.take(is_resume=True)
        resumed.append(trio.current_time())

    for _ in range(2 * limits.NEWCOMERS_PER_SAMPLE):
        nursery.start_soon(resume)
    seen = []
    for lag_p50, lag_p95 in ((EXTREME, EXTREME), (0.0, HIGH), (0.0, HIGH)):
        await trio.sleep(1.0)
        capacity.note_load(lag_p50=lag_p50, lag_p95=lag_p95, unsent_share=0.0)
        await trio.testing.wait_all_tasks_blocked()
        seen.append(len(resumed))
    assert seen == [count * limits.NEWCOMERS_PER_SAMPLE for count in (0, 1, 2)]


def test_a_few_sessions_are_not_the_cause_of_a_lag_and_none_can_be_delayed() -> None:
    capacity = taken(Capacity(60), 1)
    note(capacity.overload, p95=HIGH)
    assert (capacity.is_overloaded, capacity.take()) == (False, True)
    note(capacity.overload, p50=EXTREME)
    assert (capacity.is_overloaded, capacity.take()) == (True, False)
    capacity.release()
    capacity.release()
    assert capacity.take()


def test_as_sessions_are_added_the_door_closes_before_anyone_is_late() -> None:
    """The lag of each number of sessions is the measured one of docs/capacity.md, P50 and P95 between its rows."""
    capacity = Capacity(300)
    for session in range(300):
        p95 = 0.0005 * 1.07**session  # 40 sessions: 7 ms; 60: 29 ms
        note(capacity.overload, p50=p95 / 20, p95=p95)
        if not capacity.take():
            break
    assert 45 < capacity.taken < 60


async def test_a_refused_newcomer_keeps_their_slot_and_those_inside_their_place(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(MAX_SESSIONS_PER_USER_PER_HOUR="1")
    inside = [await fixture.grant(token(f"user-{number}")) for number in range(limits.OVERLOAD_SESSIONS_MIN)]
    note(fixture.capacity.overload, p95=HIGH)
    began = trio.current_time()
    assert summary(await fixture.refusal(token("ann"))) == ("at_capacity", 1013, "At capacity", 503, None)
    assert (fixture.capacity.taken, trio.current_time() - began) == (len(inside), limits.RELIEF_SECONDS_MAX)
    note(fixture.capacity.overload)
    await trio.sleep(limits.MINUTE_SECONDS)
    await fixture.grant(token("ann"))


async def test_a_rush_waits_until_it_is_over_and_those_who_waited_are_no_second_one(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    capacity = taken(Capacity(60), limits.OVERLOAD_SESSIONS_MIN)
    capacity.note_load(lag_p50=0.0, lag_p95=HIGH, unsent_share=0.0)
    admitted: list[float] = []

    async def newcomer() -> None:
        await capacity.wait_relief()
        if capacity.take():
            admitted.append(trio.current_time())

    for _ in range(3 * limits.NEWCOMERS_PER_SAMPLE):
        nursery.start_soon(newcomer)
    seen = []
    for lag_p95 in (HIGH, 0.0, 0.0, HIGH, 0.0):
        await trio.sleep(1.0)
        capacity.note_load(lag_p50=0.0, lag_p95=lag_p95, unsent_share=0.0)
        await trio.testing.wait_all_tasks_blocked()
        seen.append(len(admitted))
    assert seen == [count * limits.NEWCOMERS_PER_SAMPLE for count in (0, 1, 2, 2, 3)]


async def test_the_lag_can_be_allowed_to_be_any(autojump_clock: MockClock) -> None:
    await trio.lowlevel.checkpoint()
    overload = Overload(0.0)
    assert note(overload, p50=10.0, p95=20.0) == (False, False)
