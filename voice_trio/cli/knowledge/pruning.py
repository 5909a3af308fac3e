"""`voice-trio knowledge import --prune`: keeps a base in step with folders."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from voice_trio.cli.knowledge.documents import counted, delete_documents
from voice_trio.cli.terminal import printable
from voice_trio.knowledge.stored_documents import document_key, is_below

if TYPE_CHECKING:
    from pathlib import Path

    from voice_trio.cli.knowledge.place import KnowledgePlace
    from voice_trio.knowledge.importing.found_files import FoundFiles
    from voice_trio.knowledge.stored_documents import StoredDocument


def prune_documents(place: KnowledgePlace, found: FoundFiles, folders: list[Path], *, dry_run: bool, yes: bool) -> None:
    """Delete the documents of `folders` whose files are gone, or with `dry_run` print them. Raises as `place.open`."""
    stored, gone = _gone(place, found, folders)
    if dry_run:
        for each in gone:
            click.echo(f"would delete {each.short_key}  {printable(each.path)}")
        click.echo(f"{counted(gone)} would be deleted")
        return
    lost = set(gone)
    for folder in folders if not yes else ():
        of_folder = [each for each in stored if _is_in(each, [folder])]
        if of_folder and lost.issuperset(of_folder):  # perhaps a disk is not mounted
            question = f"No file of them is left in {printable(str(folder))}. Delete all {counted(of_folder)}?"
            click.confirm(question, abort=True)
    delete_documents(place, gone)


def say_what_is_gone(place: KnowledgePlace, found: FoundFiles, folders: list[Path]) -> None:
    """Print how many documents of `folders` have lost their files, if any has."""
    _, gone = _gone(place, found, folders)
    if gone:
        click.echo(f"The files of {counted(gone)} are gone from there; --prune deletes these documents.")


def _gone(
    place: KnowledgePlace, found: FoundFiles, folders: list[Path]
) -> tuple[list[StoredDocument], list[StoredDocument]]:
    """What the base has of `folders`, and what of it has no file there any more.

    What is below a folder that could not be listed counts as there. A file that the search passes over, such as a
    hidden one or one below a linked folder, may have been imported by its own name: it counts as long as it exists.
    """
    there = {document_key(each.key) for each in found.documents if not each.problem}
    refused = {document_key(each.key) for each in found.documents if each.problem}
    stored = [each for each in place.documents() if _is_in(each, folders)]
    missing = [each for each in stored if each.key not in there and not _is_in(each, found.unlisted)]
    return stored, [each for each in missing if each.key in refused or _has_no_file(each.path)]


def _has_no_file(path: str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # a folder that may not be entered now
        pass
    return False


def _is_in(document: StoredDocument, folders: list[Path]) -> bool:
    return any(is_below(document.path, folder) for folder in folders)
