"""Accepting for one of several workers: whoever holds fewest connections takes the next caller.

All workers wait on one listening socket, and the kernel wakes them all; left to themselves, the same one may win a
dozen times in a row. So a worker that holds more than the least waits a few milliseconds before it accepts, and then
takes whoever is still there: one that hangs costs the others a moment, and the caller nothing.
"""

from __future__ import annotations

import errno
import mmap
from functools import partial
from typing import TYPE_CHECKING, Any

import trio
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import wrap_app

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from hypercorn.config import Config
    from hypercorn.typing import ASGIFramework

STEP_SECONDS = 0.003
"""For each connection more than the least loaded worker has."""
WAIT_SECONDS_MAX = 0.015
ABSENT = 0xFFFF_FFFF
_TABLE = "connections"
_GONE_BEFORE_ACCEPTED = {errno.EPERM, errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.EHOSTUNREACH}


class Loads:
    """How many connections each worker has, in a file that all of them map."""

    def __init__(self, folder: Path, slot: int) -> None:
        with (folder / _TABLE).open("r+b") as file:
            self._map = memoryview(mmap.mmap(file.fileno(), 0)).cast("I")
        self._slot = slot

    @staticmethod
    def make(folder: Path, count: int) -> None:
        """Nobody is there yet."""
        (folder / _TABLE).write_bytes(b"\xff" * 4 * count)

    def set(self, connections: int) -> None:
        """This worker has so many; `ABSENT` takes it out."""
        self._map[self._slot] = connections

    def wait_seconds(self) -> float:
        """How long this worker should let others go first."""
        more = self._map[self._slot] - min(self._map)
        return min(WAIT_SECONDS_MAX, more * STEP_SECONDS)


class LeastLoadedListener(trio.abc.Listener[trio.SocketStream]):
    """Over a listening socket that others accept from, too."""

    def __init__(self, listener: socket.socket, loads: Loads) -> None:
        listener.setblocking(False)
        self._socket = listener
        self._loads = loads

    async def accept(self) -> trio.SocketStream:
        """Raises what means that no more connections can be held; whoever serves waits a little then."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            if seconds := self._loads.wait_seconds():
                await trio.sleep(seconds)
            try:
                accepted, _ = self._socket.accept()
            except BlockingIOError:  # somebody else was faster
                continue
            except OSError as error:
                if error.errno in _GONE_BEFORE_ACCEPTED:
                    continue
                raise
            return trio.SocketStream(trio.socket.from_stdlib_socket(accepted))

    async def aclose(self) -> None:
        """Others go on."""
        self._socket.close()
        await trio.lowlevel.checkpoint()


async def serve_least_loaded(
    application: ASGIFramework,
    config: Config,
    listener: socket.socket,
    loads: Loads,
    *,
    shutdown_trigger: Callable[[], Awaitable[None]],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """What `hypercorn.trio.serve` does with its own listeners, with one that is polite."""
    context = WorkerContext(None)
    app = wrap_app(application, config.wsgi_max_body_size, "asgi")
    connections = 0

    async def handle(stream: trio.abc.Stream) -> None:
        nonlocal connections
        connections += 1
        loads.set(connections)
        try:
            await TCPServer(app, config, context, ConnectionState({}), stream)  # type: ignore[arg-type]  # SSL too
        finally:
            connections -= 1
            loads.set(connections)

    polite: trio.abc.Listener[Any] = LeastLoadedListener(listener, loads)
    tls = config.create_ssl_context()
    if tls is not None:
        polite = trio.SSLListener(polite, tls, https_compatible=True)
    async with trio.open_nursery() as handlers:
        async with trio.open_nursery() as accepting:
            accepting.start_soon(partial(trio.serve_listeners, handle, [polite], handler_nursery=handlers))
            loads.set(0)
            task_status.started()
            await shutdown_trigger()
            accepting.cancel_scope.cancel(reason="the server stops")
        await context.terminated.set()
        handlers.cancel_scope.deadline = trio.current_time() + config.graceful_timeout
