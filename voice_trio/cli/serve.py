"""`voice-trio serve`."""

from __future__ import annotations

from functools import partial

import click
import trio

from voice_trio.errors import ConfigurationError
from voice_trio.server import Tls, run_server
from voice_trio.services.listening import open_listener
from voice_trio.services.logs import configure_logs
from voice_trio.settings import load_settings

DEFAULT_BIND = "127.0.0.1:8000"
ONE_WORKER = (
    "--workers: only 1 until limits are kept in Redis, because each worker would count by itself. "
    "One process serves 60 sessions (MAX_CONCURRENT_SESSIONS)."
)

bind_option = click.option(
    "--bind", default=DEFAULT_BIND, show_default=True, metavar="HOST:PORT", help="Where to listen; port 0 for any."
)


@click.command()
@bind_option
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes to serve with.")
@click.option("--certfile", type=click.Path(exists=True, dir_okay=False), help="Certificate chain (PEM), for wss://.")
@click.option("--keyfile", type=click.Path(exists=True, dir_okay=False), help="Its private key (PEM).")
@click.pass_context
def serve(ctx: click.Context, bind: str, workers: int, certfile: str | None, keyfile: str | None) -> None:
    """Serve until SIGTERM or Ctrl-C; a second one ends at once.

    Everything else comes from the environment: see docs/configuration.md.
    """
    if workers > 1:
        raise click.UsageError(ONE_WORKER)
    if (certfile is None) != (keyfile is None):
        raise click.UsageError("--certfile and --keyfile go together.")
    tls = Tls(certfile, keyfile) if certfile and keyfile else None
    try:
        settings = load_settings()
        configure_logs(settings.observability)
        exit_code = trio.run(partial(run_server, settings, open_listener(bind), tls=tls))
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    ctx.exit(exit_code)
