"""What the company's plan service is asked, and what its answers mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import trio

from voice_trio import limits
from voice_trio.auth.plans import ClaimedPlans, Entitlement, PlanService, open_plans
from voice_trio.auth.tokens import User
from voice_trio.errors import PlanUnverified

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

URL = "https://plans.example/me"
ANN = User("ann", plan="free", voice="marin", voice_speed=1.1)


async def asked(answer: Callable[[httpx2.Request], httpx2.Response]) -> Entitlement:
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(answer)) as client:
        return await PlanService(URL, client).entitlement(ANN, "anns-token")


def answering(*args: Any, **kwargs: Any) -> Callable[[httpx2.Request], httpx2.Response]:
    return lambda _request: httpx2.Response(*args, **kwargs)


async def test_by_claim_the_token_is_believed() -> None:
    assert await ClaimedPlans().entitlement(ANN, "t") == Entitlement("free", "marin", 1.1)


async def test_the_service_is_asked_with_the_users_own_bearer() -> None:
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"plan": "elite"})

    assert await asked(answer) == Entitlement("elite", "marin", 1.1)
    assert (str(seen[0].url), seen[0].headers["Authorization"]) == (URL, "Bearer anns-token")


async def test_the_services_voice_wins_over_the_claims() -> None:
    answer = {"plan": "elite", "voice": "cedar", "voice_speed": 9, "more": [1]}

    assert await asked(answering(200, json=answer)) == Entitlement("elite", "cedar", 1.5)


async def test_no_plan_is_an_answer_too() -> None:
    assert (await asked(answering(200, json={"plan": None}))).plan == ""


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, b"{}"),
        (200, b'{"plan": 5}'),
        (200, b'["elite"]'),
        (200, b"<html>"),
        (200, b"\xff\xfe"),
        (200, b"[" * 50_000),
        (200, b'{"plan": "' + b"x" * limits.PLAN_RESPONSE_BYTES_MAX + b'"}'),
        (201, b'{"plan": "elite"}'),
        (302, b""),
        (401, b""),
        (500, b'{"plan": "elite"}'),
    ],
    ids=lambda value: str(value)[:16],
)
async def test_anything_else_is_a_plan_unverified(status: int, content: bytes) -> None:
    with pytest.raises(PlanUnverified):
        await asked(answering(status, content=content, headers={"Location": "https://evil.example/"}))


async def test_an_answer_without_end_is_given_up_when_it_is_too_long() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1024
            await trio.lowlevel.checkpoint()
            yield b"x" * 1024

    with pytest.raises(PlanUnverified, match="too long"):
        await asked(answering(200, content=endless()))
    assert sent <= limits.PLAN_RESPONSE_BYTES_MAX + 2048


async def test_a_service_that_cannot_be_reached_is_a_plan_unverified_that_tells_no_token() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    with pytest.raises(PlanUnverified) as raised:
        await asked(answer)
    assert "anns-token" not in str(raised.value)


async def test_the_address_decides_who_is_asked() -> None:
    async with open_plans(None) as plans:
        assert isinstance(plans, ClaimedPlans)
    async with open_plans(URL) as plans:
        assert isinstance(plans, PlanService)
