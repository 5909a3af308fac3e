"""The accept loop, for one process and for several workers: the worker with the fewest connections accepts first.

    serve
    ├─ Acceptor.accept     within the limits of connections without a session
    └─ serve_connection    one for each connection

All workers wait on one listening socket, and the kernel wakes all of them for each connection. Without a rule the same
worker may win a dozen times in a row. So a worker that holds more connections than the least loaded one waits a few
milliseconds, then accepts if the connection is still waiting. A worker that hangs costs its peers that moment only. For
a single process the wait is always 0.
"""

from __future__ import annotations

import errno
from collections import Counter
from typing import TYPE_CHECKING, Never

import structlog
import trio

from voice_trio import limits
from voice_trio.net.background import keep_running
from voice_trio.server.connection import serve_connection

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from voice_trio.server.requests import Services
    from voice_trio.server.shared import ConnectionCounts
    from voice_trio.server.unadmitted import Unadmitted, UnadmittedConnections

log = structlog.get_logger(__name__)

# The connection was lost before it was accepted, or the network reports an error of its own: the next one may be fine.
_IGNORED_ERRNOS = {
    errno.EPERM,
    errno.ECONNABORTED,
    errno.EPROTO,
    errno.ENOPROTOOPT,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.EOPNOTSUPP,
}
_EXHAUSTED_ERRNOS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}


async def serve(
    listener: socket.socket,
    services: Services,
    unadmitted: UnadmittedConnections,
    counts: ConnectionCounts,
    *,
    shutdown_trigger: Callable[[], Awaitable[None]],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve connections of `listener`, which this closes, until `shutdown_trigger` returns.

    Connections that are open at the shutdown have `CONNECTIONS_END_SECONDS_MAX` left.
    """
    acceptor = Acceptor(listener, unadmitted, counts)
    async with trio.open_nursery() as handlers:
        with listener:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(keep_running, acceptor.run, handlers, services)
                task_status.started()
                await shutdown_trigger()
                accepting.cancel_scope.cancel(reason="the server stops")
        handlers.cancel_scope.deadline = trio.current_time() + limits.CONNECTIONS_END_SECONDS_MAX


class Acceptor:
    """Accepts connections of a socket from which other workers accept too, and keeps this worker's count of them."""

    def __init__(self, listener: socket.socket, unadmitted: UnadmittedConnections, counts: ConnectionCounts) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._unadmitted = unadmitted
        self._counts = counts
        self._open = 0
        self._counts.set(0)
        self._warnings = _MinuteLog()

    async def run(self, handlers: trio.Nursery, services: Services) -> Never:
        """Start a task in `handlers` for each connection."""
        while True:
            accepted, slot = await self.accept()
            handlers.start_soon(self._serve, accepted, slot, services)

    async def accept(self) -> tuple[socket.socket, Unadmitted]:
        """The next connection and its slot. A connection over a limit is closed at once."""
        while True:
            await trio.lowlevel.wait_readable(self._listener)
            if seconds := self._counts.wait_seconds():
                await trio.sleep(seconds)
            try:
                accepted, peer = self._listener.accept()
            except BlockingIOError:  # another worker has accepted it
                continue
            except OSError as error:
                await self._recover(error)
                continue
            if (slot := self._unadmitted.add(str(peer[0]))) is not None:
                return accepted, slot
            accepted.close()
            self._warnings.warn("connections_refused", without_session=len(self._unadmitted))

    async def _recover(self, error: OSError) -> None:
        if error.errno in _EXHAUSTED_ERRNOS:
            self._warnings.warn("accept_failed", error=errno.errorcode[error.errno])
            self._unadmitted.make_room()
            await trio.sleep(limits.ACCEPT_PAUSE_SECONDS)
        elif error.errno not in _IGNORED_ERRNOS:
            raise error

    async def _serve(self, accepted: socket.socket, slot: Unadmitted, services: Services) -> None:
        self._open += 1
        self._counts.set(self._open)
        try:
            await serve_connection(accepted, slot, services)
        finally:
            self._open -= 1
            self._counts.set(self._open)


class _MinuteLog:
    """Warnings of which each is logged once a minute at most, with the number of those that were left out."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._left_out: Counter[str] = Counter()

    def warn(self, event: str, **fields: object) -> None:
        now = trio.current_time()
        if now < self._due.get(event, now):
            self._left_out[event] += 1
            return
        self._due[event] = now + limits.MINUTE_SECONDS
        log.warning(event, **fields, left_out=self._left_out.pop(event, 0))
