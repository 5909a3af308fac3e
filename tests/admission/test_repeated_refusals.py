"""Attempts are counted by user, refusals by user and token: later refusals come at the handshake, or close late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.admission_fixture import AdmissionFixture, address_number, summary, token

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


async def test_the_thirty_first_guess_of_an_address_in_a_minute_is_refused_at_the_handshake(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    for number in range(30):
        assert (await fixture.refusal(f"guess-{number}")).code == "token_invalid"

    refusal = await fixture.refusal("guess-30")
    assert (refusal.code, refusal.at_handshake, refusal.handshake_status) == ("rate_limited", True, 429)
    assert (await fixture.refusal("guess-31", address="203.0.113.6")).code == "token_invalid"
    await trio.sleep(60.0)
    assert (await fixture.refusal("guess-32")).code == "token_invalid"


@pytest.mark.parametrize("same", ["token", "user"])
async def test_from_the_third_refusal_on_it_comes_at_the_handshake(
    autojump_clock: MockClock, fixture: AdmissionFixture, same: str
) -> None:
    def attempt_number(number: int) -> tuple[str, str]:
        user = "ann" if same == "user" else f"user-{number}"
        shown = "one-token" if same == "token" else token(user, plan="free", n=number)
        return shown, address_number(number)

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


async def test_a_refusal_after_the_upgrade_says_how_long_to_wait_from_the_third_on(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    refused = [await fixture.refusal(token(plan="free"), is_late=True) for _ in range(4)]

    assert [refusal.at_handshake for refusal in refused] == [False] * 4
    assert [refusal.is_repeated for refusal in refused] == [False, False, True, True]
    assert [refusal.retry_after for refusal in refused] == [None, None, 60, 60]


async def test_clients_that_never_show_a_token_are_slowed_by_address_and_apart_from_failed_tokens(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    refused = [await fixture.refusal(None, is_late=True) for _ in range(31)]

    assert {(refusal.code, refusal.http_status) for refusal in refused} == {("token_invalid", 401)}
    assert [refusal.is_repeated for refusal in refused] == [False] * 30 + [True]
    assert (await fixture.refusal("a-first-guess")).code == "token_invalid"


async def test_switched_off_repeated_refusals_are_those_of_one_token(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(ENABLE_VOICE_REALTIME="false")

    refused = [await fixture.refusal(token(), is_late=True) for _ in range(3)]

    assert [refusal.code for refusal in refused] == ["feature_disabled"] * 3
    assert [refusal.is_repeated for refusal in refused] == [False, False, True]
    assert not (await fixture.refusal(token("bob"), is_late=True)).is_repeated
