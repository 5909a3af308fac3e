"""One connection's failure ends that connection: one line in the log, nothing raised, the socket and the slot freed."""

from __future__ import annotations

import socket
import ssl
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest
import trio
from structlog.testing import capture_logs

from tests.support.certificates import certificate
from tests.support.hostile_packets import VOICE, upgrade
from voice_trio import limits
from voice_trio.admission.client_address import TrustedProxies
from voice_trio.server.connection import serve_connection
from voice_trio.server.requests import Services
from voice_trio.server.unadmitted import UnadmittedConnections

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voice_trio.web.application import Application
    from voice_trio.web.hypercorn_bridge import HttpApplication

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Failing:
    """Every answer fails with `error`, perhaps from a task of its own."""

    def __init__(self, error: Exception, *, in_a_task: bool) -> None:
        self._error = error
        self._in_a_task = in_a_task

    def endpoint(self, _path: str) -> Any:
        return self.answer

    async def answer(self, *_: object) -> None:
        if not self._in_a_task:
            await self._fail()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._fail)
            await trio.sleep_forever()

    async def _fail(self) -> None:
        await trio.lowlevel.checkpoint()
        raise self._error


@contextmanager
def tcp_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    with client, accepted:
        yield client, accepted


def services(failing: Failing | None, tls: ssl.SSLContext | None = None) -> Services:
    return Services(cast("Application", failing), cast("HttpApplication", failing), tls=tls, proxies=TrustedProxies())


@pytest.mark.parametrize("in_a_task", [False, True])
@pytest.mark.parametrize("packet", [GET, upgrade(VOICE)], ids=["request", "upgrade"])
async def test_a_failure_is_one_line_with_a_masked_address_and_no_text(packet: bytes, *, in_a_task: bool) -> None:
    connections = UnadmittedConnections(1, 1)
    slot = connections.add("127.0.0.1")
    assert slot is not None
    with trio.fail_after(5), tcp_pair() as (client, accepted), capture_logs() as logs:
        client.sendall(packet)
        await serve_connection(accepted, slot, services(Failing(ValueError("sk-secret"), in_a_task=in_a_task)))
        assert accepted.fileno() == -1
    assert len(connections) == 0
    assert [(line["event"], line["client"]) for line in logs] == [("connection_failed", "127.0.0.0")]
    assert logs[0]["error"].startswith("ValueError at tests.server.test_connection:")


async def test_a_client_that_resets_is_no_failure() -> None:
    connections = UnadmittedConnections(1, 1)
    slot = connections.add("127.0.0.1")
    assert slot is not None
    with trio.fail_after(5), tcp_pair() as (client, accepted), capture_logs() as logs:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        await serve_connection(accepted, slot, services(None))
    assert (len(connections), logs) == (0, [])


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", GET], ids=["silent", "half a record", "no TLS"])
async def test_without_a_tls_handshake_in_time_the_connection_ends_silently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(limits, "TLS_HANDSHAKE_SECONDS_MAX", 0.1)
    tls = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certfile, tls.keyfile)
    slot = UnadmittedConnections(1, 1).add("127.0.0.1")
    assert slot is not None
    with trio.fail_after(5), tcp_pair() as (client, accepted), capture_logs() as logs:
        client.sendall(sent)
        await serve_connection(accepted, slot, services(None, context))
        assert accepted.fileno() == -1
    assert logs == []


async def test_cancellation_closes_the_socket_and_goes_on() -> None:
    slot = UnadmittedConnections(1, 1).add("127.0.0.1")
    assert slot is not None
    with trio.fail_after(5), tcp_pair() as (_, accepted):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(serve_connection, accepted, slot, services(None)))
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert accepted.fileno() == -1
    assert slot.is_released
