"""`voice-trio embedded`: only the Realtime server that runs on this machine, for any client of that protocol."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import trio
from rich.console import Console

from voice_trio.cli.one_line_errors import one_line_errors
from voice_trio.demo import handbook_folder
from voice_trio.embedded.local import open_local_engines
from voice_trio.embedded.server import ServerSettings, serve_embedded
from voice_trio.knowledge.importing.documents import find_documents
from voice_trio.net.listeners import parse_bind

if TYPE_CHECKING:
    from voice_trio.embedded.engines import Engines

DEFAULT_BIND = "127.0.0.1:8766"


@click.command()
@click.option(
    "--bind", default=DEFAULT_BIND, show_default=True, metavar="HOST:PORT", help="Where to listen; port 0 for any."
)
@click.option(
    "--documents",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="What people will ask about, so that its words are understood; the demo's handbook unless told otherwise.",
)
@click.option("--ears", type=click.IntRange(1, 64), default=2, show_default=True, help="Users who may speak at once.")
@click.option("--sessions", type=click.IntRange(1), default=32, show_default=True, help="Sessions at once.")
@click.option(
    "--adapted/--stock",
    default=True,
    show_default=True,
    help="Ears adapted to synthetic voices, as the demo's are, or as they come, for people.",
)
@click.option("--token", envvar="EMBEDDED_TOKEN", show_envvar=True, help="What every client must bring, if anything.")
def embedded(
    bind: str, documents: tuple[Path, ...], ears: int, sessions: int, adapted: bool, token: str | None
) -> None:
    """Serve OpenAI's Realtime protocol with this machine's own ears, a small mind and a voice, until SIGTERM or Ctrl-C.

    The mind answers from what the conversation holds: put documents into it with a system item after the question,
    between <context> and </context>, as the gateway does. It is a test bed and no rival to a language model.
    """
    with one_line_errors():
        host, port = parse_bind(bind)
    wishes = _Wishes(host, port, documents or (handbook_folder(),), ears, adapted)
    with one_line_errors():
        trio.run(_serve, wishes, ServerSettings(token=token, sessions_max=sessions))


@dataclass(frozen=True, slots=True)
class _Wishes:
    host: str
    port: int
    documents: tuple[Path, ...]
    ears: int
    adapted: bool


async def _serve(wishes: _Wishes, settings: ServerSettings) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve_until_cancelled, wishes, settings)
            await anext(signals)
            nursery.cancel_scope.cancel(reason="a signal")


async def _serve_until_cancelled(wishes: _Wishes, settings: ServerSettings) -> None:
    console = Console(stderr=True, highlight=False)
    texts = [found.path.read_text("utf-8", "replace") for found in find_documents(wishes.documents)]
    async with AsyncExitStack() as stack:
        with console.status("Getting ready to listen; the first time takes some 15 seconds."):
            engines = await stack.enter_async_context(
                open_local_engines(texts, ears_max=wishes.ears, adapted=wishes.adapted)
            )
        async with trio.open_nursery() as nursery:
            url = await nursery.start(serve_embedded, wishes.host, wishes.port, engines, settings)
            _say_where(console, url, engines, is_open=settings.token is None and not _is_loopback(wishes.host))


def _say_where(console: Console, url: str, engines: Engines, *, is_open: bool) -> None:
    console.print(f"Realtime server at {url}", soft_wrap=True)
    if engines.ears is None:
        console.print(f"Typed input only. {engines.missing}")
    elif engines.mouth is None:
        console.print("No espeak-ng was found: answers are written, not spoken.")
    if is_open:
        console.print("Anybody who reaches this address may use it: set EMBEDDED_TOKEN.", style="yellow")


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host == "::1" or host.startswith("127.")
