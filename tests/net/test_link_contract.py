"""What every link promises a session, over memory, ASGI under hypercorn, and our own WebSocket in plain and over TLS.

A session cannot tell which of them it has. The peers are other code, on real sockets wherever there are any.
"""

from __future__ import annotations

import random
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing
from websockets.frames import Opcode

from tests.support.byte_streams import connected_sockets
from tests.support.link_peers import ALL, BYTES_MAX, DIRECT, OWN, LinkPeer, WebSocketPeer, connected
from voice_trio import limits
from voice_trio.errors import LinkClosed
from voice_trio.net.byte_stream import TcpStream
from voice_trio.net.keepalive import Keepalive, keep_links_alive
from voice_trio.net.websocket import WebSocketLink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice_trio.net.link import Link
    from voice_trio.server.server import Tls

every_link = pytest.mark.parametrize("kind", ALL)
direct_links = pytest.mark.parametrize("kind", DIRECT)
own_links = pytest.mark.parametrize("kind", OWN)
socket_links = pytest.mark.parametrize("kind", [*OWN, "ASGI server"])

MESSAGES: tuple[str | bytes, ...] = ("", "text", b"", b"\x00\xff", "Grüße, 世界 🎙", "x" * 125, "x" * 126, b"y" * 65_536)
FRAME = "f" * 20_000


@asynccontextmanager
async def open_ends(kind: str, certificate: Tls) -> AsyncIterator[tuple[Link, Any]]:
    with trio.fail_after(15):
        async with connected(kind, certificate) as ends:
            yield ends


async def put(link: Link, message: str | bytes) -> None:
    """Send as a session does: at once if the link can, else by waiting."""
    if not link.send_nowait(message):
        await link.send(message)
    if link.is_behind:
        await link.drain()


async def fill(link: Link) -> int:
    """Send numbered messages at once until the peer's kernel takes no more; returns how many."""
    sent = 0
    while True:
        while not link.is_behind:
            assert link.send_nowait(f"{sent} {FRAME}")
            sent += 1
        with trio.move_on_after(0.05) as patience:
            await link.drain()
        if patience.cancelled_caught:
            return sent


async def expect_closed(link: Link | LinkPeer) -> tuple[int | None, str]:
    with pytest.raises(LinkClosed) as closed:
        await link.receive()
    return closed.value.code, closed.value.reason


@every_link
async def test_messages_arrive_whole_in_order_and_of_their_kind_in_both_directions(
    kind: str, tls_certificate: Tls
) -> None:
    async with open_ends(kind, tls_certificate) as (link, peer):
        for message in MESSAGES:
            await put(link, message)
        assert [await peer.receive() for _ in MESSAGES] == list(MESSAGES)
        for message in MESSAGES:
            await peer.send(message)
        assert [await link.receive() for _ in MESSAGES] == list(MESSAGES)


@every_link
async def test_messages_of_a_megabyte_pass_in_both_directions_at_once(kind: str, tls_certificate: Tls) -> None:
    large = random.Random(0).randbytes(1_500_000)
    async with open_ends(kind, tls_certificate) as (link, peer), trio.open_nursery() as nursery:
        nursery.start_soon(put, link, large)
        nursery.start_soon(peer.send, large)
        nursery.start_soon(expect_message, peer, large)
        await expect_message(link, large)


async def expect_message(end: Link | LinkPeer, message: str | bytes) -> None:
    assert await end.receive() == message


@every_link
async def test_one_task_sends_while_another_waits_for_a_message(kind: str, tls_certificate: Tls) -> None:
    async with open_ends(kind, tls_certificate) as (link, peer), trio.open_nursery() as nursery:
        nursery.start_soon(expect_message, link, "answer")
        await trio.testing.wait_all_tasks_blocked(0.01)
        await put(link, "question")
        assert await peer.receive() == "question"
        await peer.send("answer")


@direct_links
async def test_to_a_peer_that_does_not_read_sending_stops_without_waiting_and_nothing_is_lost(
    kind: str, tls_certificate: Tls
) -> None:
    async with open_ends(kind, tls_certificate) as (link, peer):
        assert not link.is_behind
        sent = await fill(link)
        assert not link.send_nowait("too much")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.drain)
            assert [await peer.receive() for _ in range(sent)] == [f"{number} {FRAME}" for number in range(sent)]
        assert not link.is_behind
        assert link.send_nowait("goes on")
        assert await peer.receive() == "goes on"


@every_link
async def test_a_send_to_a_peer_that_does_not_read_waits_until_it_reads(kind: str, tls_certificate: Tls) -> None:
    total = 600  # more than any buffer between the two holds
    async with open_ends(kind, tls_certificate) as (link, peer), trio.open_nursery() as nursery:
        sent = 0

        async def send_all() -> None:
            nonlocal sent
            for number in range(total):
                await link.send(f"{number} {FRAME}")
                sent += 1

        nursery.start_soon(send_all)
        await trio.sleep(0.3)
        assert 0 < sent < total
        assert [await peer.receive() for _ in range(total)] == [f"{number} {FRAME}" for number in range(total)]


