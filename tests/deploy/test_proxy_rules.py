"""What the proxies of `deploy/` let through: WebSockets and no other tunnel, and so much of each client (F2, F3)."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.certificates import certificate
from tests.support.deployment import gateway
from tests.support.http_stub import HttpStub, receive_head, receive_response
from tests.support.proxies import COMMANDS, DEPLOY, Proxy, proxy
from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.parametrize("name", COMMANDS)]

CONNECTIONS_MAX = 100
"""Of one address, in both files."""
FORGED = "X-Forwarded-For: 9.9.9.9"
WEBSOCKET = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
H2C = ("Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")


def request(path: str, *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode("latin-1")


async def ask(stream: trio.abc.Stream, path: str, *lines: str) -> tuple[int, bytes]:
    """Status and body of one response."""
    await stream.send_all(request(path, *lines))
    response = await receive_response(stream)
    return response.status, response.body


@asynccontextmanager
async def stub_behind(
    name: str, tmp_path: Path, changes: dict[str, str] | None = None
) -> AsyncIterator[tuple[HttpStub, Proxy]]:
    """A server that notes the requests which the proxy lets through."""
    stub = HttpStub()
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, stub.serve, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        async with proxy(name, tmp_path, [port], certificate(tmp_path), changes) as it:
            while name == "haproxy" and not stub.is_checked:  # noqa: ASYNC110  # it serves nothing before its check
                await trio.sleep(0.02)
            await wait_until_served(it)
            stub.heads.clear()
            yield stub, it
        nursery.cancel_scope.cancel()


async def wait_until_served(it: Proxy) -> None:
    while True:
        async with await it.connect() as stream:
            if (await ask(stream, "/"))[0] == 200:
                return
        await trio.sleep(0.02)


@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket"])
async def test_an_upgrade_to_a_websocket_passes_both_ways(tmp_path: Path, name: str, upgrade: str) -> None:
    with trio.fail_after(20):
        async with stub_behind(name, tmp_path) as (stub, it), await it.connect() as stream:
            await stream.send_all(request("/v1/ws/voice", f"Upgrade: {upgrade}", *WEBSOCKET[1:]))
            assert (await receive_head(stream)).status == 101
            assert stub.heads[0].values("upgrade")[0].lower() == "websocket"
            await stream.send_all(b"ping")
            assert await stream.receive_some() == b"ping"


@pytest.mark.parametrize(
    "lines",
    [
        H2C,
        ("Upgrade: websocket, h2c", *WEBSOCKET[1:]),
        ("Upgrade: h2c", "Upgrade: websocket", *WEBSOCKET[1:]),
        ("Upgrade: websocket\xff", *WEBSOCKET[1:]),
        ("Upgrade: TLS/1.0", "Connection: upgrade"),
    ],
    ids=["h2c", "two in a line", "two lines", "not ASCII", "TLS"],
)
async def test_no_other_upgrade_passes_F2(tmp_path: Path, name: str, lines: tuple[str, ...]) -> None:
    with trio.fail_after(20):
        async with stub_behind(name, tmp_path) as (stub, it), await it.connect() as stream:
            assert await ask(stream, "/v1/voice/health", *lines) == (200, b"ok")
            (head,) = stub.heads
    assert head.values("upgrade") == []
    assert head.values("connection") in ([], ["close"])
    assert head.values("http2-settings") == []


async def test_a_request_after_an_offer_of_h2c_obeys_the_rules_F2(tmp_path: Path, name: str) -> None:
    """Without a tunnel the proxy reads every request: it refuses /metrics and replaces a forged address."""
    with trio.fail_after(20):
        async with stub_behind(name, tmp_path) as (stub, it), await it.connect() as stream:
            statuses = [(await ask(stream, path, FORGED, *H2C))[0] for path in ("/", "/metrics", "/second")]
            assert statuses == [200, 404, 200]
            assert [head.path for head in stub.heads] == ["/", "/second"]
            assert [head.values("x-forwarded-for") for head in stub.heads] == [["127.0.0.1"]] * 2
            await stream.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
            data = await stream.receive_some()
            assert data == b"" or data.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505"))
            assert len(stub.heads) == 2


async def test_http_2_is_not_spoken(tmp_path: Path, name: str) -> None:
    """Neither by ALPN nor by its preface: one connection counts as one, and carries one request at a time."""
    with trio.fail_after(20):
        async with stub_behind(name, tmp_path) as (stub, it):
            context = it.trusting
            context.set_alpn_protocols(["h2", "http/1.1"])
            stream = trio.SSLStream(
                await trio.open_tcp_stream("127.0.0.1", it.port), context, server_hostname="localhost"
            )
            await stream.do_handshake()
            assert stream.selected_alpn_protocol() != "h2"
            await stream.send_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
            answer = await stream.receive_some()
            assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 505 ", b"HTTP/1.0 400 ")), answer
            assert stub.heads == []
            await trio.aclose_forcefully(stream)


METRICS = (
    "/metrics",
    "/metrics/",
    "/metrics?x",
    "/%6Detrics",
    "//metrics",
    "/%2F/metrics%2F",
    "/./metrics",
    "/x/../metrics",
    "http://localhost/metrics",
    "http://localhost//metrics",
)


async def test_metrics_do_not_pass_by_any_spelling(tmp_path: Path, name: str) -> None:
    with trio.fail_after(30):
        async with gateway(tmp_path, TRUSTED_PROXY_HOPS="1") as deployment:
            assert b"voice_trio_places" in (await deployment.get("/metrics")).body
            async with proxy(name, tmp_path, [deployment.port], certificate(tmp_path)) as it:
                await wait_until_live(it)
                for path in METRICS:
                    async with await it.connect() as stream:
                        status, body = await ask(stream, path)
                    assert (status, b"voice_trio_places" in body) in ((404, False), (308, False), (400, False)), path


async def wait_until_live(it: Proxy) -> None:
    while True:
        async with await it.connect() as stream:
            if (await ask(stream, "/livez"))[0] == 200:
                return
        await trio.sleep(0.05)


async def test_one_address_has_a_limited_number_of_connections_F3(tmp_path: Path, name: str) -> None:
    with trio.fail_after(40):
        async with stub_behind(name, tmp_path) as (_, it), AsyncExitStack() as stack:
            sessions = []
            for _ in range(CONNECTIONS_MAX):
                stream = await stack.enter_async_context(await it.connect())
                await stream.send_all(request("/v1/ws/voice", *WEBSOCKET))
                assert (await receive_head(stream)).status == 101
                sessions.append(stream)
            async with await it.connect() as stream:
                assert (await ask(stream, "/v1/ws/voice", *WEBSOCKET))[0] == 429
            async with await it.connect("127.0.0.2") as stream:
                assert await ask(stream, "/") == (200, b"ok")
            await sessions[0].aclose()
            await wait_until_served(it)


IMPATIENT = {
    "nginx": {
        "client_header_timeout 10s": "client_header_timeout 1s",
        "client_body_timeout 10s": "client_body_timeout 1s",
    },
    "haproxy": {"timeout http-request 10s": "timeout http-request 1s"},
}
SLOW = {
    "no request": b"",
    "half a head": b"GET / HTTP/1.1\r\nHost: loc",
    "half a body": request("/", "Content-Length: 9", method="POST") + b"half",
}


@pytest.mark.parametrize("kind", SLOW)
async def test_a_request_that_does_not_come_is_given_up_F3(tmp_path: Path, name: str, kind: str) -> None:
    """The deadline of the file is 10 s; here it is 1 s."""
    with trio.fail_after(20):
        async with stub_behind(name, tmp_path, IMPATIENT[name]) as (stub, it), await it.connect() as stream:
            await stream.send_all(SLOW[kind])
            started_at = trio.current_time()
            with suppress(trio.BrokenResourceError):
                while await stream.receive_some():
                    pass
            assert 0.5 < trio.current_time() - started_at < 4
            assert stub.heads == []


async def test_a_head_is_bounded_and_the_longest_token_passes(tmp_path: Path, name: str) -> None:
    longest = "t" * limits.TOKEN_CHARS_MAX
    with trio.fail_after(20):
        async with stub_behind(name, tmp_path) as (stub, it):
            for path, line in ((f"/?token={longest}", "X: y"), ("/", f"Authorization: Bearer {longest}")):
                async with await it.connect() as stream:
                    assert (await ask(stream, path, line))[0] == 200
            stub.heads.clear()
            async with await it.connect() as stream:
                await stream.send_all(request("/", *(f"X-{number}: {'x' * 1000}" for number in range(40))))
                assert (await receive_head(stream)).status in (400, 431)
            assert stub.heads == []
            assert longest[:40] not in it.log


def test_a_silent_connection_outlives_the_pings_of_the_gateway(name: str) -> None:
    text = (DEPLOY / {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}[name]).read_text()
    found = re.findall(r"^ *(?:proxy_read_timeout|proxy_send_timeout|timeout tunnel) (\d+)s", text, re.MULTILINE)
    assert found
    assert all(int(seconds) > 2 * limits.PING_SECONDS + limits.PONG_SECONDS_MAX for seconds in found)
