"""`voice-trio demo`: the gateway with an upstream, documents and a console page on this machine."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn

from voice_trio.auth.tokens import User, issue_token
from voice_trio.billing.conversation_price import minute_cost
from voice_trio.billing.prices import load_prices
from voice_trio.cli.addresses import bind_option, place
from voice_trio.cli.demo.base import DEMO_FILE, demo_knowledge_path, speech_folder
from voice_trio.cli.demo.vocabulary import learn_imported_words, prepare_speech_folder, read_words
from voice_trio.cli.one_line_errors import one_line_errors
from voice_trio.demo import handbook_folder
from voice_trio.demo.kept_secret import kept_secret
from voice_trio.embedded.local import missing_packages, open_local_engines, write_question
from voice_trio.embedded.server import serve_embedded
from voice_trio.errors import ConfigurationError
from voice_trio.knowledge.importing.documents import import_documents
from voice_trio.knowledge.importing.found_files import find_documents
from voice_trio.knowledge.sqlite.base import KnowledgeWriter
from voice_trio.knowledge.sqlite.knowledge import SqliteKnowledge
from voice_trio.net.listeners import open_listener
from voice_trio.observability.log_stream import queue_standard_streams
from voice_trio.observability.logs import configure_logs
from voice_trio.server.server import run_server
from voice_trio.settings import load_settings
from voice_trio.settings.price_table import FREE
from voice_trio.settings.service import DEFAULT_PORT

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Mapping

    from voice_trio.embedded.engines import Engines
    from voice_trio.settings import Settings

QUESTIONS = {
    "coccidiosis": "What are the signs of coccidiosis in young birds?",
    "brooder": "How warm must the brooder be in the first week?",
    "light": "How many hours of light do laying hens need?",
}
"""Recordings that the demo makes for use without a microphone: file name and text."""
UPSTREAM_VARIABLE = "OPENAI_REALTIME_URL"
EARS = 2
"""Users who may speak at the same time; each needs a process and about 50 MiB."""
TOKEN_SECONDS = 12 * 3600.0
KEY_VARIABLE = "OPENAI_API_KEY"
SECRET_FILE = "demo-secret"
"""Beside the knowledge base: what signs the demo's tokens."""


@click.command()
@bind_option("127.0.0.1:PORT")
@click.option("--embedded", is_flag=True, help="The model of this machine, also where OPENAI_API_KEY is set.")
@click.pass_context
def demo(ctx: click.Context, bind: str | None, embedded: bool) -> None:
    """Serve with an upstream and a knowledge base on this machine: no key, no network.

    Where OPENAI_API_KEY is set, OpenAI's model answers instead. Variables that are set are kept, so the demo also runs
    with your own upstream (OPENAI_REALTIME_URL), or with your own knowledge (KNOWLEDGE_PATH) if there are documents in
    it. Its handbook is in a file of its own.
    """
    defaults = _defaults(os.environ)
    with one_line_errors():
        base = demo_knowledge_path(_configured_base())
        if _configured_base() not in (None, base):
            click.echo(f"There are no documents in KNOWLEDGE_PATH, so the demo uses a file beside it: {base}", err=True)
        environ = os.environ | {"KNOWLEDGE_PATH": str(base)}
        settings = load_settings(environ, **defaults)
        if "JWT_SECRET" in defaults and not os.environ.get("JWT_SECRET"):
            defaults["JWT_SECRET"] = kept_secret(settings.retrieval.knowledge_path.with_name(SECRET_FILE))
        if _answers_from_handbook(settings):
            defaults["VOICE_CONSOLE_QUESTIONS"] = "|".join(QUESTIONS.values())  # the handbook answers them
        queue_standard_streams()  # a terminal stops with Ctrl-S
        configure_logs(settings.observability)
        listener = open_listener(bind or settings.web.bind or f"127.0.0.1:{settings.web.port or DEFAULT_PORT}")
        _fill(base)
        is_embedded = embedded or not any(environ.get(name) for name in (UPSTREAM_VARIABLE, KEY_VARIABLE))
        exit_code = trio.run(_serve, listener, defaults, environ, base, is_embedded)
    ctx.exit(exit_code)


def _defaults(environ: Mapping[str, str]) -> dict[str, str]:
    """The demo's values for variables that are not set."""
    defaults = {"ENABLE_VOICE_REALTIME": "true", "MAX_SESSIONS_PER_USER_PER_HOUR": "1000", "VOICE_CONSOLE": "true"}
    if not environ.get("JWT_JWKS_URL"):
        defaults["JWT_SECRET"] = secrets.token_hex(32)
    return defaults


def _configured_base() -> Path | None:
    """The file that KNOWLEDGE_PATH names."""
    given = os.environ.get("KNOWLEDGE_PATH", "").strip()
    return Path(given) if given else None


def _without_upstream(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in (UPSTREAM_VARIABLE, KEY_VARIABLE)}


