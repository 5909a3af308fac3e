"""Decides whether a client gets a session: authentication, then the limits, then a place in this process.

feature flag → token → plan → rollout → budget → rate limit → concurrency → draining, capacity

The first check that fails gives the refusal. Limits are consumed last, and given back when a later check fails. Knows
nothing of sockets: a refusal is a value.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from voice_trio.admission import refusals
from voice_trio.admission.authentication import AdmissionAttempt, Authenticator
from voice_trio.admission.grant import SessionGrant
from voice_trio.admission.refusals import Refusal, RefusalMemory
from voice_trio.admission.resumption import Resumption, no_place
from voice_trio.admission.session_holders import SessionHolders
from voice_trio.auth.signed_tokens import ResumeTokens
from voice_trio.auth.tokens import user_hash
from voice_trio.errors import StateUnavailable
from voice_trio.state.state import Granted, Limit, LimitReached

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.admission.grant import Capacity
    from voice_trio.admission.session_holders import SessionHolder
    from voice_trio.auth.plans import Plans
    from voice_trio.auth.tokens import TokenVerifier, User
    from voice_trio.settings import Settings
    from voice_trio.state.state import State


class BudgetStatus(Protocol):
    """Whether the budgets of the day allow another session."""

    @property
    def is_exhausted(self) -> bool: ...

    async def is_exhausted_for(self, user: str) -> bool:
        """Whether the budget of a user (by hash) is spent, on all instances together."""
        ...

    @property
    def seconds_to_midnight(self) -> float: ...


class UpstreamStatus(Protocol):
    """Whether the upstream can be reached, as far as is known."""

    def seconds_to_probe(self, user: str) -> float:
        """Seconds for which no connection is opened for `user`; 0 if one would be opened now."""
        ...


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
        holders: SessionHolders | None = None,
        budget: BudgetStatus | None = None,
        upstream: UpstreamStatus | None = None,
    ) -> None:
        """`holders` are the connections of this process; all parts of a takeover share them."""
        self._limits = settings.limits
        self._authenticator = Authenticator(settings, verifier, plans, state)
        self._state = state
        self._capacity = capacity
        self._holders = SessionHolders(state.instance) if holders is None else holders
        self._budget = budget
        self._upstream = upstream
        self._signing_secret = settings.signing_secret
        self._resume_tokens = ResumeTokens(settings.signing_secret)
        self._resumption = Resumption(
            self._resume_tokens, state, capacity, self._holders, self._limits.concurrent_per_user
        )
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

        With a `resume` token the session that it names continues: it passes all checks but the rate limit. A connection
        that still holds the session, on whatever instance, ends first.

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
            return self._remember(_STATE_UNAVAILABLE, attempt)

    def resumed_session(self, resume: str | None) -> str:
        """The id of the session that a resume token of ours names, expired or not; "" for any other token."""
        return (resume and self._resume_tokens.session_id(resume.strip())) or ""

    async def _decide(self, attempt: AdmissionAttempt) -> SessionGrant | Refusal:
        try:
            user = await self._authenticator.authenticate(attempt)
            if isinstance(user, Refusal):
                return user
            if self._budget is not None and (spent := await self._find_spent(self._budget, user)):
                return spent
            if attempt.resume is not None:  # its session looks for an upstream as one that has lost it
                return await self._resumption.resume(user, attempt.resume)
            if self._upstream is not None and (wait := self._upstream.seconds_to_probe(user.id)) > 0:
                return refusals.upstream_unavailable(wait)
            return await self._take_slots(user, attempt.preset)
        except StateUnavailable:
            return _STATE_UNAVAILABLE  # limits that cannot be read cannot be kept

    async def _find_spent(self, budget: BudgetStatus, user: User) -> Refusal | None:
        """The refusal if the day's budget or the user's is spent."""
        if budget.is_exhausted:
            return refusals.budget_exhausted(budget.seconds_to_midnight)
        if await budget.is_exhausted_for(user_hash(user.id, self._signing_secret)):
            return refusals.user_budget_exhausted(budget.seconds_to_midnight)
        return None

    def _remembered(self, outcome: _Outcome | Refusal, attempt: AdmissionAttempt) -> _Outcome | Refusal:
        return self._remember(outcome, attempt) if isinstance(outcome, Refusal) else outcome

    def _remember(self, refusal: Refusal, attempt: AdmissionAttempt) -> Refusal:
        if refusal.code not in refusals.BLAME_NO_CALLER:
            refusal = self._refusals.remember(refusal, attempt.identifiers())
        resumed = self.resumed_session(attempt.resume)
        at_handshake = refusal.at_handshake and not attempt.is_late and not resumed
        user = attempt.user or attempt.signed_for
        return replace(refusal, at_handshake=at_handshake, user=user, session_id=resumed)

    async def _take_slots(self, user: User, preset: Mapping[str, Any] | None) -> SessionGrant | Refusal:
        await self._capacity.wait_relief()
        session_id = f"vs_{secrets.token_hex(12)}"
        holder = self._holders.enter(session_id)
        outcome: SessionGrant | Refusal | None = None
        try:
            outcome = await self._take_slots_as(holder, user, preset)
        finally:
            if not isinstance(outcome, SessionGrant):
                holder.release()
        return outcome

    async def _take_slots_as(
        self, holder: SessionHolder, user: User, preset: Mapping[str, Any] | None
    ) -> SessionGrant | Refusal:
        session_id = holder.session_id
        match await self._state.admit(user.id, session_id, holder.name):
            case LimitReached(limit=Limit.RATE, retry_after=wait):
                return refusals.rate_limited(self._limits.sessions_per_hour, wait or 0.0)
            case LimitReached():
                return refusals.too_many_sessions(self._limits.concurrent_per_user)
            case Granted():
                pass
        if self._capacity.take():
            return SessionGrant(user, user.plan, session_id, holder, self._state, self._capacity, preset=preset)
        await self._state.release(user.id, session_id, holder.name)
        return no_place(self._capacity)
