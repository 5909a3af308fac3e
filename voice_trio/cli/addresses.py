"""Where a server listens, and the addresses of its pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import structlog

from voice_trio.settings.service import DEFAULT_PORT

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.settings import Settings

WILDCARDS = ("0.0.0.0", "::")
DASHBOARD = "/v1/voice/dashboard"
VOICE = "/v1/ws/voice"
CONSOLE_OFF = "off; VOICE_CONSOLE=true serves it"
VOICE_OFF = "off; ENABLE_VOICE_REALTIME=true admits users"

log = structlog.get_logger(__name__)


def bind_option(with_port: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option `--bind`; `with_port` says where the command listens if PORT is set and BIND is not."""
    text = f"Where to listen; port 0 for any.  [default: BIND, else {with_port}, else 127.0.0.1:{DEFAULT_PORT}]"
    return click.option("--bind", metavar="HOST:PORT", help=text)


def place(address: tuple[str, int]) -> str:
    """`HOST:PORT` for a URL that this machine can open, from the address of a listening socket."""
    host = "127.0.0.1" if address[0] in WILDCARDS else address[0]
    return f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"


def log_pages(settings: Settings, address: tuple[str, int], *, tls: bool) -> None:
    """Log the addresses of console, dashboard and voice, or how to switch them on."""
    base = f"{'https' if tls else 'http'}://{place(address)}"
    log.info(
        "pages",
        console=f"{base}/" if settings.web.console else CONSOLE_OFF,
        dashboard=base + DASHBOARD,
        voice=f"{'wss' if tls else 'ws'}://{place(address)}{VOICE}" if settings.access.enabled else VOICE_OFF,
    )
