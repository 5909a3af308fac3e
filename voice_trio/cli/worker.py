"""One of the processes of `voice-trio serve --workers N`; started by `voice_trio.server.workers`.

Settings come from the environment as for any server. Exit code 1 with one message for what cannot be started.
"""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path

import click
import structlog
import trio

from voice_trio.errors import ConfigurationError
from voice_trio.observability.logs import configure_logs
from voice_trio.server.server import Tls, Worker, run_server
from voice_trio.server.shared import FolderWorkerPeers, SharedFolder
from voice_trio.settings import load_settings


@click.command()
@click.option("--slot", type=int, required=True, help="Which of the workers this one is.")
@click.option("--count", type=int, required=True, help="How many there are.")
@click.option("--folder", type=click.Path(path_type=Path), required=True, help="The folder that they share.")
@click.option("--listener", type=int, required=True, help="Descriptor of the socket that all listen on.")
@click.option("--parent", type=int, required=True, help="Descriptor of the socket to the parent.")
@click.option("--certfile")
@click.option("--keyfile")
@click.pass_context
def worker(
    ctx: click.Context,
    slot: int,
    count: int,
    folder: Path,
    listener: int,
    parent: int,
    certfile: str | None,
    keyfile: str | None,
) -> None:
    """Serve until the parent commands the end, or is gone."""
    tls = Tls(certfile, keyfile) if certfile and keyfile else None
    try:
        settings = load_settings()
        configure_logs(settings.observability)
        structlog.contextvars.bind_contextvars(worker=slot)
        shared = SharedFolder(folder)
        shared.share_metrics(slot)
        this = Worker(FolderWorkerPeers(shared, slot, count), socket.socket(fileno=parent))
        exit_code = trio.run(partial(run_server, settings, socket.socket(fileno=listener), tls=tls, worker=this))
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    ctx.exit(exit_code)


if __name__ == "__main__":
    worker()
