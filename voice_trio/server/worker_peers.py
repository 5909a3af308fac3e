"""The other workers of an instance: each tells the others what it has seen, over a Unix socket of its own.

The sockets lie in the folder that the workers share, which only their user may enter. Who connects is sent one
snapshot, and then the end. A worker without siblings asks nobody.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Never

import msgspec
import structlog
import trio

from voice_trio.web.process_stats import Snapshot, decode_snapshot, encode_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = structlog.get_logger(__name__)

ANSWER_SECONDS_MAX = 1.0
"""A worker that hangs is left out after this."""
BYTES_MAX = 64 * 1024 * 1024
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FolderWorkerPeers:
    """Worker `slot` of `count` that share `folder`. `answer` is its task."""

    folder: Path
    slot: int
    count: int

    async def answer(self, told: Callable[[], Snapshot]) -> Never:
        """Tell whoever asks, until cancelled."""
        path = self._path(self.slot)
        path.unlink(missing_ok=True)  # of whoever had this place before
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            listeners = [trio.SocketListener(trio.socket.from_stdlib_socket(listener))]
            await trio.serve_listeners(partial(_tell, told), listeners)
        raise AssertionError("serving goes on until it is cancelled")

    async def ask(self) -> list[Snapshot]:
        """All at once."""
        heard: list[Snapshot] = []
        with trio.move_on_after(ANSWER_SECONDS_MAX):
            async with trio.open_nursery() as nursery:
                for slot in range(self.count):
                    if slot != self.slot:
                        nursery.start_soon(self._hear, slot, heard)
        return heard

    async def _hear(self, slot: int, heard: list[Snapshot]) -> None:
        with suppress(OSError, trio.BrokenResourceError, msgspec.DecodeError):
            async with await trio.open_unix_socket(self._path(slot)) as stream:
                data = bytearray()
                while (chunk := await stream.receive_some(_CHUNK)) and len(data) < BYTES_MAX:
                    data += chunk
            heard.append(decode_snapshot(bytes(data)))

    def _path(self, slot: int) -> Path:
        return self.folder / f"{slot}.sock"


async def _tell(told: Callable[[], Snapshot], stream: trio.SocketStream) -> None:
    with trio.move_on_after(ANSWER_SECONDS_MAX), suppress(trio.BrokenResourceError):
        async with stream:
            await stream.send_all(encode_snapshot(told()))