@every_link
@pytest.mark.parametrize("seed", range(3))
async def test_a_cancelled_receive_loses_no_message(kind: str, tls_certificate: Tls, seed: int) -> None:
    chance = random.Random(seed)
    messages = [str(number) + "." * chance.choice((0, 1000, 70_000)) for number in range(200)]
    async with open_ends(kind, tls_certificate) as (link, peer), trio.open_nursery() as nursery:
        nursery.start_soon(send_each, peer, messages)
        received: list[str | bytes] = []
        while len(received) < len(messages):
            with trio.move_on_after(chance.choice((0, 0.0001, 0.001))):
                received.append(await link.receive())
        assert received == messages


async def send_each(end: LinkPeer, messages: list[str]) -> None:
    for message in messages:
        await end.send(message)


@direct_links
@pytest.mark.parametrize("seed", range(3))
async def test_a_cancelled_drain_loses_no_message(kind: str, tls_certificate: Tls, seed: int) -> None:
    chance = random.Random(seed)
    messages = [str(number) + "." * chance.choice((0, 1000, 70_000)) for number in range(200)]

    async def send_ours(link: Link) -> None:
        for message in messages:
            while not link.send_nowait(message):
                with trio.move_on_after(chance.choice((0, 0.0001, 0.001))):
                    await link.drain()
                await trio.lowlevel.checkpoint()
        await link.drain()

    async with open_ends(kind, tls_certificate) as (link, peer), trio.open_nursery() as nursery:
        nursery.start_soon(send_ours, link)
        assert [await peer.receive() for _ in messages] == messages


@every_link
@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "going away"), (4404, "Grüße " * 15)])
async def test_how_the_peer_closes_is_known_after_its_last_messages(
    kind: str, tls_certificate: Tls, code: int, reason: str
) -> None:
    async with open_ends(kind, tls_certificate) as (link, peer):
        await peer.send("last")
        await peer.send(b"words")
        await peer.close(code, reason)
        assert await link.receive() == "last"
        assert await link.receive() == b"words"
        for _ in range(2):
            # Hypercorn does not pass on how a client closed.
            assert await expect_closed(link) == ((None, "") if kind == "ASGI server" else (code, reason))
        with pytest.raises(LinkClosed):
            await put(link, "too late")
        await link.aclose()


@every_link
@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1013, "try again"), (4404, "Grüße " * 15)])
async def test_how_we_close_reaches_the_peer_after_our_last_messages(
    kind: str, tls_certificate: Tls, code: int, reason: str
) -> None:
    async with open_ends(kind, tls_certificate) as (link, peer), trio.open_nursery() as nursery:
        await put(link, "last")
        await put(link, b"words")
        nursery.start_soon(link.aclose, code, reason)
        assert await peer.receive() == "last"
        assert await peer.receive() == b"words"
        assert await expect_closed(peer) == (code, reason)


@every_link
async def test_after_our_close_nothing_can_be_sent_or_received(kind: str, tls_certificate: Tls) -> None:
    async with open_ends(kind, tls_certificate) as (link, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.aclose)
            await expect_closed(peer)
        await link.aclose(1011, "no effect")
        await expect_closed(link)
        with pytest.raises(LinkClosed):
            await link.send("too late")
        with pytest.raises(LinkClosed):
            await put(link, "too late")


@every_link
async def test_messages_of_the_peer_that_cross_our_close_do_no_harm(kind: str, tls_certificate: Tls) -> None:
    async with open_ends(kind, tls_certificate) as (link, peer):
        for _ in range(20):
            await peer.send("x" * 1000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.aclose, 4000, "enough")
            assert await expect_closed(peer) == (4000, "enough")


@every_link
async def test_a_lost_connection_ends_a_receive_that_waits_and_then_sending(kind: str, tls_certificate: Tls) -> None:
    async with open_ends(kind, tls_certificate) as (link, peer):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_lost, link)
            await trio.testing.wait_all_tasks_blocked(0.01)
            peer.reset()
        await expect_lost(link)
        with pytest.raises(LinkClosed):
            await put(link, "too late")
        await link.aclose()


async def expect_lost(link: Link) -> None:
    assert await expect_closed(link) == (None, "")


@direct_links
async def test_a_lost_connection_ends_a_drain_that_waits(kind: str, tls_certificate: Tls) -> None:
    async with open_ends(kind, tls_certificate) as (link, peer):
        await fill(link)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_drain_closed, link)
            await trio.testing.wait_all_tasks_blocked(0.01)
            peer.reset()
        with pytest.raises(LinkClosed):
            await link.send("too late")


