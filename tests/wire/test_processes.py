"""The commands people start, in processes of their own: how they end, and that no client can hold them up."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.support.deployment import (
    HYPERCORN_COMMAND,
    SERVE_COMMAND,
    UPGRADE,
    Deployment,
    gateway_process,
    http,
    token,
    wait_until_empty,
)

LONG_ANSWER: dict[str, Any] = {"audio_ms": 100_000, "pace": 20.0}


async def test_sigterm_ends_every_session_with_1012_and_the_process_with_0(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with gateway_process(tmp_path) as deployment, trio.open_nursery() as nursery:
            process = deployment.process
            assert process is not None
            clients = [await deployment.join(nursery, shown=token(user)) for user in ("ada", "grace", "ida")]
            for client in clients:
                await client.hears("connection.ready")
            process.signal(signal.SIGTERM)
            signalled_at = trio.current_time()
            for client in clients:
                closed = await client.is_closed()
                assert (closed.code, closed.reason) == (1012, "Server restarting, resume")
            await process.ended.wait()
            assert process.returncode == 0
            assert trio.current_time() - signalled_at < 3
            nursery.cancel_scope.cancel()


async def test_while_draining_an_answer_goes_on_and_newcomers_are_sent_away(tmp_path: Path) -> None:
    with trio.fail_after(25):
        async with gateway_process(tmp_path) as deployment, trio.open_nursery() as nursery:
            process = deployment.process
            assert process is not None
            deployment.model.answers_with("A long story.", audio_ms=100_000, pace=1.0, first_audio_after=0.05)
            client = await deployment.join(nursery)
            await client.hears("connection.ready")
            await client.type("Tell me a long story.")
            await client.hears("response.audio.delta")
            process.signal(signal.SIGTERM)
            signalled_at = trio.current_time()
            await client.hears("session.draining")
            assert (await deployment.get("/readyz")).status == 503
            assert (await deployment.get("/v1/voice/health")).json["status"] == "draining"
            late = await deployment.join(nursery, shown=token("grace"))
            assert (await late.is_closed()).code == 1012
            assert (await client.is_closed()).code == 1012
            assert 7.5 < trio.current_time() - signalled_at < 10
            assert client.heard_of("response.audio.delta")[-1].at > 7
            await process.ended.wait()
            assert process.returncode == 0
            assert trio.current_time() - signalled_at < 10.5
            nursery.cancel_scope.cancel()


async def test_a_client_that_stalls_cannot_hold_up_the_end(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with gateway_process(tmp_path) as deployment:
            process = deployment.process
            assert process is not None
            deployment.model.answers_with("Noise.", **LONG_ANSWER)
            stream = await join_and_never_read(deployment)
            await trio.sleep(1.0)  # its buffers fill
            process.signal(signal.SIGTERM)
            with trio.fail_after(10.5):
                await process.ended.wait()
            assert process.returncode == 0
            await trio.aclose_forcefully(stream)


async def test_a_second_ctrl_c_ends_at_once(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with gateway_process(tmp_path) as deployment, trio.open_nursery() as nursery:
            process = deployment.process
            assert process is not None
            deployment.model.answers_with("Noise.", **LONG_ANSWER)
            client = await deployment.join(nursery)
            await client.hears("connection.ready")
            await client.type("Tell me a long story.")
            await client.hears("response.audio.delta")
            process.signal(signal.SIGINT)
            await client.hears("session.draining")
            process.signal(signal.SIGINT)
            with trio.fail_after(2.5):
                await process.ended.wait()
            assert process.returncode == 130
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("command", [SERVE_COMMAND, HYPERCORN_COMMAND], ids=["voice-trio serve", "hypercorn"])
async def test_a_client_that_takes_nothing_is_ended_after_five_seconds_I9(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    with trio.fail_after(25):
        async with gateway_process(tmp_path, command) as deployment:
            process = deployment.process
            assert process is not None
            deployment.model.answers_with("Noise.", **LONG_ANSWER)
            stream = await join_and_never_read(deployment)
            model = await deployment.model.wait_for_session()
            started_at = trio.current_time()
            await model.over.wait()
            assert 4.5 < trio.current_time() - started_at < 9
            await wait_until_empty(deployment)
            assert process.events("session_ended")[0]["ending"] == "too_slow"
            print("stalled client ended after", round(trio.current_time() - started_at, 2), "s")  # noqa: T201
            await trio.aclose_forcefully(stream)


async def join_and_never_read(deployment: Deployment) -> trio.SocketStream:
    """A client that requests a long response and stops reading, with a small receive buffer."""
    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    await sock.connect(("127.0.0.1", deployment.port))
    stream = trio.SocketStream(sock)
    lines = [f"{name}: {value}" for name, value in UPGRADE.items()]
    request = [f"GET /v1/ws/voice?token={token()} HTTP/1.1", "Host: x", *lines, "", ""]
    await stream.send_all("\r\n".join(request).encode())
    seen = b""
    while b"session.updated" not in seen:
        seen += await stream.receive_some()
    await stream.send_all(masked_text('{"type":"text.input","text":"Tell me a long story."}'))
    return stream


def masked_text(text: str) -> bytes:
    """A client's text frame of less than 126 bytes, masked with zeros."""
    data = text.encode()
    return bytes([0x81, 0x80 | len(data), 0, 0, 0, 0]) + data


