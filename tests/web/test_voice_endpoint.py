"""The voice endpoint without a socket: exact time limits, crashes, and servers other than hypercorn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.asgi_server import AsgiClient
from tests.support.gateway_fixture import make_gateway, token
from voice_trio.web.application import Application

if TYPE_CHECKING:
    from trio.testing import MockClock


async def test_a_client_without_token_is_given_five_seconds(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    client = AsgiClient()
    await client.run(make_gateway(nursery))
    assert trio.current_time() == pytest.approx(5.0 + 0.8)  # then a closing handshake without its reply
    assert client.closed == (1008, "Token missing or invalid")
    assert [message["type"] for message in client.sent] == ["websocket.accept", "websocket.send", "websocket.close"]


async def test_a_client_that_leaves_before_its_token_is_told_nothing(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    client = AsgiClient()
    client.is_left()
    gateway = make_gateway(nursery)
    await client.run(gateway)
    assert [message["type"] for message in client.sent] == ["websocket.accept"]
    assert gateway.capacity.taken == 0


async def test_a_crash_after_the_upgrade_is_closed_with_1011(
    autojump_clock: MockClock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(nursery)

    async def crash(*_args: object, **_kwargs: object) -> None:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("a bug")

    monkeypatch.setattr(gateway.admission, "admit", crash)
    client = AsgiClient()
    client.says('{"type":"auth","token":"x"}')
    await client.run(gateway)
    assert client.closed == (1011, "Internal error")


async def test_a_missing_key_is_1011_blames_no_caller_and_everything_is_given_back_I12_F59(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    gateway = make_gateway(nursery, OPENAI_REALTIME_URL="wss://api.openai.com/v1/realtime")
    application = Application(gateway)
    for _ in range(4):
        client = AsgiClient(f"token={token()}")
        await client.run(gateway, application)
        assert client.closed == (1011, "OpenAI connection failed")
    assert gateway.capacity.taken == 0


async def test_a_server_that_cannot_answer_in_http_closes_instead(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    gateway = make_gateway(nursery, ALLOWED_ORIGINS="https://a.example")
    client = AsgiClient(headers=[(b"origin", b"https://b.example")], extensions={})
    await client.run(gateway)
    assert [message["type"] for message in client.sent] == ["websocket.close"]


async def test_the_servers_own_record_of_the_request_holds_no_token(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    client = AsgiClient("token=a.b.c")
    await client.run(make_gateway(nursery))
    assert client.scope["query_string"] == b""


async def test_while_draining_everybody_is_sent_away(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    gateway = make_gateway(nursery)
    gateway.drain()
    client = AsgiClient(f"token={token()}")
    await client.run(gateway)
    assert client.closed == (1012, "Server restarting, resume")


async def test_what_a_gone_handler_left_unread_is_read_away(autojump_clock: MockClock) -> None:
    """Hypercorn's reader would wait for ever behind a full queue."""
    client = AsgiClient("token=a.b.c")
    for _ in range(50):
        client.says("more")
    async with trio.open_nursery() as nursery:
        await client.run(make_gateway(nursery))
        client.is_left()
    assert client._take.statistics().current_buffer_used == 0


async def test_I9_a_websocket_inside_http_2_is_refused_because_it_would_hide_a_stalled_client(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    gateway = make_gateway(nursery)
    client = AsgiClient(f"token={token()}", http_version="2")
    await client.run(gateway)
    assert client.sent[0]["type"] == "websocket.http.response.start"
    assert client.sent[0]["status"] == 505
    assert gateway.capacity.taken == 0