@direct_links
async def test_closing_ends_a_drain_that_waits_for_a_peer_that_does_not_read(kind: str, tls_certificate: Tls) -> None:
    async with open_ends(kind, tls_certificate) as (link, _):
        await fill(link)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_drain_closed, link)
            await trio.testing.wait_all_tasks_blocked(0.01)
            with trio.fail_after(4):
                await link.aclose(1008, "too slow")


async def expect_drain_closed(link: Link) -> None:
    with pytest.raises(LinkClosed):
        await link.drain()


@every_link
async def test_closing_towards_a_peer_that_neither_reads_nor_answers_takes_a_bounded_time(
    kind: str, tls_certificate: Tls
) -> None:
    async with open_ends(kind, tls_certificate) as (link, _):
        while link.send_nowait(FRAME):
            pass
        with trio.fail_after(4):
            await link.aclose(1001, "going")


@own_links
async def test_a_cancelled_close_closes_the_socket_at_once(kind: str, tls_certificate: Tls) -> None:
    async with open_ends(kind, tls_certificate) as (link, peer):
        with trio.CancelScope() as scope:
            scope.cancel()
            await link.aclose(1001, "going")
        with trio.fail_after(0.3):
            await expect_closed(peer)


@socket_links
async def test_fragments_with_a_ping_between_are_one_message_and_the_ping_is_answered(
    kind: str, tls_certificate: Tls
) -> None:
    async with open_ends(kind, tls_certificate) as (link, peer):
        assert isinstance(peer, WebSocketPeer)
        letter = "ü".encode()
        await peer.send_frame(Opcode.TEXT, b"Gr" + letter[:1], fin=False)
        await peer.send_frame(Opcode.PING, b"are you there?")
        await peer.send_frame(Opcode.CONT, letter[1:], fin=False)
        await peer.send_frame(Opcode.PONG, b"unsolicited")
        await peer.send_frame(Opcode.CONT, b"n")
        assert await link.receive() == "Grün"
        await put(link, "after")
        assert await peer.receive() == "after"
        assert peer.pongs == [b"are you there?"]


@socket_links
async def test_a_close_frame_without_a_code_is_a_close_without_a_code(kind: str, tls_certificate: Tls) -> None:
    async with open_ends(kind, tls_certificate) as (link, peer):
        await peer.send_frame(Opcode.CLOSE, b"")
        assert await expect_closed(link) == (None, "")


FAULTS = {
    "reserved bit": (Opcode.TEXT, b"x", True, 1002),
    "continuation of nothing": (Opcode.CONT, b"nothing was begun", False, 1002),
    "not UTF-8": (Opcode.TEXT, b"\xff", False, 1007),
    "half a character": (Opcode.TEXT, "ü".encode()[:1], False, 1007),
}


@own_links
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_the_peer_ends_receiving_and_closes_with_its_code(
    kind: str, tls_certificate: Tls, fault: str
) -> None:
    opcode, data, rsv1, code = FAULTS[fault]
    async with open_ends(kind, tls_certificate) as (link, peer), trio.open_nursery() as nursery:
        await peer.send("good")
        await peer.send_frame(opcode, data, rsv1=rsv1)
        assert await link.receive() == "good"
        for _ in range(2):
            assert (await expect_closed(link))[0] == code
        await put(link, "a last error message")
        nursery.start_soon(link.aclose, 1011, "not this one")
        assert await peer.receive() == "a last error message"
        assert (await expect_closed(peer))[0] == code


@pytest.mark.parametrize("fault", FAULTS)
async def test_under_hypercorn_a_fault_of_the_peer_is_a_lost_connection(tls_certificate: Tls, fault: str) -> None:
    opcode, data, rsv1, _ = FAULTS[fault]
    async with open_ends("ASGI server", tls_certificate) as (link, peer):
        await peer.send("good")
        await peer.send_frame(opcode, data, rsv1=rsv1)
        assert await link.receive() == "good"
        await expect_lost(link)
        assert await expect_closed(peer) == (None, "")  # hypercorn sends no close frame


@socket_links
async def test_a_message_over_the_bound_ends_receiving_and_can_be_answered(kind: str, tls_certificate: Tls) -> None:
    async with open_ends(kind, tls_certificate) as (link, peer), trio.open_nursery() as nursery:
        await peer.send("good")
        nursery.start_soon(peer.send_frame, Opcode.BINARY, bytes(BYTES_MAX + 1))
        assert await link.receive() == "good"
        assert (await expect_closed(link))[0] == 1009
        await put(link, "a last error message")
        nursery.start_soon(link.aclose, 1009, "too big")
        assert await peer.receive() == "a last error message"
        assert (await expect_closed(peer))[0] == 1009


