"""`voice-trio check`: tries every configured part and prints the results."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
import trio
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from voice_trio.auth.key_set import examine_keys, key_fetcher
from voice_trio.auth.tokens import User
from voice_trio.cli.shared_state import only_errors_logged
from voice_trio.cli.terminal import printable
from voice_trio.errors import ConfigurationError, KnowledgeUnavailable, ModelUnavailable, TokenUncheckable
from voice_trio.knowledge.open_knowledge import open_knowledge
from voice_trio.knowledge.sqlite.knowledge import SqliteKnowledge
from voice_trio.observability.sentry import send_test_event
from voice_trio.session.config import RetryPolicy
from voice_trio.session.upstream.connect import connect
from voice_trio.settings import load_settings
from voice_trio.state.open_state import open_state
from voice_trio.web.session_config import dial_for, realtime_config_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voice_trio.settings import Settings

UPSTREAM_SECONDS_MAX = 10.0
KNOWLEDGE_SECONDS_MAX = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """The result for one part; `seconds` is how long the check took."""

    part: str
    is_ok: bool
    detail: str
    seconds: float = 0.0


@click.command()
@click.option("--sentry", is_flag=True, help="Send a test event to SENTRY_DSN too.")
@click.pass_context
def check(ctx: click.Context, sentry: bool) -> None:
    """Try the keys of tokens, the upstream (connection, key, handshake), the knowledge base and Redis.

    Exit code 1 if one fails.
    """
    try:
        settings = load_settings()
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error
    with only_errors_logged():
        findings = [_settings_finding(settings), *trio.run(_check_all, settings)]
        if sentry:
            findings.append(_check_sentry(settings))
    _show(findings)
    ctx.exit(0 if all(finding.is_ok for finding in findings) else 1)


async def _check_all(settings: Settings) -> list[Finding]:
    findings = []
    parts = {
        "tokens": _check_tokens,
        "upstream": _check_upstream,
        "knowledge": _check_knowledge,
        "redis": _check_redis,
    }
    for part, look in parts.items():
        findings.append(await _timed(part, look, settings))
    return findings


async def _timed(part: str, look: Callable[[Settings], Awaitable[tuple[bool, str]]], settings: Settings) -> Finding:
    began_at = time.monotonic()
    is_ok, detail = await look(settings)
    return Finding(part, is_ok, detail, time.monotonic() - began_at)


def _settings_finding(settings: Settings) -> Finding:
    state = "switched on" if settings.access.enabled else "switched off (ENABLE_VOICE_REALTIME)"
    return Finding("settings", is_ok=True, detail="; ".join([state, *settings.warnings]))


async def _check_tokens(settings: Settings) -> tuple[bool, str]:
    """The strength of what verifies tokens; a secret that is too weak is a wrong setting, which is found before."""
    tokens = settings.tokens
    details, is_ok = [], True
    if tokens.jwt_secrets:
        shortest = min(len(secret.get_secret_value().encode()) for secret in tokens.jwt_secrets)
        details.append(f"JWT_SECRET: {len(tokens.jwt_secrets)}, of at least {shortest} bytes")
    if tokens.jwks_url is not None:
        is_ok, keys = await _check_key_set(tokens.jwks_url)
        details.append(keys)
    return is_ok, "; ".join(details) or "none can be verified: neither JWT_SECRET nor JWT_JWKS_URL is set"


async def _check_key_set(url: str) -> tuple[bool, str]:
    try:
        count, weak = await examine_keys(key_fetcher(url))
    except TokenUncheckable as error:
        return False, f"{url}: {error}"
    found = f"{url}: {count - len(weak)} of {count} keys are suitable"
    unused = [f"{key_id} is not used ({reason})" for key_id, reason in weak]
    return len(weak) < count, "; ".join([found, *unused])


async def _check_upstream(settings: Settings) -> tuple[bool, str]:
    upstream = settings.upstream
    if not upstream.is_configured:
        return False, "OPENAI_API_KEY is not set"
    config = realtime_config_for(User(id="voice-trio check"), settings)
    dial = dial_for(upstream.model, settings)
    try:
        async with trio.open_nursery() as nursery:
            model = await connect(dial, nursery, config, RetryPolicy(1, UPSTREAM_SECONDS_MAX), upstream.profile)
            await model.link.aclose()
    except* ModelUnavailable as group:
        reason = str(group.exceptions[0])
        return_value = (False, f"{upstream.url}: {reason}")
    else:
        fallback = ", transcribes only after speech" if model.transcription_fallback else ""
        return_value = (True, f"{upstream.url} with {upstream.model}{fallback}")
    return return_value


async def _check_knowledge(settings: Settings) -> tuple[bool, str]:
    if settings.weaviate.url is not None:
        return await _check_weaviate(settings)
    path = settings.retrieval.knowledge_path
    knowledge = SqliteKnowledge(path)
    try:
        with trio.fail_after(KNOWLEDGE_SECONDS_MAX):
            stats = await knowledge.stats()
    except KnowledgeUnavailable as error:
        return False, str(error)
    except trio.TooSlowError:
        return False, f"{path}: no answer within {KNOWLEDGE_SECONDS_MAX:g} s"
    finally:
        knowledge.close()
    if not stats.chunks:
        return False, f"{path}: empty; fill it with: voice-trio knowledge import FOLDER"
    return True, f"{path}: {stats.documents:,} documents, {stats.chunks:,} passages"


async def _check_weaviate(settings: Settings) -> tuple[bool, str]:
    where = f"{settings.weaviate.url}, {settings.weaviate.collection}"
    async with open_knowledge(settings) as remote:
        if not await remote.is_available():
            return False, f"{where}: no answer"
        is_empty = await remote.is_empty()
    how = "voice-trio knowledge import FOLDER --to weaviate"
    if is_empty is None:
        return False, f"{where}: the collection cannot be read; if it is missing, create it with: {how} --create"
    return not is_empty, f"{where}: " + (f"empty; fill it with: {how}" if is_empty else "answers")


async def _check_redis(settings: Settings) -> tuple[bool, str]:
    async with open_state(settings) as state:
        health = state.health
    if not health.enabled:
        return True, "not used: limits, sessions and rollout live in each gateway's memory"
    return health.available, f"{health.url}: " + (health.fault or f"version {health.version}")


def _check_sentry(settings: Settings) -> Finding:
    if settings.observability.sentry_dsn is None:
        return Finding("sentry", is_ok=False, detail="SENTRY_DSN is not set")
    began_at = time.monotonic()
    is_ok, detail = send_test_event(settings.observability)
    return Finding("sentry", is_ok, detail, time.monotonic() - began_at)


def _show(findings: list[Finding]) -> None:
    detail = Column("detail", overflow="fold")  # the end of a path is the part that tells
    table = Table("mark", "part", detail, "time", box=None, show_header=False, pad_edge=False)
    for finding in findings:
        mark = Text("ok", style="green") if finding.is_ok else Text("FAILED", style="bold red")
        table.add_row(
            mark,
            Text(finding.part),
            Text(printable(finding.detail, line_breaks=True)),
            Text(f"{finding.seconds * 1000:.0f} ms"),
        )
    Console().print(table)
