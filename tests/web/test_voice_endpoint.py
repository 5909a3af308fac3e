"""The voice endpoint without a socket: time limits exact, crashes said aloud, servers other than hypercorn served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.gateway_fixture import make_gateway, token
from tests.web.test_asgi_link import Server
from voice_trio.web.application import Application

if TYPE_CHECKING:
    from trio.testing import MockClock

    from voice_trio.web.gateway import Gateway

HTTP_ANSWERS: dict[str, Any] = {"websocket.http.response": {}}


class Caller(Server):
    """A client at the door; `run` is its connection as the server sees it."""

    def __init__(self, query: str = "", **scope: Any) -> None:
        super().__init__()
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "path": "/v1/ws/voice",
            "query_string": query.encode(),
            "headers": [],
            "client": ("10.0.0.1", 5),
            "extensions": HTTP_ANSWERS,
        } | scope
        self._give.send_nowait({"type": "websocket.connect"})

    async def run(self, gateway: Gateway, application: Application | None = None) -> None:
        await (application or Application(gateway))(self.scope, self.receive, self.send)

    @property
    def closed(self) -> tuple[int, str]:
        return self.sent[-1]["code"], self.sent[-1]["reason"]


async def test_a_client_without_token_is_given_five_seconds(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    caller = Caller()
    await caller.run(make_gateway(nursery))
    assert trio.current_time() == pytest.approx(5.0 + 0.8)  # then the goodbye, which this client does not answer
    assert caller.closed == (1008, "Token missing or invalid")
    assert [message["type"] for message in caller.sent] == ["websocket.accept", "websocket.send", "websocket.close"]


async def test_a_client_that_leaves_before_its_token_is_told_nothing(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    caller = Caller()
    caller.is_left()
    gateway = make_gateway(nursery)
    await caller.run(gateway)
    assert [message["type"] for message in caller.sent] == ["websocket.accept"]
    assert gateway.capacity.taken == 0


async def test_a_crash_after_the_upgrade_is_closed_with_1011(
    autojump_clock: MockClock, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = make_gateway(nursery)

    async def crash(*_args: object, **_kwargs: object) -> None:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("a bug")

    monkeypatch.setattr(gateway.admission, "admit", crash)
    caller = Caller()
    caller.says('{"type":"auth","token":"x"}')
    await caller.run(gateway)
    assert caller.closed == (1011, "Internal error")


async def test_a_missing_key_is_1011_and_everything_is_given_back_I12(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    gateway = make_gateway(nursery, OPENAI_REALTIME_URL="wss://api.openai.com/v1/realtime")
    application = Application(gateway)
    for _ in range(2):
        caller = Caller(f"token={token()}")
        await caller.run(gateway, application)
        assert caller.closed == (1011, "OpenAI connection failed")
    await (caller := Caller(f"token={token()}")).run(gateway, application)
    assert gateway.capacity.taken == 0
    assert caller.sent[0]["status"] == 429  # the third time at the handshake
    assert dict(caller.sent[0]["headers"])[b"retry-after"]


async def test_a_server_that_cannot_answer_in_http_closes_instead(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    gateway = make_gateway(nursery, ALLOWED_ORIGINS="https://a.example")
    caller = Caller(headers=[(b"origin", b"https://b.example")], extensions={})
    await caller.run(gateway)
    assert [message["type"] for message in caller.sent] == ["websocket.close"]


async def test_the_servers_own_record_of_the_request_holds_no_token(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    caller = Caller("token=a.b.c")
    await caller.run(make_gateway(nursery))
    assert caller.scope["query_string"] == b""


async def test_while_draining_everybody_is_sent_away(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    gateway = make_gateway(nursery)
    gateway.drain()
    caller = Caller(f"token={token()}")
    await caller.run(gateway)
    assert caller.closed == (1012, "Server restarting, resume")


async def test_what_a_gone_handler_left_unread_is_read_away(autojump_clock: MockClock) -> None:
    """Hypercorn's reader would wait for ever behind a full queue."""
    caller = Caller("token=a.b.c")
    for _ in range(50):
        caller.says("more")
    async with trio.open_nursery() as nursery:
        await caller.run(make_gateway(nursery))
        caller.is_left()
    assert caller._take.statistics().current_buffer_used == 0


async def test_I9_a_websocket_inside_http_2_is_refused_because_it_would_hide_a_stalled_client(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    gateway = make_gateway(nursery)
    caller = Caller(f"token={token()}", http_version="2")
    await caller.run(gateway)
    assert caller.sent[0]["type"] == "websocket.http.response.start"
    assert caller.sent[0]["status"] == 505
    assert gateway.capacity.taken == 0
