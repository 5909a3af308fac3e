"""The ASGI link without a server: what it sends and reads; it never waits for a client that has disconnected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.asgi_server import AsgiServer
from voice_trio.errors import LinkClosed
from voice_trio.web.asgi_link import AsgiLink

if TYPE_CHECKING:
    from trio.testing import MockClock


def link_to(server: AsgiServer, bytes_max: int = 10) -> AsgiLink:
    return AsgiLink(server.receive, server.send, bytes_max=bytes_max)


async def test_text_and_bytes_pass_as_they_are() -> None:
    server = AsgiServer()
    link = link_to(server)
    for frame in ("höre", b"\0\1", ""):
        server.says(frame)
        assert await link.receive() == frame
        await link.send(frame)
    assert [message["text"] for message in server.sent] == ["höre", None, ""]
    assert [message["bytes"] for message in server.sent] == [None, b"\0\1", None]


async def test_a_client_that_left_is_neither_waited_for_nor_written_to() -> None:
    server = AsgiServer()
    link = link_to(server)
    server.is_left()
    for _ in range(2):
        with pytest.raises(LinkClosed) as closed:
            await link.receive()
        assert closed.value.code is None
    with pytest.raises(LinkClosed):
        await link.send("anybody there?")
    await link.aclose()
    assert server.sent == []


@pytest.mark.parametrize(("frame", "fits"), [("x" * 10, True), ("x" * 11, False), ("ö" * 5, True), ("ö" * 6, False)])
async def test_the_limit_counts_bytes(frame: str, fits: bool) -> None:
    server = AsgiServer()
    link = link_to(server)
    server.says(frame)
    if fits:
        assert await link.receive() == frame
    else:
        with pytest.raises(LinkClosed) as closed:
            await link.receive()
        assert closed.value.code == 1009


async def test_after_a_message_over_the_limit_one_may_still_say_why() -> None:
    server = AsgiServer()
    link = link_to(server)
    server.says(b"x" * 11)
    server.is_left()
    with pytest.raises(LinkClosed):
        await link.receive()
    await link.send("too big")
    await link.aclose(1009, "Message over the limit")
    assert [message["type"] for message in server.sent] == ["websocket.send", "websocket.close"]


async def test_closing_reads_on_until_the_client_has_answered(autojump_clock: MockClock) -> None:
    server = AsgiServer()
    link = link_to(server)
    server.says("still talking")
    server.is_left(1000)
    await link.aclose(1012, "Server restarting, resume")
    assert trio.current_time() == 0
    assert server.sent == [{"type": "websocket.close", "code": 1012, "reason": "Server restarting, resume"}]
    await link.aclose(1000, "again")
    assert len(server.sent) == 1


async def test_closing_waits_less_than_a_second_for_a_client_that_does_not_answer_I8(
    autojump_clock: MockClock,
) -> None:
    link = link_to(AsgiServer())
    await link.aclose()
    assert trio.current_time() == 0.8
    with pytest.raises(LinkClosed):
        await link.receive()


async def test_a_cancelled_receive_loses_no_frame(autojump_clock: MockClock) -> None:
    server = AsgiServer()
    link = link_to(server)
    with trio.move_on_after(1):
        await link.receive()
    server.says("kept")
    assert await link.receive() == "kept"
