"""Which plan a user is on: by the token's claim, or by asking the company's own service with the user's own bearer."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import httpx2
import msgspec

from voice_trio import limits
from voice_trio.auth.tokens import User, voice_speed
from voice_trio.errors import PlanUnverified

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(frozen=True, slots=True)
class Entitlement:
    """The plan of a user; `voice` and `voice_speed` are None if they are not stated."""

    plan: str
    voice: str | None = None
    voice_speed: float | None = None


class Plans(Protocol):
    """A source of users' plans."""

    async def entitlement(self, user: User, token: str) -> Entitlement:
        """The entitlement of `user`, whose token is `token`. Raises `PlanUnverified`. The caller bounds the time."""
        ...


class ClaimedPlans:
    """Takes the plan from the token's claims."""

    async def entitlement(self, user: User, token: str) -> Entitlement:
        """The entitlement in the claims."""
        del token
        return Entitlement(user.plan, user.voice, user.voice_speed)


class PlanService:
    """Requests `{"plan": …, "voice"?: …, "voice_speed"?: …}` from `url` with the user's token.

    It follows no redirect, so that the token goes to no other host.
    """

    def __init__(self, url: str, client: httpx2.AsyncClient) -> None:
        self._url = url
        self._client = client

    async def entitlement(self, user: User, token: str) -> Entitlement:
        """The response of the service; the claims give a voice that it does not state."""
        try:
            response = msgspec.json.decode(await self._request(token), type=_PlanResponse)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise PlanUnverified(f"the plan service is unavailable: {type(error).__name__}") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise PlanUnverified("the plan service's response is malformed") from error
        return Entitlement(
            plan=response.plan or "",
            voice=response.voice or user.voice,
            voice_speed=voice_speed(response.voice_speed) or user.voice_speed,
        )

    async def _request(self, token: str) -> bytes:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        body = bytearray()
        async with self._client.stream("GET", self._url, headers=headers) as response:
            if response.status_code != httpx2.codes.OK:
                raise PlanUnverified(f"the plan service responded with {response.status_code}")
            async with aclosing(response.aiter_bytes()) as chunks:
                async for chunk in chunks:
                    body += chunk
                    if len(body) > limits.PLAN_RESPONSE_BYTES_MAX:
                        raise PlanUnverified("the plan service's response is too long")
        return bytes(body)


class _PlanResponse(msgspec.Struct, frozen=True):
    plan: str | None
    voice: str | None = None
    voice_speed: float | None = None


@asynccontextmanager
async def open_plans(url: str | None) -> AsyncIterator[Plans]:
    """Open the plans of `url` (the variable PLAN_URL) for one block; without a URL they come from the claims."""
    if url is None:
        yield ClaimedPlans()
        return
    connections = httpx2.Limits(max_connections=limits.PLAN_CONNECTIONS_MAX)
    # No timeout here: the caller's deadline is the only one.
    async with httpx2.AsyncClient(timeout=None, follow_redirects=False, limits=connections) as client:
        yield PlanService(url, client)