@own_links
async def test_a_peer_that_answers_no_ping_has_lost_the_connection(kind: str, tls_certificate: Tls) -> None:
    async with open_ends(kind, tls_certificate) as (link, _), trio.open_nursery() as nursery:
        assert isinstance(link, WebSocketLink)
        link.keep_alive_in(nursery, Keepalive(0.05, 0.05))
        assert await expect_closed(link) == (None, "")
        await link.aclose()


@own_links
async def test_a_peer_that_answers_pings_stays_connected(kind: str, tls_certificate: Tls) -> None:
    async with open_ends(kind, tls_certificate) as (link, peer), trio.open_nursery() as nursery:
        assert isinstance(link, WebSocketLink)
        link.keep_alive_in(nursery, Keepalive(0.02, 0.2))
        nursery.start_soon(expect_message, link, "still here")
        with trio.move_on_after(0.6):
            await peer.receive()
        await peer.send("still here")
        nursery.start_soon(link.aclose)
        await expect_closed(peer)


async def test_a_pong_that_came_while_the_process_stood_still_counts() -> None:
    with trio.fail_after(10):
        for _ in range(8):  # which of two tasks runs first is random
            ours, theirs = connected_sockets()
            with theirs:
                link = WebSocketLink(TcpStream(ours), is_client=False)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(expect_message, link, "x")
                    link.keep_alive_in(nursery, Keepalive(0.01, 0.05))
                    await trio.sleep(0.03)
                    theirs.sendall(bytes.fromhex("8a8000000000"))
                    time.sleep(0.1)  # noqa: ASYNC251  # the whole process stands still
                    await trio.testing.wait_all_tasks_blocked()
                    assert not link.is_lost
                    theirs.sendall(bytes.fromhex("81810000000078"))
                    await trio.testing.wait_all_tasks_blocked(0.01)
                    nursery.cancel_scope.cancel()
                await trio.to_thread.run_sync(theirs.close)
                await link.aclose()


@own_links
async def test_closing_while_a_receive_pauses_for_too_many_pings_ends_both(kind: str, tls_certificate: Tls) -> None:
    async with open_ends(kind, tls_certificate) as (link, peer):
        assert isinstance(peer, WebSocketPeer)
        for _ in range(int(limits.CONTROL_BURST) + 2):
            await peer.send_frame(Opcode.PING, b"")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_lost, link)
            await trio.sleep(0.02)
            await link.aclose()


@own_links
async def test_one_task_keeps_the_links_of_a_process_alive(kind: str, tls_certificate: Tls) -> None:
    async with trio.open_nursery() as process:
        process.start_soon(keep_links_alive, Keepalive(0.1, 0.4))
        await trio.testing.wait_all_tasks_blocked()
        async with open_ends(kind, tls_certificate) as (link, peer), trio.open_nursery() as nursery:
            assert isinstance(link, WebSocketLink)
            link.keep_alive_in(nursery)
            assert not nursery.child_tasks
            with trio.move_on_after(0.9):
                await peer.receive()  # answers pings
            nursery.start_soon(peer.send, "still here")
            assert await link.receive() == "still here"
            assert await expect_closed(link) == (None, "")  # no pong any more
            await link.aclose()
        process.cancel_scope.cancel()


@own_links
async def test_a_cancelled_send_leaves_the_link_usable(kind: str, tls_certificate: Tls) -> None:
    async with open_ends(kind, tls_certificate) as (link, peer):
        sent = await fill(link)
        for number in range(3):
            with trio.move_on_after(0.01):
                await link.send(f"cancelled {number}")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(link.send, "kept")
            received = [await peer.receive() for _ in range(sent + 1)]
        assert received[-1] == "kept"


@own_links
async def test_an_end_of_the_stream_within_a_message_is_a_lost_connection(kind: str, tls_certificate: Tls) -> None:
    async with open_ends(kind, tls_certificate) as (link, peer):
        await peer.send("whole")
        await peer.send_frame(Opcode.TEXT, b"the first half", fin=False)
        peer.send_fin()
        assert await link.receive() == "whole"
        await expect_lost(link)
        await link.aclose()


@own_links
async def test_a_peer_that_reads_and_writes_single_bytes_is_served(kind: str, tls_certificate: Tls) -> None:
    with trio.fail_after(15):
        async with connected(kind, tls_certificate, peer_uses_single_bytes=True) as (link, peer):
            for message in ("short", "middle" * 30, b"long" * 20_000):
                await put(link, message)
                assert await peer.receive() == message
            for message in ("short", "middle" * 30, b"long" * 1000):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(peer.send, message)
                    assert await link.receive() == message
            async with trio.open_nursery() as nursery:
                nursery.start_soon(link.aclose, 1013, "try again")
                assert await expect_closed(peer) == (1013, "try again")
