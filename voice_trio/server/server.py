"""The production server: services from settings, our own listening socket, and an orderly shutdown.

    run_server
    ├─ gateway nursery   tasks that outlive the connections
    ├─ watch_signals     first signal: drain, then stop; second SIGTERM: stop at once
    ├─ follow_parent     a worker only: heartbeats to the parent, and the parent's commands
    └─ accept.serve      connections

After a signal of `signals` no new session is admitted. Each open session is notified and may finish a response for 8 s.
10 s after the signal the last connection is closed, whatever its client does.
"""

from __future__ import annotations

import gc
import logging
import resource
import signal
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import structlog
import trio
from hypercorn.config import Config

from voice_trio import limits
from voice_trio.admission.client_address import TrustedProxies
from voice_trio.errors import ConfigurationError
from voice_trio.net.listeners import drop_connections
from voice_trio.server import accept
from voice_trio.server.process import open_gateway
from voice_trio.server.requests import Services
from voice_trio.server.shared import ConnectionCounts, FolderWorkerPeers
from voice_trio.server.signals import ReceivedSignals, drain_signals
from voice_trio.server.unadmitted import UnadmittedConnections
from voice_trio.server.workers import DRAIN, END_AT_ONCE, HEARTBEAT
from voice_trio.web.application import Application
from voice_trio.web.hypercorn_bridge import HttpApplication
from voice_trio.web.process_stats import NoWorkerPeers

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from hypercorn.typing import ASGIFramework

    from voice_trio.settings import Settings
    from voice_trio.web.gateway import Gateway

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Tls:
    """Paths of a certificate chain and its key, both PEM."""

    certfile: str
    keyfile: str


@dataclass(frozen=True, slots=True)
class Worker:
    """Says that this process is one of several workers; `parent` is the socket to the process that started it."""

    peers: FolderWorkerPeers
    parent: socket.socket


async def run_server(
    settings: Settings,
    listener: socket.socket,
    *,
    tls: Tls | None = None,
    worker: Worker | None = None,
    when_started: Callable[[], None] | None = None,
) -> int:
    """Serve on `listener`, which this closes, until a signal; returns the process's exit code.

    0 after an orderly end, 128 plus the signal's number when a second signal cut it short. Raises
    `ConfigurationError` for a certificate that cannot be used.
    """
    host, port, *_ = listener.getsockname()
    try:
        config = _hypercorn_config(tls)
    except ConfigurationError:
        listener.close()
        raise
    peers = worker.peers if worker else NoWorkerPeers()
    if peers.slot == 0:
        for warning in settings.warnings:
            log.warning("settings", detail=warning)
    async with trio.open_nursery() as nursery:
        shutdown = _Shutdown(port, nursery, worker)
        await nursery.start(shutdown.watch_signals)
        async with open_gateway(settings, peers) as gateway:
            shutdown.gateway = gateway
            serve = partial(
                accept.serve,
                listener,
                _connection_services(gateway, config),
                _unadmitted_connections(settings),
                _connection_counts(worker),
            )
            async with trio.open_nursery() as serving:
                await serving.start(partial(serve, shutdown_trigger=shutdown.stopping.wait))
                log.info("worker_serving" if worker else "serving", host=host, port=port, tls=tls is not None)
                if worker is not None:
                    nursery.start_soon(shutdown.follow_parent, worker)
                if when_started is not None:
                    when_started()
        nursery.cancel_scope.cancel(reason="served")
    return shutdown.exit_code


