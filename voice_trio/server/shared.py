"""What the workers of one instance share: one folder, for their user only, held by a lock and removed with the parent.

    voice-trio-XXXXXXXX/
    ├─ lock           locked by the parent; a folder with a free lock is an orphan
    ├─ connections    one counter for each worker, mapped into memory by all of them
    ├─ N.sock         worker N sends one snapshot of its statistics to each peer that connects
    └─ *.db           values of the multi-process mode of the Prometheus client

A single process has no folder: `ConnectionCounts.of_one_process` and `NoWorkerPeers` take its place.
"""

from __future__ import annotations

import fcntl
import mmap
import shutil
import socket
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Never

import msgspec
import trio

from voice_trio import limits
from voice_trio.errors import ConfigurationError
from voice_trio.observability.prometheus import forget_gauges, share_metrics
from voice_trio.web.process_stats import Snapshot, decode_snapshot, encode_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ABSENT = 0xFFFF_FFFF
"""The count of a slot without a worker: larger than any real count, so that it is never the least."""

_PREFIX, _LOCK, _CONNECTIONS = "voice-trio-", "lock", "connections"
_CHUNK = 1024 * 1024


@contextmanager
def open_shared_folder(workers: int) -> Iterator[SharedFolder]:
    """Create a folder for `workers` workers, in memory where possible, and remove it after the block.

    Removes orphans too: folders whose parent was killed, so that their locks are free. Raises `ConfigurationError`
    where no folder can be written.
    """
    hidden = _make_hidden_folder()
    with (hidden / _LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Renamed only once the lock is held: another parent would take it for an orphan.
        folder = SharedFolder(hidden.rename(hidden.with_name(hidden.name.removeprefix("."))))
        try:
            folder.make_connection_counts(workers)
            yield folder
        finally:
            folder.remove()


@dataclass(frozen=True, slots=True)
class SharedFolder:
    """The folder at `path`; workers are numbered by slots from 0."""

    path: Path

    def make_connection_counts(self, workers: int) -> None:
        """Create the counters; every slot starts as `ABSENT`."""
        (self.path / _CONNECTIONS).write_bytes(ABSENT.to_bytes(4, "little") * workers)

    def connection_counts(self, slot: int) -> ConnectionCounts:
        """The counters as worker `slot` sees them."""
        with (self.path / _CONNECTIONS).open("r+b") as file:
            return ConnectionCounts(memoryview(mmap.mmap(file.fileno(), 0)).cast("I"), slot)

    def snapshot_socket(self, slot: int) -> Path:
        """The Unix socket on which worker `slot` sends its snapshot."""
        return self.path / f"{slot}.sock"

    def share_metrics(self, slot: int) -> None:
        """Keep this process's Prometheus values here, as worker `slot`; call before any metric is made."""
        share_metrics(self.path, slot)

    def forget_worker(self, slot: int) -> None:
        """The worker is dead: its counters stay, its gauges and its connections are gone."""
        forget_gauges(self.path, slot)
        self.connection_counts(slot).set(ABSENT)

    def remove(self) -> None:
        """Remove the folder and its contents; does nothing if it is gone already."""
        shutil.rmtree(self.path, ignore_errors=True)


class ConnectionCounts:
    """How many connections each worker holds; a worker writes its own count and reads all of them."""

    def __init__(self, counts: memoryview[int], slot: int) -> None:
        self._counts = counts
        self._slot = slot

    @classmethod
    def of_one_process(cls) -> ConnectionCounts:
        """The counter of a process without peers, in its own memory."""
        return cls(memoryview(bytearray(4)).cast("I"), 0)

    def set(self, connections: int) -> None:
        """Write this worker's count; `ABSENT` takes the worker out of the comparison."""
        self._counts[self._slot] = connections

    def wait_seconds(self) -> float:
        """Seconds this worker should wait before it accepts; 0 for the least loaded one."""
        excess = self._counts[self._slot] - min(self._counts)
        return min(limits.ACCEPT_SECONDS_MAX, excess * limits.ACCEPT_STEP_SECONDS)


@dataclass(frozen=True, slots=True)
class FolderWorkerPeers:
    """The other workers, as worker `slot` of `count` reaches them. `serve` is a task of the process."""

    folder: SharedFolder
    slot: int
    count: int

    async def serve(self, make_snapshot: Callable[[], Snapshot]) -> Never:
        """Send a new snapshot to each peer that connects, until cancelled."""
        path = self.folder.snapshot_socket(self.slot)
        path.unlink(missing_ok=True)  # left by the dead worker that had this slot
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(listener))]
            await trio.serve_listeners(partial(_send_snapshot, make_snapshot), listeners)
        raise AssertionError("serve_listeners returns only when cancelled")

    async def ask(self) -> list[Snapshot]:
        """Ask all peers at once; returns the snapshots that arrive within `SNAPSHOT_SECONDS_MAX`."""
        received: list[Snapshot] = []
        with trio.move_on_after(limits.SNAPSHOT_SECONDS_MAX):
            async with trio.open_nursery() as nursery:
                for slot in range(self.count):
                    if slot != self.slot:
                        nursery.start_soon(self._receive_snapshot, slot, received)
        return received

    async def _receive_snapshot(self, slot: int, received: list[Snapshot]) -> None:
        with suppress(OSError, trio.BrokenResourceError, msgspec.DecodeError):
            async with await trio.open_unix_socket(self.folder.snapshot_socket(slot)) as stream:
                data = bytearray()
                while (chunk := await stream.receive_some(_CHUNK)) and len(data) < limits.SNAPSHOT_BYTES_MAX:
                    data += chunk
            received.append(decode_snapshot(bytes(data)))


async def _send_snapshot(make_snapshot: Callable[[], Snapshot], stream: trio.SocketStream) -> None:
    with trio.move_on_after(limits.SNAPSHOT_SECONDS_MAX), suppress(trio.BrokenResourceError):
        async with stream:
            await stream.send_all(encode_snapshot(make_snapshot()))


def _make_hidden_folder() -> Path:
    for parent in (Path("/dev/shm"), Path(tempfile.gettempdir())):
        with suppress(OSError):
            _remove_orphans(parent)
            return Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=parent))  # mode 0700
    raise ConfigurationError("--workers: needs a folder to write to: neither /dev/shm nor TMPDIR can be written")


def _remove_orphans(parent: Path) -> None:
    for path in parent.glob(f"{_PREFIX}*"):
        # Another user's lock cannot be opened; a live parent's lock cannot be taken.
        with suppress(OSError), (path / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
