"""Flag, token, plan and rollout: each refusal in the contract's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.admission_fixture import AdmissionFixture, address_number, summary, token
from voice_trio.auth.plans import Entitlement
from voice_trio.settings import load_settings
from voice_trio.state.rollout import Rollout, first_rollout

if TYPE_CHECKING:
    from trio.testing import MockClock


@pytest.fixture
def fixture() -> AdmissionFixture:
    return AdmissionFixture()


async def test_switched_off_nobody_gets_in(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(ENABLE_VOICE_REALTIME="false")

    assert summary(await fixture.refusal(token(is_admin=True))) == (
        ("feature_disabled", 1008, "Voice realtime feature disabled", 403, None)
    )
    assert fixture.verifier.verified == 0


async def test_the_live_document_switches_off_too_and_says_why(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    await fixture.change_rollout(enabled=False, message="Back at noon.")

    refusal = await fixture.refusal(token(is_admin=True))

    assert summary(refusal) == ("feature_disabled", 1008, "Voice realtime feature disabled", 403, None)
    assert refusal.message == "Back at noon."


@pytest.mark.parametrize("bad", [None, "", "rubbish", token(exp=1), token() + "x"])
async def test_without_a_good_token_nobody_gets_in(
    autojump_clock: MockClock, fixture: AdmissionFixture, bad: str | None
) -> None:
    refusal = await fixture.refusal(bad)

    assert summary(refusal) == ("token_invalid", 1008, "Token missing or invalid", 401, None)
    assert not bad or bad not in refusal.message


async def test_a_key_server_that_is_down_is_not_the_callers_fault(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    fixture.verifier.is_down = True
    for number in range(30):
        refusal = await fixture.refusal(token(str(number)), address_number(number))
        assert (refusal.code, refusal.http_status, refusal.retry_after) == ("token_invalid", 503, 6)
        assert refusal.handshake_status == 429
    for _ in range(12):
        await fixture.refusal(token())
    fixture.verifier.is_down = False

    await fixture.grant(token())


async def test_another_plan_is_told_which_plans_there_are(autojump_clock: MockClock, fixture: AdmissionFixture) -> None:
    refusal = await fixture.refusal(token(plan="free"))

    assert summary(refusal) == ("plan_required", 4003, "Voice is reserved for plans elite, intelia", 403, None)


async def test_the_reason_fits_a_close_frame_however_many_plans_there_are(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(VOICE_ALLOWED_PLANS=",".join(f"größe-{number}" for number in range(50)))

    refusal = await fixture.refusal(token(plan="free"))

    assert len(refusal.reason.encode()) <= 123
    assert refusal.reason.startswith("Voice is reserved for plans größe-0, größe-1")
    assert "größe-49" in refusal.message


async def test_plans_are_compared_in_any_case(autojump_clock: MockClock, fixture: AdmissionFixture) -> None:
    await fixture.grant(token(plan="INTELIA"))


async def test_a_plan_service_that_fails_or_hangs_is_told_as_such(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    expected = ("plan_unverified", 1011, "Plan verification failed", 503, None)

    fixture.plans.is_down = True
    assert summary(await fixture.refusal(token())) == expected
    fixture.plans.is_down, fixture.plans.seconds = False, 60.0
    assert summary(await fixture.refusal(token())) == expected
    assert trio.current_time() == 5.0


async def test_the_plan_service_may_choose_the_voice(autojump_clock: MockClock, fixture: AdmissionFixture) -> None:
    fixture.plans.result = Entitlement("Elite", "cedar", 1.2)

    user = (await fixture.grant(token(plan="free"))).user

    assert (user.plan, user.voice, user.voice_speed) == ("Elite", "cedar", 1.2)


async def test_outside_the_rollout_only_beta_users_get_in(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(VOICE_ROLLOUT_PERCENT="0", VOICE_BETA_USERS="ann,bob@example.com")

    refusal = await fixture.refusal(token("cat"))
    assert summary(refusal) == ("not_in_rollout", 1008, "Feature not available for your account", 403, None)
    await fixture.grant(token("ann"))
    await fixture.grant(token("x", email="Bob@Example.com"))


async def test_the_documents_message_is_told_to_those_it_keeps_out(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    await fixture.change_rollout(percent=0, message="From May on.")

    assert (await fixture.refusal(token())).message == "From May on."


async def test_an_administrator_passes_plan_and_rollout_but_not_the_limits(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(VOICE_ROLLOUT_PERCENT="0", MAX_SESSIONS_PER_USER_PER_HOUR="1")
    fixture.plans.is_down = True

    await (await fixture.grant(token(plan="free", is_admin=True))).end()
    assert (await fixture.refusal(token(plan="free", is_admin=True))).code == "rate_limited"
    assert fixture.plans.requests == []


async def test_the_plan_is_unverified_only_once_the_token_is_good_and_before_the_rollout(
    autojump_clock: MockClock,
) -> None:
    fixture = AdmissionFixture(VOICE_ROLLOUT_PERCENT="0")
    fixture.plans.is_down = True

    assert (await fixture.refusal("rubbish")).code == "token_invalid"
    assert fixture.plans.requests == []
    assert (await fixture.refusal(token())).code == "plan_unverified"


def test_the_rollout_seeded_by_the_settings_is_the_one_in_force() -> None:
    assert isinstance(first_rollout(load_settings({}).access), Rollout)
