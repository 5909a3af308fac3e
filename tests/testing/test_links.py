"""Links in memory keep what a Link promises, and break in the ways networks do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from voice_trio.errors import LinkClosed
from voice_trio.testing.links import memory_link_pair

if TYPE_CHECKING:
    from trio.testing import MockClock


async def test_frames_arrive_in_order_and_as_what_they_were(autojump_clock: MockClock) -> None:
    ours, theirs = memory_link_pair()
    for frame in ("text", b"bytes", ""):
        await ours.send(frame)
    assert [await theirs.receive() for _ in range(3)] == ["text", b"bytes", ""]


async def test_what_was_sent_before_a_close_still_arrives(autojump_clock: MockClock) -> None:
    ours, theirs = memory_link_pair()
    await ours.send("last words")
    await ours.aclose(1013, "Too slow")
    assert await theirs.receive() == "last words"
    with pytest.raises(LinkClosed) as closed:
        await theirs.receive()
    assert (closed.value.code, closed.value.reason) == (1013, "Too slow")


async def test_after_a_close_neither_side_sends_or_receives(autojump_clock: MockClock) -> None:
    ours, theirs = memory_link_pair()
    await ours.aclose()
    await ours.aclose(1011, "a second close changes nothing")
    for attempt in (ours.send("x"), ours.receive(), theirs.send("x"), theirs.receive()):
        with pytest.raises(LinkClosed) as closed:
            await attempt
        assert closed.value.code == 1000


async def test_a_reset_ends_both_sides_at_once_and_loses_what_was_on_its_way(autojump_clock: MockClock) -> None:
    ours, theirs = memory_link_pair()
    await ours.send("lost")
    ours.reset()
    for attempt in (ours.receive(), theirs.receive(), theirs.send("x")):
        with pytest.raises(LinkClosed) as closed:
            await attempt
        assert closed.value.code is None


async def test_a_waiting_receiver_learns_of_a_close(autojump_clock: MockClock) -> None:
    ours, theirs = memory_link_pair()

    async def wait_for_the_end() -> None:
        with pytest.raises(LinkClosed):
            await theirs.receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_for_the_end)
        await trio.sleep(1)
        ours.reset()


async def test_a_full_buffer_makes_the_sender_wait(autojump_clock: MockClock) -> None:
    ours, theirs = memory_link_pair(buffer=2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_one_after, theirs, 3.0)
        started = trio.current_time()
        for frame in ("1", "2", "3"):
            await ours.send(frame)
        assert trio.current_time() - started == 3.0


async def take_one_after(link: object, seconds: float) -> None:
    await trio.sleep(seconds)
    await link.receive()  # type: ignore[attr-defined]  # any link


async def test_a_stalled_peer_makes_the_sender_wait_until_it_resumes(autojump_clock: MockClock) -> None:
    ours, theirs = memory_link_pair()
    theirs.stall()
    with trio.move_on_after(5) as patience:
        await ours.send("x")
    assert patience.cancelled_caught
    theirs.resume()
    with pytest.raises(LinkClosed):
        await ours.send("a cancelled send has torn the stream")


async def test_a_close_does_not_wait_for_a_stalled_peer(autojump_clock: MockClock) -> None:
    ours, theirs = memory_link_pair()
    await ours.send("before")
    theirs.stall()
    await ours.aclose(1013, "Too slow")
    theirs.resume()
    assert await theirs.receive() == "before"
    with pytest.raises(LinkClosed, match="Too slow"):
        await theirs.receive()


async def test_a_cancelled_receive_loses_no_frame(autojump_clock: MockClock) -> None:
    ours, theirs = memory_link_pair()
    with trio.move_on_after(1):
        await theirs.receive()
    await ours.send("kept")
    assert await theirs.receive() == "kept"


async def test_a_cancelled_receiver_leaves_what_came_in_the_same_moment(autojump_clock: MockClock) -> None:
    ours, theirs = memory_link_pair()
    got: list[str | bytes] = []

    async def take(scope: trio.CancelScope) -> None:
        with scope:
            got.append(await theirs.receive())

    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()
        nursery.start_soon(take, scope)
        await trio.sleep(1)
        await ours.send("now")
        scope.cancel()
    if not got:
        got.append(await theirs.receive())
    assert got == ["now"]


async def test_a_reason_longer_than_a_close_frame_is_a_mistake(autojump_clock: MockClock) -> None:
    ours, _ = memory_link_pair()
    with pytest.raises(ValueError, match="at most 123 bytes"):
        await ours.aclose(1000, "x" * 124)
