"""`voice-trio knowledge`: imports documents into a knowledge base, lists, deletes and searches them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from voice_trio.cli.knowledge.documents import (
    HOW_TO_IMPORT,
    clear_command,
    delete_command,
    in_words,
    list_command,
    yes_option,
)
from voice_trio.cli.knowledge.place import KnowledgePlace, base_options, place_options
from voice_trio.cli.knowledge.pruning import prune_documents, say_what_is_gone
from voice_trio.cli.one_line_errors import one_line_errors
from voice_trio.cli.terminal import printable
from voice_trio.conversation.retrieval.text import matching_spans, query_terms
from voice_trio.errors import ConfigurationError, KnowledgeUnavailable
from voice_trio.knowledge.importing.documents import ImportResult, ImportTarget, import_documents
from voice_trio.knowledge.importing.found_files import DocumentFile, FoundFiles, find_files
from voice_trio.knowledge.importing.readers.formats import FORMATS
from voice_trio.knowledge.importing.report import ImportReport
from voice_trio.knowledge.sqlite.knowledge import SqliteKnowledge
from voice_trio.knowledge.weaviate.collection import NewCollection
from voice_trio.knowledge.weaviate.importer import WeaviateTarget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.conversation.retrieval.passage import Passage
    from voice_trio.knowledge.importing.messages import ReadProgress
    from voice_trio.knowledge.sqlite.base import KnowledgeStats


@click.group()
def knowledge() -> None:
    """Fill, read and tidy the knowledge base."""


knowledge.add_command(list_command)
knowledge.add_command(delete_command)
knowledge.add_command(clear_command)


@knowledge.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--prune", is_flag=True, help="Delete documents of the given folders whose files are gone.")
@click.option("--dry-run", is_flag=True, help="With --prune: only print what it would delete.")
@click.option("--create", is_flag=True, help="Create the Weaviate collection if it is missing.")
@click.option("--vectorizer", metavar="MODULE", help="With --create: its vectorizer, or `none`; default: the server's.")
@yes_option
@place_options
def import_command(
    paths: tuple[Path, ...],
    prune: bool,
    dry_run: bool,
    create: bool,
    vectorizer: str | None,
    yes: bool,
    place: KnowledgePlace,
) -> None:
    """Import Markdown, text, HTML, Word, PowerPoint, Excel, JSON, CSV and PDF files, and folders with all below.

    Files that have not changed since the last import are skipped; changed ones replace what was there. A running server
    finds the new passages at once. Symbolic links out of a folder are not followed. Exit code 1 if a file, or a part of
    one, could not be read; the report at the end names it.
    """
    folders = [path for path in paths if path.is_dir()]
    if prune and not folders:
        raise click.UsageError("--prune brings the base in step with a folder, and none is given")
    if dry_run and not prune:
        raise click.UsageError("--dry-run shows what --prune would delete, and --prune is not given")
    if (create or vectorizer) and not (create and place.is_weaviate):
        raise click.UsageError("--create and --vectorizer are for a collection in --to weaviate, and need each other")
    console = Console()
    new = NewCollection(vectorizer) if create else None
    found = find_files(paths)
    with one_line_errors():
        is_whole = True
        if not found.documents:
            click.echo(f"No documents found; files of these kinds can be imported: {', '.join(FORMATS)}.", err=True)
            _print_report(console, ImportReport(found.left_out))
        elif not dry_run:
            is_whole = _import(found, place, new, console)
        if prune:
            prune_documents(place, found, folders, dry_run=dry_run, yes=yes)
        elif folders and not place.is_weaviate:  # there it would read the whole collection
            say_what_is_gone(place, found, folders)
    if not is_whole:
        raise click.exceptions.Exit(1)


def _import(found: FoundFiles, place: KnowledgePlace, new: NewCollection | None, console: Console) -> bool:
    """Import, and print what came of it; whether every file could be read whole."""
    report = ImportReport(found.left_out)
    try:
        with place.open(new) as target:
            if isinstance(target, WeaviateTarget):
                _check_collection(target, place.settings.retrieval.alpha)
            for result in _with_progress(found.documents, target, console):
                report.add(result)
        after = None if place.is_weaviate else trio.run(_stats, place.base)
    except (ConfigurationError, KnowledgeUnavailable) as error:
        raise click.ClickException(f"import ended early: {error}") from error
    _print_report(console, report)
    if after is not None:
        words = f"The base now holds {in_words(after.documents, after.chunks)}: {place.base}"
        console.print(Text(printable(words)), soft_wrap=True)
    return report.is_complete


def _check_collection(target: WeaviateTarget, alpha: float) -> None:
    target.check_vectorizer(alpha)
    if target.was_created:
        modules = ", ".join(target.vectorizers) or "none"
        click.echo(f"Created the collection {printable(target.name)}; its vectorizer: {printable(modules)}")


@knowledge.command("search")
@click.argument("query", nargs=-1, required=True)
@click.option("--limit", type=click.IntRange(1, 100), default=5, show_default=True, help="Passages to show at most.")
@base_options
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
@base_options
def stats_command(base: Path) -> None:
    """Print how many documents and passages the knowledge base has."""
    try:
        stats = trio.run(_stats, base)
    except KnowledgeUnavailable as error:
        raise click.ClickException(str(error)) from error
    console = Console()
    console.print(Text(printable(f"Base         {base}")), soft_wrap=True)
    if not stats.documents:
        console.print(Text(f"It is empty. {HOW_TO_IMPORT}"), soft_wrap=True)
        return
    console.print(f"Documents    {stats.documents:,}")
    console.print(f"Passages     {stats.chunks:,}")
    console.print(f"Size         {stats.size_bytes / 1e6:,.1f} MB")
    console.print(Text(f"Last import  {stats.last_import} UTC"))


async def _search(base: Path, question: str, limit: int) -> tuple[KnowledgeStats, tuple[Passage, ...]]:
    store = SqliteKnowledge(base)
    try:
        return await store.stats(), await store.search(question, limit)
    finally:
        store.close()


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

        def show(document: DocumentFile, progress: ReadProgress) -> None:
            place = f"{progress.unit} {progress.done} of {progress.total}"
            bar.update(task, name=printable(f"{document.name}, {place}"))

        for result in import_documents(found, target, on_progress=show):
            bar.update(task, advance=1, name=printable(result.path.name))
            yield result


def _print_report(console: Console, report: ImportReport) -> None:
    for line in report.lines():
        console.print(Text(printable(line)), soft_wrap=True)


def _print_passage(console: Console, rank: int, passage: Passage, terms: tuple[str, ...]) -> None:
    console.print(
        Text.assemble((f"{rank}. ", "bold"), (printable(passage.title), "bold"), (f"  {passage.score:.1f}", "dim")),
        soft_wrap=True,
    )
    shown = printable(passage.text, line_breaks=True)
    text = Text(shown)
    for start, end in matching_spans(shown, terms):
        text.stylize("bold green", start, end)
    console.print(text)
    console.print(Text(printable(passage.source), style="dim"), soft_wrap=True)
    console.print()
