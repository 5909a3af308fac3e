"""`voice-trio knowledge list`, `delete` and `clear`: what is in a base, and out of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from voice_trio.cli.knowledge.place import KnowledgePlace, place_options
from voice_trio.cli.one_line_errors import one_line_errors
from voice_trio.cli.terminal import printable, printable_json
from voice_trio.knowledge.stored_documents import StoredDocument, choose_documents

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HOW_TO_IMPORT = "Fill it with: voice-trio knowledge import FOLDER"
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@place_options
def list_command(as_json: bool, place: KnowledgePlace) -> None:
    """List the documents of the knowledge base, with the KEYs that `delete` takes.

    A key stays the same while the file of the document changes.
    """
    with one_line_errors():
        documents = place.documents()
    if as_json:
        click.echo(printable_json(json.dumps(_as_json(place, documents), ensure_ascii=False)))
    elif documents:
        click.echo("\n".join(_lines(documents)))
        click.echo(f"{counted(documents)} in {printable(str(place))}", err=True)
        handbook = [each for each in documents if each.is_handbook]
        if handbook and not place.is_of_demo:
            click.echo(f"{len(handbook)} are the demo's handbook; `knowledge delete --handbook` deletes it", err=True)
    else:
        click.echo(f"There is nothing in {printable(str(place))} yet. {HOW_TO_IMPORT}", err=True)


@click.command("delete")
@click.argument("keys", nargs=-1, metavar="KEY…")
@click.option("--handbook", is_flag=True, help="Delete the demo's handbook.")
@yes_option
@place_options
def delete_command(keys: tuple[str, ...], handbook: bool, yes: bool, place: KnowledgePlace) -> None:
    """Delete documents: their passages, and their words from the file.

    KEY is a key as `list` shows it, the start of one, the path of an imported file, or a folder for all below it. A key
    that names no document is an error, and then nothing is deleted.
    """
    if not keys and not handbook:
        raise click.UsageError("name documents by KEY (see `voice-trio knowledge list`), or give --handbook")
    with one_line_errors():
        documents = place.documents()
        chosen = choose_documents(documents, keys)
        chosen += [each for each in documents if handbook and each.is_handbook and each not in chosen]
        if len(chosen) > len(keys):
            _ask(f"Delete {counted(chosen)}?", yes=yes)
        delete_documents(place, chosen)


@click.command("clear")
@yes_option
@place_options
def clear_command(yes: bool, place: KnowledgePlace) -> None:
    """Delete all documents of the knowledge base."""
    with one_line_errors():
        documents = place.documents()
        if documents:
            _ask(f"Delete all {counted(documents)} in {printable(str(place))}?", yes=yes)
        delete_documents(place, documents)


def delete_documents(place: KnowledgePlace, documents: Sequence[StoredDocument]) -> None:
    """Delete `documents` and print each of them. Raises `KnowledgeUnavailable`."""
    if documents:
        place.delete(documents)
    for each in documents:
        click.echo(f"deleted {each.short_key}  {printable(each.path or each.title)}")
    click.echo(f"{counted(documents)} deleted")


def counted(documents: Sequence[StoredDocument]) -> str:
    """ "2 documents with 9 passages"."""
    return in_words(len(documents), sum(each.passages for each in documents))


def in_words(documents: int, passages: int) -> str:
    """ "1 document with 9 passages"."""
    return f"{documents:,} document{'s' * (documents != 1)} with {passages:,} passage{'s' * (passages != 1)}"


def _ask(question: str, *, yes: bool) -> None:
    if not yes:
        click.confirm(question, abort=True)


def _lines(documents: Sequence[StoredDocument]) -> Iterator[str]:
    yield f"{'KEY':<12}  {'PASSAGES':>8}  {'IMPORTED (UTC)':<19}  DOCUMENT"
    for each in documents:
        names = " · ".join(printable(name) for name in (each.title, each.path or each.source) if name)
        yield f"{each.short_key}  {each.passages:>8,}  {each.imported_at or '-':<19}  {names}"


def _as_json(place: KnowledgePlace, documents: Sequence[StoredDocument]) -> dict[str, object]:
    listed = [
        {
            "key": each.key,
            "path": each.path or None,
            "title": each.title,
            "source": each.source,
            "passages": each.passages,
            "imported_at": each.imported_at and f"{each.imported_at.replace(' ', 'T')}Z",
            "handbook": each.is_handbook,
        }
        for each in documents
    ]
    return {"base": str(place), "documents": listed}
