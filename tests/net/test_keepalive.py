"""How soon a peer that vanishes is noticed, and what that costs; on virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from voice_trio import limits
from voice_trio.errors import LinkClosed
from voice_trio.net.keepalive import UPSTREAM_KEEPALIVE, Keepalive, keep_links_alive
from voice_trio.net.websocket import WebSocketLink

if TYPE_CHECKING:
    from trio.testing import MockClock

PONG = bytes.fromhex("8a00")


class PeerThatAnswersPings:
    """The stream to a peer that answers every frame with a pong, until it vanishes."""

    unsent = 0

    def __init__(self) -> None:
        self.pings = 0
        self.has_vanished = False
        self._pongs, self._arrived = trio.open_memory_channel[bytes](1_000)

    def send_nowait(self, data: bytes) -> None:
        self.pings += 1
        if not self.has_vanished:
            self._pongs.send_nowait(PONG)

    async def drain(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive(self) -> bytes:
        try:
            return await self._arrived.receive()
        except trio.ClosedResourceError as error:
            raise OSError("closed") from error

    def close(self) -> None:
        self._arrived.close()


async def seconds_until_lost(link: WebSocketLink, peer: PeerThatAnswersPings, vanishes_at: float) -> float:
    started_at = trio.current_time()
    lost = trio.Event()

    async def read() -> None:
        with pytest.raises(LinkClosed):
            await link.receive()
        lost.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.sleep_until(started_at + vanishes_at)
        peer.has_vanished = True
        await lost.wait()
    return trio.current_time() - started_at - vanishes_at


@pytest.mark.parametrize(
    ("keepalive", "seconds_max"),
    [(UPSTREAM_KEEPALIVE, 7.0), (Keepalive(), 30.5)],
    ids=["I14 an upstream within 7 s", "I8 a client within 30 s"],
)
async def test_F63_a_peer_that_vanishes_at_any_moment_is_noticed_in_time(
    autojump_clock: MockClock, keepalive: Keepalive, seconds_max: float
) -> None:
    async with trio.open_nursery() as process:
        process.start_soon(keep_links_alive)
        await trio.testing.wait_all_tasks_blocked()
        took = []
        for number in range(24):
            peer = PeerThatAnswersPings()
            link = WebSocketLink(peer, is_client=True)
            link.keep_alive_in(process, keepalive)
            took.append(await seconds_until_lost(link, peer, 40.0 + number * keepalive.interval_seconds / 23))
            await link.aclose()
        process.cancel_scope.cancel()
    assert max(took) <= seconds_max
    assert min(took) >= keepalive.pong_seconds_max


async def test_F63_an_upstream_costs_one_ping_in_some_seconds_and_no_task(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as process, trio.open_nursery() as session:
        process.start_soon(keep_links_alive)
        await trio.testing.wait_all_tasks_blocked()
        peer = PeerThatAnswersPings()
        link = WebSocketLink(peer, is_client=True)
        link.keep_alive_in(session, UPSTREAM_KEEPALIVE)
        assert not session.child_tasks
        session.start_soon(link.receive)
        await trio.sleep(70.0)
        assert 70 / (limits.UPSTREAM_PING_SECONDS + 2 * limits.PING_CHECK_SECONDS) - 1 <= peer.pings <= 20
        session.cancel_scope.cancel()
        process.cancel_scope.cancel()
