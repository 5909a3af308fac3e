"""`voice-trio knowledge`: imports documents into a knowledge base, searches it and prints its size."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from voice_trio.conversation.retrieval.text import matching_spans, query_terms
from voice_trio.errors import ConfigurationError, KnowledgeUnavailable
from voice_trio.knowledge.importing.documents import (
    FORMATS,
    DocumentFile,
    ImportResult,
    ImportStatus,
    ImportTarget,
    find_documents,
    import_documents,
)
from voice_trio.knowledge.sqlite.base import KnowledgeStats, KnowledgeWriter, default_knowledge_path
from voice_trio.knowledge.sqlite.knowledge import SqliteKnowledge
from voice_trio.knowledge.weaviate.importer import WeaviateTarget
from voice_trio.knowledge.weaviate.knowledge import WeaviateAddress
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from voice_trio.conversation.retrieval.passage import Passage

HOW_TO_IMPORT = "Fill it with: voice-trio knowledge import FOLDER"

base_option = click.option(
    "--path",
    "base",
    envvar="KNOWLEDGE_PATH",
    show_envvar=True,
    type=click.Path(dir_okay=False, path_type=Path),
    default=default_knowledge_path,
    help="The knowledge base file; default: in the user's data directory.",
)


@click.group()
def knowledge() -> None:
    """Fill and read the embedded knowledge base."""


@knowledge.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--to",
    "store",
    type=click.Choice(["embedded", "weaviate"]),
    default="embedded",
    show_default=True,
    help="Where passages go; `weaviate`: the collection that WEAVIATE_URL and WEAVIATE_COLLECTION name.",
)
@base_option
def import_command(paths: tuple[Path, ...], store: str, base: Path) -> None:
    """Import Markdown, text, HTML, JSON lines, CSV and PDF files, and folders of them with all below.

    Files that have not changed since the last import are skipped; changed ones replace what was there. A running server
    finds the new passages at once. Exit code 1 if a file could not be read.
    """
    console = Console()
    found = list(find_documents(paths))
    if not found:
        click.echo(f"No documents found; files of these kinds can be imported: {', '.join(FORMATS)}.", err=True)
        return
    results: Counter[ImportStatus] = Counter()
    chunks = 0
    try:
        with _open_target(store, base) as target:
            for result in _with_progress(found, target, console):
                results[result.status] += 1
                chunks += result.chunks
        after = trio.run(_stats, base) if store == "embedded" else None
    except (ConfigurationError, KnowledgeUnavailable) as error:
        raise click.ClickException(f"import ended early: {error}") from error
    _print_summary(console, results, chunks)
    if after is not None:
        console.print(
            Text(f"The base now holds {after.chunks:,} passages of {after.documents:,} documents: {base}"),
            soft_wrap=True,
        )
    if results[ImportStatus.UNREADABLE]:
        raise click.exceptions.Exit(1)


@knowledge.command("search")
@click.argument("query", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1, 100), default=5, show_default=True, help="Passages to show at most.")
@base_option
def search_command(query: tuple[str, ...], limit: int, base: Path) -> None:
    """Show the passages that a spoken QUERY would find, best first."""
    question = " ".join(query)
    try:
        stats, passages = trio.run(_search, base, question, limit)
    except KnowledgeUnavailable as error:
        raise click.ClickException(str(error)) from error
    console = Console()
    if not stats.chunks:
        raise click.ClickException(f"There is nothing in {base} yet. {HOW_TO_IMPORT}")
    if not passages:
        console.print("Nothing found.", "Every word of the query is too common or unknown to the base.")
    for rank, passage in enumerate(passages, start=1):
        _print_passage(console, rank, passage, query_terms(question))


@knowledge.command("stats")
@base_option
def stats_command(base: Path) -> None:
    """Print how many documents and passages the knowledge base has."""
    try:
        stats = trio.run(_stats, base)
    except KnowledgeUnavailable as error:
        raise click.ClickException(str(error)) from error
    console = Console()
    console.print(Text(f"Base         {base}"), soft_wrap=True)
    if not stats.documents:
        console.print(Text(f"It is empty. {HOW_TO_IMPORT}"), soft_wrap=True)
        return
    console.print(f"Documents    {stats.documents:,}")
    console.print(f"Passages     {stats.chunks:,}")
    console.print(f"Size         {stats.size_bytes / 1e6:,.1f} MB")
    console.print(f"Last import  {stats.last_import} UTC")


async def _search(base: Path, question: str, limit: int) -> tuple[KnowledgeStats, tuple[Passage, ...]]:
    store = SqliteKnowledge(base)
    try:
        return await store.stats(), await store.search(question, limit)
    finally:
        store.close()


def _open_target(store: str, base: Path) -> AbstractContextManager[ImportTarget]:
    if store == "embedded":
        return KnowledgeWriter(base)
    weaviate = load_settings().weaviate
    if weaviate.url is None:
        raise ConfigurationError("WEAVIATE_URL is not set")
    return WeaviateTarget(
        WeaviateAddress.of(str(weaviate.url)),
        api_key=weaviate.api_key.get_secret_value() if weaviate.api_key else None,
        collection=weaviate.collection,
        text_property=weaviate.text_property,
    )


async def _stats(base: Path) -> KnowledgeStats:
    store = SqliteKnowledge(base)
    try:
        return await store.stats()
    finally:
        store.close()


def _with_progress(found: list[DocumentFile], target: ImportTarget, console: Console) -> Iterator[ImportResult]:
    columns = (SpinnerColumn(), TextColumn("importing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns,
        TextColumn("{task.fields[name]}", markup=False),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("import", total=len(found), name="")
        for result in import_documents(found, target):
            bar.update(task, advance=1, name=result.path.name)
            if result.status is ImportStatus.UNREADABLE:
                bar.console.print(Text(f"skipped {result.path}: {result.problem}", style="yellow"), soft_wrap=True)
            yield result


def _print_summary(console: Console, results: Counter[ImportStatus], chunks: int) -> None:
    console.print(
        f"{results[ImportStatus.IMPORTED]} imported ({chunks} passage{'s' * (chunks != 1)}), "
        f"{results[ImportStatus.UNCHANGED]} unchanged, {results[ImportStatus.UNREADABLE]} unreadable",
        highlight=False,
    )


def _print_passage(console: Console, rank: int, passage: Passage, terms: tuple[str, ...]) -> None:
    console.print(
        Text.assemble((f"{rank}. ", "bold"), (passage.title, "bold"), (f"  {passage.score:.1f}", "dim")), soft_wrap=True
    )
    text = Text(passage.text)
    for start, end in matching_spans(passage.text, terms):
        text.stylize("bold green", start, end)
    console.print(text)
    console.print(Text(passage.source, style="dim"), soft_wrap=True)
    console.print()
