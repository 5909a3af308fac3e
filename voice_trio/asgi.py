"""`hypercorn -k trio voice_trio.asgi:app`: the same application, its services made when the server starts it.

The listening sockets are not ours here; they are found among the process's own and given the same options. Workers
(`-w`) share their limits only through Redis.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

import structlog
import trio

from voice_trio.errors import ConfigurationError
from voice_trio.net.listeners import set_options_on_own_listeners
from voice_trio.observability.logs import configure_logs
from voice_trio.server.process import open_gateway
from voice_trio.settings import load_settings
from voice_trio.web.application import Application

if TYPE_CHECKING:
    from voice_trio.settings import Settings
    from voice_trio.web.asgi_link import Receive, Scope, Send

log = structlog.get_logger(__name__)

EXIT_CONFIGURATION = 78  # EX_CONFIG of sysexits.h
SESSIONS_END_SECONDS_MAX = 10.0


class DeployedApplication:
    """An ASGI application whose settings are read, and services opened, by its lifespan."""

    def __init__(self) -> None:
        self._application: Application | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, one request, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._application is None:
            raise RuntimeError("the server has not started the application's lifespan")
        else:
            await self._application(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()  # lifespan.startup
        try:
            settings = load_settings()
        except ConfigurationError as error:
            # Told through the lifespan, hypercorn would bury it in a traceback. Nothing has been opened yet that could
            # be lost. (The exit code is seen with `-w 0` only: otherwise hypercorn loses that of its worker.)
            print(error, file=sys.stderr, flush=True)  # noqa: T201  # there are no logs before there are settings
            os._exit(EXIT_CONFIGURATION)
        configure_logs(settings.observability)
        logging.getLogger("hypercorn.error").handlers.clear()  # its lines come through ours
        _say_what_is_odd(settings)
        async with open_gateway(settings) as gateway:
            self._application = Application(gateway)
            await send({"type": "lifespan.startup.complete"})
            await receive()  # lifespan.shutdown
            gateway.drain()
            with trio.move_on_after(SESSIONS_END_SECONDS_MAX):
                await gateway.live.wait_until_empty()
        await send({"type": "lifespan.shutdown.complete"})


def _say_what_is_odd(settings: Settings) -> None:
    for warning in settings.warnings:
        log.warning("settings", detail=warning)
    if not set_options_on_own_listeners():
        log.warning("no_listening_socket_found", detail="clients that stop reading will be noticed late")


app = DeployedApplication()
