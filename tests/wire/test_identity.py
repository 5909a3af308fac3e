"""The identity provider and the plan service over real sockets, on this machine only."""

from __future__ import annotations

import json
import re
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import trio
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from voice_trio.auth.plans import Entitlement, open_plans
from voice_trio.auth.tokens import TokenVerifier, User
from voice_trio.cli import main
from voice_trio.errors import PlanUnverified, TokenUncheckable
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = ec.generate_private_key(ec.SECP256R1())
KEYS = {"keys": [json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key())) | {"kid": "k1"}]}


class Site:
    """Responds to every HTTP request with one JSON document, or never."""

    def __init__(self, document: Any) -> None:
        self.document = document
        self.requests: list[str] = []
        self.hangs = False
        self.url = ""

    async def answer(self, stream: trio.SocketStream) -> None:
        async with stream:
            request = b""
            while b"\r\n\r\n" not in request:
                request += await stream.receive_some() or b"\r\n\r\n"
            self.requests.append(request.decode())
            if self.hangs:
                await trio.sleep_forever()
            body = json.dumps(self.document).encode()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            await stream.send_all(head.encode() + body)


@asynccontextmanager
async def site_with(document: Any) -> AsyncIterator[Site]:
    site = Site(document)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
            site.url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}/"
            await nursery.start(trio.serve_listeners, site.answer, [listener])
            yield site
            nursery.cancel_scope.cancel()


def token() -> str:
    return jwt.encode({"sub": "ann", "exp": int(time.time()) + 60}, KEY, algorithm="ES256", headers={"kid": "k1"})


async def test_a_token_is_checked_with_the_keys_that_the_provider_publishes_fetched_once() -> None:
    async with site_with(KEYS) as provider:
        verifier = TokenVerifier(load_settings({"JWT_JWKS_URL": provider.url, "JWT_ALLOW_ANY_AUDIENCE": "true"}).tokens)

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(verifier.verify, token())
        assert (await verifier.verify(token())).id == "ann"

    assert len(provider.requests) == 1


@pytest.mark.parametrize("document", [{}, [], {"keys": []}, {"keys": [{"kty": "?"}]}, "keys"])
async def test_a_provider_that_publishes_nonsense_makes_a_token_uncheckable(document: object) -> None:
    async with site_with(document) as provider:
        with pytest.raises(TokenUncheckable):
            await TokenVerifier(
                load_settings({"JWT_JWKS_URL": provider.url, "JWT_ALLOW_ANY_AUDIENCE": "true"}).tokens
            ).verify(token())


async def test_a_caller_who_will_not_wait_for_a_provider_that_hangs_leaves_at_once() -> None:
    async with site_with(KEYS) as provider:
        provider.hangs = True
        verifier = TokenVerifier(load_settings({"JWT_JWKS_URL": provider.url, "JWT_ALLOW_ANY_AUDIENCE": "true"}).tokens)

        began = time.monotonic()
        with trio.move_on_after(0.2) as scope:
            await verifier.verify(token())

        assert scope.cancelled_caught
        assert time.monotonic() - began < 2.0


async def test_the_plan_service_hears_the_users_own_bearer_and_may_hang_without_harm() -> None:
    user = User("ann")
    async with site_with({"plan": "elite", "voice": "cedar"}) as service, open_plans(service.url) as plans:
        assert await plans.entitlement(user, "anns-token") == Entitlement("elite", "cedar")
        assert "authorization: bearer anns-token" in service.requests[0].lower()

        service.hangs = True
        with trio.move_on_after(0.2) as scope:
            await plans.entitlement(user, "anns-token")
        assert scope.cancelled_caught


async def test_a_plan_service_that_is_not_there_is_a_plan_unverified() -> None:
    async with site_with({}) as service:
        gone = service.url
    with trio.fail_after(10):
        async with open_plans(gone) as plans:
            with pytest.raises(PlanUnverified):
                await plans.entitlement(User("ann"), "anns-token")


async def test_check_names_weak_keys_and_fails_without_a_suitable_one_F17() -> None:
    weak = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024).public_key()))
    document = {"keys": [weak | {"kid": "old"}, *KEYS["keys"]]}
    async with site_with(document) as provider:
        mixed = await check(provider.url)
        provider.document = {"keys": [weak | {"kid": "old"}]}
        alone = await check(provider.url)
    assert re.search(r"ok\s+tokens.* 1 of 2 keys are suitable; old is not used \(RSA of 1024 bits", mixed)
    assert re.search(r"FAILED\s+tokens.* 0 of 1 keys are suitable", alone)


async def check(url: str) -> str:
    environ = {"JWT_JWKS_URL": url, "JWT_ISSUER": "us", "COLUMNS": "300", "OPENAI_API_KEY": ""}
    result = await trio.to_thread.run_sync(lambda: CliRunner().invoke(main, ["check"], env=environ))
    return result.stdout
