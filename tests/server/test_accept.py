"""The accept loop: the worker with the fewest connections accepts first, any other when that one does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.net.listeners import open_listener
from voice_trio.server.accept import LeastLoadedListener
from voice_trio.server.shared import ABSENT, ConnectionCounts, SharedFolder

if TYPE_CHECKING:
    from pathlib import Path


def counts(path: Path, *connections: int) -> list[ConnectionCounts]:
    folder = SharedFolder(path)
    folder.make_connection_counts(len(connections))
    found = [folder.connection_counts(slot) for slot in range(len(connections))]
    for each, count in zip(found, connections, strict=True):
        each.set(count)
    return found


def test_the_least_loaded_worker_does_not_wait_and_the_others_do_a_little(tmp_path: Path) -> None:
    waits = [each.wait_seconds() for each in counts(tmp_path, 2, 3, 60, ABSENT)]
    assert waits[0] == 0
    assert 0 < waits[1] < waits[2] == limits.ACCEPT_SECONDS_MAX


def test_an_absent_worker_makes_no_other_wait(tmp_path: Path) -> None:
    one, other = counts(tmp_path, 5, 0)
    assert one.wait_seconds() > 0
    other.set(ABSENT)
    assert one.wait_seconds() == 0


async def test_a_connection_that_the_least_loaded_worker_does_not_accept_is_accepted_by_another(tmp_path: Path) -> None:
    busy, _ = counts(tmp_path, 5, 0)  # the other one hangs
    listener = LeastLoadedListener(open_listener("127.0.0.1:0"), busy)
    port = listener._socket.getsockname()[1]
    with trio.fail_after(5):
        async with listener, await trio.open_tcp_stream("127.0.0.1", port) as caller, await listener.accept() as taken:
            await taken.send_all(b"hello")
            assert await caller.receive_some(5) == b"hello"


def test_one_process_never_waits() -> None:
    alone = ConnectionCounts.of_one_process()
    alone.set(60)
    assert alone.wait_seconds() == 0
