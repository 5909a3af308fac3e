"""The application for `hypercorn -k trio voice_trio.asgi:app`; its services open with the ASGI lifespan.

The server opens the listening sockets here: we find them among the descriptors of this process and set the options
that `net.listeners` sets on ours. Workers of hypercorn (`-w`) share limits through Redis only.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

import structlog
import trio

from voice_trio import limits
from voice_trio.errors import ConfigurationError
from voice_trio.net.listeners import set_options_on_own_listeners
from voice_trio.observability.log_stream import queue_standard_streams
from voice_trio.observability.logs import configure_logs
from voice_trio.server.process import open_gateway
from voice_trio.server.signals import ReceivedSignals, drain_signals
from voice_trio.server.watchdog import watching
from voice_trio.session.endings import Ending
from voice_trio.settings import load_settings
from voice_trio.web.application import Application
from voice_trio.web.hypercorn_bridge import contain_failures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice_trio.settings import Settings
    from voice_trio.web.asgi_link import Receive, Scope, Send
    from voice_trio.web.gateway import Gateway

log = structlog.get_logger(__name__)

EXIT_CONFIGURATION = 78  # EX_CONFIG of sysexits.h


class DeployedApplication:
    """An ASGI application that reads its settings and opens its services in the lifespan."""

    def __init__(self) -> None:
        self._application: Application | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, one request, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
        elif self._application is None:
            raise RuntimeError("the server has not started the application's lifespan")
        else:
            await self._application(scope, receive, send)

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
        await receive()  # lifespan.startup
        try:
            settings = load_settings()
        except ConfigurationError as error:
            # If the lifespan failed, hypercorn would print a traceback. Nothing is open yet, so an abrupt exit loses
            # nothing. (Only with `-w 0` is the exit code visible: otherwise hypercorn drops that of its worker.)
            print(error, file=sys.stderr, flush=True)  # noqa: T201  # logs need settings
            os._exit(EXIT_CONFIGURATION)
        _take_over_logs()
        configure_logs(settings.observability)
        _log_warnings(settings)
        async with watching(settings.observability.watchdog_seconds), open_gateway(settings) as gateway:
            self._application = Application(gateway)
            async with trio.open_nursery() as nursery:
                if _is_without_signals():
                    await nursery.start(_follow_signals, gateway)
                await send({"type": "lifespan.startup.complete"})
                await receive()  # lifespan.shutdown
                nursery.cancel_scope.cancel(reason="the server stops")
            await _drain(gateway)
        await send({"type": "lifespan.shutdown.complete"})


async def _drain(gateway: Gateway) -> None:
    gateway.drain()
    with trio.move_on_after(limits.ASGI_SESSIONS_END_SECONDS_MAX):
        await gateway.live.wait_until_empty()


def _is_without_signals() -> bool:
    """Whether nothing handles SIGTERM, as in the single process of `-w 0`; a worker's parent handles it for all."""
    return signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


async def _follow_signals(gateway: Gateway, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """At the first signal drain, then end the server as Ctrl-C does; a second one ends all sessions at once."""
    numbers = [number for number in drain_signals() if number != signal.SIGINT]
    with trio.open_signal_receiver(*numbers) as signals:
        task_status.started()
        received, number = ReceivedSignals(), await anext(signals)
        received.ends_at_once(number)
        log.info("stopping", signal=signal.Signals(number).name, sessions=len(gateway.live))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_end_sessions_at_second, signals, received, gateway)
            await _drain(gateway)
            nursery.cancel_scope.cancel(reason="drained")
    _interrupt_server()


@trio.lowlevel.enable_ki_protection
def _interrupt_server() -> None:
    """As Ctrl-C: trio raises KeyboardInterrupt in its main task, the server's, because this function is protected."""
    signal.raise_signal(signal.SIGINT)


async def _end_sessions_at_second(signals: AsyncIterator[int], received: ReceivedSignals, gateway: Gateway) -> None:
    async for number in signals:
        if received.ends_at_once(number):
            log.warning("stopping_at_once", signal=signal.Signals(number).name)
            gateway.live.end_all(Ending.DRAINING)


def _take_over_logs() -> None:
    queue_standard_streams()
    logging.getLogger("hypercorn.error").handlers.clear()  # its records reach our root handler
    for handler in logging.getLogger("hypercorn.access").handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.__stdout__:
            handler.setStream(sys.stdout)


def _log_warnings(settings: Settings) -> None:
    for warning in settings.warnings:
        log.warning("settings", detail=warning)
    if not set_options_on_own_listeners():
        log.warning("no_listening_socket_found", detail="clients that stop reading are detected late")


contain_failures()
app = DeployedApplication()
