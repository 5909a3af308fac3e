"""A granted session, and the order of the checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.admission_fixture import SECRET, AdmissionFixture, token
from voice_trio.auth.signed_tokens import ResumeTokens
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from trio.testing import MockClock


@pytest.fixture
def fixture() -> AdmissionFixture:
    return AdmissionFixture()


async def test_who_may_come_in_gets_a_session_of_their_own(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    one, other = await fixture.grant(token()), await fixture.grant(token())

    assert (one.user.id, one.plan) == ("ann", "elite")
    assert one.session_id != other.session_id
    assert len(one.session_id) <= 32
    assert fixture.capacity.taken == 2


async def test_when_everything_is_wrong_the_first_check_is_the_one_that_speaks(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(
        VOICE_ROLLOUT_PERCENT="0",
        MAX_SESSIONS_PER_USER_PER_HOUR="1",
        MAX_CONCURRENT_SESSIONS_PER_USER="1",
        MAX_CONCURRENT_SESSIONS="1",
    )
    open_session = await fixture.grant(token(is_admin=True))
    await fixture.change_rollout(enabled=False)
    codes = [(await fixture.refusal("rubbish")).code]
    await fixture.change_rollout(enabled=True)
    codes.append((await fixture.refusal("rubbish")).code)
    codes.append((await fixture.refusal(token(plan="free"))).code)
    codes.append((await fixture.refusal(token())).code)
    await fixture.change_rollout(percent=100)
    codes.append((await fixture.refusal(token())).code)
    await fixture.state.reset("ann")
    codes.append((await fixture.refusal(token())).code)
    await fixture.state.end("ann", open_session.session_id)
    fixture.capacity.drain()
    codes.append((await fixture.refusal(token())).code)

    assert codes == [
        *("feature_disabled", "token_invalid", "plan_required", "not_in_rollout", "rate_limited"),
        *("too_many_sessions", "draining"),
    ]


async def test_a_resume_needs_a_user_token_that_is_valid_now_F17(
    autojump_clock: MockClock, fixture: AdmissionFixture
) -> None:
    resume = ResumeTokens(load_settings({"JWT_SECRET": SECRET}).signing_secret).issue("ann", "vs_1", 600)

    assert (await fixture.refusal(token(exp=1), resume=resume)).code == "token_invalid"
    assert (await fixture.refusal(None, resume=resume)).code == "token_invalid"
    assert (await fixture.refusal(token(), resume=resume)).code == "resume_invalid"  # past the token: no such session
