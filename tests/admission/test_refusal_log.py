"""A refusal is one line that says what happened to whom; a flood of them is few lines (F20)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import structlog.testing
import trio

from tests.support.admission_fixture import HOME, SECRET, AdmissionFixture, address_number, token
from voice_trio import limits
from voice_trio.admission import refusals
from voice_trio.admission.refusal_log import RefusalLog, plan_label
from voice_trio.auth.signed_tokens import ResumeTokens
from voice_trio.auth.tokens import User
from voice_trio.errors import StateUnavailable
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping

    from trio.testing import MockClock

    from voice_trio.admission.refusals import Refusal

ANN = User("ann", plan="free")


@pytest.fixture
def lines() -> Iterator[list[MutableMapping[str, Any]]]:
    with structlog.testing.capture_logs() as logs:
        yield logs


def write(log: RefusalLog, refusal: Refusal, user: str | None = "hash-of-ann", address: str = HOME) -> None:
    log.write(refusal, user=user, address=address, request="voice", at_handshake=False)


async def test_a_line_says_who_was_refused_why_and_from_where_F20(
    autojump_clock: MockClock, lines: list[dict[str, Any]]
) -> None:
    refusal = await AdmissionFixture(VOICE_ALLOWED_PLANS="elite").refusal(token(plan="free"))
    write(RefusalLog(), replace(refusal, session_id="vs_1"))

    assert lines == [
        {
            "event": "refused",
            "log_level": "info",
            "code": "plan_required",
            "detail": "Voice is reserved for plans elite.",
            "request": "voice",
            "user": "hash-of-ann",
            "plan": "free",
            "client": "203.0.113.0",
            "at_handshake": False,
            "repeated": False,
            "retry_after": None,
            "resume_of": "vs_1",
            "left_out": 0,
        }
    ]


async def test_a_user_outside_the_rollout_is_shown_with_their_position_F20(
    autojump_clock: MockClock, lines: list[dict[str, Any]]
) -> None:
    fixture = AdmissionFixture(VOICE_ROLLOUT_PERCENT="2.5")
    write(RefusalLog(), await fixture.refusal(token("bob")))

    assert lines[0]["percent"] == 2.5
    assert 2.5 < lines[0]["position"] < 100


async def test_a_refusal_for_capacity_says_what_was_missing_F20(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(MAX_CONCURRENT_SESSIONS="1")
    await fixture.grant(token())
    assert (await fixture.refusal(token("bob"))).facts == {"cause": "full"}
    fixture.state.is_unavailable = True
    assert (await fixture.refusal(token("bob"))).facts == {"cause": "state_unavailable"}
    with pytest.raises(StateUnavailable):
        await fixture.state.admit("bob", "x")


async def test_a_rate_limit_and_a_failed_resume_say_which_one_F20(autojump_clock: MockClock) -> None:
    fixture = AdmissionFixture(MAX_SESSIONS_PER_USER_PER_HOUR="1")
    resume = ResumeTokens(load_settings({"JWT_SECRET": SECRET}).signing_secret)
    await (await fixture.grant(token())).end()
    refused = [
        await fixture.refusal(token()),
        await fixture.refusal(token(), resume=resume.issue("bob", "vs_1", 600)),
        await fixture.refusal(token(), resume=f" {resume.issue('ann', 'vs_1', 600)}\n"),
    ]
    refused += [await fixture.refusal("guess") for _ in range(31)][-1:]
    refused += [await fixture.refusal(token()) for _ in range(20)][-1:]
    causes = ["sessions", "token", "no_record", "failed_tokens", "attempts"]
    assert [refusal.facts["cause"] for refusal in refused] == causes


async def test_a_client_that_loops_writes_five_lines_a_minute_and_the_next_counts_the_rest_F20(
    autojump_clock: MockClock, lines: list[dict[str, Any]]
) -> None:
    log, refusal = RefusalLog(), replace(refusals.plan_required(("elite",)), user=ANN)
    for _ in range(1000):
        write(log, refusal)
    write(log, refusals.rate_limited(5, 10.0))
    write(log, refusal, "hash-of-bob")
    assert [line["code"] for line in lines] == ["plan_required"] * 5 + ["rate_limited", "plan_required"]

    await trio.sleep(limits.MINUTE_SECONDS)
    write(log, refusal)
    assert lines[-1]["left_out"] == 995
    write(log, refusal)
    assert lines[-1]["left_out"] == 0


async def test_guesses_from_any_number_of_addresses_are_120_lines_a_minute_and_hide_no_user_F20(
    autojump_clock: MockClock, lines: list[dict[str, Any]]
) -> None:
    log, refusal = RefusalLog(), refusals.token_invalid("it is wrong")
    for number in range(200):
        write(log, replace(refusals.not_in_rollout(), user=ANN), f"hash-{number}")
    assert len(lines) == 200
    for number in range(20_000):
        write(log, refusal, None, f"2001:db8:{number:x}::/64")
    assert len(lines) == 200 + 120
    write(log, replace(refusals.not_in_rollout(), user=ANN), address=address_number(1))
    assert lines[-1]["user"] == "hash-of-ann"
    assert len(log._left_out) == limits.RECENT_KEYS_MAX
    await trio.sleep(limits.MINUTE_SECONDS)
    write(log, refusal, None, f"2001:db8:{19_999:x}::/64")
    assert lines[-1]["left_out"] == 1


def test_a_plan_is_one_of_few_labels_F20() -> None:
    allowed = ("Elite", "intelia", *(f"plan-{number}" for number in range(100)))
    labels = {plan_label(User("x", plan=f"plan-{number}"), allowed) for number in range(1000)}

    assert len(labels) == limits.PLANS_COUNTED_MAX - 2 + 1
    assert plan_label(User("x", plan="ELITE"), allowed) == "elite"
    assert (plan_label(User("x", plan="free"), allowed), plan_label(User("x"), allowed)) == ("other", "unknown")
    assert plan_label(None, allowed) == "unknown"
