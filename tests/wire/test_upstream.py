"""The upstream link on real sockets: its handshake, and every way in which the connection can be lost."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from urllib.parse import urlsplit

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from voice_trio import limits
from voice_trio.errors import LinkClosed, ModelRefused, ModelUnavailable
from voice_trio.net.dial import UpstreamDial
from voice_trio.net.keepalive import Keepalive
from voice_trio.upstreams.dial import make_dial

Handler = Callable[[WebSocketRequest], Awaitable[None]]


@asynccontextmanager
async def websocket_server(handler: Handler) -> AsyncIterator[str]:
    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            partial(serve_websocket, handler, "127.0.0.1", 0, ssl_context=None, max_message_size=20 * 2**20)
        )
        yield f"ws://127.0.0.1:{server.port}/v1/realtime"
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def tcp_server(handler: Callable[[trio.SocketStream], Awaitable[None]]) -> AsyncIterator[str]:
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, handler, 0, host="127.0.0.1"))
        yield f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/v1/realtime"
        nursery.cancel_scope.cancel()


async def echo(request: WebSocketRequest) -> None:
    connection = await request.accept()
    await repeat(connection)


async def repeat(connection: WebSocketConnection) -> None:
    try:
        while True:
            await connection.send_message(await connection.get_message())
    except ConnectionClosed:
        pass


async def test_the_handshake_carries_the_model_the_key_and_the_hashed_user() -> None:
    seen: list[WebSocketRequest] = []

    async def note(request: WebSocketRequest) -> None:
        seen.append(request)
        await echo(request)

    with trio.fail_after(5):
        async with websocket_server(note) as url, trio.open_nursery() as nursery:
            link = await make_dial(url, "gpt-realtime-2.1", "sk-secret", "0123abcd")(nursery)
            await link.aclose()
    headers = {name.lower(): value for name, value in seen[0].headers}
    assert seen[0].path == "/v1/realtime?model=gpt-realtime-2.1"
    assert headers[b"authorization"] == b"Bearer sk-secret"
    assert headers[b"openai-safety-identifier"] == b"0123abcd"
    assert b"openai-beta" not in headers


async def test_without_a_key_no_header_names_one() -> None:
    seen: list[bytes] = []

    async def note(request: WebSocketRequest) -> None:
        seen.extend(name.lower() for name, _ in request.headers)
        await echo(request)

    with trio.fail_after(5):
        async with websocket_server(note) as url, trio.open_nursery() as nursery:
            link = await make_dial(url, "m", None)(nursery)
            await link.aclose()
    assert b"authorization" not in seen
    assert b"openai-safety-identifier" not in seen


async def test_text_stays_text_and_bytes_stay_bytes_up_to_sixteen_mebibytes() -> None:
    with trio.fail_after(10):
        async with websocket_server(echo) as url, trio.open_nursery() as nursery:
            link = await make_dial(url, "m", None)(nursery)
            for message in ("höre", b"\x00\x01", "x" * (16 * 2**20)):
                await link.send(message)
                assert await link.receive() == message
            await link.aclose()


async def test_what_the_peer_says_when_it_closes_is_kept() -> None:
    async def close(request: WebSocketRequest) -> None:
        connection = await request.accept()
        await connection.send_message("last words")
        await connection.aclose(3000, "invalid_api_key")

    with trio.fail_after(5):
        async with websocket_server(close) as url, trio.open_nursery() as nursery:
            link = await make_dial(url, "m", None)(nursery)
            assert await link.receive() == "last words"
            with pytest.raises(LinkClosed) as closed:
                await link.receive()
            assert (closed.value.code, closed.value.reason) == (3000, "invalid_api_key")
            with pytest.raises(LinkClosed):
                await link.send("too late")
            await link.aclose()
            await link.aclose()


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_no_at_the_handshake_is_final(status: int) -> None:
    with pytest.raises(ModelRefused, match=f"HTTP {status}"):
        await dial_and_be_rejected(status)


@pytest.mark.parametrize("status", [429, 500, 503, 301])
async def test_other_answers_are_worth_another_try(status: int) -> None:
    with pytest.raises(ModelUnavailable, match=f"HTTP {status}") as unavailable:
        await dial_and_be_rejected(status)
    assert not isinstance(unavailable.value, ModelRefused)


async def test_an_exhausted_account_is_final_and_its_message_is_not_repeated() -> None:
    body = b'{"error": {"code": "insufficient_quota", "message": "key sk-12345 is poor"}}'
    with pytest.raises(ModelRefused, match="insufficient_quota") as refused:
        await dial_and_be_rejected(429, body)
    assert "sk-12345" not in str(refused.value)


async def dial_and_be_rejected(status: int, body: bytes | None = None) -> None:
    async def reject(request: WebSocketRequest) -> None:
        await request.reject(status, body=body)

    with trio.fail_after(5):
        async with websocket_server(reject) as url:
            async with trio.open_nursery() as nursery:
                error: ModelUnavailable | None = None
                try:
                    await make_dial(url, "m", "sk-secret")(nursery)
                except ModelUnavailable as caught:
                    error = caught
            assert error is not None
            raise_later = error
    raise raise_later


@pytest.mark.parametrize(
    "said",
    [b"", b"SSH-2.0-OpenSSH_9.9\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", b"HTTP/1.1 101 x\r\n\r\n"],
)
async def test_a_server_that_hangs_up_or_talks_nonsense_at_the_handshake_is_unavailable_at_once(said: bytes) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            if said:
                await stream.send_all(said)

    with trio.fail_after(2):
        async with tcp_server(answer) as url, trio.open_nursery() as nursery:
            with pytest.raises(ModelUnavailable):
                await make_dial(url, "m", None)(nursery)


async def test_nobody_listening_and_no_such_host_are_unavailable() -> None:
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for url in ("ws://127.0.0.1:1/v1/realtime", "ws://no-such-host.invalid/v1/realtime"):
                with pytest.raises(ModelUnavailable, match="no connection"):
                    await make_dial(url, "m", None)(nursery)


async def test_tls_with_a_server_that_has_none_is_unavailable() -> None:
    async def answer(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with trio.fail_after(5):
        async with tcp_server(answer) as url, trio.open_nursery() as nursery:
            with pytest.raises(ModelUnavailable, match="no TLS"):
                await make_dial(url.replace("ws://", "wss://"), "m", None)(nursery)


async def test_a_handshake_that_never_ends_can_be_given_up_and_leaves_nothing_behind() -> None:
    ended = trio.Event()

    async def say_nothing(stream: trio.SocketStream) -> None:
        async with stream:
            while await stream.receive_some():
                pass
        ended.set()

    with trio.fail_after(3):
        async with tcp_server(say_nothing) as url, trio.open_nursery() as nursery:
            with trio.move_on_after(0.2) as patience:
                await make_dial(url, "m", None)(nursery)
            assert patience.cancelled_caught
            await ended.wait()
            assert not nursery.child_tasks


async def test_a_peer_that_vanishes_silently_is_noticed_by_the_missing_pong() -> None:
    swallowing = trio.Event()
    async with swallowing_proxy(swallowing) as (url, _):
        with trio.fail_after(3):
            async with trio.open_nursery() as nursery:
                link = await UpstreamDial(url, keepalive=Keepalive(0.2, 0.2))(nursery)
                await trio.sleep(0.7)  # three pings get their pongs
                await link.send("still there?")
                assert await link.receive() == "still there?"
                swallowing.set()
                started_at = trio.current_time()
                with pytest.raises(LinkClosed):
                    await link.receive()
                assert 0.2 <= trio.current_time() - started_at < 0.6
                await link.aclose()
            assert not nursery.child_tasks


async def test_F63_the_kernel_ends_a_connection_whose_upstream_acknowledges_nothing() -> None:
    with trio.fail_after(5):
        async with websocket_server(echo) as url, trio.open_nursery() as nursery:
            link = await make_dial(url, "m", None)(nursery)
            assert options_towards(urlsplit(url).port) == [(limits.UNACKNOWLEDGED_MS_MAX, 1, 1)]
            await link.aclose()


def options_towards(port: int | None) -> list[tuple[int, int, int]]:
    """(TCP_USER_TIMEOUT, SO_KEEPALIVE, TCP_NODELAY) of each connection of this process to a port."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError), socket.socket(fileno=os.dup(int(name))) as end:
            if end.family == socket.AF_INET and end.type == socket.SOCK_STREAM and end.getpeername()[1] == port:
                user_timeout = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
                keepalive = end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                found.append((user_timeout, keepalive, end.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
    return found


async def test_closing_towards_a_peer_that_does_not_answer_takes_half_a_second() -> None:
    swallowing = trio.Event()
    async with swallowing_proxy(swallowing) as (url, _):
        with trio.fail_after(3):
            async with trio.open_nursery() as nursery:
                link = await make_dial(url, "m", None)(nursery)
                swallowing.set()
                started_at = trio.current_time()
                await link.aclose()
                assert trio.current_time() - started_at < 0.7
                assert not nursery.child_tasks


async def test_a_send_that_stands_still_ends_when_the_link_is_closed() -> None:
    async def take_nothing(request: WebSocketRequest) -> None:
        await request.accept()
        await trio.sleep_forever()

    with trio.fail_after(5):
        async with websocket_server(take_nothing) as url, trio.open_nursery() as nursery:
            link = await make_dial(url, "m", None)(nursery)
            with trio.move_on_after(0.3) as patience:
                while True:
                    await link.send("x" * 2**20)
            assert patience.cancelled_caught
            await link.aclose()
            with pytest.raises(LinkClosed):
                await link.send("after all that")


async def test_a_reset_is_a_lost_connection() -> None:
    reset = trio.Event()
    async with swallowing_proxy(trio.Event(), reset) as (url, _):
        with trio.fail_after(3):
            async with trio.open_nursery() as nursery:
                link = await make_dial(url, "m", None)(nursery)
                reset.set()
                with pytest.raises(LinkClosed) as closed:
                    await link.receive()
                assert closed.value.code is None
                await link.aclose()


async def test_a_cancelled_receive_loses_no_frame() -> None:
    with trio.fail_after(5):
        async with websocket_server(echo) as url, trio.open_nursery() as nursery:
            link = await make_dial(url, "m", None)(nursery)
            for number in range(200):
                await link.send(str(number))
            received: list[str | bytes] = []
            while len(received) < 200:
                with trio.move_on_after(0.001):
                    received.append(await link.receive())
            assert received == [str(number) for number in range(200)]
            await link.aclose()


@asynccontextmanager
async def swallowing_proxy(
    swallowing: trio.Event, reset: trio.Event | None = None
) -> AsyncIterator[tuple[str, trio.Nursery]]:
    """An echo server behind a proxy that passes nothing on once `swallowing` is set, and resets on `reset`."""

    async def carry(source: trio.SocketStream, target: trio.SocketStream) -> None:
        try:
            while data := await source.receive_some():
                if not swallowing.is_set():
                    await target.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def reset_when_told(stream: trio.SocketStream) -> None:
        if reset is not None:
            await reset.wait()
            stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            await trio.aclose_forcefully(stream)

    async def proxy(port: int, client: trio.SocketStream) -> None:
        server = await trio.open_tcp_stream("127.0.0.1", port)
        async with client, server, trio.open_nursery() as both:
            both.start_soon(carry, server, client)
            both.start_soon(reset_when_told, client)
            await carry(client, server)
            both.cancel_scope.cancel()

    async with websocket_server(echo) as url:
        port = int(url.split(":")[2].split("/")[0])
        async with tcp_server(partial(proxy, port)) as proxied, trio.open_nursery() as nursery:
            yield proxied, nursery
            nursery.cancel_scope.cancel()
