"""What anybody can send to the port without a token ends its own connection only (F1, F2, F3, F8)."""

from __future__ import annotations

import socket
import ssl
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.certificates import certificate
from tests.support.deployment import (
    HYPERCORN_COMMAND,
    SERVE_COMMAND,
    UPGRADE,
    Deployment,
    gateway,
    gateway_process,
    http,
    token,
)
from tests.support.hostile_packets import HOSTILE_PACKETS, REALTIME, VOICE, first_message, upgrade
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.testing import FakeClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

ROUNDS = 25
"""Of each packet, at once and again behind another request: 50 in all."""
GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
OUTCOMES = {
    "a byte above 127 in Sec-WebSocket-Protocol": {101},
    "a byte above 127 in Sec-WebSocket-Extensions": {101},
    "a byte above 127 in Connection": {101},
    "a byte above 127 in Upgrade": {101},
    "a byte above 127 in the key": {400},
    "a frame behind an upgrade to nowhere": {404},
    "a frame behind an upgrade without a token": {401},
    "a frame behind an upgrade that is accepted": {101},
    "a body on an upgrade": {400},
    "a chunked body on an upgrade": {400},
    "a first message of 1 MB before the 101": {101},
    "HTTP/2 with CONNECT and no path": {505},
    "HTTP/2 with a path above 127": {505},
    "an h2c upgrade": {200},
}


@dataclass(slots=True)
class Door:
    """The way to a gateway's port, with or without TLS."""

    deployment: Deployment
    trusting: ssl.SSLContext | None = None
    statuses: dict[str, set[int]] = field(default_factory=dict)

    async def connect(self) -> trio.abc.Stream:
        stream = await trio.open_tcp_stream(*self.deployment.address)
        if self.trusting is None:
            return stream
        return trio.SSLStream(stream, self.trusting, server_hostname="localhost", https_compatible=True)

    async def bystander(self, nursery: trio.Nursery) -> FakeClient:
        scheme, context = ("ws", None) if self.trusting is None else ("wss", self.trusting)
        url = f"{scheme}://localhost:{self.deployment.port}/v1/ws/voice"
        headers = {"Authorization": f"Bearer {token()}"}
        client = FakeClient(await open_link(nursery, url, headers=headers, ssl_context=context))
        nursery.start_soon(client.run)
        await client.hears("connection.ready")
        return client

    async def send(self, name: str, packet: bytes, before: bytes) -> None:
        """Send a packet, and note the status of its response; the connection may break at any moment."""
        try:
            stream = await self.connect()
        except OSError:
            return
        try:
            with trio.move_on_after(5):
                if before:
                    await stream.send_all(before)
                    assert await receive_response(stream) == 200
                await stream.send_all(packet)
                self.statuses.setdefault(name, set()).add(await receive_response(stream))
        except (trio.BrokenResourceError, ssl.SSLError):
            pass
        finally:
            await trio.aclose_forcefully(stream)


