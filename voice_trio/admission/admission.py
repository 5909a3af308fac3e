"""May this caller have a session? The checks in their order, what is taken for a session, and how it is given back.

feature flag → token → plan → rollout → budget → rate limit → concurrency → draining, capacity

The first check that fails is the one the caller hears of. Nothing is taken before everything else has passed, and what
was taken when a later check fails is given back. Knows nothing of sockets: a refusal is a value.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import trio

from voice_trio.admission import refusals
from voice_trio.admission.grant import SessionGrant
from voice_trio.admission.recent_events import RecentEvents
from voice_trio.admission.refusals import Refusal, RefusalMemory
from voice_trio.auth.signed_tokens import PREFIX, ClientSecrets, ResumeTokens
from voice_trio.errors import PlanUnverified, StateUnavailable, TokenInvalid, TokenUncheckable
from voice_trio.state.state import Granted, Limit, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from voice_trio.admission.capacity import Capacity
    from voice_trio.auth.plans import Plans
    from voice_trio.auth.tokens import TokenVerifier, User
    from voice_trio.settings import Settings
    from voice_trio.state.rollout import Rollout
    from voice_trio.state.state import State

ATTEMPTS_PER_MINUTE = 20
"""Of one user, whatever became of them."""
FAILED_TOKENS_PER_MINUTE = 10
"""From one address; beyond it not even a right token is looked at."""
MINUTE_SECONDS = 60.0
UNREACHED_MAX = 2
"""Sessions of one user in a minute for which the model could not be reached; then it is not dialled for a while."""
TOKEN_SECONDS_MAX = 6.0
"""A little more than fetching the provider's keys may take."""
PLAN_SECONDS_MAX = 5.0


SECONDS_LEFT_MIN = 1.0
"""A session with less time left is not worth going on with."""


class BudgetStatus(Protocol):
    """Whether there is money for another session."""

    @property
    def is_exhausted(self) -> bool: ...

    @property
    def seconds_to_midnight(self) -> float: ...


async def _nobody_holds_it(session_id: str) -> None:
    await trio.lowlevel.checkpoint()


_Outcome = TypeVar("_Outcome", SessionGrant, "User")


@dataclass(slots=True)
class _Attempt:
    """One knock at the door, and what is known of who knocks so far."""

    token: str | None
    address: str
    is_late: bool
    user: User | None = None
    resume: str | None = None
    takes_secrets: bool = False
    preset: Mapping[str, Any] | None = None

    @property
    def shows_secret(self) -> bool:
        """Whether a client secret is shown where one is taken; anywhere else it is a bad token like any other."""
        return self.takes_secrets and (self.token or "").startswith(PREFIX)

    def shown(self) -> list[tuple[str, str]]:
        """What a repeated refusal may be recognised by."""
        shown = [("address", self.address)]
        if self.token:
            shown.append(("token", self.token))
        if self.user is not None:
            shown.append(("user", self.user.id))
        if self.resume:
            shown.append(("resume token", self.resume))
        if self.is_late:
            shown.append(("address without token", self.address))
        return shown


