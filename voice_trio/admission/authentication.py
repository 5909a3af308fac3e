"""Authenticates a client: feature flag → token → plan → rollout. Consumes no rate slot, lease or place.

The first check that fails gives the refusal. Failed tokens are counted by address, attempts by user.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import trio

from voice_trio import limits
from voice_trio.admission import refusals
from voice_trio.admission.refusals import RecentEvents, Refusal
from voice_trio.auth.signed_tokens import PREFIX, ClientSecrets
from voice_trio.errors import PlanUnverified, TokenInvalid, TokenUncheckable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.auth.plans import Plans
    from voice_trio.auth.tokens import TokenVerifier, User
    from voice_trio.settings import Settings
    from voice_trio.state.rollout import Rollout
    from voice_trio.state.state import State


@dataclass(slots=True)
class AdmissionAttempt:
    """One request for a session: what the client presented, and what the checks have found so far.

    `is_late` says that the token came after the upgrade, or never; `takes_secrets`, that a client secret may take the
    place of a token. `user` and `preset` are filled in by the token check.
    """

    token: str | None
    address: str
    is_late: bool = False
    resume: str | None = None
    takes_secrets: bool = False
    user: User | None = None
    preset: Mapping[str, Any] | None = None

    @property
    def has_client_secret(self) -> bool:
        """Whether the token is a client secret, and one may be used; otherwise it counts as an invalid token."""
        return self.takes_secrets and (self.token or "").startswith(PREFIX)

    def identifiers(self) -> list[tuple[str, str]]:
        """(kind, value) pairs by which a repeated refusal is recognised."""
        pairs = [("address", self.address)]
        if self.token:
            pairs.append(("token", self.token))
        if self.user is not None:
            pairs.append(("user", self.user.id))
        if self.resume:
            pairs.append(("resume token", self.resume))
        if self.is_late:
            pairs.append(("address without token", self.address))
        return pairs


class Authenticator:
    """The checks that need no limits; remembers attempts and failed tokens of this process."""

    def __init__(self, settings: Settings, verifier: TokenVerifier, plans: Plans, state: State) -> None:
        self._is_enabled = settings.access.enabled
        self._verifier = verifier
        self._plans = plans
        self._state = state
        self._client_secrets = ClientSecrets(settings.signing_secret)
        self._attempts = RecentEvents(limit=limits.ATTEMPTS_PER_MINUTE, window_seconds=limits.MINUTE_SECONDS)
        self._failed_tokens = RecentEvents(limit=limits.FAILED_TOKENS_PER_MINUTE, window_seconds=limits.MINUTE_SECONDS)

    async def authenticate(self, attempt: AdmissionAttempt) -> User | Refusal:
        """The user with their plan and voice, or a refusal. Raises `StateUnavailable` without a rollout document."""
        rollout = await self._state.rollout()
        refusal = self._check_flag(rollout) or self._check_address(attempt.address)
        if refusal is not None:
            return refusal
        user = await self._verify_token(attempt)
        return user if isinstance(user, Refusal) else await self._check_plan_and_rollout(user, attempt, rollout)

    async def check_without_token(self, address: str) -> Refusal | None:
        """The refusal by flag or address, if there is one. Raises `StateUnavailable` as `authenticate` does."""
        return self._check_flag(await self._state.rollout()) or self._check_address(address)

    def _check_flag(self, rollout: Rollout) -> Refusal | None:
        if not self._is_enabled:
            return refusals.feature_disabled()
        return None if rollout.enabled else refusals.feature_disabled(rollout.message)

    def _check_address(self, address: str) -> Refusal | None:
        wait = self._failed_tokens.wait_seconds(address)
        if wait == 0:
            return None
        return replace(refusals.too_many_attempts(limits.FAILED_TOKENS_PER_MINUTE, wait), at_handshake=True)

    async def _verify_token(self, attempt: AdmissionAttempt) -> User | Refusal:
        try:
            with trio.fail_after(limits.TOKEN_SECONDS_MAX):
                user = await self._read_token(attempt)
        except (TokenUncheckable, trio.TooSlowError):
            return refusals.token_uncheckable(limits.TOKEN_SECONDS_MAX)
        except TokenInvalid as error:
            self._failed_tokens.note(attempt.address)
            return refusals.token_invalid(str(error))
        attempt.user = user
        wait = self._attempts.wait_seconds(user.id)
        if wait > 0:
            return refusals.too_many_attempts(limits.ATTEMPTS_PER_MINUTE, wait)
        self._attempts.note(user.id)
        return user

    async def _read_token(self, attempt: AdmissionAttempt) -> User:
        if not attempt.has_client_secret:
            return await self._verifier.verify(attempt.token or "")
        content = self._client_secrets.read(attempt.token or "")
        attempt.preset = content.session
        return content.user

    async def _check_plan_and_rollout(self, user: User, attempt: AdmissionAttempt, rollout: Rollout) -> User | Refusal:
        if user.is_admin:
            return user
        # A client secret contains the entitlement; the plan service does not know such a token.
        if not attempt.has_client_secret:
            try:
                with trio.fail_after(limits.PLAN_SECONDS_MAX):
                    entitled = await self._plans.entitlement(user, attempt.token or "")
            except (PlanUnverified, trio.TooSlowError):
                return refusals.plan_unverified()
            user = replace(user, plan=entitled.plan, voice=entitled.voice, voice_speed=entitled.voice_speed)
        if not rollout.includes_plan(user.plan):
            return refusals.plan_required(rollout.plans)
        if not rollout.includes_user(user.id, user.email):
            return refusals.not_in_rollout(rollout.message)
        return user