async def _serve(
    listener: socket.socket, defaults: dict[str, str], environ: Mapping[str, str], base: Path, is_embedded: bool
) -> int:
    async with AsyncExitStack() as stack:
        if is_embedded:
            engines = await stack.enter_async_context(_engines(base))
            nursery = await stack.enter_async_context(trio.open_nursery())
            stack.callback(nursery.cancel_scope.cancel)
            defaults[UPSTREAM_VARIABLE] = await nursery.start(serve_embedded, "127.0.0.1", 0, engines)
            defaults["VOICE_PRICES_FILE"] = FREE  # a model on this machine costs nothing
            environ = _without_upstream(environ)
        settings = load_settings(environ, **defaults)
        if not is_embedded:
            click.echo(upstream_in_words(settings), err=True)
        say_where = partial(_print_addresses, settings, listener.getsockname())
        return await run_server(settings, listener, when_started=say_where)


@asynccontextmanager
async def _engines(path: Path) -> AsyncIterator[Engines]:
    """A recogniser adapted to the knowledge base, and a synthesiser; the first start takes about 15 s."""
    texts, generation = await read_words(path)
    columns = (TextColumn("preparing speech recognition: {task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)
        async with (
            open_local_engines(
                texts,
                recognizers_max=EARS,
                language_dir=prepare_speech_folder(path),
                learned_dir=speech_folder(path),
                progress=lambda step, share: bar.update(task, description=step, completed=share),
            ) as engines,
            trio.open_nursery() as nursery,
        ):
            bar.stop()
            if engines.missing and engines.recognizer is None:
                click.echo(f"Typed questions only. {engines.missing}", err=True)
            if engines.learn is not None:
                nursery.start_soon(learn_imported_words, path, generation, engines.learn)
            yield engines
            nursery.cancel_scope.cancel(reason="the demo ends")


def _fill(path: Path) -> None:
    """Import the handbook into an empty base; a base with documents is left unchanged."""
    if trio.run(_count_passages, path):
        return
    documents = list(find_documents([handbook_folder()]))
    columns = (TextColumn("filling the knowledge base"), BarColumn(), MofNCompleteColumn())
    with KnowledgeWriter(path) as writer, Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        for _ in bar.track(import_documents(documents, writer), total=len(documents)):
            pass


async def _count_passages(path: Path) -> int:
    knowledge = SqliteKnowledge(path)
    try:
        return (await knowledge.stats()).chunks
    finally:
        knowledge.close()


def upstream_in_words(settings: Settings) -> str:
    """Which model answers, and what a minute of it costs."""
    upstream = settings.upstream
    if os.environ.get(UPSTREAM_VARIABLE):
        return f"The model is at {upstream.url} ({UPSTREAM_VARIABLE})."
    prices = load_prices(settings.limits.prices_file)
    if prices.dated is None:
        price = "free, as VOICE_PRICES_FILE says"
    else:
        usd = minute_cost(prices, upstream.model, upstream.transcription_model)
        price = f"about {usd:.2f} USD for a minute (mean of ten lively minutes, prices of {prices.dated})"
    return (
        f"OpenAI's {upstream.model} answers, with your {KEY_VARIABLE}: {price}. "
        "`--embedded` uses the model of this machine, which costs nothing."
    )


def _print_addresses(settings: Settings, address: tuple[str, int]) -> None:
    where = place(address)
    try:
        token = issue_token(settings.tokens, User(id="demo", plan="elite", is_admin=True), seconds_valid=TOKEN_SECONDS)
    except ConfigurationError:
        token = "TOKEN"  # tokens come from the configured identity provider
    click.echo(f"\nThe demo is at   http://{where}/#token={token}\n")
    command = "voice-trio" if shutil.which("voice-trio") else sys.argv[0]
    questions = settings.retrieval.knowledge_path.parent / "questions"
    if _answers_from_handbook(settings) and (recordings := _recordings(questions)):
        click.echo("Talk to it there, or ask it something in another terminal:\n")
        click.echo(f"{command} call {recordings[0]} --url ws://{where}/v1/ws/voice --token {token}\n")
        click.echo("More questions beside it: " + ", ".join(recording.name for recording in recordings[1:]) + "\n")
    click.echo(f"Add documents while it runs:  {command} knowledge import FOLDER {_base_option(settings)}\n")


def _answers_from_handbook(settings: Settings) -> bool:
    """Whether the base holds the demo's handbook, to which the demo has questions."""
    return settings.retrieval.knowledge_path.name == DEMO_FILE and settings.weaviate.url is None


def _base_option(settings: Settings) -> str:
    """How `voice-trio knowledge` names the base of this demo, also in a shell without its variables."""
    path = settings.retrieval.knowledge_path
    return "--demo" if path == demo_knowledge_path(None) else f"--path {shlex.quote(str(path))}"


def _recordings(folder: Path) -> list[Path]:
    """Recorded questions for `voice-trio call`, made once; none if speech synthesis is not installed."""
    if missing_packages():
        return []
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.wav" for name in QUESTIONS]
    try:
        for path, text in zip(paths, QUESTIONS.values(), strict=True):
            if not path.exists():
                write_question(path, text)
    except ConfigurationError:  # no espeak-ng
        return []
    return paths
