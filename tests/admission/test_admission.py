"""The door: each refusal in its words, the order of the checks, and what is given back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt
import msgspec
import pytest
import trio

from voice_trio.admission.admission import Admission
from voice_trio.admission.capacity import Capacity
from voice_trio.admission.grant import SessionGrant
from voice_trio.admission.refusals import Refusal
from voice_trio.auth.plans import ClaimedPlans, Entitlement
from voice_trio.auth.tokens import TokenVerifier, User
from voice_trio.errors import PlanUnverified, StateUnavailable, TokenUncheckable
from voice_trio.settings import load_settings
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.rollout import Rollout, first_rollout
from voice_trio.state.state import Granted, Quotas, Refused

if TYPE_CHECKING:
    from trio.testing import MockClock

SECRET = "a-secret-of-more-than-thirty-two-bytes"
HOME = "203.0.113.5"


class Door:
    """An admission with everything around it in memory, and verbs for what may go wrong."""

    def __init__(self, **environ: str) -> None:
        settings = load_settings({"ENABLE_VOICE_REALTIME": "true", "JWT_SECRET": SECRET} | environ)
        self.state = FragileState(Quotas.of(settings.limits), first_rollout(settings.access))
        self.capacity = Capacity(settings.limits.concurrent)
        self.plans = Plans()
        self.verifier = Verifier(settings.tokens)
        self.admission = Admission(
            settings=settings, verifier=self.verifier, plans=self.plans, state=self.state, capacity=self.capacity
        )

    async def knock(self, token: str | None = None, address: str = HOME, **kwargs: Any) -> SessionGrant | Refusal:
        return await self.admission.admit(token, address, **kwargs)

    async def refusal(self, token: str | None = None, address: str = HOME, **kwargs: Any) -> Refusal:
        outcome = await self.knock(token, address, **kwargs)
        assert isinstance(outcome, Refusal)
        return outcome

    async def admitted(self, token: str, address: str = HOME) -> SessionGrant:
        outcome = await self.knock(token, address)
        assert isinstance(outcome, SessionGrant), outcome
        return outcome

    async def change_rollout(self, **changes: Any) -> None:
        now = await self.state.rollout()
        assert await self.state.replace_rollout(msgspec.structs.replace(now, **changes))


class FragileState(MemoryState):
    is_away = False

    async def admit(self, user_id: str, session_id: str) -> Granted | Refused:
        if self.is_away:
            raise StateUnavailable("away")
        return await super().admit(user_id, session_id)

    async def end(self, user_id: str, session_id: str) -> None:
        if self.is_away:
            raise StateUnavailable("away")
        await super().end(user_id, session_id)


@dataclass
class Plans(ClaimedPlans):
    asked: list[str] = field(default_factory=list)
    is_down: bool = False
    answers_after: float = 0.0
    answer: Entitlement | None = None

    async def entitlement(self, user: User, token: str) -> Entitlement:
        self.asked.append(user.id)
        await trio.sleep(self.answers_after)
        if self.is_down:
            raise PlanUnverified("down")
        return self.answer or await super().entitlement(user, token)


class Verifier(TokenVerifier):
    looked_at = 0
    is_down = False

    async def verify(self, token: str) -> User:
        self.looked_at += 1
        if self.is_down:
            raise TokenUncheckable("down")
        return await super().verify(token)


def token(user: str = "ann", *, plan: str = "elite", **claims: Any) -> str:
    stated = {"user_id": user, "plan": plan, "exp": int(time.time()) + 3600} | claims
    return jwt.encode(stated, SECRET, algorithm="HS256")


def told(refusal: Refusal) -> tuple[str, int, str, int, int | None]:
    return refusal.code, refusal.close_code, refusal.reason, refusal.http_status, refusal.retry_after


@pytest.fixture
def door() -> Door:
    return Door()


async def test_who_may_come_in_gets_a_session_of_their_own(autojump_clock: MockClock, door: Door) -> None:
    one, other = await door.admitted(token()), await door.admitted(token())

    assert (one.user.id, one.plan) == ("ann", "elite")
    assert one.session_id != other.session_id
    assert len(one.session_id) <= 32
    assert door.capacity.taken == 2


async def test_switched_off_nobody_gets_in(autojump_clock: MockClock) -> None:
    door = Door(ENABLE_VOICE_REALTIME="false")

    assert told(await door.refusal(token(is_admin=True))) == (
        ("feature_disabled", 1008, "Voice realtime feature disabled", 403, None)
    )
    assert door.verifier.looked_at == 0


async def test_the_live_document_switches_off_too_and_says_why(autojump_clock: MockClock, door: Door) -> None:
    await door.change_rollout(enabled=False, message="Back at noon.")

    refusal = await door.refusal(token(is_admin=True))

    assert told(refusal) == ("feature_disabled", 1008, "Voice realtime feature disabled", 403, None)
    assert refusal.message == "Back at noon."


@pytest.mark.parametrize("bad", [None, "", "rubbish", token(exp=1), token() + "x"])
async def test_without_a_good_token_nobody_gets_in(autojump_clock: MockClock, door: Door, bad: str | None) -> None:
    refusal = await door.refusal(bad)

    assert told(refusal) == ("token_invalid", 1008, "Token missing or invalid", 401, None)
    assert not bad or bad not in refusal.message


async def test_a_key_server_that_is_down_is_not_the_callers_fault(autojump_clock: MockClock, door: Door) -> None:
    door.verifier.is_down = True
    for number in range(30):
        refusal = await door.refusal(token(str(number)), late_address(number))
        assert (refusal.code, refusal.http_status, refusal.retry_after) == ("token_invalid", 503, 6)
    for _ in range(12):
        await door.refusal(token())
    door.verifier.is_down = False

    await door.admitted(token())


def late_address(number: int) -> str:
    return f"198.51.100.{number}"


async def test_another_plan_is_told_which_plans_there_are(autojump_clock: MockClock, door: Door) -> None:
    refusal = await door.refusal(token(plan="free"))

    assert told(refusal) == ("plan_required", 4003, "Voice is reserved for plans elite, intelia", 403, None)


async def test_the_reason_fits_a_close_frame_however_many_plans_there_are(autojump_clock: MockClock) -> None:
    door = Door(VOICE_ALLOWED_PLANS=",".join(f"größe-{number}" for number in range(50)))

    refusal = await door.refusal(token(plan="free"))

    assert len(refusal.reason.encode()) <= 123
    assert refusal.reason.startswith("Voice is reserved for plans größe-0, größe-1")
    assert "größe-49" in refusal.message


async def test_plans_are_compared_in_any_case(autojump_clock: MockClock, door: Door) -> None:
    await door.admitted(token(plan="INTELIA"))


async def test_a_plan_service_that_fails_or_hangs_is_told_as_such(autojump_clock: MockClock, door: Door) -> None:
    expected = ("plan_unverified", 1011, "Plan verification failed", 503, None)

    door.plans.is_down = True
    assert told(await door.refusal(token())) == expected
    door.plans.is_down, door.plans.answers_after = False, 60.0
    assert told(await door.refusal(token())) == expected
    assert trio.current_time() == 5.0


async def test_the_plan_service_may_choose_the_voice(autojump_clock: MockClock, door: Door) -> None:
    door.plans.answer = Entitlement("Elite", "cedar", 1.2)

    user = (await door.admitted(token(plan="free"))).user

    assert (user.plan, user.voice, user.voice_speed) == ("Elite", "cedar", 1.2)


async def test_outside_the_rollout_only_beta_users_get_in(autojump_clock: MockClock) -> None:
    door = Door(VOICE_ROLLOUT_PERCENT="0", VOICE_BETA_USERS="ann,bob@example.com")

    refusal = await door.refusal(token("cat"))
    assert told(refusal) == ("not_in_rollout", 1008, "Feature not available for your account", 403, None)
    await door.admitted(token("ann"))
    await door.admitted(token("x", email="Bob@Example.com"))


async def test_the_documents_message_is_told_to_those_it_keeps_out(autojump_clock: MockClock, door: Door) -> None:
    await door.change_rollout(percent=0, message="From May on.")

    assert (await door.refusal(token())).message == "From May on."


async def test_an_administrator_passes_plan_and_rollout_but_not_the_limits(autojump_clock: MockClock) -> None:
    door = Door(VOICE_ROLLOUT_PERCENT="0", MAX_SESSIONS_PER_USER_PER_HOUR="1")
    door.plans.is_down = True

    await (await door.admitted(token(plan="free", is_admin=True))).end()
    assert (await door.refusal(token(plan="free", is_admin=True))).code == "rate_limited"
    assert door.plans.asked == []


async def test_the_sixth_session_within_the_hour_waits_for_the_first_slot(
    autojump_clock: MockClock, door: Door
) -> None:
    for _ in range(5):
        await (await door.admitted(token())).end()
        await trio.sleep(60.0)

    assert told(await door.refusal(token())) == (
        ("rate_limited", 1008, "Rate limit exceeded (5 sessions/hour max)", 429, 3300)
    )
    await trio.sleep(3299.5)
    assert (await door.refusal(token())).retry_after == 1
    await trio.sleep(0.5)
    await door.admitted(token())


async def test_the_configured_number_stands_in_the_reason(autojump_clock: MockClock) -> None:
    door = Door(MAX_SESSIONS_PER_USER_PER_HOUR="1")
    await door.admitted(token())

    assert (await door.refusal(token())).reason == "Rate limit exceeded (1 sessions/hour max)"


async def test_a_third_session_at_a_time_is_refused_and_costs_no_slot(autojump_clock: MockClock, door: Door) -> None:
    first = await door.admitted(token())
    await door.admitted(token())

    for _ in range(10):
        assert told(await door.refusal(token()))[:4] == (
            ("too_many_sessions", 1008, "Too many concurrent sessions", 429)
        )
    for _ in range(3):
        await first.end()
        first = await door.admitted(token())


async def test_a_full_process_refuses_and_gives_the_slot_back(autojump_clock: MockClock) -> None:
    door = Door(MAX_CONCURRENT_SESSIONS="1", MAX_SESSIONS_PER_USER_PER_HOUR="1")
    other = await door.admitted(token("bob"))

    assert told(await door.refusal(token("ann"))) == ("at_capacity", 1013, "At capacity", 503, None)
    await other.end()
    await door.admitted(token("ann"))


async def test_a_draining_process_sends_callers_elsewhere_and_gives_the_slot_back(autojump_clock: MockClock) -> None:
    door = Door(MAX_SESSIONS_PER_USER_PER_HOUR="1")
    door.capacity.drain()

    for _ in range(2):
        assert told(await door.refusal(token())) == ("draining", 1012, "Server restarting, resume", 503, None)


async def test_i12_a_session_that_never_became_ready_gives_everything_back(
    autojump_clock: MockClock, door: Door
) -> None:
    for _ in range(15):
        session = await door.admitted(token())
        await session.release_unused()
        await session.end()

    assert door.capacity.taken == 0
    for _ in range(5):
        await (await door.admitted(token())).end()
    assert (await door.refusal(token())).code == "rate_limited"


async def test_giving_back_twice_gives_back_once(autojump_clock: MockClock, door: Door) -> None:
    session = await door.admitted(token())
    await door.admitted(token("bob"))
    for _ in range(3):
        await session.end()
        await session.release_unused()

    assert door.capacity.taken == 1


async def test_a_lease_is_kept_while_the_session_runs_and_lapses_when_it_was_killed(
    autojump_clock: MockClock, door: Door
) -> None:
    one, two = await door.admitted(token()), await door.admitted(token())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.keep_lease)
        nursery.start_soon(two.keep_lease)
        await trio.sleep(500.0)
        assert (await door.refusal(token())).code == "too_many_sessions"
        nursery.cancel_scope.cancel()
    await trio.sleep(30.0)

    await door.admitted(token())


async def test_limits_that_cannot_be_looked_at_refuse_and_a_session_ends_all_the_same(
    autojump_clock: MockClock, door: Door
) -> None:
    session = await door.admitted(token())
    door.state.is_away = True

    assert (await door.refusal(token("bob"))).code == "at_capacity"
    await session.end()
    assert door.capacity.taken == 0


Fix = Callable[[Door], None]


async def test_when_everything_is_wrong_the_first_check_is_the_one_that_speaks(autojump_clock: MockClock) -> None:
    door = Door(
        VOICE_ROLLOUT_PERCENT="0",
        MAX_SESSIONS_PER_USER_PER_HOUR="1",
        MAX_CONCURRENT_SESSIONS_PER_USER="1",
        MAX_CONCURRENT_SESSIONS="1",
    )
    open_session = await door.admitted(token(is_admin=True))
    await door.change_rollout(enabled=False)
    heard = [(await door.refusal("rubbish")).code]
    await door.change_rollout(enabled=True)
    heard.append((await door.refusal("rubbish")).code)
    heard.append((await door.refusal(token(plan="free"))).code)
    heard.append((await door.refusal(token())).code)
    await door.change_rollout(percent=100)
    heard.append((await door.refusal(token())).code)
    await door.state.reset("ann")
    heard.append((await door.refusal(token())).code)
    await door.state.end("ann", open_session.session_id)
    door.capacity.drain()
    heard.append((await door.refusal(token())).code)

    assert heard == [
        *("feature_disabled", "token_invalid", "plan_required", "not_in_rollout", "rate_limited"),
        *("too_many_sessions", "draining"),
    ]


async def test_the_plan_is_unverified_only_once_the_token_is_good_and_before_the_rollout(
    autojump_clock: MockClock,
) -> None:
    door = Door(VOICE_ROLLOUT_PERCENT="0")
    door.plans.is_down = True

    assert (await door.refusal("rubbish")).code == "token_invalid"
    assert door.plans.asked == []
    assert (await door.refusal(token())).code == "plan_unverified"


async def test_a_user_may_try_twenty_times_a_minute(autojump_clock: MockClock, door: Door) -> None:
    for _ in range(20):
        await (await door.admitted(token())).release_unused()
        await trio.sleep(1.0)

    refusal = await door.refusal(token())
    assert told(refusal) == ("rate_limited", 1008, "Rate limit exceeded (20 attempts/minute max)", 429, 40)
    await trio.sleep(40.0)
    await door.admitted(token())


async def test_failed_tokens_of_one_address_end_at_the_handshake_and_leave_others_alone(
    autojump_clock: MockClock, door: Door
) -> None:
    for number in range(10):
        assert (await door.refusal(f"guess-{number}")).code == "token_invalid"
    looked_at = door.verifier.looked_at

    refusal = await door.refusal(token())
    assert (refusal.code, refusal.at_handshake, refusal.handshake_status) == ("rate_limited", True, 429)
    assert door.verifier.looked_at == looked_at
    await door.admitted(token(), address="203.0.113.6")
    await trio.sleep(60.0)
    await door.admitted(token())


@pytest.mark.parametrize("same", ["token", "user", "address"])
async def test_from_the_third_refusal_on_it_comes_at_the_handshake(
    autojump_clock: MockClock, door: Door, same: str
) -> None:
    def knock_number(number: int) -> tuple[str, str]:
        user = "ann" if same == "user" else f"user-{number}"
        shown = "one-token" if same == "token" else token(user, plan="free", n=number)
        return shown, HOME if same == "address" else late_address(number)

    refused = [await door.refusal(*knock_number(number)) for number in range(4)]

    assert [refusal.at_handshake for refusal in refused] == [False, False, True, True]
    assert {refusal.handshake_status for refusal in refused} == {403}
    assert refused[2].retry_after == 60


async def test_a_minute_later_a_refusal_is_told_as_a_close_again(autojump_clock: MockClock, door: Door) -> None:
    for _ in range(3):
        await door.refusal(token(plan="free"))
    await trio.sleep(60.0)

    assert not (await door.refusal(token(plan="free"))).at_handshake


async def test_a_limit_refused_over_and_over_keeps_its_own_time(autojump_clock: MockClock) -> None:
    door = Door(MAX_SESSIONS_PER_USER_PER_HOUR="1")
    await (await door.admitted(token())).end()
    refused = [await door.refusal(token()) for _ in range(3)]

    assert (refused[2].at_handshake, refused[2].handshake_status, refused[2].retry_after) == (True, 429, 3600)


async def test_refusals_before_it_do_not_keep_a_good_token_out(autojump_clock: MockClock, door: Door) -> None:
    for number in range(5):
        await door.refusal(f"guess-{number}")

    await door.admitted(token())


async def test_before_a_token_is_shown_nothing_is_refused_that_might_be_good(
    autojump_clock: MockClock, door: Door
) -> None:
    for _ in range(3):
        await door.refusal("rubbish")

    assert await door.admission.refuse_before_token(HOME) is None


async def test_callers_who_show_their_token_late_are_stopped_at_the_handshake_for_a_minute(
    autojump_clock: MockClock, door: Door
) -> None:
    for _ in range(2):
        assert await door.admission.refuse_before_token(HOME) is None
        await door.refusal(None, is_late=True)
        await trio.sleep(1.0)

    refusal = await door.admission.refuse_before_token(HOME)
    assert refusal is not None
    assert (refusal.at_handshake, refusal.handshake_status, refusal.retry_after) == (True, 429, 58)
    assert await door.admission.refuse_before_token("203.0.113.6") is None
    await door.admitted(token())
    await trio.sleep(58.0)
    assert await door.admission.refuse_before_token(HOME) is None


async def test_switched_off_a_caller_without_token_hears_so_at_once_and_then_at_the_handshake(
    autojump_clock: MockClock,
) -> None:
    door = Door(ENABLE_VOICE_REALTIME="false")

    heard = [await door.admission.refuse_before_token(HOME) for _ in range(3)]

    assert [refusal.code for refusal in heard if refusal] == ["feature_disabled"] * 3
    assert [refusal.at_handshake for refusal in heard if refusal] == [False, False, True]


async def test_a_caller_who_leaves_during_the_checks_leaves_nothing_taken(
    autojump_clock: MockClock, door: Door
) -> None:
    door.plans.answers_after = 2.0
    for _ in range(10):
        with trio.move_on_after(1.0):
            await door.knock(token())
    door.plans.answers_after = 0.0

    assert door.capacity.taken == 0
    for _ in range(5):
        await (await door.admitted(token())).end()


async def test_many_callers_at_once_get_exactly_what_there_is(autojump_clock: MockClock) -> None:
    door = Door(MAX_CONCURRENT_SESSIONS="7", MAX_CONCURRENT_SESSIONS_PER_USER="1")
    outcomes: list[SessionGrant | Refusal] = []

    async def knock(user: str) -> None:
        outcomes.append(await door.knock(token(user), address=f"address of {user}"))

    async with trio.open_nursery() as nursery:
        for number in range(40):
            nursery.start_soon(knock, f"user-{number % 20}")

    inside = [outcome.user.id for outcome in outcomes if isinstance(outcome, SessionGrant)]
    assert len(inside) == len(set(inside)) == door.capacity.taken == 7


def test_the_rollout_seeded_by_the_settings_is_the_one_in_force() -> None:
    assert isinstance(first_rollout(load_settings({}).access), Rollout)


@dataclass
class Till:
    is_exhausted: bool = False
    seconds_to_midnight: float = 3600.4


async def test_once_the_days_budget_is_spent_nobody_gets_in_and_nothing_is_taken(autojump_clock: MockClock) -> None:
    door, till = Door(), Till()
    door.admission._till = till
    await door.admitted(token())
    till.is_exhausted = True

    assert told(await door.refusal(token())) == ("budget_exhausted", 4002, "Budget exhausted", 429, 3601)
    assert door.capacity.taken == 1
    assert (await door.refusal(token(plan="free"))).code == "plan_required"
