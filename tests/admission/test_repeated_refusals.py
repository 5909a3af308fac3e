"""Attempts and refusals counted by user, token and address: later ones come at the handshake."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.admission_fixture import HOME, AdmissionFixture, address_number, summary, token

if TYPE_CHECKING:
    from trio.testing import MockClock


@pytest.fixture
def fixture() -> AdmissionFixture:
    return AdmissionFixture()


async def test_a_user_may_try_twenty_times_a_minute(autojump_clock: MockClock, fixture: AdmissionFixture) -> None:
    for _ in range(20):
        await (await fixture.grant(token())).release_unused()
        await trio.sleep(1.0)

    refusal = await fixture.refusal(token())
    assert summary(refusal) == ("rate_limited", 1008, "Rate limit exceeded (20 attempts/minute max)", 429, 40)
    await trio.sleep(40.0)
    await fixture.grant(token())


async def test_failed_tokens_of_one_address_end_at_the_handshake_and_leave_others_alone(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    for number in range(10):
        assert (await fixture.refusal(f"guess-{number}")).code == "token_invalid"
    verified = fixture.verifier.verified

    refusal = await fixture.refusal(token())
    assert (refusal.code, refusal.at_handshake, refusal.handshake_status) == ("rate_limited", True, 429)
    assert fixture.verifier.verified == verified
    await fixture.grant(token(), address="203.0.113.6")
    await trio.sleep(60.0)
    await fixture.grant(token())


@pytest.mark.parametrize("same", ["token", "user", "address"])
async def test_from_the_third_refusal_on_it_comes_at_the_handshake(
    autojump_clock: MockClock, fixture: AdmissionFixture, same: str
) -> None:
    def attempt_number(number: int) -> tuple[str, str]:
        user = "ann" if same == "user" else f"user-{number}"
        shown = "one-token" if same == "token" else token(user, plan="free", n=number)
        return shown, HOME if same == "address" else address_number(number)

    refused = [await fixture.refusal(*attempt_number(number)) for number in range(4)]

    assert [refusal.at_handshake for refusal in refused] == [False, False, True, True]
    assert {refusal.handshake_status for refusal in refused} == {403}
    assert refused[2].retry_after == 60


async def test_a_minute_later_a_refusal_is_told_as_a_close_again(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    for _ in range(3):
        await fixture.refusal(token(plan="free"))
    await trio.sleep(60.0)

    assert not (await fixture.refusal(token(plan="free"))).at_handshake


async def test_a_limit_refused_over_and_over_keeps_its_own_time(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(MAX_SESSIONS_PER_USER_PER_HOUR="1")
    await (await fixture.grant(token())).end()
    refused = [await fixture.refusal(token()) for _ in range(3)]

    assert (refused[2].at_handshake, refused[2].handshake_status, refused[2].retry_after) == (True, 429, 3600)


async def test_refusals_before_it_do_not_keep_a_good_token_out(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    for number in range(5):
        await fixture.refusal(f"guess-{number}")

    await fixture.grant(token())


async def test_before_a_token_is_shown_nothing_is_refused_that_might_be_good(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    for _ in range(3):
        await fixture.refusal("rubbish")

    assert await fixture.admission.refuse_before_token(HOME) is None


async def test_callers_who_show_their_token_late_are_stopped_at_the_handshake_for_a_minute(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    for _ in range(2):
        assert await fixture.admission.refuse_before_token(HOME) is None
        await fixture.refusal(None, is_late=True)
        await trio.sleep(1.0)

    refusal = await fixture.admission.refuse_before_token(HOME)
    assert refusal is not None
    assert (refusal.at_handshake, refusal.handshake_status, refusal.retry_after) == (True, 429, 58)
    assert await fixture.admission.refuse_before_token("203.0.113.6") is None
    await fixture.grant(token())
    await trio.sleep(58.0)
    assert await fixture.admission.refuse_before_token(HOME) is None


async def test_switched_off_a_caller_without_token_hears_so_at_once_and_then_at_the_handshake(
    autojump_clock: MockClock,
) -> None:
    fixture = AdmissionFixture(ENABLE_VOICE_REALTIME="false")

    codes = [await fixture.admission.refuse_before_token(HOME) for _ in range(3)]

    assert [refusal.code for refusal in codes if refusal] == ["feature_disabled"] * 3
    assert [refusal.at_handshake for refusal in codes if refusal] == [False, False, True]
