"""Random connections at the port of a gateway end nothing but themselves: no process, conversation or descriptor.

FRONT_DOOR_SEED=N makes others. A failure shows the seed, and the attack that fails again on its own.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.attacks import Attack, Ending, attack
from tests.support.bystander import Bystander
from tests.support.certificates import certificate
from tests.support.deployment import SERVE_COMMAND, Deployment, gateway_process, reset_on_close, token
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.testing import FakeClient

if TYPE_CHECKING:
    from tests.support.deployment import GatewayProcess

SEED = int(os.environ.get("FRONT_DOOR_SEED", "1"))
AT_ONCE = 60
READ_SECONDS_MAX = 1.0
RSS_GROWTH_MIB_MAX = 16
PLAIN_EACH = 10
"""With TLS: one connection of so many comes without."""
SUSPECTS = 100
"""Attacks that may have caused a failure: those under way, and the last ones before them."""
STATUSES = {b"101", b"200", b"400", b"401", b"404"}
"""Some of those that come: attacks reach each part of the front door."""


class Flood:
    """Attacks on one gateway, some at a time; ends early after a failure. With TLS if a context for it is given."""

    def __init__(self, deployment: Deployment, tls: ssl.SSLContext | None) -> None:
        assert deployment.process is not None
        self.suspects: deque[Attack] = deque(maxlen=SUSPECTS)
        self.failure = ""
        self.bytes_sent = 0
        self.mutations = 0
        self.statuses: set[bytes] = set()
        self._address = deployment.address
        self._tls = tls
        self._process = deployment.process
        self._lines_read = len(self._process.log)

    async def run(self, first: int, last: int) -> None:
        """Attack with these numbers; the gateway is looked at after each."""
        slots = trio.Semaphore(AT_ONCE)
        async with trio.open_nursery() as nursery:
            for number in range(first, last):
                await slots.acquire()
                if self.failure:
                    break
                nursery.start_soon(self._attack_once, attack(SEED, number), slots)

    async def _attack_once(self, this: Attack, slots: trio.Semaphore) -> None:
        await self.attack(this)
        slots.release()

    async def attack(self, this: Attack) -> None:
        self.suspects.append(this)
        self.mutations += this.is_mutation
        with suppress(
            OSError, trio.BrokenResourceError, trio.ClosedResourceError
        ):  # the gateway may close at any moment
            await self._send(this)
        self.check()

    def check(self) -> None:
        """Note a failure if the gateway has ended, or has logged one."""
        new_lines = self._process.log[self._lines_read :]
        self._lines_read += len(new_lines)
        failures = [line for line in new_lines if "Traceback" in line or "connection_failed" in line]
        if self._process.returncode is not None or failures:
            self.failure = self.failure or f"exit code {self._process.returncode}, log: {failures}"

    async def _send(self, this: Attack) -> None:
        # An address of its own for each, as one has too few ports for so many connections in a minute.
        source = f"127.0.{this.number % 200}.{this.number // 200 % 200 + 2}"
        with trio.socket.socket() as client:
            await client.bind((source, 0))
            await client.connect(self._address)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            stream: trio.abc.Stream = trio.SocketStream(client)
            if self._tls and this.number % PLAIN_EACH:
                stream = trio.SSLStream(stream, self._tls, server_hostname="localhost", https_compatible=True)
            for segment in this.segments:
                await stream.send_all(segment)
                self.bytes_sent += len(segment)
                await trio.sleep(0 if len(segment) < 50 else 0.001)
            await self._end(client, stream, this.ending)

    async def _end(self, client: trio.socket.SocketType, stream: trio.abc.Stream, ending: Ending) -> None:
        match ending:
            case Ending.CLOSE:
                pass
            case Ending.RESET:
                reset_on_close(trio.SocketStream(client))
            case Ending.LINGER:
                await trio.sleep(0.05)
            case Ending.READ_ONCE:
                await self._read(stream)
            case Ending.HALF_CLOSE:
                client.shutdown(socket.SHUT_WR)
                while await self._read(stream):
                    pass

    async def _read(self, stream: trio.abc.Stream) -> bool:
        """Read a piece; False at the end, or when none comes for a while."""
        data = b""
        with trio.move_on_after(READ_SECONDS_MAX):
            data = bytes(await stream.receive_some())
        if data.startswith(b"HTTP/1.1 "):
            self.statuses.add(data[9:12])
        return bool(data)


async def find_culprit(server: Server, suspects: deque[Attack]) -> str:
    """The attack that fails on its own, at a gateway which had no other connection with it."""
    async with gateway_process(server.folder, server.command) as deployment:
        flood = Flood(deployment, server.tls)
        for suspect in suspects:
            await flood.attack(suspect)
            await trio.sleep(0.1)
            flood.check()
            if flood.failure:
                return str(suspect)
    return "none of these alone:\n" + "\n".join(map(str, suspects))


@dataclass(frozen=True)
class Server:
    """How a gateway is started, and what its clients need for TLS."""

    folder: Path
    command: tuple[str, ...] = SERVE_COMMAND
    tls: ssl.SSLContext | None = None

    @classmethod
    def with_tls(cls, folder: Path) -> Server:
        files = certificate(folder)
        command = (*SERVE_COMMAND, "--certfile", files.certfile, "--keyfile", files.keyfile)
        return cls(folder, command, ssl.create_default_context(cafile=files.certfile))

    async def join(self, deployment: Deployment, nursery: trio.Nursery) -> FakeClient:
        url = f"{'wss' if self.tls else 'ws'}://localhost:{deployment.port}/v1/ws/voice"
        headers = {"Authorization": f"Bearer {token()}"}
        client = FakeClient(await open_link(nursery, url, headers=headers, ssl_context=self.tls))
        nursery.start_soon(client.run)
        return client


def descriptors(process: GatewayProcess) -> list[str]:
    """What the open descriptors of the process are."""
    found = []
    for path in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(path))
    return found


async def wait_for_descriptors(process: GatewayProcess, count: int) -> None:
    """Return when no more than `count` are open; fails after some seconds, longer than any connection lingers."""
    with trio.move_on_after(15):
        while len(descriptors(process)) > count:  # noqa: ASYNC110  # another process: no event to wait for
            await trio.sleep(0.05)
        return
    pytest.fail(f"{count} descriptors were open before, now {descriptors(process)}")


def rss_mib(process: GatewayProcess) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.mark.flaky(reruns=0)  # a process that dies in one run of two is no success
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("attacks", "bytes_min", "is_tls"),
    [
        (2_000, 10_000_000, False),
        (1_000, 5_000_000, True),
        pytest.param(100_000, 100_000_000, False, marks=pytest.mark.slow),
    ],
    ids=["2,000", "1,000 with TLS", "100,000"],
)
async def test_random_connections_end_nothing_but_themselves(
    tmp_path: Path, attacks: int, bytes_min: int, is_tls: bool
) -> None:
    server = Server.with_tls(tmp_path) if is_tls else Server(tmp_path)
    with trio.fail_after(1700):
        async with gateway_process(tmp_path, server.command) as deployment, trio.open_nursery() as nursery:
            process = deployment.process
            assert process is not None
            flood = Flood(deployment, server.tls)
            bystander = Bystander(await server.join(deployment, nursery))
            async with trio.open_nursery() as talking:
                await talking.start(bystander.talk)
                before = len(descriptors(process))
                await flood.run(0, attacks // 2)
                # Half of them have filled the bounded tables of addresses, users and records.
                rss_before = rss_mib(process) if not flood.failure else 0
                await flood.run(attacks // 2, attacks)
                if flood.failure:
                    pytest.fail(f"{flood.failure} after {await find_culprit(server, flood.suspects)}")
                await wait_for_descriptors(process, before)
                growth = rss_mib(process) - rss_before
                bystander.stop()
            flood.check()
            nursery.cancel_scope.cancel()
    assert flood.failure == ""
    assert bystander.heard_everything
    assert bystander.slowest_pong_seconds < 5
    assert growth < RSS_GROWTH_MIB_MAX
    assert flood.mutations == attacks // 2
    assert flood.bytes_sent > bytes_min
    assert flood.statuses >= STATUSES
