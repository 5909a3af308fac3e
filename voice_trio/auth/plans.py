"""Which plan a user is on: by the token's claim, or by asking the company's own service with the user's own bearer."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import httpx2
import msgspec

from voice_trio.auth.tokens import User, voice_speed
from voice_trio.errors import PlanUnverified

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ANSWER_BYTES_MAX = 65_536
CONNECTIONS_MAX = 20


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What a user is entitled to; `voice` and `voice_speed` are None where nothing was said about them."""

    plan: str
    voice: str | None = None
    voice_speed: float | None = None


class Plans(Protocol):
    """Knows users' plans."""

    async def entitlement(self, user: User, token: str) -> Entitlement:
        """What `user`, who presented `token`, is entitled to. Raises `PlanUnverified`. The caller bounds the time."""
        ...


class ClaimedPlans:
    """Believes the token."""

    async def entitlement(self, user: User, token: str) -> Entitlement:
        """What the claims say."""
        del token
        return Entitlement(user.plan, user.voice, user.voice_speed)


class PlanService:
    """Asks `url` for `{"plan": …, "voice"?: …, "voice_speed"?: …}`; redirects are not followed, so no bearer strays."""

    def __init__(self, url: str, client: httpx2.AsyncClient) -> None:
        self._url = url
        self._client = client

    async def entitlement(self, user: User, token: str) -> Entitlement:
        """What the service says; the claims speak for the voice where the service is silent."""
        try:
            answer = msgspec.json.decode(await self._ask(token), type=_Answer)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise PlanUnverified(f"the plan service could not be asked: {type(error).__name__}") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise PlanUnverified("the plan service's answer makes no sense") from error
        return Entitlement(
            plan=answer.plan or "",
            voice=answer.voice or user.voice,
            voice_speed=voice_speed(answer.voice_speed) or user.voice_speed,
        )

    async def _ask(self, token: str) -> bytes:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        body = bytearray()
        async with self._client.stream("GET", self._url, headers=headers) as response:
            if response.status_code != httpx2.codes.OK:
                raise PlanUnverified(f"the plan service answered {response.status_code}")
            async with aclosing(response.aiter_bytes()) as chunks:
                async for chunk in chunks:
                    body += chunk
                    if len(body) > ANSWER_BYTES_MAX:
                        raise PlanUnverified("the plan service's answer is too long")
        return bytes(body)


class _Answer(msgspec.Struct, frozen=True):
    plan: str | None
    voice: str | None = None
    voice_speed: float | None = None


@asynccontextmanager
async def open_plans(url: str | None) -> AsyncIterator[Plans]:
    """The plans behind `url` (the variable PLAN_URL), or by claim without one; open while the block runs."""
    if url is None:
        yield ClaimedPlans()
        return
    limits = httpx2.Limits(max_connections=CONNECTIONS_MAX)
    # No timeout here: the caller's deadline is the only one.
    async with httpx2.AsyncClient(timeout=None, follow_redirects=False, limits=limits) as client:
        yield PlanService(url, client)
