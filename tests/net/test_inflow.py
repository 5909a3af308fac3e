"""What a peer sends costs others neither time nor memory: fragments and control frames, and large messages (F5, F6)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.support.websocket_frames import CONTINUATION, FIN, PING, PONG, TEXT, RawFrame, encode
from voice_trio import limits
from voice_trio.errors import LinkClosed
from voice_trio.net.byte_budget import ByteAccount, ByteBudget, Place
from voice_trio.net.websocket import WebSocketLink

if TYPE_CHECKING:
    from trio.testing import MockClock

MIB = limits.MIB


class MemoryStream:
    """What the peer sends is read in pieces of 64 KiB; `sent` is what it gets."""

    def __init__(self) -> None:
        self.unsent = 0
        self.sent = b""
        self.unread: deque[bytes] = deque()
        self._changed = trio.Event()

    def put(self, data: bytes) -> None:
        step = limits.RECEIVE_BYTES
        self.unread.extend(data[at : at + step] for at in range(0, len(data), step))
        self._changed.set()

    def send_nowait(self, data: bytes) -> None:
        self.sent += data

    async def drain(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        while not self.unread:
            self._changed = trio.Event()
            await self._changed.wait()
        return self.unread.popleft()

    def close(self) -> None:
        self.unread.append(b"")
        self._changed.set()


def make_link(account: ByteAccount | None = None) -> tuple[WebSocketLink, MemoryStream]:
    stream = MemoryStream()
    link = WebSocketLink(stream, is_client=False)
    link.account = account
    return link, stream


def frames(*raw: RawFrame) -> bytes:
    return encode(raw, is_client=False)


@pytest.mark.parametrize("opcode", [PING, PONG])
async def test_F6_control_frames_beyond_the_rate_are_read_later(autojump_clock: MockClock, opcode: int) -> None:
    link, stream = make_link()
    stream.put(frames(*[RawFrame(FIN | opcode)] * 1000, RawFrame(FIN | TEXT, b"at last")))
    assert await link.receive() == "at last"
    assert trio.current_time() == pytest.approx((1000 - limits.CONTROL_BURST) / limits.CONTROL_PER_SECOND)


@pytest.mark.parametrize("payload", [b"", b"x"])
async def test_F6_tiny_fragments_beyond_the_rate_are_read_later(autojump_clock: MockClock, payload: bytes) -> None:
    """Many in one message or, where they are empty and bounded in one, in many."""
    link, stream = make_link()
    messages = 20_000 if not payload else 1
    one = [RawFrame(TEXT, payload)] + [RawFrame(CONTINUATION, payload)] * (20_000 // messages - 1)
    stream.put(frames(*[*one, RawFrame(FIN | CONTINUATION, payload)] * messages))
    for _ in range(messages):
        await link.receive()
    control = 20_000 / limits.FRAGMENTS_PER_CONTROL_FRAME
    assert trio.current_time() == pytest.approx((control - limits.CONTROL_BURST) / limits.CONTROL_PER_SECOND, rel=0.6)


@pytest.mark.parametrize("frame", [RawFrame(FIN | PONG), RawFrame(CONTINUATION, b"x")], ids=["pongs", "fragments"])
async def test_F6_a_peer_that_must_be_slowed_down_for_half_a_minute_is_closed(
    autojump_clock: MockClock, frame: RawFrame
) -> None:
    link, stream = make_link()
    stream.put(frames(RawFrame(TEXT)))
    for _ in range(1000):
        stream.put(frames(*[frame] * 100))
    with pytest.raises(LinkClosed) as closed:
        await link.receive()
    assert (closed.value.code, closed.value.reason) == (1008, "too many control frames or fragments")
    assert trio.current_time() == pytest.approx(limits.CONTROL_SLOWED_SECONDS_MAX, abs=3)


async def test_F6_a_busy_process_forgets_no_slowing_down(autojump_clock: MockClock) -> None:
    link, stream = make_link()

    async def receive_late() -> None:
        while True:
            await link.receive()
            autojump_clock.jump(0.5)
            stream.put(frames(*[RawFrame(FIN | PONG)] * 50, RawFrame(FIN | TEXT)))

    stream.put(frames(*[RawFrame(FIN | PONG)] * 150, RawFrame(FIN | TEXT)))
    with pytest.raises(LinkClosed):
        await receive_late()
    assert trio.current_time() == pytest.approx(limits.CONTROL_SLOWED_SECONDS_MAX, abs=3)


async def test_a_large_message_in_usual_fragments_is_not_slowed_down(autojump_clock: MockClock) -> None:
    link, stream = make_link()
    part = b"x" * 16_384
    stream.put(frames(RawFrame(TEXT, part), *[RawFrame(CONTINUATION, part)] * 500, RawFrame(FIN | CONTINUATION)))
    assert len(await link.receive()) == 501 * 16_384
    assert trio.current_time() == 0


def full_budget() -> tuple[ByteBudget, list[ByteAccount]]:
    """A budget without room, and those who hold it."""
    budget = ByteBudget()
    holders = [ByteAccount(budget, f"holder-{number}") for number in range(4)]
    for account in holders:
        account.hold(Place.UPSTREAM, limits.USER_BYTES_MAX + limits.CLIENT_BASE_BYTES)
    return budget, holders


async def test_F5_a_large_message_is_left_in_the_socket_until_there_is_room(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    budget, holders = full_budget()
    link, stream = make_link(ByteAccount(budget, "ada"))
    stream.put(frames(RawFrame(FIN | TEXT, b"x" * (8 * MIB))))
    pieces = len(stream.unread)
    received: list[str | bytes] = []

    async def receive() -> None:
        received.append(await link.receive())

    nursery.start_soon(receive)
    await trio.sleep(10)
    assert len(stream.unread) == pieces - 1  # the header is known, and not more
    holders[0].hold(Place.UPSTREAM, 0)
    await trio.sleep(1)
    assert len(received[0]) == 8 * MIB
    assert budget.used == 3 * limits.USER_BYTES_MAX + 7 * MIB
    nursery.start_soon(receive)  # the receiver has handled it
    await trio.sleep(1)
    assert budget.used == 3 * limits.USER_BYTES_MAX


async def test_I13_messages_of_a_mebibyte_pass_while_there_is_no_room(autojump_clock: MockClock) -> None:
    link, stream = make_link(ByteAccount(full_budget()[0], "ada"))
    half = b"x" * (MIB // 2)
    stream.put(frames(RawFrame(FIN | TEXT, 2 * half), RawFrame(TEXT, half), RawFrame(FIN | CONTINUATION, half)))
    assert [len(await link.receive()) for _ in range(2)] == [MIB, MIB]
    assert trio.current_time() == 0


async def test_F5_a_fragmented_message_over_the_base_amount_is_reserved_at_its_largest(
    autojump_clock: MockClock,
) -> None:
    budget = ByteBudget()
    link, stream = make_link(ByteAccount(budget, "ada"))
    stream.put(frames(RawFrame(TEXT, b"x" * 2 * MIB)))
    with trio.move_on_after(1):
        await link.receive()
    assert budget.used == limits.MESSAGE_BYTES_MAX - limits.CLIENT_BASE_BYTES


async def test_F5_a_large_message_that_does_not_come_in_time_ends_the_connection(autojump_clock: MockClock) -> None:
    link, stream = make_link(ByteAccount(ByteBudget(), "ada"))
    stream.put(frames(RawFrame(FIN | TEXT, b"x" * 2 * MIB))[: MIB + 100])
    for _ in range(59):
        with trio.move_on_after(1):  # a cancelled receive changes nothing
            await link.receive()
    with pytest.raises(LinkClosed) as closed:
        await link.receive()
    assert trio.current_time() == pytest.approx(limits.LARGE_MESSAGE_SECONDS_MAX)
    assert (closed.value.code, closed.value.timed_out) == (1013, True)
    await link.aclose(1013, "Too slow")
    assert stream.sent == RawFrame(0x88, (1013).to_bytes(2) + b"Too slow").encode(is_masked=False)
