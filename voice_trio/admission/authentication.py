"""Authenticates a client: feature flag → token → plan → rollout. Consumes no rate slot, lease or place.

The first check that fails gives the refusal. Attempts are counted by user, and tokens that do not verify by address.
An address may be that of many users, so its count refuses further bad tokens only (I13): a token that verifies passes
all the same. Nor does a token count whose signature verifies, such as an expired one: it is no guess.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import trio

from voice_trio import limits
from voice_trio.admission import refusals
from voice_trio.admission.refusals import RecentEvents, Refusal
from voice_trio.auth.signed_tokens import PREFIX, ClientSecrets
from voice_trio.auth.tokens import User, user_hash
from voice_trio.errors import PlanUnverified, TokenInvalid, TokenNotAccepted, TokenUncheckable
from voice_trio.state.rollout import percent_position

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.auth.plans import Plans
    from voice_trio.auth.tokens import TokenVerifier
    from voice_trio.settings import Settings
    from voice_trio.state.rollout import Rollout
    from voice_trio.state.state import State


@dataclass(slots=True)
class AdmissionAttempt:
    """One request for a session: what the client presented, and what the checks have found so far.

    Blanks and newlines around a token are removed: they come from files and from copying. `is_late` says that the token
    came after the upgrade, or never; `takes_secrets`, that a client secret may take the place of a token. The fields
    from `user` on are filled in by the checks.
    """

    token: str | None
    address: str
    is_late: bool = False
    resume: str | None = None
    takes_secrets: bool = False
    user: User | None = None
    preset: Mapping[str, Any] | None = None
    signed_for: User | None = None
    """The user of a token that is not accepted although its signature verifies; for logs only."""

    def __post_init__(self) -> None:
        self.token = self.token and self.token.strip()
        self.resume = self.resume and self.resume.strip()

    @property
    def has_client_secret(self) -> bool:
        """Whether the token is a client secret, and one may be used; otherwise it counts as an invalid token."""
        return self.takes_secrets and (self.token or "").startswith(PREFIX)

    def identifiers(self) -> list[tuple[str, str]]:
        """(kind, value) pairs by which a repeated refusal is recognised; never an address, which users may share."""
        pairs = [("token", self.token)] if self.token else []
        return pairs if self.user is None else [*pairs, ("user", self.user.id)]


class Authenticator:
    """The checks that need no limits; remembers attempts and failed tokens of this process."""

    def __init__(self, settings: Settings, verifier: TokenVerifier, plans: Plans, state: State) -> None:
        self._is_enabled = settings.access.enabled
        self._verifier = verifier
        self._plans = plans
        self._state = state
        self._hashing_secrets = settings.hashing_secrets
        self._client_secrets = ClientSecrets(settings.signing_secret)
        self._attempts = RecentEvents(limit=limits.ATTEMPTS_PER_MINUTE, window_seconds=limits.MINUTE_SECONDS)
        self._plan_locks: WeakValueDictionary[str, trio.Lock] = WeakValueDictionary()
        self._failed_tokens = RecentEvents(limit=limits.FAILED_TOKENS_PER_MINUTE, window_seconds=limits.MINUTE_SECONDS)

    async def authenticate(self, attempt: AdmissionAttempt) -> User | Refusal:
        """The user with their plan and voice, or a refusal. Raises `StateUnavailable` without a rollout document."""
        rollout = await self._state.rollout()
        if (refusal := self._check_flag(rollout)) is not None:
            return refusal
        user = await self._verify_token(attempt)
        if isinstance(user, Refusal):
            return user
        # Administrators too: a user who must not talk any more may hold such a token.
        if self._is_barred(user, rollout):
            return replace(refusals.not_in_rollout(rollout.message), facts={"cause": "barred"})
        return await self._check_plan_and_rollout(user, attempt, rollout)

    def _plan_lock(self, user_id: str) -> trio.Lock:
        """Held during a request to the plan service: else one user's attempts could take all connections to it."""
        lock = self._plan_locks.get(user_id)
        if lock is None:
            lock = self._plan_locks[user_id] = trio.Lock()
        return lock

    def _is_barred(self, user: User, rollout: Rollout) -> bool:
        """Whether the user is barred, by today's hash or by one from before a rotation of the secret."""
        if not rollout.barred:
            return False
        return any(rollout.bars(user_hash(user.id, secret)) for secret in self._hashing_secrets)

    def _check_flag(self, rollout: Rollout) -> Refusal | None:
        if not self._is_enabled:
            return refusals.feature_disabled()
        return None if rollout.enabled else refusals.feature_disabled(rollout.message)

    async def _verify_token(self, attempt: AdmissionAttempt) -> User | Refusal:
        try:
            with trio.fail_after(limits.TOKEN_SECONDS_MAX):
                user = await self._read_token(attempt)
        except (TokenUncheckable, trio.TooSlowError):
            return refusals.token_uncheckable(limits.TOKEN_SECONDS_MAX)
        except TokenNotAccepted as error:
            attempt.signed_for = User(error.user_id) if error.user_id else None
            return refusals.token_invalid(str(error))
        except TokenInvalid as error:
            return self._refuse_token(attempt, str(error))
        attempt.user = user
        wait = self._attempts.wait_seconds(user.id)
        if wait > 0:
            return refusals.too_many_attempts(limits.ATTEMPTS_PER_MINUTE, wait)
        self._attempts.note(user.id)
        return user

    def _refuse_token(self, attempt: AdmissionAttempt, what: str) -> Refusal:
        """Refuse a token that did not verify, or none at all; each is counted by address, apart from the other."""
        key = (attempt.address, bool(attempt.token))
        wait = self._failed_tokens.wait_seconds(key)
        self._failed_tokens.note(key)
        if wait == 0:
            return refusals.token_invalid(what)
        if not attempt.token:
            return refusals.token_invalid(what).repeated(wait)
        refusal = refusals.too_many_attempts(limits.FAILED_TOKENS_PER_MINUTE, wait, cause="failed_tokens")
        return refusal.repeated(wait)

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
                    async with self._plan_lock(user.id):
                        entitled = await self._plans.entitlement(user, attempt.token or "")
            except (PlanUnverified, trio.TooSlowError):
                return refusals.plan_unverified()
            user = replace(user, plan=entitled.plan, voice=entitled.voice, voice_speed=entitled.voice_speed)
            attempt.user = user
        if not rollout.includes_plan(user.plan):
            return refusals.plan_required(rollout.plans)
        if not rollout.includes_user(user.id, user.email):
            # One decimal: a finer position would tell a reader of the log which of many known ids it is.
            position = {"position": round(percent_position(user.id), 1), "percent": rollout.percent}
            return replace(refusals.not_in_rollout(rollout.message), facts=position)
        return user
