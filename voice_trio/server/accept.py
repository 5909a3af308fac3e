"""The accept loop, for one process and for several workers: the worker with the fewest connections accepts first.

All workers wait on one listening socket, and the kernel wakes all of them for each connection. Without a rule the same
worker may win a dozen times in a row. So a worker that holds more connections than the least loaded one waits a few
milliseconds, then accepts if the connection is still waiting. A worker that hangs costs its peers that moment only. For
a single process the wait is always 0.
"""

from __future__ import annotations

import errno
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

    from hypercorn.config import Config
    from hypercorn.typing import ASGIFramework

    from voice_trio.server.shared import ConnectionCounts

# The connection was lost before it was accepted: the next one may be fine.
_IGNORED_ERRNOS = {errno.EPERM, errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.EHOSTUNREACH}


async def serve(
    application: ASGIFramework,
    config: Config,
    listener: socket.socket,
    counts: ConnectionCounts,
    *,
    shutdown_trigger: Callable[[], Awaitable[None]],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve connections of `listener`, which this closes, until `shutdown_trigger` returns.

    Does what `hypercorn.trio.serve` does, with our listener and without the ASGI lifespan. Connections that are open
    at the shutdown have `config.graceful_timeout` seconds left.
    """
    connections = _Connections(application, config, counts)
    listening: trio.abc.Listener[Any] = LeastLoadedListener(listener, counts)
    tls = config.create_ssl_context()
    if tls is not None:
        listening = trio.SSLListener(listening, tls, https_compatible=True)
    async with trio.open_nursery() as handlers:
        async with trio.open_nursery() as accepting:
            accepting.start_soon(
                partial(trio.serve_listeners, connections.serve, [listening], handler_nursery=handlers)
            )
            counts.set(0)
            task_status.started()
            await shutdown_trigger()
            accepting.cancel_scope.cancel(reason="the server stops")
        await connections.context.terminated.set()
        handlers.cancel_scope.deadline = trio.current_time() + config.graceful_timeout


class _Connections:
    """Serves each accepted connection with hypercorn, and keeps this worker's count of them."""

    def __init__(self, application: ASGIFramework, config: Config, counts: ConnectionCounts) -> None:
        self.context = WorkerContext(None)
        self._app = wrap_app(application, config.wsgi_max_body_size, "asgi")
        self._config = config
        self._counts = counts
        self._open = 0

    async def serve(self, stream: trio.abc.Stream) -> None:
        self._open += 1
        self._counts.set(self._open)
        state = ConnectionState({})
        try:
            await TCPServer(self._app, self._config, self.context, state, stream)  # type: ignore[arg-type]  # SSL too
        finally:
            self._open -= 1
            self._counts.set(self._open)


class LeastLoadedListener(trio.abc.Listener[trio.SocketStream]):
    """A listener over a socket from which other workers accept too."""

    def __init__(self, listener: socket.socket, counts: ConnectionCounts) -> None:
        listener.setblocking(False)
        self._socket = listener
        self._counts = counts

    async def accept(self) -> trio.SocketStream:
        """The next connection. Raises `OSError` when the process is out of descriptors or memory: the caller waits."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            if seconds := self._counts.wait_seconds():
                await trio.sleep(seconds)
            try:
                accepted, _ = self._socket.accept()
            except BlockingIOError:  # another worker has accepted it
                continue
            except OSError as error:
                if error.errno in _IGNORED_ERRNOS:
                    continue
                raise
            return trio.SocketStream(trio.socket.from_stdlib_socket(accepted))

    async def aclose(self) -> None:
        """Close this process's copy of the socket; other workers go on accepting."""
        self._socket.close()
        await trio.lowlevel.checkpoint()
