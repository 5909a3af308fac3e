"""Decides whether a client gets a session: authentication, then the limits, then a place in this process.

feature flag → token → plan → rollout → budget → rate limit → concurrency → draining, capacity

The first check that fails gives the refusal. Limits are consumed last, and given back when a later check fails. Knows
nothing of sockets: a refusal is a value.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import trio

from voice_trio import limits
from voice_trio.admission import refusals
from voice_trio.admission.authentication import AdmissionAttempt, Authenticator
from voice_trio.admission.grant import SessionGrant
from voice_trio.admission.refusals import Refusal, RefusalMemory
from voice_trio.auth.signed_tokens import ResumeTokens
from voice_trio.errors import StateUnavailable, TokenInvalid
from voice_trio.state.state import Granted, Limit, LimitReached

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from voice_trio.admission.grant import Capacity
    from voice_trio.auth.plans import Plans
    from voice_trio.auth.tokens import TokenVerifier, User
    from voice_trio.settings import Settings
    from voice_trio.state.state import State


class BudgetStatus(Protocol):
    """Whether the daily budget allows another session."""

    @property
    def is_exhausted(self) -> bool: ...

    @property
    def seconds_to_midnight(self) -> float: ...


class UpstreamStatus(Protocol):
    """Whether the upstream can be reached, as far as is known."""

    def seconds_to_probe(self, user: str) -> float:
        """Seconds for which no connection is opened for `user`; 0 if one would be opened now."""
        ...


async def _evict_none(session_id: str) -> None:
    await trio.lowlevel.checkpoint()


_STATE_UNAVAILABLE = replace(refusals.at_capacity(), facts={"cause": "state_unavailable"})
_Outcome = TypeVar("_Outcome", SessionGrant, "User")


class Admission:
    """Admits or refuses the clients of one process. Limits live in `state`, refusals are remembered here."""

    def __init__(
        self,
        *,
        settings: Settings,
        verifier: TokenVerifier,
        plans: Plans,
        state: State,
        capacity: Capacity,
        evict: Callable[[str], Awaitable[None]] = _evict_none,
        budget: BudgetStatus | None = None,
        upstream: UpstreamStatus | None = None,
    ) -> None:
        """`evict` ends the connection of this process that holds a session, and returns once it is released."""
        self._limits = settings.limits
        self._authenticator = Authenticator(settings, verifier, plans, state)
        self._state = state
        self._capacity = capacity
        self._evict = evict
        self._budget = budget
        self._upstream = upstream
        self._resume_tokens = ResumeTokens(settings.signing_secret)
        self._refusals = RefusalMemory()

    async def admit(
        self,
        token: str | None,
        address: str,
        *,
        is_late: bool = False,
        resume: str | None = None,
        client_secrets: bool = False,
    ) -> SessionGrant | Refusal:
        """Admit the client at `address` that presents `token`, or say why not. When cancelled nothing stays taken.

        Call it before the upgrade if the handshake carries a token: only then can a refusal with `at_handshake` be an
        HTTP response. `is_late` says that the token came after the upgrade, or never. A request with a resume token of
        ours is not refused at the handshake: it belongs to a client that was admitted before.

        With a `resume` token the session that it names continues: it passes all checks but the limits, and consumes no
        slots. A connection of this process that still holds the session is ended first, by `evict`.

        With `client_secrets` the token may be a client secret, whose plan is the one it was made with.
        """
        attempt = AdmissionAttempt(token, address, is_late, resume, takes_secrets=client_secrets)
        return self._remembered(await self._decide(attempt), attempt)

    async def authenticate(self, token: str | None, address: str) -> User | Refusal:
        """The user that `token` names, with their plan and voice, if they may have sessions at all.

        Passes all checks but the limits, and consumes nothing.
        """
        attempt = AdmissionAttempt(token, address)
        try:
            return self._remembered(await self._authenticator.authenticate(attempt), attempt)
        except StateUnavailable:
            return _STATE_UNAVAILABLE

    def resumed_session(self, resume: str | None) -> str:
        """The id of the session that a resume token of ours names, expired or not; "" for any other token."""
        return (resume and self._resume_tokens.session_id(resume.strip())) or ""

    async def _decide(self, attempt: AdmissionAttempt) -> SessionGrant | Refusal:
        try:
            user = await self._authenticator.authenticate(attempt)
            if isinstance(user, Refusal):
                return user
            if self._budget is not None and self._budget.is_exhausted:
                return refusals.budget_exhausted(self._budget.seconds_to_midnight)
            if self._upstream is not None and (wait := self._upstream.seconds_to_probe(user.id)) > 0:
                return refusals.upstream_unavailable(wait)
            if attempt.resume is not None:
                return await self._resume(user, attempt.resume)
            return await self._take_slots(user, attempt.preset)
        except StateUnavailable:
            return _STATE_UNAVAILABLE  # limits that cannot be read cannot be kept

    def _remembered(self, outcome: _Outcome | Refusal, attempt: AdmissionAttempt) -> _Outcome | Refusal:
        return self._remember(outcome, attempt) if isinstance(outcome, Refusal) else outcome

    def _remember(self, refusal: Refusal, attempt: AdmissionAttempt) -> Refusal:
        if refusal.code != refusals.UPSTREAM_UNAVAILABLE:  # an upstream's failure blames no caller
            refusal = self._refusals.remember(refusal, attempt.identifiers())
        resumed = self.resumed_session(attempt.resume)
        at_handshake = refusal.at_handshake and not attempt.is_late and not resumed
        user = attempt.user or attempt.signed_for
        return replace(refusal, at_handshake=at_handshake, user=user, session_id=resumed)

    async def _resume(self, user: User, token: str) -> SessionGrant | Refusal:
        """Continue a session: its clock stood still while it was disconnected, and it consumes no new slots."""
        try:
            session_id = self._resume_tokens.read(token, user.id)
        except TokenInvalid:
            return refusals.no_resume()
        await self._evict(session_id)
        record = await self._state.record(user.id, session_id)
        if record is not None:
            record = await self._state.take_over(record)  # it may be live on another instance
        if record is None or not record.resumable or record.seconds_left < limits.RESUME_SECONDS_LEFT_MIN:
            return refusals.no_resume()
        if not self._capacity.take(is_resume=True):
            return self._no_place()
        grant = SessionGrant(user, user.plan, session_id, self._state, self._capacity, resumed=record)
        try:
            await self._state.renew(user.id, session_id)
        except BaseException:
            self._capacity.release()
            raise
        return grant

    async def _take_slots(self, user: User, preset: Mapping[str, Any] | None) -> SessionGrant | Refusal:
        await self._capacity.wait_relief()
        session_id = f"vs_{secrets.token_hex(12)}"
        match await self._state.admit(user.id, session_id):
            case LimitReached(limit=Limit.RATE, retry_after=wait):
                return refusals.rate_limited(self._limits.sessions_per_hour, wait or 0.0)
            case LimitReached():
                return refusals.too_many_sessions(self._limits.concurrent_per_user)
            case Granted():
                pass
        if self._capacity.take():
            return SessionGrant(user, user.plan, session_id, self._state, self._capacity, preset=preset)
        await self._state.release(user.id, session_id)
        return self._no_place()

    def _no_place(self) -> Refusal:
        if self._capacity.is_draining:
            return refusals.draining()
        return replace(refusals.at_capacity(), facts={"cause": "full" if self._capacity.is_full else "overloaded"})
