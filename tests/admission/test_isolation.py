"""Neither a refusal nor a failure of one user reaches another one of the same address (I13, F10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.admission_fixture import HOME, SECRET, AdmissionFixture, token
from voice_trio import limits
from voice_trio.admission.grant import SessionGrant
from voice_trio.auth.plans import Entitlement
from voice_trio.auth.signed_tokens import ClientSecrets, ResumeTokens
from voice_trio.auth.tokens import User
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from trio.testing import MockClock

SIGNING_SECRET = load_settings({"JWT_SECRET": SECRET}).signing_secret


@pytest.fixture
def fixture() -> AdmissionFixture:
    return AdmissionFixture()


@pytest.mark.parametrize("is_late", [False, True])
async def test_users_without_the_plan_do_not_keep_their_neighbour_out_F10(
    autojump_clock: MockClock, fixture: AdmissionFixture, is_late: bool
) -> None:
    for number in range(50):
        refusal = await fixture.refusal(token(f"user-{number}", plan="free"), is_late=is_late)
        assert (refusal.code, refusal.is_repeated) == ("plan_required", False)

    assert isinstance(await fixture.admit(token(), is_late=is_late), SessionGrant)


async def test_of_200_users_behind_one_address_the_rollout_admits_its_tenth_F10(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(VOICE_ROLLOUT_PERCENT="10")
    rollout = await fixture.state.rollout()
    users = [f"user-{number}" for number in range(200)]

    outcomes = {user: await fixture.admit(token(user), is_late=True) for user in users for _ in range(2)}

    admitted = {user for user, outcome in outcomes.items() if isinstance(outcome, SessionGrant)}
    assert admitted == {user for user in users if rollout.includes_user(user, "")}
    assert 5 < len(admitted) < 40


async def test_a_token_that_verifies_passes_whatever_its_address_did_F10(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    for number in range(500):
        await fixture.refusal(f"guess-{number}")
        await fixture.refusal(None, is_late=True)

    assert isinstance(await fixture.admit(token()), SessionGrant)
    assert isinstance(await fixture.admit(token("bob"), is_late=True), SessionGrant)
    secret = ClientSecrets(SIGNING_SECRET).issue(User("cat", plan="elite"), seconds=60).value
    assert isinstance(await fixture.admit(secret, client_secrets=True), SessionGrant)


async def test_an_expired_token_is_called_expired_whatever_its_address_did_F10(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    for number in range(50):
        await fixture.refusal(f"guess-{number}")

    refusal = await fixture.refusal(token(exp=1))
    assert (refusal.code, refusal.http_status, refusal.retry_after) == ("token_invalid", 401, None)
    assert "expired" in refusal.message
    assert refusal.user == User("ann")


async def test_expired_tokens_of_many_pages_are_no_guesses_F10(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    secret = ClientSecrets(SIGNING_SECRET, unix_time=lambda: 1.0).issue(User("ann", plan="elite"), seconds=60).value
    for number in range(40):
        await fixture.refusal(token(f"user-{number}", exp=1))
        assert (await fixture.refusal(token("", sub=""))).user is None  # it names no user
        assert (await fixture.refusal(secret, client_secrets=True)).user == User("ann")

    assert (await fixture.refusal("a-first-guess")).code == "token_invalid"


async def test_a_users_attempts_take_one_connection_to_the_plan_service_F10(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    fixture.plans.seconds = 1.0
    async with trio.open_nursery() as nursery:
        for _ in range(15):
            nursery.start_soon(fixture.admit, token())
        nursery.start_soon(fixture.admit, token("bob"))
        await trio.sleep(0.5)
        assert sorted(fixture.plans.requests) == ["ann", "bob"]
        await trio.sleep(1.0)
        assert sorted(fixture.plans.requests) == ["ann", "ann", "bob"]
    assert trio.current_time() == limits.PLAN_SECONDS_MAX
    assert not fixture.admission._authenticator._plan_locks


async def test_an_old_token_of_a_user_does_not_use_up_their_attempts(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    for _ in range(50):
        await fixture.refusal(token(exp=1))

    await fixture.grant(token())


@pytest.mark.parametrize("plan", ["free", "elite"])
@pytest.mark.parametrize("age", [0.0, -100_000.0])
async def test_a_request_that_resumes_is_never_refused_at_the_handshake_F10(
    autojump_clock: MockClock, fixture: AdmissionFixture, plan: str, age: float
) -> None:
    resume = ResumeTokens(SIGNING_SECRET).issue("ann", "vs_1", age)

    refused = [await fixture.refusal(token(plan=plan), resume=resume) for _ in range(5)]
    refused += [await fixture.refusal("guess", resume=f" {resume}\n") for _ in range(40)]

    assert {refusal.code for refusal in refused} >= {"plan_required" if plan == "free" else "resume_invalid"}
    assert {refusal.session_id for refusal in refused} == {"vs_1"}
    assert not any(refusal.at_handshake for refusal in refused)
    assert refused[4].is_repeated
    assert refused[4].retry_after == 60


async def test_a_resume_token_of_another_make_is_none_of_ours(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    secret = ClientSecrets(SIGNING_SECRET).issue(User("ann"), seconds=60).value
    for other in ("rubbish", "", secret, secret.removeprefix("ek_"), token()):
        assert fixture.admission.resumed_session(other) == ""
    refused = [await fixture.refusal(token(), resume="rubbish") for _ in range(3)]
    assert [refusal.at_handshake for refusal in refused] == [False, False, True]


async def test_a_refusal_says_who_was_refused_with_the_plan_that_counted(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    refusal = await fixture.refusal(token("bob", plan="free"), HOME)
    assert (refusal.user and refusal.user.id, refusal.user and refusal.user.plan) == ("bob", "free")
    fixture.plans.result = Entitlement("basic")
    refusal = await fixture.refusal(token("bob"), HOME)
    assert refusal.user
    assert refusal.user.plan == "basic"
    assert (await fixture.refusal("guess")).user is None
