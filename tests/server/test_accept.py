"""The accept loop: which worker accepts, what happens at a limit, and without descriptors."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

import pytest
import trio
from structlog.testing import capture_logs

from voice_trio import limits
from voice_trio.net.listeners import open_listener
from voice_trio.server.accept import Acceptor
from voice_trio.server.shared import ABSENT, ConnectionCounts, SharedFolder
from voice_trio.server.unadmitted import UnadmittedConnections

if TYPE_CHECKING:
    from pathlib import Path

    from trio.testing import MockClock


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
    with trio.fail_after(5), open_listener("127.0.0.1:0") as listener:
        acceptor = Acceptor(listener, UnadmittedConnections(10, 10), busy)
        with socket.create_connection(listener.getsockname()) as caller:
            accepted, slot = await acceptor.accept()
            with accepted:
                accepted.sendall(b"hello")
                assert caller.recv(5) == b"hello"
            assert slot.masked_address == "127.0.0.0"


async def test_a_connection_over_the_limit_is_closed_and_a_later_one_within_it_accepted() -> None:
    with trio.fail_after(5), open_listener("127.0.0.1:0") as listener:
        acceptor = Acceptor(listener, UnadmittedConnections(1, 1), ConnectionCounts.of_one_process())
        with socket.create_connection(listener.getsockname()):
            first, slot = await acceptor.accept()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept_and_close, acceptor)
            refused = await trio.open_tcp_stream(*listener.getsockname())
            async with refused:
                assert await refused.receive_some() == b""
            first.close()
            slot.release()
            await (await trio.open_tcp_stream(*listener.getsockname())).aclose()


async def accept_and_close(acceptor: Acceptor) -> None:
    accepted, _ = await acceptor.accept()
    accepted.close()


async def test_without_descriptors_it_pauses_warns_once_and_goes_on(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The descriptors come back after a while; until then each attempt fails at once."""
    readable = trio.Event()
    readable.set()
    monkeypatch.setattr(trio.lowlevel, "wait_readable", lambda _socket: readable.wait())
    ours, theirs = socket.socketpair()
    with ours, theirs, ExhaustedListener(theirs, failures=700) as listener, capture_logs() as logs:
        accepted, _ = await Acceptor(listener, UnadmittedConnections(1, 1), ConnectionCounts.of_one_process()).accept()
    assert accepted is theirs
    assert trio.current_time() == pytest.approx(70.0)
    assert [(line["event"], line["error"]) for line in logs] == [("accept_failed", "EMFILE")] * 2
    assert [line["left_out"] for line in logs] == [0, pytest.approx(599, abs=1)]


class ExhaustedListener(socket.socket):
    """A listening socket that fails `failures` times for want of descriptors, then accepts `accepted`."""

    def __init__(self, accepted: socket.socket, *, failures: int) -> None:
        super().__init__()
        self._accepted = accepted
        self._failures = failures

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        self._failures -= 1
        if self._failures < 0:
            return self._accepted, ("127.0.0.1", 5)
        raise OSError(errno.EMFILE, "Too many open files")


def test_one_process_never_waits() -> None:
    alone = ConnectionCounts.of_one_process()
    alone.set(60)
    assert alone.wait_seconds() == 0
