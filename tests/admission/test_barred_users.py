"""A barred user is refused whatever they present (F18): bars come before plans, percentages and privileges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.admission_fixture import HOME, SECRET, AdmissionFixture, token
from voice_trio.admission.refusals import Refusal
from voice_trio.auth.signed_tokens import ClientSecrets, ResumeTokens
from voice_trio.auth.tokens import User, user_hash
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from trio.testing import MockClock

SIGNING_SECRET = load_settings({"JWT_SECRET": SECRET}).signing_secret
ANN = user_hash("ann", SIGNING_SECRET)


async def barring_ann() -> AdmissionFixture:
    fixture = AdmissionFixture(VOICE_BETA_USERS="ann")
    await fixture.change_rollout(barred=(ANN,), message="not for you")
    return fixture


@pytest.mark.parametrize("claims", [{}, {"is_admin": True}, {"email": "ann@example.com"}, {"plan": "free"}])
async def test_a_barred_user_is_refused_with_any_token_F18(autojump_clock: MockClock, claims: dict[str, Any]) -> None:
    fixture = await barring_ann()
    refusal = await fixture.refusal(token(**claims))
    assert (refusal.code, refusal.close_code) == ("not_in_rollout", 1008)
    assert refusal.reason == "Feature not available for your account"
    assert refusal.message == "not for you"
    assert refusal.facts == {"cause": "barred"}
    await fixture.grant(token("bob"))


async def test_a_resume_or_a_client_secret_is_no_way_around_F18(autojump_clock: MockClock) -> None:
    fixture = await barring_ann()
    resume = ResumeTokens(SIGNING_SECRET).issue("ann", "vs_1", 600)
    secret = ClientSecrets(SIGNING_SECRET).issue(User("ann", plan="elite"), seconds=600).value
    assert (await fixture.refusal(token(), resume=resume)).code == "not_in_rollout"
    assert (await fixture.refusal(secret, client_secrets=True)).code == "not_in_rollout"
    refused = await fixture.admission.authenticate(token(), HOME)  # for a new client secret
    assert isinstance(refused, Refusal)
    assert refused.code == "not_in_rollout"


@pytest.mark.parametrize(
    "rotated",
    [
        {"JWT_SECRET": f"the next secret of more than thirty-two bytes,{SECRET}"},
        {"JWT_SECRET": SECRET, "VOICE_SIGNING_SECRET": "a signing secret that is set for the first time"},
    ],
)
async def test_a_rotation_of_the_secret_unbars_nobody_F18(autojump_clock: MockClock, rotated: dict[str, str]) -> None:
    fixture = AdmissionFixture(**rotated)
    await fixture.change_rollout(barred=(ANN,))
    assert (await fixture.refusal(token())).code == "not_in_rollout"
    await fixture.grant(token("bob"))


async def test_a_user_who_is_not_barred_any_more_is_admitted_F18(autojump_clock: MockClock) -> None:
    fixture = await barring_ann()
    await fixture.refusal(token())
    await fixture.change_rollout(barred=())
    await fixture.grant(token())