async def receive_response(stream: trio.abc.Stream) -> int:
    """The status of a response, once its head and body were received; 0 for none."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = await stream.receive_some()
        if not chunk:
            return 0
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += await stream.receive_some()
    return int(head.split()[1])


async def talk(client: FakeClient, gaps: list[float]) -> None:
    """Ask and ping all the time, and note how long each answer took."""
    number = 0
    while True:
        number += 1
        started_at = trio.current_time()
        await client.ping(number)
        while (await client.hears("pong")).event["id"] != number:
            pass
        gaps.append(trio.current_time() - started_at)
        await trio.sleep(0.02)


async def bombard(door: Door, packets: dict[str, bytes], rounds: int) -> None:
    """Send each packet `rounds` times at once and as often behind another request, some at a time."""
    for _ in range(rounds):
        for before in (b"", GET):
            async with trio.open_nursery() as nursery:
                for name, packet in packets.items():
                    nursery.start_soon(door.send, name, packet, before)


def serve_over_tls(tmp_path: Path) -> tuple[Sequence[str], ssl.SSLContext]:
    tls = certificate(tmp_path)
    command = (*SERVE_COMMAND, "--certfile", tls.certfile, "--keyfile", tls.keyfile)
    return command, ssl.create_default_context(cafile=tls.certfile)


@pytest.mark.parametrize("kind", ["plain", "tls", "hypercorn"])
async def test_no_packet_ends_the_process_or_another_conversation_F1(tmp_path: Path, kind: str) -> None:
    command: Sequence[str] = SERVE_COMMAND
    trusting = None
    if kind == "tls":
        command, trusting = serve_over_tls(tmp_path)
    elif kind == "hypercorn":
        command = HYPERCORN_COMMAND
    with trio.fail_after(100):
        async with gateway_process(tmp_path, command) as deployment, trio.open_nursery() as nursery:
            process = deployment.process
            assert process is not None
            door = Door(deployment, trusting)
            gaps: list[float] = []
            client = await door.bystander(nursery)
            nursery.start_soon(talk, client, gaps)
            await bombard(door, HOSTILE_PACKETS, ROUNDS)
            spoken = len(gaps)
            await trio.sleep(0.5)
            assert len(gaps) > spoken > 10
            assert (await door.bystander(nursery)).heard
            assert process.returncode is None
            assert not process.events("endpoint_crashed")
            if kind == "hypercorn":
                assert process.events("connection_failed")  # contained by `contain_failures`
            else:
                assert not [name for name, found in door.statuses.items() if not found <= OUTCOMES[name]]
                assert set(door.statuses) == set(OUTCOMES)
                assert not process.events("connection_failed")
                assert not [line for line in process.log if "Traceback" in line]
            nursery.cancel_scope.cancel()


async def test_h2c_is_answered_as_http_1_without_a_tunnel_F2(tmp_path: Path) -> None:
    h2c = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAARAAAAAAAIAAAAA"}
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment:
            answer = await http(deployment.port, "/livez", h2c)
            assert (answer.status, answer.json) == (200, {"status": "alive"})
            assert "upgrade" not in answer.headers


@pytest.mark.parametrize("path", ["/v1/ws/voice", "/api/v1/ws/voice", "/v1/realtime", "/openai/realtime"])
async def test_a_websocket_path_without_an_upgrade_is_426_and_names_the_proxy_F8(tmp_path: Path, path: str) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment:
            answer = await http(deployment.port, path)
            assert answer.status == 426
            assert (answer.headers["upgrade"], answer.headers["connection"]) == ("websocket", "upgrade")
            assert answer.json["error"]["code"] == "upgrade_required"
            assert "proxy" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("/v1/ws/voice/", "/v1/ws/voice"),
        ("//v1/ws//voice", "/v1/ws/voice"),
        ("/v1/realtime/", "/v1/realtime"),
    ],
)
@pytest.mark.parametrize("headers", [{}, UPGRADE], ids=["plain", "upgrade"])
async def test_a_slash_too_many_is_404_and_names_the_right_path_F8(
    tmp_path: Path, path: str, right: str, headers: dict[str, str]
) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment:
            answer = await http(deployment.port, path, headers)
            assert answer.status == 404
            assert f"The WebSocket is at {right} " in answer.json["error"]["message"]


async def test_an_old_websocket_client_is_told_the_version(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment:
            answer = await http(deployment.port, "/v1/ws/voice", UPGRADE | {"Sec-WebSocket-Version": "8"})
            assert (answer.status, answer.headers["sec-websocket-version"]) == (426, "13")


async def test_what_comes_with_the_upgrade_is_the_first_message_of_the_link(tmp_path: Path) -> None:
    """Without malice too: a browser sends its first message as soon as it may."""
    message = f'{{"type":"auth","token":"{token()}"}}'.encode()
    frame = b"\x81\xfe" + len(message).to_bytes(2, "big") + bytes(4) + message
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment:
            for before in (b"", GET, GET + GET):
                async with await trio.open_tcp_stream(*deployment.address) as stream:
                    await stream.send_all(before + upgrade(VOICE) + frame)
                    received = b""
                    while b"connection.ready" not in received:
                        received += await stream.receive_some()
                    assert received.count(b'{"status":"alive"}') == before.count(b"GET")


FULL = {"MAX_UNADMITTED_CONNECTIONS": "40"}


async def test_connections_without_a_session_make_room_for_newcomers_F3(tmp_path: Path) -> None:
    """Silent ones, slow heads, bodies that never end, kept-alive ones: three times as many as may be."""
    packets = [packet for number in range(30) for packet in (b"", b"GET / HTTP/1.1\r\nHo", half_a_body(number), GET)]
    with trio.fail_after(30):
        async with (
            gateway(tmp_path, **FULL) as deployment,
            crowd(packets, deployment) as streams,
            trio.open_nursery() as nursery,
        ):
            started_at = trio.current_time()
            assert (await http(deployment.port, "/livez")).status == 200
            client = await Door(deployment).bystander(nursery)
            await client.ping("served")
            await client.hears("pong")
            assert trio.current_time() - started_at < 3
            await trio.sleep(0.2)
            assert 20 < sum([await is_open(stream) for stream in streams]) <= 40
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def crowd(packets: Sequence[bytes], deployment: Deployment) -> AsyncIterator[list[trio.SocketStream]]:
    """A connection for each packet, which is sent and never followed by another byte."""
    async with AsyncExitStack() as stack:
        streams = []
        for packet in packets:
            stream = await stack.enter_async_context(await trio.open_tcp_stream(*deployment.address))
            with suppress(trio.BrokenResourceError):  # closed already in favour of a newcomer
                await stream.send_all(packet)
            streams.append(stream)
        yield streams


def half_a_body(number: int) -> bytes:
    """A request whose body is read, by a user of its own."""
    lines = [b"POST /v1/realtime/client_secrets HTTP/1.1", b"Host: x", b"Content-Length: 9"]
    lines.append(b"Authorization: Bearer " + token(f"user{number}").encode())
    return b"\r\n".join([*lines, b"", b"half"])


async def is_open(stream: trio.SocketStream) -> bool:
    """Whether the other end has not closed the connection."""
    with trio.move_on_after(0.01), suppress(trio.BrokenResourceError):
        while await stream.receive_some():
            pass
        return False
    return stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


async def test_few_descriptors_are_one_warning_and_newcomers_are_served_F3(tmp_path: Path) -> None:
    command = ("/bin/sh", "-c", 'ulimit -n 256; exec "$@"', "sh", *SERVE_COMMAND)
    with trio.fail_after(40):
        async with (
            gateway_process(tmp_path, command) as deployment,
            crowd([GET, b"GET /"] * 200, deployment),
            trio.open_nursery() as nursery,
        ):
            process = deployment.process
            assert process is not None
            assert (await http(deployment.port, "/livez")).status == 200
            client = await Door(deployment).bystander(nursery)
            await client.ping("served")
            await client.hears("pong")
            assert len(process.events("open_file_limit_low")) == 1
            assert len([line for line in process.log if '"level": "warning"' in line]) < 5
            assert not [line for line in process.log if "Traceback" in line]
            nursery.cancel_scope.cancel()


async def test_a_first_message_beyond_32_kib_is_refused_before_it_is_in_memory_F4(tmp_path: Path) -> None:
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment, await trio.open_tcp_stream(*deployment.address) as stream:
            await stream.send_all(upgrade(VOICE) + first_message(2**20)[:40_000])
            received = b""
            while b"\x03\xf1" not in received:  # a close frame with 1009
                received += await stream.receive_some()
            assert b"bad_message" in received


@pytest.mark.parametrize(
    ("frame", "code"), [(b"\xc1\x80\0\0\0\0", 1002), (b"\x81\x81\0\0\0\0\xff", 1007)], ids=["reserved bit", "not UTF-8"]
)
async def test_a_fault_before_the_token_is_closed_with_its_code_F7(tmp_path: Path, frame: bytes, code: int) -> None:
    with trio.fail_after(30):
        async with gateway(tmp_path) as deployment:
            stream = await trio.open_tcp_stream(*deployment.address)
            async with stream:
                await stream.send_all(upgrade(VOICE) + frame)
                received = b""
                while chunk := await stream.receive_some():
                    received += chunk
    response, _, closing = received.partition(b"\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 101 ")
    assert (closing[:1], closing[2:4]) == (b"\x88", code.to_bytes(2, "big"))


async def test_a_refused_upgrade_is_read_by_a_client_that_goes_on_sending(tmp_path: Path) -> None:
    """Unread data would make the kernel send a reset, which may overtake the response."""
    with trio.fail_after(10):
        async with gateway(tmp_path) as deployment:
            for _ in range(20):
                async with await trio.open_tcp_stream(*deployment.address) as stream:
                    await stream.send_all(upgrade(REALTIME) + first_message(200_000))
                    assert await receive_response(stream) == 401
