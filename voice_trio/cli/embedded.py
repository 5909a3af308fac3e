"""`voice-trio embedded`: only the embedded Realtime server, for any client of that protocol."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import trio
from rich.console import Console
from rich.text import Text

from voice_trio.cli.one_line_errors import one_line_errors
from voice_trio.demo import handbook_folder
from voice_trio.embedded.local import open_local_engines
from voice_trio.embedded.server import ServerSettings, serve_embedded
from voice_trio.knowledge.importing.documents import document_texts
from voice_trio.knowledge.importing.found_files import find_documents
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
    help="Documents whose words the recogniser should know; default: the demo's handbook.",
)
@click.option("--ears", type=click.IntRange(1, 64), default=2, show_default=True, help="Users who may speak at once.")
@click.option("--sessions", type=click.IntRange(1), default=32, show_default=True, help="Sessions at once.")
@click.option(
    "--adapted/--stock",
    default=True,
    show_default=True,
    help="Recogniser adapted to synthetic voices, as in the demo, or the stock one, for people.",
)
@click.option(
    "--token", envvar="EMBEDDED_TOKEN", show_envvar=True, help="Token that every client must send; default: none."
)
def embedded(
    bind: str, documents: tuple[Path, ...], ears: int, sessions: int, adapted: bool, token: str | None
) -> None:
    """Serve OpenAI's Realtime protocol until SIGTERM or Ctrl-C, with speech recognition and synthesis on this machine.

    Answers are sentences of the conversation: add documents as a system item after the question, between <context>
    and </context>, as the gateway does. It is a test server, not a language model.
    """
    with one_line_errors():
        host, port = parse_bind(bind)
    token = token and token.strip()  # of a file it may end with a newline
    if token == "":
        raise click.UsageError("the token is blank")
    options = _Options(host, port, documents or (handbook_folder(),), ears, adapted)
    with one_line_errors():
        trio.run(_serve, options, ServerSettings(token=token, sessions_max=sessions))


@dataclass(frozen=True, slots=True)
class _Options:
    host: str
    port: int
    documents: tuple[Path, ...]
    ears: int
    adapted: bool


async def _serve(options: _Options, settings: ServerSettings) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve_until_cancelled, options, settings)
            await anext(signals)
            nursery.cancel_scope.cancel(reason="a signal")


async def _serve_until_cancelled(options: _Options, settings: ServerSettings) -> None:
    console = Console(stderr=True, highlight=False)
    texts = list(document_texts(find_documents(options.documents)))
    async with AsyncExitStack() as stack:
        with console.status("Preparing speech recognition; the first start takes about 15 seconds."):
            engines = await stack.enter_async_context(
                open_local_engines(texts, recognizers_max=options.ears, adapted=options.adapted)
            )
        async with trio.open_nursery() as nursery:
            url = await nursery.start(serve_embedded, options.host, options.port, engines, settings)
            print_addresses(console, url, engines, is_open=settings.token is None and not _is_loopback(options.host))


def print_addresses(console: Console, url: str, engines: Engines, *, is_open: bool) -> None:
    """Print the server's address, what it lacks, and a warning if `is_open` to every client."""
    console.print(Text(f"Realtime server at {url}"), soft_wrap=True)
    if engines.recognizer is None:
        console.print(Text(f"Typed input only. {engines.missing}"))  # rich reads [local] in a str as markup
    elif engines.synthesizer is None:
        console.print("espeak-ng was not found: answers are text only.")
    if is_open:
        console.print("Every client that reaches this address may use it: set EMBEDDED_TOKEN.", style="yellow")


def _is_loopback(host: str) -> bool:
    return host == "localhost" or host == "::1" or host.startswith("127.")
