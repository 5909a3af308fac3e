"""Which kinds of files can be imported, and by which reader.

Documents into a knowledge base: finds files, skips what is unchanged, names what cannot be read, and goes on.

Nothing is held in memory but one chunk and the list of paths. It knows no particular base: whatever offers the two
verbs of `Target` will do.
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
from voice_trio.knowledge.importing.readers import TEXT_FORMATS, Format
from voice_trio.knowledge.importing.record_readers import read_csv, read_jsonl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from voice_trio.knowledge.sqlite.base import Chunk

_HTML = Format(read_html, is_text=False)  # pages name their own encoding

FORMATS = {
    **TEXT_FORMATS,
    ".html": _HTML,
    ".htm": _HTML,
    ".xhtml": _HTML,
    ".jsonl": Format(read_jsonl),
    ".ndjson": Format(read_jsonl),
    ".csv": Format(read_csv),
    ".tsv": Format(read_csv),
    ".pdf": Format(read_pdf, is_text=False),
}


_BLOCK_BYTES = 1 << 18


class Target(Protocol):
    """Where chunks go; each document under a key, with a digest of its content."""

    def holds(self, key: str, digest: str) -> bool:
        """Whether the document is there already, with exactly this content."""
        ...

    def import_chunks(self, key: str, digest: str, chunks: Iterable[Chunk]) -> int:
        """Replace the document by `chunks`, all or nothing; returns how many."""
        ...


class Status(Enum):
    """What became of a file."""

    IMPORTED = "imported"
    """Its chunks are in the base, in place of those it had before."""
    UNCHANGED = "unchanged"
    """It was in the base already, with the same content."""
    UNREADABLE = "unreadable"
    """It was left out; the result says why. What the base held of it stays."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file to import, and the name by which it is cited: its path below what the user named."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one file."""

    path: Path
    status: Status
    chunks: int = 0
    problem: str = ""


def find_documents(paths: Iterable[Path]) -> Iterator[Found]:
    """Files named directly, whatever they are, and those of a known kind in folders, in order; hidden ones are not."""
    for path in paths:
        if path.is_dir():
            yield from _in_folder(path)
        else:
            yield Found(path, path.name)


def import_documents(found: Iterable[Found], target: Target) -> Iterator[Result]:
    """Import one file after the other, yielding what became of each. Errors of the target end the import."""
    for document in found:
        try:
            yield _import(document, target)
        except UnreadableDocument as error:
            yield Result(document.path, Status.UNREADABLE, problem=str(error))
        except UnicodeDecodeError:
            yield Result(document.path, Status.UNREADABLE, problem="changed while it was read")
        except OSError as error:
            yield Result(document.path, Status.UNREADABLE, problem=error.strerror or str(error))


def _import(document: Found, target: Target) -> Result:
    form = _format(document.path)
    digest = _digest(document.path, form)
    key = os.fspath(document.path.absolute())
    if target.holds(key, digest):
        return Result(document.path, Status.UNCHANGED)
    count = target.import_chunks(key, digest, chunked(form.read(document.path, document.name)))
    return Result(document.path, Status.IMPORTED, count)


def _in_folder(folder: Path) -> Iterator[Found]:
    # Links to folders are not followed: they may lead round in circles.
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(root, name)
            if not name.startswith(".") and path.suffix.lower() in FORMATS:
                yield Found(path, path.relative_to(folder).as_posix())


def _format(path: Path) -> Format:
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise UnreadableDocument(f"not a kind of file that can be imported; those are {', '.join(FORMATS)}")
    if not path.is_file() and path.exists():
        raise UnreadableDocument("not a regular file")
    return form


def _digest(path: Path, form: Format) -> str:
    """A digest of the content and of how it is cut; text is checked to be text on the way."""
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
