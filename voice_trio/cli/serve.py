"""`voice-trio serve`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click
import trio

from voice_trio.cli.addresses import bind_option, log_pages
from voice_trio.errors import ConfigurationError
from voice_trio.net.listeners import open_listener
from voice_trio.observability.log_stream import queue_standard_streams
from voice_trio.observability.logs import configure_logs
from voice_trio.server.workers import run_workers
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from voice_trio.settings import Settings

NO_REDIS = (
    "--workers {count}: needs REDIS_URL (and REDIS_ENABLED not false): without Redis each worker would count limits "
    "and keep sessions for itself. One process serves MAX_CONCURRENT_SESSIONS sessions (120)."
)


@click.command()
@bind_option("0.0.0.0:PORT")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes to serve with, each with its own MAX_CONCURRENT_SESSIONS; more than 1 need REDIS_URL.",
)
@click.option("--certfile", type=click.Path(exists=True, dir_okay=False), help="Certificate chain (PEM), for wss://.")
@click.option("--keyfile", type=click.Path(exists=True, dir_okay=False), help="Its private key (PEM).")
@click.pass_context
def serve(ctx: click.Context, bind: str | None, workers: int, certfile: str | None, keyfile: str | None) -> None:
    """Serve until SIGTERM or Ctrl-C; a second one ends at once.

    All settings come from the environment: see docs/configuration.md.
    """
    if (certfile is None) != (keyfile is None):
        raise click.UsageError("--certfile and --keyfile go together.")
    queue_standard_streams()
    try:
        settings = load_settings()
        configure_logs(settings.observability)
        bind = bind or settings.web.listen_at
        if workers > 1:
            if settings.shared.redis_url is None or not settings.shared.redis_enabled:
                raise ConfigurationError(NO_REDIS.format(count=workers))
            arguments = ["--certfile", certfile, "--keyfile", keyfile] if certfile and keyfile else []
            listener = open_listener(bind)
            log_pages(settings, listener.getsockname(), tls=certfile is not None)
            exit_code = trio.run(run_workers, workers, listener, arguments)
        else:
            exit_code = trio.run(partial(_serve_alone, settings, bind, certfile, keyfile))
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    ctx.exit(exit_code)


async def _serve_alone(settings: Settings, bind: str, certfile: str | None, keyfile: str | None) -> int:
    # Imported here: a parent of workers needs none of it.
    from voice_trio.server.server import Tls, collect_garbage_rarely, run_server
    from voice_trio.server.watchdog import watching

    tls = Tls(certfile, keyfile) if certfile and keyfile else None
    listener = open_listener(bind)  # before all else: a port in use is one line

    def when_started() -> None:
        collect_garbage_rarely()
        log_pages(settings, listener.getsockname(), tls=tls is not None)

    async with watching(settings.observability.watchdog_seconds):
        return await run_server(settings, listener, tls=tls, when_started=when_started)