class Admission:
    """The door of one process. It remembers attempts and refusals by itself; limits live in `state`."""

    def __init__(
        self,
        *,
        settings: Settings,
        verifier: TokenVerifier,
        plans: Plans,
        state: State,
        capacity: Capacity,
        let_go: Callable[[str], Awaitable[None]] = _nobody_holds_it,
        till: BudgetStatus | None = None,
    ) -> None:
        """`let_go` makes a connection of this process that holds a session give it up, and waits until it has."""
        self._is_switched_on = settings.access.enabled
        self._limits = settings.limits
        self._verifier = verifier
        self._plans = plans
        self._state = state
        self._capacity = capacity
        self._let_go = let_go
        self._till = till
        self._resume_tokens = ResumeTokens(settings.signing_secret)
        self._client_secrets = ClientSecrets(settings.signing_secret)
        self._attempts = RecentEvents(limit=ATTEMPTS_PER_MINUTE, window_seconds=MINUTE_SECONDS)
        self._failed_tokens = RecentEvents(limit=FAILED_TOKENS_PER_MINUTE, window_seconds=MINUTE_SECONDS)
        self._refusals = RefusalMemory()
        self._unreached = RecentEvents(limit=UNREACHED_MAX, window_seconds=MINUTE_SECONDS)

    def note_unreached(self, admitted: SessionGrant, token: str | None, address: str, *, is_late: bool) -> Refusal:
        """The model could not be reached for this session: that is a refusal, too, and is remembered as one."""
        attempt = _Attempt(token, address, is_late, user=admitted.user)
        self._unreached.note(admitted.user.id)
        return self._refusals.remember(refusals.upstream_unavailable(), attempt.shown())

    async def admit(
        self,
        token: str | None,
        address: str,
        *,
        is_late: bool = False,
        resume: str | None = None,
        client_secrets: bool = False,
    ) -> SessionGrant | Refusal:
        """Admit the caller from `address` who shows `token`, or say why not.

        Call it before the upgrade where the handshake carries a token, so that a refusal with `at_handshake` can still
        be one. `is_late` says that the token came after the upgrade, or never. When cancelled nothing stays taken.

        With a `resume` token the session it names goes on: it passes every door but the limits, and takes no slots. A
        connection that still holds it here is asked to let go first, by `let_go`.

        With `client_secrets` the token may be one of those: then the plan is the one it was made with.
        """
        attempt = _Attempt(token, address, is_late, resume=resume, takes_secrets=client_secrets)
        return self._remembered(await self._decide(attempt), attempt)

    async def vouch(self, token: str | None, address: str) -> User | Refusal:
        """Who shows `token`, with the plan and voice they are entitled to, if they may have sessions at all.

        All doors but the limits; takes nothing.
        """
        attempt = _Attempt(token, address, is_late=False)
        try:
            return self._remembered(await self._recognise(attempt), attempt)
        except StateUnavailable:
            return refusals.at_capacity()

    async def refuse_before_token(self, address: str) -> Refusal | None:
        """For a handshake that carries no token: a refusal that needs none, or None: let it show one.

        Without `at_handshake` the refusal is to be told after the upgrade, at once.
        """
        attempt = _Attempt(None, address, is_late=True)
        try:
            refusal = self._refuse_by_flag(await self._state.rollout())
        except StateUnavailable:
            refusal = refusals.at_capacity()
        refusal = refusal or self._refuse_address(address)
        if refusal is not None:
            return self._refusals.remember(refusal, attempt.shown())
        wait = self._refusals.wait_seconds("address without token", address)
        return refusals.refused_repeatedly(wait) if wait > 0 else None

    async def _decide(self, attempt: _Attempt) -> SessionGrant | Refusal:
        try:
            user = await self._recognise(attempt)
            if isinstance(user, Refusal):
                return user
            if self._till is not None and self._till.is_exhausted:
                return refusals.budget_exhausted(self._till.seconds_to_midnight)
            if self._unreached.wait_seconds(user.id) > 0:
                return refusals.upstream_unavailable()  # dialling again at once would only keep both sides busy
            if attempt.resume is not None:
                return await self._take_up(user, attempt.resume)
            return await self._take_slots(user, attempt.preset)
        except StateUnavailable:
            # Limits that cannot be looked at cannot be kept.
            return refusals.at_capacity()

    async def _recognise(self, attempt: _Attempt) -> User | Refusal:
        """feature flag → token → plan → rollout"""
        rollout = await self._state.rollout()
        refusal = self._refuse_by_flag(rollout) or self._refuse_address(attempt.address)
        if refusal is not None:
            return refusal
        user = await self._identify(attempt)
        return user if isinstance(user, Refusal) else await self._entitle(user, attempt, rollout)

    def _remembered(self, outcome: _Outcome | Refusal, attempt: _Attempt) -> _Outcome | Refusal:
        return self._refusals.remember(outcome, attempt.shown()) if isinstance(outcome, Refusal) else outcome

    def _refuse_by_flag(self, rollout: Rollout) -> Refusal | None:
        if not self._is_switched_on:
            return refusals.feature_disabled()
        return None if rollout.enabled else refusals.feature_disabled(rollout.message)

    def _refuse_address(self, address: str) -> Refusal | None:
        wait = self._failed_tokens.wait_seconds(address)
        if wait == 0:
            return None
        return replace(refusals.too_many_attempts(FAILED_TOKENS_PER_MINUTE, wait), at_handshake=True)

    async def _identify(self, attempt: _Attempt) -> User | Refusal:
        try:
            with trio.fail_after(TOKEN_SECONDS_MAX):
                user = await self._read(attempt)
        except (TokenUncheckable, trio.TooSlowError):
            return refusals.token_uncheckable(TOKEN_SECONDS_MAX)
        except TokenInvalid as error:
            self._failed_tokens.note(attempt.address)
            return refusals.token_invalid(str(error))
        attempt.user = user
        wait = self._attempts.wait_seconds(user.id)
        if wait > 0:
            return refusals.too_many_attempts(ATTEMPTS_PER_MINUTE, wait)
        self._attempts.note(user.id)
        return user

    async def _read(self, attempt: _Attempt) -> User:
        if not attempt.shows_secret:
            return await self._verifier.verify(attempt.token or "")
        vouched = self._client_secrets.read(attempt.token or "")
        attempt.preset = vouched.session
        return vouched.user

    async def _entitle(self, user: User, attempt: _Attempt, rollout: Rollout) -> User | Refusal:
        """The user with the plan and voice they are entitled to; administrators are neither asked nor held up."""
        if user.is_admin:
            return user
        if not attempt.shows_secret:  # which has the entitlement in it; the plan service would not know it
            try:
                with trio.fail_after(PLAN_SECONDS_MAX):
                    entitled = await self._plans.entitlement(user, attempt.token or "")
            except (PlanUnverified, trio.TooSlowError):
                return refusals.plan_unverified()
            user = replace(user, plan=entitled.plan, voice=entitled.voice, voice_speed=entitled.voice_speed)
        if not rollout.includes_plan(user.plan):
            return refusals.plan_required(rollout.plans)
        if not rollout.includes_user(user.id, user.email):
            return refusals.not_in_rollout(rollout.message)
        return user

    async def _take_up(self, user: User, token: str) -> SessionGrant | Refusal:
        """Go on with a session that was left: its clock stood still meanwhile, and it takes no new slots."""
        try:
            session_id = self._resume_tokens.read(token, user.id)
        except TokenInvalid:
            return refusals.no_resume()
        await self._let_go(session_id)
        record = await self._state.record(user.id, session_id)
        if record is not None:
            record = await self._state.take_over(record)  # it may be live on another instance
        if record is None or not record.resumable or record.seconds_left < SECONDS_LEFT_MIN:
            return refusals.no_resume()
        if not self._capacity.take():
            return refusals.draining() if self._capacity.is_draining else refusals.at_capacity()
        admitted = SessionGrant(user, user.plan, session_id, self._state, self._capacity, resumed=record)
        try:
            await self._state.renew(user.id, session_id)
        except BaseException:
            self._capacity.give_back()
            raise
        return admitted

    async def _take_slots(self, user: User, preset: Mapping[str, Any] | None) -> SessionGrant | Refusal:
        session_id = f"vs_{secrets.token_hex(12)}"
        match await self._state.admit(user.id, session_id):
            case Refused(limit=Limit.RATE, retry_after=wait):
                return refusals.rate_limited(self._limits.sessions_per_hour, wait or 0.0)
            case Refused():
                return refusals.too_many_sessions(self._limits.concurrent_per_user)
            case Granted():
                pass
        if self._capacity.take():
            return SessionGrant(user, user.plan, session_id, self._state, self._capacity, preset=preset)
        await self._state.release(user.id, session_id)
        return refusals.draining() if self._capacity.is_draining else refusals.at_capacity()
