"""Client secrets on the wire, where a page can put them: among the subprotocols."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import trio
from trio_websocket import open_websocket_url

from tests.support.deployment import SECRET, UPGRADE, http
from tests.support.sdk_gateway import IS_DIRECT
from voice_trio import limits
from voice_trio.auth.signed_tokens import ClientSecrets
from voice_trio.auth.tokens import User
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from tests.support.sdk_gateway import SdkTarget

pytestmark = pytest.mark.skipif(IS_DIRECT, reason="the scripted model asks for no secrets")


def offered(secret: str) -> list[str]:
    """The subprotocols of `@openai/agents-realtime`; the last one only names the client."""
    return ["realtime", f"openai-insecure-api-key.{secret}", "openai-agents-sdk.0.20.0"]


def secret_with(instructions: str, seconds: int = 600) -> str:
    session = {"type": "realtime", "instructions": instructions}
    secrets = ClientSecrets(load_settings({"JWT_SECRET": SECRET}).signing_secret)
    return secrets.issue(User("ada", email="ada@example.com", plan="elite"), seconds=seconds, session=session).value


async def test_the_largest_preset_passes_through_a_header_and_is_in_force(plain: SdkTarget) -> None:
    instructions = "é" * (limits.CLIENT_SECRET_SESSION_BYTES_MAX // 2 - 30)
    with trio.fail_after(10):
        async with open_websocket_url(plain.url, subprotocols=offered(secret_with(instructions))) as socket:
            assert socket.subprotocol == "realtime"
            created = json.loads(await socket.get_message())
    assert (created["type"], created["session"]["instructions"]) == ("session.created", instructions)
    update = plain.model.heard("session.update")[-1].event["session"]
    assert instructions in update["instructions"]
    assert update["instructions"] != instructions  # the server's own come first


async def test_an_expired_secret_opens_nothing(plain: SdkTarget) -> None:
    place = urlsplit(plain.url)
    assert place.port
    shown = {"Sec-WebSocket-Protocol": ", ".join(offered(secret_with("", seconds=-1)))}
    with trio.fail_after(10):
        answer = await http(place.port, f"{place.path}?{place.query}", UPGRADE | shown)
    assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_api_key")


async def test_a_secret_opens_no_session_of_the_voice_protocol(plain: SdkTarget) -> None:
    url = plain.url.replace("/realtime", "/ws/voice").partition("?")[0]
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            link = await open_link(nursery, f"{url}?token={secret_with('')}")
            told = json.loads(await link.receive())
            await link.aclose()
    assert told["error"]["code"] == "token_invalid"
