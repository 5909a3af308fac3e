"""The door and client secrets: who gets one, who gets in with one, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.admission.test_admission import HOME, SECRET, Door, token, told
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


async def refused(door: Door, shown: str) -> Refusal:
    outcome = await door.admission.vouch(shown, HOME)
    assert isinstance(outcome, Refusal)
    return outcome


@pytest.fixture
def door() -> Door:
    return Door()


async def test_vouching_says_who_it_is_with_what_they_are_entitled_to_and_takes_nothing(
    autojump_clock: MockClock,
) -> None:
    door = Door(MAX_SESSIONS_PER_USER_PER_HOUR="1", MAX_CONCURRENT_SESSIONS_PER_USER="1")
    door.plans.answer = Entitlement("Elite", "cedar", 1.2)

    for _ in range(5):
        user = await door.admission.vouch(token(plan="free", email="ann@example.com"), HOME)
        assert user == User("ann", email="ann@example.com", plan="Elite", voice="cedar", voice_speed=1.2)

    assert door.capacity.taken == 0
    await door.admitted(token())


async def test_vouching_looks_at_flag_token_plan_and_rollout(autojump_clock: MockClock, door: Door) -> None:
    await door.change_rollout(enabled=False)
    heard = [(await refused(door, "rubbish")).code]
    await door.change_rollout(enabled=True, percent=0)
    heard.append((await refused(door, "rubbish")).code)
    heard.append((await refused(door, token("bob", plan="free"))).code)
    heard.append((await refused(door, token("cat"))).code)
    await door.change_rollout(percent=100)
    door.plans.is_down = True
    heard.append((await refused(door, token("dan"))).code)

    assert heard == ["feature_disabled", "token_invalid", "plan_required", "not_in_rollout", "plan_unverified"]


async def test_vouching_counts_as_an_attempt(autojump_clock: MockClock, door: Door) -> None:
    for _ in range(20):
        assert isinstance(await door.admission.vouch(token(), HOME), User)

    assert told(await refused(door, token())) == (
        ("rate_limited", 1008, "Rate limit exceeded (20 attempts/minute max)", 429, 60)
    )


async def test_failed_tokens_count_for_the_address(autojump_clock: MockClock, door: Door) -> None:
    for number in range(10):
        await refused(door, f"guess-{number}")

    assert (await refused(door, token())).code == "rate_limited"


async def test_nobody_gets_a_secret_for_a_secret(autojump_clock: MockClock, door: Door) -> None:
    assert (await refused(door, secret_for(User("ann", plan="elite")))).code == "token_invalid"


async def test_a_secret_opens_sessions_with_what_it_presets_and_nobody_asks_for_the_plan(
    autojump_clock: MockClock, door: Door
) -> None:
    door.plans.is_down = True
    user = User("ann", email="ann@example.com", plan="elite", voice="cedar", voice_speed=1.2)
    shown = secret_for(user, {"type": "realtime", "output_modalities": ["text"]})

    for _ in range(2):
        admitted = await door.knock(shown, client_secrets=True)
        assert isinstance(admitted, SessionGrant)
        assert (admitted.user, admitted.plan) == (user, "elite")
        assert admitted.preset == {"type": "realtime", "output_modalities": ["text"]}

    assert (await door.refusal(shown, client_secrets=True)).code == "too_many_sessions"
    assert door.plans.asked == []


async def test_a_users_token_is_taken_there_too_and_presets_nothing(autojump_clock: MockClock, door: Door) -> None:
    admitted = await door.knock(token(), client_secrets=True)
    assert isinstance(admitted, SessionGrant)
    assert admitted.preset is None
    assert door.plans.asked == ["ann"]


async def test_elsewhere_a_secret_is_a_bad_token(autojump_clock: MockClock, door: Door) -> None:
    shown = secret_for(User("ann", plan="elite"))
    for worthless in (shown, shown.removeprefix("ek_")):
        refusal = await door.refusal(worthless)
        assert told(refusal) == ("token_invalid", 1008, "Token missing or invalid", 401, None)


@pytest.mark.parametrize("shown", ["ek_", "ek_rubbish", "ek_" + token(), secret_for(User("ann", plan="elite"))[:-2]])
async def test_a_bad_secret_is_a_failed_token(autojump_clock: MockClock, door: Door, shown: str) -> None:
    for _ in range(10):
        assert (await door.refusal(shown, client_secrets=True)).code == "token_invalid"
    assert (await door.refusal(token(), client_secrets=True)).code == "rate_limited"


async def test_flag_plan_and_rollout_as_they_are_now_hold_for_secrets_made_before(
    autojump_clock: MockClock, door: Door
) -> None:
    shown = secret_for(User("ann", plan="elite"))
    heard = []
    for change in ({"enabled": False}, {"plans": ("intelia",)}, {"percent": 0}):
        before = await door.state.rollout()
        await door.change_rollout(**change)
        heard.append((await door.refusal(shown, client_secrets=True)).code)
        await door.change_rollout(enabled=before.enabled, plans=before.plans, percent=before.percent)
        await trio.sleep(60.0)

    assert heard == ["feature_disabled", "plan_required", "not_in_rollout"]


async def test_an_administrators_secret_passes_where_they_pass(autojump_clock: MockClock) -> None:
    door = Door(VOICE_ROLLOUT_PERCENT="0", MAX_SESSIONS_PER_USER_PER_HOUR="1")
    shown = secret_for(User("root", is_admin=True))

    assert isinstance(await door.knock(shown, client_secrets=True), SessionGrant)
    assert (await door.refusal(shown, client_secrets=True)).code == "rate_limited"
