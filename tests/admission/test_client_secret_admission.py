"""Admission and client secrets: which users get one, and which endpoints accept one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.admission_fixture import HOME, SECRET, AdmissionFixture, summary, token
from voice_trio.admission.grant import SessionGrant
from voice_trio.admission.refusals import Refusal
from voice_trio.auth.plans import Entitlement
from voice_trio.auth.signed_tokens import ClientSecrets
from voice_trio.auth.tokens import User
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from trio.testing import MockClock


def secret_for(user: User, session: dict[str, Any] | None = None) -> str:
    signing_secret = load_settings({"JWT_SECRET": SECRET}).signing_secret
    return ClientSecrets(signing_secret).issue(user, seconds=600, session=session).value


async def refused(fixture: AdmissionFixture, shown: str) -> Refusal:
    outcome = await fixture.admission.authenticate(shown, HOME)
    assert isinstance(outcome, Refusal)
    return outcome


@pytest.fixture
def fixture() -> AdmissionFixture:
    return AdmissionFixture()


async def test_authenticate_says_who_it_is_with_what_they_are_entitled_to_and_takes_nothing(
    autojump_clock: MockClock,
) -> None:
    fixture = AdmissionFixture(MAX_SESSIONS_PER_USER_PER_HOUR="1", MAX_CONCURRENT_SESSIONS_PER_USER="1")
    fixture.plans.result = Entitlement("Elite", "cedar", 1.2)

    for _ in range(5):
        user = await fixture.admission.authenticate(token(plan="free", email="ann@example.com"), HOME)
        assert user == User("ann", email="ann@example.com", plan="Elite", voice="cedar", voice_speed=1.2)

    assert fixture.capacity.taken == 0
    await fixture.grant(token())


async def test_authenticate_looks_at_flag_token_plan_and_rollout(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    await fixture.change_rollout(enabled=False)
    codes = [(await refused(fixture, "rubbish")).code]
    await fixture.change_rollout(enabled=True, percent=0)
    codes.append((await refused(fixture, "rubbish")).code)
    codes.append((await refused(fixture, token("bob", plan="free"))).code)
    codes.append((await refused(fixture, token("cat"))).code)
    await fixture.change_rollout(percent=100)
    fixture.plans.is_down = True
    codes.append((await refused(fixture, token("dan"))).code)

    assert codes == ["feature_disabled", "token_invalid", "plan_required", "not_in_rollout", "plan_unverified"]


async def test_authenticate_counts_as_an_attempt(autojump_clock: MockClock, fixture: AdmissionFixture) -> None:
    for _ in range(20):
        assert isinstance(await fixture.admission.authenticate(token(), HOME), User)

    assert summary(await refused(fixture, token())) == (
        ("rate_limited", 1008, "Rate limit exceeded (20 attempts/minute max)", 429, 60)
    )


async def test_failed_tokens_count_for_the_address(autojump_clock: MockClock, fixture: AdmissionFixture) -> None:
    for number in range(30):
        await refused(fixture, f"guess-{number}")

    assert (await refused(fixture, "guess-30")).code == "rate_limited"
    assert isinstance(await fixture.admission.authenticate(token(), HOME), User)


async def test_nobody_gets_a_secret_for_a_secret(autojump_clock: MockClock, fixture: AdmissionFixture) -> None:
    assert (await refused(fixture, secret_for(User("ann", plan="elite")))).code == "token_invalid"


async def test_a_secret_opens_sessions_with_what_it_presets_and_nobody_asks_for_the_plan(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    fixture.plans.is_down = True
    user = User("ann", email="ann@example.com", plan="elite", voice="cedar", voice_speed=1.2)
    shown = secret_for(user, {"type": "realtime", "output_modalities": ["text"]})

    for _ in range(2):
        grant = await fixture.admit(shown, client_secrets=True)
        assert isinstance(grant, SessionGrant)
        assert (grant.user, grant.plan) == (user, "elite")
        assert grant.preset == {"type": "realtime", "output_modalities": ["text"]}

    assert (await fixture.refusal(shown, client_secrets=True)).code == "too_many_sessions"
    assert fixture.plans.requests == []


async def test_a_users_token_is_taken_there_too_and_presets_nothing(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    grant = await fixture.admit(token(), client_secrets=True)
    assert isinstance(grant, SessionGrant)
    assert grant.preset is None
    assert fixture.plans.requests == ["ann"]


async def test_elsewhere_a_secret_is_a_bad_token(autojump_clock: MockClock, fixture: AdmissionFixture) -> None:
    shown = secret_for(User("ann", plan="elite"))
    for worthless in (shown, shown.removeprefix("ek_")):
        refusal = await fixture.refusal(worthless)
        assert summary(refusal) == ("token_invalid", 1008, "Token missing or invalid", 401, None)


@pytest.mark.parametrize("shown", ["ek_", "ek_rubbish", "ek_" + token(), secret_for(User("ann", plan="elite"))[:-2]])
async def test_a_bad_secret_is_a_failed_token(autojump_clock: MockClock, fixture: AdmissionFixture, shown: str) -> None:
    for _ in range(30):
        assert (await fixture.refusal(shown, client_secrets=True)).code == "token_invalid"
    assert (await fixture.refusal(shown, client_secrets=True)).code == "rate_limited"
    assert isinstance(await fixture.admit(token(), client_secrets=True), SessionGrant)


async def test_flag_plan_and_rollout_as_they_are_now_hold_for_secrets_made_before(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    shown = secret_for(User("ann", plan="elite"))
    codes = []
    for change in ({"enabled": False}, {"plans": ("intelia",)}, {"percent": 0}):
        before = await fixture.state.rollout()
        await fixture.change_rollout(**change)
        codes.append((await fixture.refusal(shown, client_secrets=True)).code)
        await fixture.change_rollout(enabled=before.enabled, plans=before.plans, percent=before.percent)
        await trio.sleep(60.0)

    assert codes == ["feature_disabled", "plan_required", "not_in_rollout"]


async def test_an_administrators_secret_passes_where_they_pass(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(VOICE_ROLLOUT_PERCENT="0", MAX_SESSIONS_PER_USER_PER_HOUR="1")
    shown = secret_for(User("root", is_admin=True))

    assert isinstance(await fixture.admit(shown, client_secrets=True), SessionGrant)
    assert (await fixture.refusal(shown, client_secrets=True)).code == "rate_limited"
