"""What every byte stream promises, over plain TCP and TLS; the peers are trio's own streams on real sockets."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.lowlevel
import trio.testing

from tests.support.byte_streams import KINDS, Peer, connect, receive_exactly

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from voice_trio.net.byte_stream import ByteStream
    from voice_trio.server.server import Tls

MANY = random.Random(1).randbytes(3_000_000)
"""More than the buffers of two kernels hold."""


@dataclass
class Ends:
    ours: ByteStream
    peer: Peer


@pytest.fixture(params=KINDS)
async def ends(request: pytest.FixtureRequest, tls_certificate: Tls) -> AsyncIterator[Ends]:
    with trio.fail_after(10):
        ours, peer = await connect(request.param, tls_certificate)
    yield Ends(ours, peer)
    ours.close()
    await trio.aclose_forcefully(peer.stream)


async def test_bytes_arrive_in_order_in_both_directions(ends: Ends) -> None:
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ends.peer.send, MANY)
            for start, end in ((0, 1), (1, 16_385), (16_385, 16_385), (16_385, 1_000_000), (1_000_000, len(MANY))):
                ends.ours.send_nowait(MANY[start:end])
            nursery.start_soon(ends.ours.drain)
            received: dict[str, bytes] = {}

            async def receive_ours() -> None:
                received["ours"] = await receive_exactly(ends.ours, len(MANY))

            nursery.start_soon(receive_ours)
            received["peer"] = await ends.peer.receive_exactly(len(MANY))
    assert received["peer"] == MANY
    assert received["ours"] == MANY
    assert ends.ours.unsent == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_peer_that_reads_and_writes_single_bytes_gets_and_sends_all(kind: str, tls_certificate: Tls) -> None:
    with trio.fail_after(20):
        ours, peer = await connect(kind, tls_certificate, peer_uses_single_bytes=True)
        await peer.send(MANY[:2000])
        assert await receive_exactly(ours, 2000) == MANY[:2000]
        ours.send_nowait(MANY[:20_000])
        await ours.drain()
        assert await peer.receive_exactly(20_000) == MANY[:20_000]
        ours.close()
        await trio.aclose_forcefully(peer.stream)


async def test_a_peer_that_does_not_read_makes_no_sender_wait_and_loses_nothing(ends: Ends) -> None:
    with trio.fail_after(10):
        for start in range(0, len(MANY), 100_000):
            ends.ours.send_nowait(MANY[start : start + 100_000])
        assert 0 < ends.ours.unsent < len(MANY) * 1.01
        waiting = -1
        while waiting != ends.ours.unsent:  # the two kernels may move bytes for a moment
            waiting = ends.ours.unsent
            with trio.move_on_after(0.05) as patience:
                await ends.ours.drain()
            assert patience.cancelled_caught
        ends.ours.send_nowait(b"later")
        assert waiting < ends.ours.unsent <= waiting + 100
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ends.ours.drain)
            assert await ends.peer.receive_exactly(len(MANY) + 5) == MANY + b"later"
        assert ends.ours.unsent == 0


async def test_a_peer_that_does_not_read_can_still_be_read(ends: Ends) -> None:
    with trio.fail_after(10):
        ends.ours.send_nowait(MANY)
        await ends.peer.send(b"hello")
        assert await ends.ours.receive() == b"hello"


@pytest.mark.parametrize("seed", range(5))
async def test_no_cancellation_loses_a_byte_or_repeats_one(ends: Ends, seed: int) -> None:
    with trio.fail_after(20):
        chance = random.Random(seed)
        total = 1_000_000
        received = bytearray()

        async def send_ours() -> None:
            sent = 0
            while sent < total or ends.ours.unsent:
                size = min(chance.choice((1, 100, 20_000, 200_000)), total - sent)
                ends.ours.send_nowait(MANY[sent : sent + size])
                sent += size
                with trio.move_on_after(chance.choice((0, 0.0001, 0.002))):
                    await ends.ours.drain()
                await trio.lowlevel.checkpoint()

        async def receive_ours() -> None:
            while len(received) < total:
                with trio.move_on_after(chance.choice((0, 0.0001, 0.002))):
                    received.extend(await ends.ours.receive())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_ours)
            nursery.start_soon(receive_ours)
            nursery.start_soon(ends.peer.send, MANY[:total])
            assert await ends.peer.receive_exactly(total) == MANY[:total]
        assert received == MANY[:total]


async def test_a_peer_that_only_stops_sending_still_gets_what_we_send(ends: Ends) -> None:
    with trio.fail_after(10):
        await ends.peer.send(b"last")
        ends.peer.send_fin()
        assert await ends.ours.receive() == b"last"
        assert await ends.ours.receive() == b""
        assert await ends.ours.receive() == b""
        ends.ours.send_nowait(MANY)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ends.ours.drain)
            assert await ends.peer.receive_exactly(len(MANY)) == MANY


async def test_a_reset_ends_receiving_and_sending(ends: Ends) -> None:
    with trio.fail_after(10):
        ends.peer.reset()
        with pytest.raises(ConnectionResetError):
            await ends.ours.receive()
        for _ in range(2):
            with pytest.raises(OSError):  # noqa: PT011 - any of them; the contract names no other
                ends.ours.send_nowait(b"x")
        with pytest.raises(OSError):  # noqa: PT011 - as above
            await ends.ours.drain()
        assert ends.ours.unsent == 0


async def test_a_reset_ends_a_drain_that_waits_and_a_receive_that_waits(ends: Ends) -> None:
    with trio.fail_after(10):
        ends.ours.send_nowait(MANY)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_os_error, ends.ours.drain)
            nursery.start_soon(expect_os_error_or_end, ends.ours)
            await trio.testing.wait_all_tasks_blocked(0.01)
            ends.peer.reset()
        assert ends.ours.unsent == 0


async def test_what_a_peer_sent_before_it_went_away_is_received_after_sending_has_failed(ends: Ends) -> None:
    with trio.fail_after(10):
        await ends.peer.send(b"this is why")
        ends.peer.socket.close()
        await expect_os_error(partial(send_forever, ends.ours))
        assert await ends.ours.receive() == b"this is why"


async def test_several_tasks_may_wait_until_all_is_sent(ends: Ends) -> None:
    with trio.fail_after(10):
        ends.ours.send_nowait(MANY)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ends.ours.drain)
            nursery.start_soon(ends.ours.drain)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert await ends.peer.receive_exactly(len(MANY)) == MANY
        ends.ours.send_nowait(MANY)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_os_error, ends.ours.drain)
            nursery.start_soon(expect_os_error, ends.ours.drain)
            await trio.testing.wait_all_tasks_blocked(0.01)
            ends.peer.reset()


async def test_closing_wakes_the_tasks_that_wait_and_ends_all_use(ends: Ends) -> None:
    with trio.fail_after(10):
        ends.ours.send_nowait(MANY)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_os_error, ends.ours.drain)
            nursery.start_soon(expect_os_error, ends.ours.receive)
            await trio.testing.wait_all_tasks_blocked(0.01)
            ends.ours.close()
        for _ in range(2):
            ends.ours.close()
            await expect_os_error(ends.ours.drain)
            await expect_os_error(ends.ours.receive)
            with pytest.raises(OSError):  # noqa: PT011 - any of them; the contract names no other
                ends.ours.send_nowait(b"x")
        assert ends.ours.unsent == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_close_just_after_new_bytes_have_come_ends_the_receive(kind: str, tls_certificate: Tls) -> None:
    """In some rounds the waiting task was woken by the bytes, and runs only after the close."""
    outcomes: set[str] = set()
    passes = 0
    with trio.fail_after(20):
        while outcomes != {"bytes", "closed"}:
            ours, peer = await connect(kind, tls_certificate)

            async def receive(stream: ByteStream = ours) -> None:
                try:
                    outcomes.add("bytes" if await stream.receive() == b"x" else "end")
                except OSError:
                    outcomes.add("closed")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(receive)
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(peer.send, b"x")
                for _ in range(passes := (passes + 1) % 8):
                    await trio.lowlevel.checkpoint()
                ours.close()
            await trio.aclose_forcefully(peer.stream)


async def expect_os_error(method: Callable[[], Awaitable[object]]) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - as above
        await method()


async def send_forever(stream: ByteStream) -> None:
    while True:
        stream.send_nowait(b"x")
        await trio.sleep(0.001)


async def expect_os_error_or_end(stream: ByteStream) -> None:
    with suppress(OSError):
        assert await stream.receive() == b""
