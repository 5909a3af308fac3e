"""Who holds a session: one connection at a time, and what another renews or gives back has no effect (I15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from voice_trio.state.session_claims import HeldBy, instance_of, new_holder
from voice_trio.state.state import Granted, Limit, LimitReached

if TYPE_CHECKING:
    from tests.support.state_fixture import Subject

ONE, TWO, THREE = "i1.one", "i2.two", "i3.three"


def test_a_holder_names_its_instance_and_no_other_connection() -> None:
    assert instance_of(new_holder("a1b2")) == "a1b2"
    assert new_holder("a1b2") != new_holder("a1b2")


async def test_a_session_is_held_by_the_connection_that_began_it(subject: Subject) -> None:
    await subject.state.admit("ann", "s1", ONE)

    assert await subject.state.claim("ann", "s1", TWO) == HeldBy(ONE)
    assert await subject.state.claim("ann", "s1", TWO, replacing=THREE) == HeldBy(ONE)
    assert await subject.state.claim("ann", "s1", TWO, replacing=ONE) == Granted()


async def test_I15_a_holder_that_was_replaced_neither_renews_nor_ends_the_session(subject: Subject) -> None:
    await subject.state.admit("ann", "s1", ONE)
    await subject.state.claim("ann", "s1", TWO, replacing=ONE)

    assert not await subject.state.renew("ann", "s1", ONE)
    await subject.state.end("ann", "s1", ONE)
    assert await subject.state.claim("ann", "s1", THREE) == HeldBy(TWO)
    await subject.state.admit("ann", "s2")
    assert await subject.state.admit("ann", "s3") == LimitReached(Limit.CONCURRENCY)
    assert await subject.state.renew("ann", "s1", TWO)


async def test_I15_of_many_that_replace_the_same_holder_one_succeeds(subject: Subject) -> None:
    await subject.state.admit("ann", "s1", ONE)
    decisions: list[Granted | LimitReached | HeldBy] = []

    async def claim(holder: str) -> None:
        decisions.append(await subject.state.claim("ann", "s1", holder, replacing=ONE))

    async with trio.open_nursery() as nursery:
        for number in range(12):
            nursery.start_soon(claim, f"i{number}.x")

    assert decisions.count(Granted()) == 1
    assert sum(isinstance(decision, HeldBy) for decision in decisions) == 11


async def test_claiming_again_changes_nothing(subject: Subject) -> None:
    for _ in range(3):
        assert await subject.state.claim("ann", "s1", ONE) == Granted()

    await subject.state.end("ann", "s1", ONE)
    await subject.state.end("ann", "s1", ONE)
    assert await subject.state.claim("ann", "s1", TWO) == Granted()


async def test_a_claim_takes_no_rate_slot_I12(subject: Subject) -> None:
    for number in range(5):
        await subject.state.admit("ann", f"s{number}", f"i1.{number}")
        await subject.state.end("ann", f"s{number}", f"i1.{number}")

    assert await subject.state.claim("ann", "s0", ONE) == Granted()


async def test_a_claim_keeps_the_sessions_own_lease_at_the_limit_F12(subject: Subject) -> None:
    await subject.state.admit("ann", "s1", ONE)
    await subject.state.admit("ann", "s2", TWO)

    assert await subject.state.claim("ann", "s1", THREE, replacing=ONE) == Granted()


async def test_a_claim_whose_lease_is_gone_needs_a_free_one_F12(subject: Subject) -> None:
    for session, holder in (("s1", "i1.a"), ("s2", "i1.b"), ("s3", "i1.c"), ("s4", "i1.d")):
        await subject.state.admit("ann", session, holder)
        await subject.state.end("ann", session, holder)
    assert await subject.state.claim("ann", "s1", ONE) == Granted()
    assert await subject.state.claim("ann", "s2", TWO) == Granted()

    for _ in range(3):
        assert await subject.state.claim("ann", "s3", THREE) == LimitReached(Limit.CONCURRENCY)
    await subject.state.end("ann", "s1", ONE)
    assert await subject.state.claim("ann", "s3", THREE) == Granted()
    assert await subject.state.claim("ann", "s1", ONE) == LimitReached(Limit.CONCURRENCY)


async def test_a_lease_that_expired_does_not_count_against_a_claim(subject: Subject) -> None:
    await subject.state.admit("ann", "s1", ONE)
    await subject.state.admit("ann", "s2", TWO)
    await subject.pass_time(31.0)

    assert await subject.state.claim("ann", "s1", THREE, replacing=ONE) == Granted()


async def test_a_live_session_whose_lease_expired_goes_on_above_the_limit(subject: Subject) -> None:
    await subject.state.admit("ann", "s1", ONE)
    await subject.pass_time(31.0)
    await subject.state.admit("ann", "s2", TWO)
    await subject.state.admit("ann", "s3", THREE)

    assert await subject.state.renew("ann", "s1", ONE)
    await subject.state.end("ann", "s2", TWO)
    assert await subject.state.admit("ann", "s4") == LimitReached(Limit.CONCURRENCY)


async def test_a_session_that_never_became_ready_leaves_no_holder(subject: Subject) -> None:
    await subject.state.admit("ann", "s1", ONE)
    await subject.state.release("ann", "s1", ONE)

    assert await subject.state.claim("ann", "s1", TWO) == Granted()


async def test_a_clock_that_is_set_back_or_forward_stops_no_decision(subject: Subject) -> None:
    with trio.fail_after(2):
        await subject.state.admit("ann", "s1", ONE)
        await subject.pass_time(-3600.0)
        assert await subject.state.admit("bob", "s2", TWO) == Granted()
        assert await subject.state.renew("ann", "s1", ONE)
        await subject.pass_time(7200.0)
        assert await subject.state.renew("ann", "s1", ONE)
        assert await subject.state.claim("bob", "s2", THREE, replacing=TWO) == Granted()
