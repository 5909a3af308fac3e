"""One of the processes of `voice-trio serve --workers N`; started by `voice_trio.server.workers`, not by hand.

Settings come from the environment as for any server. Exit code 1 with one message if the server cannot start.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click
import structlog
import trio

from voice_trio.errors import ConfigurationError
from voice_trio.observability.log_stream import queue_standard_streams
from voice_trio.observability.logs import configure_logs
from voice_trio.server.server import Tls, Worker, collect_garbage_rarely, run_server
from voice_trio.server.shared import FolderWorkerPeers, SharedFolder
from voice_trio.server.watchdog import watching
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from voice_trio.settings import Settings


@click.command()
@click.option("--slot", type=int, required=True, help="Number of this worker.")
@click.option("--count", type=int, required=True, help="Number of workers.")
@click.option("--folder", type=click.Path(path_type=Path), required=True, help="The folder that all workers share.")
@click.option("--listener", type=int, required=True, help="Descriptor of the listening socket.")
@click.option("--parent", type=int, required=True, help="Descriptor of the connection to the parent.")
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
    """Serve until the parent ends this worker, or has ended itself."""
    queue_standard_streams()
    structlog.contextvars.bind_contextvars(worker=slot)
    tls = Tls(certfile, keyfile) if certfile and keyfile else None
    try:
        settings = load_settings()
        configure_logs(settings.observability)
        shared = SharedFolder(folder)
        shared.share_metrics(slot)
        this = Worker(FolderWorkerPeers(shared, slot, count), socket.socket(fileno=parent))
        exit_code = trio.run(_serve, settings, socket.socket(fileno=listener), tls, this)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    ctx.exit(exit_code)


async def _serve(settings: Settings, listener: socket.socket, tls: Tls | None, this: Worker) -> int:
    async with watching(settings.observability.watchdog_seconds):
        return await run_server(settings, listener, tls=tls, worker=this, when_started=collect_garbage_rarely)


if __name__ == "__main__":
    worker()