def collect_garbage_rarely() -> None:
    """Make Python's garbage collector pause this process less; call it once, when everything is imported.

    A collection holds up the sound of all sessions, and relaying sound leaves few reference cycles behind. (Measured
    with 200 sessions talking: the P99 of `playback.flush` 4.9 ms before, 2.4 ms after, with the same CPU.)
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _connection_services(gateway: Gateway, config: Config) -> Services:
    application = Application(gateway)
    return Services(
        application=application,
        http=HttpApplication(cast("ASGIFramework", application), config),
        tls=config.create_ssl_context(),
        proxies=TrustedProxies.of(gateway.settings.web),
    )


def _unadmitted_connections(settings: Settings) -> UnadmittedConnections:
    """The limits of connections without a session: as configured, as far as the open-file limit allows."""
    wanted, per_address = settings.limits.unadmitted, settings.limits.unadmitted_per_address
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    reserved = limits.DESCRIPTORS_PER_SESSION * settings.limits.concurrent + limits.SPARE_DESCRIPTORS
    total = max(limits.UNADMITTED_MIN, min(wanted, files - reserved))
    if total < wanted:
        log.warning("open_file_limit_low", files=files, unadmitted=total, wanted=wanted, reserved=reserved)
    return UnadmittedConnections(total, min(total, per_address), trusted_hops=settings.web.trusted_proxy_hops)


def _connection_counts(worker: Worker | None) -> ConnectionCounts:
    if worker is None:
        return ConnectionCounts.of_one_process()
    return worker.peers.folder.connection_counts(worker.peers.slot)


class _Shutdown:
    """The way from the first signal to the end of the process."""

    def __init__(self, port: int, nursery: trio.Nursery, worker: Worker | None) -> None:
        self.gateway: Gateway | None = None
        self.stopping = trio.Event()
        self.exit_code = 0
        self._port = port
        self._nursery = nursery
        self._is_worker = worker is not None
        self._is_draining = False

    async def watch_signals(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """The first signal starts the drain, a second SIGTERM or SIGINT ends it.

        A worker's second command comes from its parent only: a terminal may signal the whole process group.
        """
        received = ReceivedSignals()
        with trio.open_signal_receiver(*drain_signals()) as signals:
            task_status.started()
            async for number in signals:
                if received.ends_at_once(number) and not self._is_worker:
                    self._end_at_once(number)
                    return
                self._begin(number)

    async def follow_parent(self, worker: Worker) -> None:
        """Send heartbeats to the parent; shut down on its command, or when it is gone."""
        with trio.socket.from_stdlib_socket(worker.parent) as parent:
            try:
                command = await self._wait_last_command(parent)
            except OSError:
                command = b""
        if command == END_AT_ONCE:
            self._end_at_once(signal.SIGTERM)
        else:
            self._begin(signal.SIGTERM)
            worker.peers.folder.remove()  # the dead parent cannot

    async def _wait_last_command(self, parent: trio.socket.SocketType) -> bytes:
        """Send a heartbeat every few seconds, and drain on command; returns any other command, b"" at the end."""
        while True:
            await parent.send(HEARTBEAT)
            with trio.move_on_after(limits.HEARTBEAT_SECONDS):
                command = await parent.recv(1)
                if command != DRAIN:
                    return command
                self._begin(signal.SIGTERM)

    def _begin(self, number: int) -> None:
        if self.gateway is None:
            self._end_at_once(number)
        elif not self._is_draining:
            log.info("stopping", signal=signal.Signals(number).name, sessions=len(self.gateway.live))
            self._is_draining = True
            self._nursery.start_soon(self._drain, self.gateway)

    def _end_at_once(self, number: int) -> None:
        log.warning("stopping_at_once", signal=signal.Signals(number).name)
        self.exit_code = 128 + number
        drop_connections([self._port])
        self._nursery.cancel_scope.cancel(reason="second signal")

    async def _drain(self, gateway: Gateway) -> None:
        signalled_at = trio.current_time()
        gateway.drain()
        with trio.move_on_after(limits.SESSIONS_END_SECONDS_MAX):
            await gateway.live.wait_until_empty()
        self.stopping.set()
        await trio.sleep_until(signalled_at + limits.CONNECTIONS_DROPPED_SECONDS)
        dropped = drop_connections([self._port])
        log.warning("connections_dropped", count=dropped)


def _hypercorn_config(tls: Tls | None) -> Config:
    config = Config()
    config.backlog = limits.LISTEN_BACKLOG
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")
    config.errorlog.setLevel(logging.WARNING)  # `serving` says where
    if tls is not None:
        config.certfile, config.keyfile = tls.certfile, tls.keyfile
        # HTTP/2 has flow control of its own, so TCP_USER_TIMEOUT would not notice a client that stops reading.
        config.alpn_protocols = ["http/1.1"]
        try:
            config.create_ssl_context()
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"--certfile, --keyfile: cannot be used: {error}") from error
    return config
