"""F26: what an upstream may answer to the upgrade, byte for byte: it is a link, or `ModelUnavailable`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from voice_trio.errors import LinkClosed, ModelRefused, ModelUnavailable
from voice_trio.net.dial import accept_key
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.upstreams.dial import make_dial

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GOOD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\n"
CHUNKED = b"HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n"

ACCEPTED = {
    "a header above 127": GOOD + b"X-Served-By: caf\xe9\r\n\r\n",
    "a reason above 127": GOOD.replace(b"Switching", b"\xe9change") + b"\r\n",
    "no reason": GOOD.replace(b" Switching Protocols", b"") + b"\r\n",
    "other cases": GOOD.replace(b"Upgrade: websocket", b"UPGRADE: WebSocket") + b"\r\n",
    "a list in Connection": GOOD.replace(b": Upgrade", b": keep-alive, UPGRADE") + b"\r\n",
    "an interim response": b"HTTP/1.1 103 Early Hints\r\nLink: \xff\r\n\r\n" + GOOD + b"\r\n",
}
UNAVAILABLE = {
    "nothing": b"",
    "half a status line": b"HTTP/1.1 101",
    "a status line above 127": b"\xff\xff\xff\xff\r\n\r\n",
    "a status above 127": GOOD.replace(b"101", b"1\xff1") + b"\r\n",
    "a status below 100": GOOD.replace(b"101", b"000") + b"\r\n",
    "a status above 599": GOOD.replace(b"101", b"999") + b"\r\n",
    "a header name above 127": GOOD + b"X-\xff: a\r\n\r\n",
    "an Upgrade above 127": GOOD.replace(b"websocket", b"websocket\xff") + b"\r\n",
    "a Connection above 127": GOOD.replace(b": Upgrade", b": Upgrade\xff") + b"\r\n",
    "an accept above 127": GOOD.replace(b"KEY", b"\xff\xff") + b"\r\n",
    "a wrong accept": GOOD.replace(b"KEY", b"AAAA") + b"\r\n",
    "no accept": GOOD[: GOOD.index(b"Sec-")] + b"\r\n",
    "two accepts": GOOD + b"Sec-WebSocket-Accept: KEY\r\n\r\n",
    "no Upgrade": GOOD.replace(b"Upgrade: websocket\r\n", b"") + b"\r\n",
    "no Connection": GOOD.replace(b"Connection: Upgrade\r\n", b"") + b"\r\n",
    "an extension": GOOD + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    "a subprotocol": GOOD + b"Sec-WebSocket-Protocol: \xff\r\n\r\n",
    "a huge header": GOOD + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
    "endless headers": GOOD + b"X: a\r\n" * 50_000,
    "endless interim responses": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20_000,
    "a NUL": GOOD + b"X: a\x00b\r\n\r\n",
    "a length above 127": b"HTTP/1.1 500 x\r\nContent-Length: 1\xff\r\n\r\n",
    "a negative length": b"HTTP/1.1 500 x\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"HTTP/1.1 500 x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nabc",
    "an unknown coding": b"HTTP/1.1 500 x\r\nTransfer-Encoding: gzip\xff\r\n\r\n",
    "an error in chunks": CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
    "wrong chunks": CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n",
    "half a chunk": CHUNKED + b"5\r\nhe",
    "trailers above 127": CHUNKED + b"0\r\nX: \xff\r\n\r\n",
    "an error whose code is half a character": b'HTTP/1.1 429 x\r\n\r\n{"error":{"code":"\\ud83d"}}',
    "an error whose code has a line break": b'HTTP/1.1 429 x\r\n\r\n{"error":{"code":"a\\nb"}}',
    "an error of another shape": b'HTTP/1.1 429 x\r\n\r\n{"error":[1]}',
    "an error of many brackets": b"HTTP/1.1 429 x\r\n\r\n" + b"[" * 30_000,
    "a redirection": b"HTTP/1.1 301 x\r\nLocation: wss://\xff\r\nContent-Length: 0\r\n\r\n",
    "a redirection to nowhere": b"HTTP/1.1 307 x\r\nContent-Length: 0\r\n\r\n",
    "no content": b"HTTP/1.1 204 x\r\n\r\n",
    "a page": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "an alert of TLS": b"\x15\x03\x01\x00\x02\x02\x28",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@asynccontextmanager
async def server_that_answers(response: bytes) -> AsyncIterator[tuple[str, trio.Nursery]]:
    """Its URL, and a nursery for the link. It closes the connection after the response."""

    async def serve(stream: trio.SocketStream) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some()
        (key,) = (line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        try:
            await stream.send_all(response.replace(b"KEY", accept_key(key.split(b":")[1].strip().decode())))
            await stream.send_eof()
            while await stream.receive_some():
                pass
        except trio.BrokenResourceError:
            pass  # the client has seen enough

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
            yield f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v1/realtime", nursery
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("response", ACCEPTED.values(), ids=ACCEPTED)
async def test_F26_an_odd_response_that_accepts_gives_a_link(response: bytes) -> None:
    async with server_that_answers(response + b"\x81\x02hi") as (url, nursery):
        link = await make_dial(url, "m", "sk-secret")(nursery)
        assert await link.receive() == "hi"
        await link.aclose()


@pytest.mark.parametrize("response", UNAVAILABLE.values(), ids=UNAVAILABLE)
async def test_F26_whatever_else_comes_is_an_upstream_that_is_unavailable(response: bytes) -> None:
    async with server_that_answers(response) as (url, nursery):
        with pytest.raises(ModelUnavailable) as unavailable:
            await make_dial(url, "m", "sk-secret")(nursery)
        assert not isinstance(unavailable.value, ModelRefused)
        assert str(unavailable.value).isascii()
        assert str(unavailable.value).isprintable()


async def test_F26_junk_after_the_response_ends_the_link_with_a_code() -> None:
    async with server_that_answers(GOOD + b"\r\n" + b"\xff" * 500) as (url, nursery):
        link = await make_dial(url, "m", "sk-secret")(nursery)
        with pytest.raises(LinkClosed) as closed:
            await link.receive()
        assert closed.value.code == 1002
        await link.aclose()


@pytest.mark.parametrize("response", [UNAVAILABLE["a Connection above 127"], UNAVAILABLE["an Upgrade above 127"]])
async def test_F26_the_link_of_our_own_client_maps_it_too(response: bytes) -> None:
    async with server_that_answers(response) as (url, nursery):
        with pytest.raises(ModelUnavailable):
            await open_link(nursery, url)