async def test_under_hypercorn_connections_inherit_the_options_and_no_log_line_shows_a_token(tmp_path: Path) -> None:
    with trio.fail_after(20):
        async with gateway_process(tmp_path, HYPERCORN_COMMAND) as deployment, trio.open_nursery() as nursery:
            process = deployment.process
            assert process is not None
            secret = token()
            client = await deployment.join(nursery, f"{deployment.url}?token={secret}", shown=None)
            await client.hears("connection.ready")
            await http(deployment.port, f"/v1/voice/health?token={secret}")
            offer = {"Sec-WebSocket-Extensions": "permessage-deflate"}
            answer = await http(deployment.port, f"/v1/ws/voice?token={secret}", UPGRADE | offer)
            assert "sec-websocket-extensions" not in answer.headers
            accepted = accepted_options(process.children(), deployment.port)
            assert accepted
            assert all(timeout == 5000 for timeout in accepted)
            process.signal(signal.SIGTERM)
            closed = await client.is_closed()
            assert (closed.code, closed.reason) == (1012, "Server restarting, resume")
            await process.ended.wait()
            assert process.returncode == 0
            assert any("/v1/ws/voice" in line for line in process.log)  # the access log was on
            for part in secret.split("."):
                assert not [line for line in process.log if part in line]
            nursery.cancel_scope.cancel()


def accepted_options(pids: list[int], port: int) -> list[int]:
    """TCP_USER_TIMEOUT in ms of each connection that the processes accepted on `port`."""
    found = []
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            if not descriptor.readlink().name.startswith("socket:"):
                continue
            handle = pidfd_getfd(pid, int(descriptor.name))
            with socket.socket(fileno=handle) as sock:
                is_tcp = sock.family == socket.AF_INET and sock.type == socket.SOCK_STREAM
                if not is_tcp or sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    continue
                if sock.getsockname()[1] == port:
                    found.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
    return found


def pidfd_getfd(pid: int, descriptor: int) -> int:
    """A duplicate of another process's descriptor."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.pidfd_open(pid)
    try:
        duplicate = libc.syscall(438, handle, descriptor, 0)
    finally:
        os.close(handle)
    if duplicate < 0:
        pytest.skip(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
    return int(duplicate)


async def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with trio.fail_after(20), socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = await trio.run_process(
            [SERVE_COMMAND[0], "serve", "--bind", f"127.0.0.1:{port}"],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            env={"JWT_SECRET": "a secret of this test alone which is long enough"},
        )
        assert result.returncode == 1
        assert result.stderr.decode() == (
            f"Error: cannot listen on 127.0.0.1:{port}: the port is in use; choose another one with --bind\n"
        )
