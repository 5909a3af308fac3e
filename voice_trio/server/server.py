"""The production server: services from settings, our own listening socket, hypercorn's Trio worker, and an orderly end.

    run_server
    ├─ gateway nursery       what outlives handlers
    ├─ watch signals         first: drain, then stop; second: stop at once (a worker obeys its parent, too)
    └─ hypercorn.trio.serve  connections

After SIGTERM or Ctrl-C nobody new is let in, sessions are told and may finish an answer for 8 s, and 10 s after the
signal the last connection is gone, whatever a client does.
"""

from __future__ import annotations

import logging
import shutil
import signal
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import structlog
import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from voice_trio.errors import ConfigurationError
from voice_trio.net.listeners import BACKLOG, drop_connections
from voice_trio.server.least_loaded_accept import Loads, serve_least_loaded
from voice_trio.server.process import ALONE, open_gateway
from voice_trio.server.workers import ALIVE_EVERY_SECONDS, DRAIN, END_AT_ONCE, SERVING
from voice_trio.web.application import Application

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from hypercorn.typing import ASGIFramework

    from voice_trio.server.worker_peers import FolderWorkerPeers
    from voice_trio.settings import Settings
    from voice_trio.web.gateway import Gateway

log = structlog.get_logger(__name__)

SESSIONS_END_SECONDS_MAX = 9.4  # after the signal: 8 s for an answer, then the goodbye
ALL_CLOSED_SECONDS = 9.8  # after the signal connections that still stand are dropped
PING_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Tls:
    """Paths of a certificate chain and its key, both PEM."""

    certfile: str
    keyfile: str


@dataclass(frozen=True, slots=True)
class Worker:
    """This process is one of several; `parent` is the line to the one that started it."""

    siblings: FolderWorkerPeers
    parent: socket.socket


async def run_server(
    settings: Settings,
    listener: socket.socket,
    *,
    tls: Tls | None = None,
    worker: Worker | None = None,
    when_started: Callable[[], None] | None = None,
) -> int:
    """Serve on `listener`, which this takes over, until a signal ends it; returns the process's exit code.

    0 after an orderly end, 128 plus the signal's number when a second signal cut it short. Raises
    `ConfigurationError` for a certificate that cannot be used.
    """
    host, port, *_ = listener.getsockname()
    try:
        config = _hypercorn_config(listener.fileno(), tls)
    except ConfigurationError:
        listener.close()
        raise
    if worker is None:
        listener.detach()  # hypercorn owns the socket from here on
        serving = partial(serve, mode="asgi")
    else:
        loads = Loads(worker.siblings.folder, worker.siblings.slot)
        serving = partial(serve_least_loaded, listener=listener, loads=loads)
    if worker is None or worker.siblings.slot == 0:
        for warning in settings.warnings:
            log.warning("settings", detail=warning)
    async with trio.open_nursery() as nursery:
        ending = _Ending(port, nursery, worker)
        await nursery.start(ending.watch_signals)
        async with open_gateway(settings, worker.siblings if worker else ALONE) as gateway:
            ending.gateway = gateway
            application = cast("ASGIFramework", Application(gateway))
            async with trio.open_nursery() as server:
                await server.start(partial(serving, application, config, shutdown_trigger=ending.stopping.wait))
                log.info("worker_serving" if worker else "serving", host=host, port=port, tls=tls is not None)
                if worker is not None:
                    nursery.start_soon(ending.obey_parent, worker)
                if when_started is not None:
                    when_started()
        nursery.cancel_scope.cancel(reason="served")
    return ending.exit_code


class _Ending:
    """How the server comes to its end."""

    def __init__(self, port: int, everything: trio.Nursery, worker: Worker | None) -> None:
        self.gateway: Gateway | None = None
        self.stopping = trio.Event()
        self.exit_code = 0
        self._port = port
        self._everything = everything
        self._is_worker = worker is not None
        self._is_winding_down = False

    async def watch_signals(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """The first one begins the end, the second cuts it short. A worker is told the latter by its parent alone."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                if self._is_winding_down and not self._is_worker:
                    self._end_at_once(number)
                    return
                self._begin(number)

    async def obey_parent(self, worker: Worker) -> None:
        """Say that we serve; then end as the parent says, or when it is gone."""
        with trio.socket.from_stdlib_socket(worker.parent) as parent:
            try:
                word = await self._hear_last_word(parent)
            except OSError:
                word = b""
        if word == END_AT_ONCE:
            self._end_at_once(signal.SIGTERM)
        else:
            self._begin(signal.SIGTERM)
            shutil.rmtree(worker.siblings.folder, ignore_errors=True)  # nobody else will

    async def _hear_last_word(self, parent: trio.socket.SocketType) -> bytes:
        """Say every few seconds that this process is alive, and drain when told."""
        while True:
            await parent.send(SERVING)
            with trio.move_on_after(ALIVE_EVERY_SECONDS):
                word = await parent.recv(1)
                if word != DRAIN:
                    return word
                self._begin(signal.SIGTERM)

    def _begin(self, number: int) -> None:
        if self.gateway is None:
            self._end_at_once(number)
        elif not self._is_winding_down:
            log.info("stopping", signal=signal.Signals(number).name, sessions=len(self.gateway.live))
            self._is_winding_down = True
            self._everything.start_soon(self._wind_down, self.gateway)

    def _end_at_once(self, number: int) -> None:
        log.warning("stopping_at_once", signal=signal.Signals(number).name)
        self.exit_code = 128 + number
        drop_connections([self._port])
        self._everything.cancel_scope.cancel(reason="second signal")

    async def _wind_down(self, gateway: Gateway) -> None:
        signalled_at = trio.current_time()
        gateway.drain()
        with trio.move_on_after(SESSIONS_END_SECONDS_MAX):
            await gateway.live.wait_until_empty()
        self.stopping.set()
        await trio.sleep_until(signalled_at + ALL_CLOSED_SECONDS)
        dropped = drop_connections([self._port])
        log.warning("connections_dropped", count=dropped)


def _hypercorn_config(descriptor: int, tls: Tls | None) -> Config:
    config = Config()
    config.backlog = BACKLOG
    config.graceful_timeout = 0.5
    config.websocket_ping_interval = PING_SECONDS
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.errorlog.setLevel(logging.WARNING)  # where it runs we say ourselves
    if tls is not None:
        config.certfile, config.keyfile = tls.certfile, tls.keyfile
        # HTTP/2 has windows of its own: there TCP would never learn that a client takes nothing.
        config.alpn_protocols = ["http/1.1"]
        try:
            config.create_ssl_context()
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"--certfile, --keyfile: cannot be used: {error}") from error
    config.bind = [f"fd://{descriptor}"]
    return config
