"""An admission with all its services in memory, for tests without sockets."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import jwt
import msgspec
import trio

from voice_trio.admission.admission import Admission, UpstreamStatus
from voice_trio.admission.grant import Capacity, SessionGrant
from voice_trio.admission.refusals import Refusal
from voice_trio.auth.plans import ClaimedPlans, Entitlement
from voice_trio.auth.tokens import TokenVerifier, User
from voice_trio.errors import PlanUnverified, StateUnavailable, TokenUncheckable
from voice_trio.settings import load_settings
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.rollout import first_rollout
from voice_trio.state.state import Granted, LimitReached, Quotas

SECRET = "a-secret-of-more-than-thirty-two-bytes"
HOME = "203.0.113.5"


class AdmissionFixture:
    """An `Admission` with its services in memory; each service has switches for its failures."""

    def __init__(self, upstream: UpstreamStatus | None = None, /, **environ: str) -> None:
        settings = load_settings({"ENABLE_VOICE_REALTIME": "true", "JWT_SECRET": SECRET} | environ)
        self.state = StateWithFailures(Quotas.of(settings.limits), first_rollout(settings.access))
        self.capacity = Capacity(settings.limits.concurrent)
        self.plans = PlanService()
        self.verifier = Verifier(settings.tokens)
        self.admission = Admission(
            settings=settings,
            verifier=self.verifier,
            plans=self.plans,
            state=self.state,
            capacity=self.capacity,
            upstream=upstream,
        )

    async def admit(self, token: str | None = None, address: str = HOME, **kwargs: Any) -> SessionGrant | Refusal:
        return await self.admission.admit(token, address, **kwargs)

    async def refusal(self, token: str | None = None, address: str = HOME, **kwargs: Any) -> Refusal:
        outcome = await self.admit(token, address, **kwargs)
        assert isinstance(outcome, Refusal)
        return outcome

    async def grant(self, token: str, address: str = HOME) -> SessionGrant:
        outcome = await self.admit(token, address)
        assert isinstance(outcome, SessionGrant), outcome
        return outcome

    async def change_rollout(self, **changes: Any) -> None:
        now = await self.state.rollout()
        assert await self.state.replace_rollout(msgspec.structs.replace(now, **changes))


class StateWithFailures(MemoryState):
    is_unavailable = False

    async def admit(self, user_id: str, session_id: str, holder: str = "") -> Granted | LimitReached:
        if self.is_unavailable:
            raise StateUnavailable("down")
        return await super().admit(user_id, session_id, holder)

    async def end(self, user_id: str, session_id: str, holder: str = "") -> None:
        if self.is_unavailable:
            raise StateUnavailable("down")
        await super().end(user_id, session_id, holder)


@dataclass
class PlanService(ClaimedPlans):
    requests: list[str] = field(default_factory=list)
    is_down: bool = False
    seconds: float = 0.0
    result: Entitlement | None = None

    async def entitlement(self, user: User, token: str) -> Entitlement:
        self.requests.append(user.id)
        await trio.sleep(self.seconds)
        if self.is_down:
            raise PlanUnverified("down")
        return self.result or await super().entitlement(user, token)


class Verifier(TokenVerifier):
    verified = 0
    is_down = False

    async def verify(self, token: str) -> User:
        self.verified += 1
        if self.is_down:
            raise TokenUncheckable("down")
        return await super().verify(token)


def token(user: str = "ann", *, plan: str = "elite", **claims: Any) -> str:
    all_claims = {"user_id": user, "plan": plan, "exp": int(time.time()) + 3600} | claims
    return jwt.encode(all_claims, SECRET, algorithm="HS256")


def summary(refusal: Refusal) -> tuple[str, int, str, int, int | None]:
    """The fields of a refusal that the contract fixes."""
    return refusal.code, refusal.close_code, refusal.reason, refusal.http_status, refusal.retry_after


def address_number(number: int) -> str:
    return f"198.51.100.{number}"
