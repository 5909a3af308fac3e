"""F59, F65: an upstream that fails refuses newcomers at once, costs them nothing, and is held against nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from tests.support.admission_fixture import AdmissionFixture, summary, token
from voice_trio.admission.grant import SessionGrant
from voice_trio.errors import ModelUnavailable
from voice_trio.session.upstream.breaker import UpstreamBreaker

if TYPE_CHECKING:
    from trio.testing import MockClock


async def open_breaker() -> UpstreamBreaker:
    async def fail() -> None:
        await trio.lowlevel.checkpoint()
        raise ModelUnavailable("away")

    breaker = UpstreamBreaker()
    for number in range(5):
        try:
            await breaker.dial(f"user{number}", fail, waits=False)
        except ModelUnavailable:
            continue
    return breaker


async def test_F65_a_newcomer_is_refused_with_a_time_and_consumes_no_slot_I12(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(await open_breaker(), MAX_SESSIONS_PER_USER_PER_HOUR="1")
    refusal = await fixture.refusal(token())
    assert summary(refusal) == ("upstream_unavailable", 1011, "OpenAI connection failed", 503, 1)
    assert fixture.capacity.taken == 0
    await trio.sleep(1.0)  # the next one is the probe
    await fixture.grant(token())


async def test_F59_however_often_it_refuses_it_is_remembered_against_nobody(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(await open_breaker())
    refused = [await fixture.refusal(token()) for _ in range(10)]
    assert not any(refusal.at_handshake for refusal in refused)
    await trio.sleep(1.0)
    await fixture.grant(token())


async def test_F59_a_resume_passes_since_its_session_looks_for_the_upstream_itself(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(await open_breaker())
    refusal = await fixture.refusal(token(), resume="none-of-ours")
    assert refusal.code == "resume_invalid"  # not `upstream_unavailable`: it is looked at
    assert not isinstance(await fixture.admit(token()), SessionGrant)
