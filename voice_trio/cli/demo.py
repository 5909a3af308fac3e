"""`voice-trio demo`: the gateway with everything it needs on this machine, so that there is something to talk to."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from functools import partial
from typing import TYPE_CHECKING

import click
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from voice_trio.cli.serve import bind_option
from voice_trio.client import write_wav
from voice_trio.demo import handbook_folder
from voice_trio.embedded.speech import missing_packages
from voice_trio.errors import ConfigurationError, KnowledgeUnavailable
from voice_trio.server import run_server
from voice_trio.services.documents import find_documents, import_documents
from voice_trio.services.listening import open_listener
from voice_trio.services.logs import configure_logs
from voice_trio.services.sqlite_base import KnowledgeWriter
from voice_trio.services.sqlite_knowledge import SqliteKnowledge
from voice_trio.services.tokens import User, issue_token
from voice_trio.settings import load_settings
from voice_trio.testing import AutomaticModel, serve_scripted_model
from voice_trio.testing.sounds import tone_pcm

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from pathlib import Path

    from voice_trio.settings import Settings

QUESTIONS = (
    "How warm must the brooder be in the first week?",
    "How many hours of light do laying hens need?",
    "What are the signs of coccidiosis?",
)
"""What the scripted upstream takes to be said, in turn; the first is what the recording asks."""
TOKEN_SECONDS = 12 * 3600.0
WILDCARDS = ("0.0.0.0", "::")


@click.command()
@bind_option
@click.pass_context
def demo(ctx: click.Context, bind: str) -> None:
    """Serve with an upstream and a knowledge base on this machine: no key, no network.

    Variables that are set are kept, so the demo also runs with your own knowledge or upstream.
    """
    defaults = _defaults(os.environ)
    try:
        settings = load_settings(os.environ, **defaults)
        configure_logs(settings.observability)
        listener = open_listener(bind)
        _fill(settings.retrieval.knowledge_path)
        exit_code = trio.run(_serve, listener, defaults)
    except (ConfigurationError, KnowledgeUnavailable) as error:
        raise click.ClickException(str(error)) from error
    ctx.exit(exit_code)


def _defaults(environ: Mapping[str, str]) -> dict[str, str]:
    """What the demo sets where the environment is silent."""
    defaults = {"ENABLE_VOICE_REALTIME": "true", "MAX_SESSIONS_PER_USER_PER_HOUR": "1000", "VOICE_CONSOLE": "true"}
    if not environ.get("JWT_JWKS_URL"):
        defaults["JWT_SECRET"] = secrets.token_hex(32)
    return defaults


async def _serve(listener: socket.socket, defaults: dict[str, str]) -> int:
    async with trio.open_nursery() as nursery:
        upstream = await nursery.start(serve_scripted_model, AutomaticModel(QUESTIONS))
        settings = load_settings(os.environ, **defaults, OPENAI_REALTIME_URL=upstream)
        say_where = partial(_say_where, settings, listener.getsockname())
        exit_code = await run_server(settings, listener, when_started=say_where)
        nursery.cancel_scope.cancel(reason="served")
    return exit_code


def _fill(path: Path) -> None:
    """Put the handbook into an empty base; one that holds anything is left as it is."""
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


def _say_where(settings: Settings, address: tuple[str, int]) -> None:
    host = "127.0.0.1" if address[0] in WILDCARDS else address[0]
    place = f"[{host}]:{address[1]}" if ":" in host else f"{host}:{address[1]}"
    try:
        token = issue_token(settings.tokens, User(id="demo", plan="elite", is_admin=True), seconds_valid=TOKEN_SECONDS)
    except ConfigurationError:
        token = "TOKEN"  # their provider makes tokens, not we
    question = _recording(settings.retrieval.knowledge_path.parent)
    command = "voice-trio" if shutil.which("voice-trio") else sys.argv[0]
    click.echo(f"\nThe demo is at   http://{place}/#token={token}\n")
    click.echo("Ask it something, in another terminal:\n")
    click.echo(f"{command} call {question} --url ws://{place}/v1/ws/voice --token {token}\n")


def _recording(folder: Path) -> Path:
    """A spoken question to call with; without a voice on this machine a tone, which the upstream hears as well."""
    path = folder / "question.wav"
    if not path.exists():
        write_wav(path, _spoken(QUESTIONS[0]))
    return path


def _spoken(text: str) -> bytes:
    if missing_packages():
        return tone_pcm(0, 3000)
    from voice_trio.embedded.speech.voice import Voice  # here: it needs the extra

    return b"".join(piece.pcm for piece in Voice().speak(text, language="en"))
