"""Who accepts first: the worker with the fewest connections, and anybody when that one does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from voice_trio.net.listeners import open_listener
from voice_trio.server.least_loaded_accept import ABSENT, WAIT_SECONDS_MAX, LeastLoadedListener, Loads

if TYPE_CHECKING:
    from pathlib import Path


def loads(folder: Path, *connections: int) -> list[Loads]:
    Loads.make(folder, len(connections))
    found = [Loads(folder, slot) for slot in range(len(connections))]
    for each, count in zip(found, connections, strict=True):
        each.set(count)
    return found


def test_the_freest_does_not_wait_and_the_others_do_a_little(tmp_path: Path) -> None:
    waits = [each.wait_seconds() for each in loads(tmp_path, 2, 3, 60, ABSENT)]
    assert waits[0] == 0
    assert 0 < waits[1] < waits[2] == WAIT_SECONDS_MAX


def test_who_is_not_there_yet_or_any_more_holds_nobody_up(tmp_path: Path) -> None:
    one, other = loads(tmp_path, 5, 0)
    assert one.wait_seconds() > 0
    other.set(ABSENT)
    assert one.wait_seconds() == 0


async def test_a_caller_whom_the_freest_does_not_take_is_taken_by_another(tmp_path: Path) -> None:
    busy, _ = loads(tmp_path, 5, 0)  # the other one hangs
    listener = LeastLoadedListener(open_listener("127.0.0.1:0"), busy)
    port = listener._socket.getsockname()[1]
    with trio.fail_after(5):
        async with listener, await trio.open_tcp_stream("127.0.0.1", port) as caller, await listener.accept() as taken:
            await taken.send_all(b"hello")
            assert await caller.receive_some(5) == b"hello"
