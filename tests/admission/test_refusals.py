"""Counting what happened lately, and remembering refusals without keeping secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from hypothesis import given
from hypothesis import strategies as st

from voice_trio.admission import refusals
from voice_trio.admission.refusals import RecentEvents, RefusalMemory

if TYPE_CHECKING:
    from trio.testing import MockClock


@given(st.lists(st.integers(0, 30), max_size=50), st.integers(1, 5))
def test_the_wait_ends_exactly_when_the_window_holds_fewer_than_the_limit(pauses: list[int], limit: int) -> None:
    now = 0.0
    events = RecentEvents(limit=limit, window_seconds=60.0, clock=lambda: now)
    times: list[float] = []
    for pause in pauses:
        now += pause
        recent = [time for time in times if time + 60.0 > now]
        wait = events.wait_seconds("key")
        assert (wait > 0) == (len(recent) >= limit)
        if wait > 0:
            assert len([time for time in recent if time + 60.0 > now + wait]) < limit
        events.note("key")
        times.append(now)


def test_keys_that_were_quiet_longest_are_forgotten_first() -> None:
    events = RecentEvents(limit=1, window_seconds=60.0, keys_max=3, clock=lambda: 0.0)
    for key in ("a", "b", "c", "a", "d"):
        events.note(key)

    assert len(events) == 3
    assert [key for key in "abcd" if events.wait_seconds(key)] == ["a", "c", "d"]


async def test_the_memory_of_refusals_keeps_no_token(autojump_clock: MockClock) -> None:
    memory = RefusalMemory()
    for _ in range(2):
        memory.remember(refusals.token_invalid("it is wrong"), [("token", "a-secret-token")])
        await trio.sleep(1.0)

    kept = repr(vars(memory)) + repr(vars(memory._recent))
    assert "a-secret-token" not in kept
    assert memory.wait_seconds("token", "a-secret-token") == 58.0


async def test_one_kind_of_thing_shown_is_not_taken_for_another(autojump_clock: MockClock) -> None:
    memory = RefusalMemory()
    for _ in range(2):
        memory.remember(refusals.at_capacity(), [("user", "x")])

    assert memory.wait_seconds("user", "x") == 60.0
    assert memory.wait_seconds("token", "x") == 0.0
    await trio.sleep(60.0)
    assert memory.wait_seconds("user", "x") == 0.0


def test_refusals_that_time_may_cure_are_429_at_the_handshake_and_the_others_403() -> None:
    later = [
        *(refusals.rate_limited(5, 10.0), refusals.too_many_attempts(20, 3.0), refusals.too_many_sessions(2)),
        *(refusals.at_capacity(), refusals.draining(), refusals.plan_unverified(), refusals.upstream_unavailable()),
    ]
    never = [
        *(refusals.feature_disabled(), refusals.token_invalid("x"), refusals.plan_required(("elite",))),
        refusals.not_in_rollout(),
    ]

    assert {refusal.handshake_status for refusal in later} == {429}
    assert {refusal.handshake_status for refusal in never} == {403}


def test_a_model_out_of_reach_is_told_in_the_contracts_words() -> None:
    refusal = refusals.upstream_unavailable()

    assert (refusal.code, refusal.close_code, refusal.reason) == (
        ("upstream_unavailable", 1011, "OpenAI connection failed")
    )
