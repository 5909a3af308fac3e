"""Packets that ended the process, sent through each proxy of `deploy/`: a conversation through it goes on (F1, F2)."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.bystander import Bystander
from tests.support.certificates import certificate
from tests.support.deployment import gateway_process, token
from tests.support.hostile_packets import HOSTILE_PACKETS
from tests.support.http_stub import receive_response
from tests.support.proxies import COMMANDS, Proxy, proxy
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.testing import FakeClient

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.parametrize("name", COMMANDS)]
ROUNDS = 25
"""Of each packet, at once and again behind another request: 50 in all."""
GET = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.flaky(reruns=0)  # a process that dies in one run of two is no success
async def test_no_packet_through_a_proxy_ends_the_process_or_a_conversation_F1(tmp_path: Path, name: str) -> None:
    with trio.fail_after(100):
        async with gateway_process(tmp_path, TRUSTED_PROXY_HOPS="1") as deployment, trio.open_nursery() as nursery:
            process = deployment.process
            assert process is not None
            async with proxy(name, tmp_path, [deployment.port], certificate(tmp_path)) as it:
                bystander = Bystander(await join(it, nursery))
                async with trio.open_nursery() as talking:
                    await talking.start(bystander.talk)
                    for _ in range(ROUNDS):
                        await bombard(it)
                    bystander.stop()
                assert bystander.heard_everything
                assert bystander.slowest_pong_seconds < 5
                latecomer = await join(it, nursery)
                await latecomer.hears("connection.ready")
            assert process.returncode is None
            assert not process.events("connection_failed")
            assert not [line for line in process.log if "Traceback" in line]
            nursery.cancel_scope.cancel()


async def join(it: Proxy, nursery: trio.Nursery) -> FakeClient:
    url = f"wss://localhost:{it.port}/v1/ws/voice"
    headers = {"Authorization": f"Bearer {token()}"}
    client = FakeClient(await open_link(nursery, url, headers=headers, ssl_context=it.trusting))
    nursery.start_soon(client.run)
    return client


async def bombard(it: Proxy) -> None:
    """Send each packet at once, and behind another request on the same connection."""
    async with trio.open_nursery() as nursery:
        for packet in HOSTILE_PACKETS.values():
            nursery.start_soon(send, it, packet, b"")
            nursery.start_soon(send, it, packet, GET)


async def send(it: Proxy, packet: bytes, before: bytes) -> None:
    """Send a packet and read what comes; proxy and gateway may close at any moment."""
    with suppress(trio.BrokenResourceError, ssl.SSLError), trio.move_on_after(2):
        async with await it.connect() as stream:
            if before:
                await stream.send_all(before)
                assert (await receive_response(stream)).status == 200
            await stream.send_all(packet)
            await stream.receive_some()
