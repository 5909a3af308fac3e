"""Imports documents into a knowledge base: finds files, skips unchanged ones, and reports those it cannot read.

Holds one chunk and the list of paths in memory. Works with any knowledge base that implements `ImportTarget`.
"""

from __future__ import annotations

import codecs
import os
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.chunks import CHUNKING_VERSION, chunked
from voice_trio.knowledge.importing.page_readers import read_html, read_pdf
from voice_trio.knowledge.importing.readers import TEXT_FORMATS, FileFormat
from voice_trio.knowledge.importing.record_readers import read_csv, read_jsonl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from voice_trio.knowledge.sqlite.base import Chunk

_HTML = FileFormat(read_html, is_text=False)  # a page states its own encoding

FORMATS = {
    **TEXT_FORMATS,
    ".html": _HTML,
    ".htm": _HTML,
    ".xhtml": _HTML,
    ".jsonl": FileFormat(read_jsonl),
    ".ndjson": FileFormat(read_jsonl),
    ".csv": FileFormat(read_csv),
    ".tsv": FileFormat(read_csv),
    ".pdf": FileFormat(read_pdf, is_text=False),
}


_BLOCK_BYTES = 1 << 18


class ImportTarget(Protocol):
    """A knowledge base that stores the chunks of each document under a key, with a digest of its content."""

    def holds(self, key: str, digest: str) -> bool:
        """Whether the document is stored with exactly this content."""
        ...

    def import_chunks(self, key: str, digest: str, chunks: Iterable[Chunk]) -> int:
        """Replace the document by `chunks`, all or nothing; returns their number."""
        ...


class ImportStatus(Enum):
    """The result for a file."""

    IMPORTED = "imported"
    """Its chunks replaced those of its previous version."""
    UNCHANGED = "unchanged"
    """The base held it with the same content."""
    UNREADABLE = "unreadable"
    """It was skipped; `ImportResult.problem` says why. Chunks of its previous version stay."""


@dataclass(frozen=True, slots=True)
class DocumentFile:
    """A file to import. `name` is cited as its source: its path below the folder that the user named.

    `problem` says why it must not be read; it is empty for all others.
    """

    path: Path
    name: str
    problem: str = ""

    @property
    def key(self) -> str:
        """The key in an `ImportTarget`: the absolute path, without `..`, links not resolved."""
        return os.path.abspath(self.path)


@dataclass(frozen=True, slots=True)
class ImportResult:
    """The result of importing one file; `problem` is empty unless it is unreadable."""

    path: Path
    status: ImportStatus
    chunks: int = 0
    problem: str = ""


def find_documents(paths: Iterable[Path]) -> Iterator[DocumentFile]:
    """Files that are named directly, and files of a known format in folders, sorted and without hidden ones."""
    for path in paths:
        if path.is_dir():
            yield from _in_folder(path)
        else:
            yield DocumentFile(path, path.name)


def import_documents(found: Iterable[DocumentFile], target: ImportTarget) -> Iterator[ImportResult]:
    """Import the files one by one and yield the result of each. Errors of the target end the import."""
    for document in found:
        try:
            yield _import(document, target)
        except UnreadableDocument as error:
            yield ImportResult(document.path, ImportStatus.UNREADABLE, problem=str(error))
        except UnicodeDecodeError:
            yield ImportResult(document.path, ImportStatus.UNREADABLE, problem="changed while it was read")
        except OSError as error:
            yield ImportResult(document.path, ImportStatus.UNREADABLE, problem=error.strerror or str(error))


def _import(document: DocumentFile, target: ImportTarget) -> ImportResult:
    if document.problem:
        raise UnreadableDocument(document.problem)
    form = _format(document.path)
    digest = _digest(document.path, form)
    key = document.key
    if target.holds(key, digest):
        return ImportResult(document.path, ImportStatus.UNCHANGED)
    count = target.import_chunks(key, digest, chunked(form.read(document.path, document.name)))
    return ImportResult(document.path, ImportStatus.IMPORTED, count)


def _in_folder(folder: Path) -> Iterator[DocumentFile]:
    # Symbolic links to folders are not followed: they may form cycles.
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        known = (name for name in sorted(files) if Path(name).suffix.lower() in FORMATS and not name.startswith("."))
        for name in (*(name for name in folders if Path(root, name).is_symlink()), *known):
            path = Path(root, name)
            problem = _link_problem(path, folder)
            if problem or name not in folders:
                yield DocumentFile(path, path.relative_to(folder).as_posix(), problem)


def _link_problem(path: Path, folder: Path) -> str:
    """Why the symbolic link `path` is not followed: what it names was not meant to be imported. Else empty."""
    if not path.is_symlink():
        return ""
    try:
        place = path.resolve(strict=True)
    except (OSError, RuntimeError):  # Python 3.11 raises RuntimeError for a link to itself
        return "a symbolic link to nothing"
    return "" if place.is_relative_to(folder.resolve()) else f"a symbolic link out of the folder, to {place}"


def _format(path: Path) -> FileFormat:
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise UnreadableDocument(f"not a kind of file that can be imported; those are {', '.join(FORMATS)}")
    if not path.is_file() and path.exists():
        raise UnreadableDocument("not a regular file")
    return form


def _digest(path: Path, form: FileFormat) -> str:
    """A digest of the content and of the chunking version; checks on the way that a text file is UTF-8."""
    digest = blake2b(f"{CHUNKING_VERSION}\n".encode(), digest_size=16)
    decoder = codecs.getincrementaldecoder("utf-8")()
    read = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
            if form.is_text:
                _check_text(block, decoder, read)
            read += len(block)
    if form.is_text:
        _check_text(b"", decoder, read, final=True)
    return digest.hexdigest()


def _check_text(block: bytes, decoder: codecs.IncrementalDecoder, offset: int, *, final: bool = False) -> None:
    if (null := block.find(0)) >= 0:
        raise UnreadableDocument(f"not text: a zero byte at {offset + null}")
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError as error:
        raise UnreadableDocument(
            f"not UTF-8: byte 0x{error.object[error.start]:02x} near {offset + error.start}; "
            "convert it, for example with `iconv -f windows-1252 -t utf-8`"
        ) from error
