"""Imports documents into a knowledge base: skips unchanged ones, and reports those it cannot read.

Holds one chunk and the list of paths in memory. Works with any knowledge base that implements `ImportTarget`. What is
in a file is read by another process (`reader_process`).
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b
from typing import TYPE_CHECKING, Protocol

from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.chunks import CHUNKING_VERSION
from voice_trio.knowledge.importing.messages import PartLeftOut, PartLost, ReadProgress, ReadRemark, ReadRequest
from voice_trio.knowledge.importing.reader_process import ReaderBounds, ReaderProcess
from voice_trio.knowledge.importing.readers.formats import FORMATS
from voice_trio.knowledge.stored_documents import storable_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from voice_trio.knowledge.importing.found_files import DocumentFile
    from voice_trio.knowledge.sqlite.base import Chunk

_BLOCK_BYTES = 1 << 18


class ImportTarget(Protocol):
    """A knowledge base that stores the chunks of each document under a key, with a digest of its content."""

    def holds(self, key: str, digest: str) -> bool:
        """Whether the document is stored with exactly this content."""
        ...

    def import_chunks(self, key: str, digest: str, chunks: Iterable[Chunk], is_whole: Callable[[], bool]) -> int:
        """Replace the document by `chunks`, all or nothing; returns their number.

        `is_whole` is asked after the last chunk. If parts were lost, `holds` stays false: the next import reads the
        file again, and names them again.
        """
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
class ImportResult:
    """The result of importing one file; `problem` is empty unless it is unreadable.

    `lost` names the parts that could not be read, `remarks` say how it was read, `left_out` counts parts by kind.
    """

    path: Path
    status: ImportStatus
    chunks: int = 0
    problem: str = ""
    lost: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    left_out: Counter[str] = field(default_factory=Counter)


def import_documents(
    found: Iterable[DocumentFile],
    target: ImportTarget,
    *,
    bounds: ReaderBounds | None = None,
    on_progress: Callable[[DocumentFile, ReadProgress], None] | None = None,
) -> Iterator[ImportResult]:
    """Import the files one by one and yield the result of each. Errors of the target end the import.

    `on_progress` is called while a long file is read.
    """
    with ReaderProcess(bounds) as reader:
        for document in found:
            yield _Import(document, target, reader, on_progress).run()


def document_texts(found: Iterable[DocumentFile]) -> Iterator[str]:
    """Titles and text of each file that can be read, without a knowledge base."""
    with ReaderProcess() as reader:
        for document in found:
            collector = _TextCollector()
            if _Import(document, collector, reader, None).run().status is ImportStatus.IMPORTED:
                yield "\n".join(collector.texts)


class _Import:
    """The import of one file."""

    def __init__(
        self,
        document: DocumentFile,
        target: ImportTarget,
        reader: ReaderProcess,
        on_progress: Callable[[DocumentFile, ReadProgress], None] | None,
    ) -> None:
        self._document = document
        self._target = target
        self._reader = reader
        self._on_progress = on_progress
        self._lost: list[str] = []
        self._remarks: list[str] = []
        self._left_out: Counter[str] = Counter()

    def run(self) -> ImportResult:
        try:
            status, chunks = self._import()
        except UnreadableDocument as error:
            return self._result(ImportStatus.UNREADABLE, problem=str(error))
        except OSError as error:
            return self._result(ImportStatus.UNREADABLE, problem=error.strerror or str(error))
        return self._result(status, chunks)

    def _import(self) -> tuple[ImportStatus, int]:
        document = self._document
        if document.problem:
            raise UnreadableDocument(document.problem)
        suffix = document.path.suffix.lower()
        if suffix not in FORMATS:
            raise UnreadableDocument(f"not a kind of file that can be imported; those are {', '.join(FORMATS)}")
        # Not blocking, because a pipe without a writer would block here.
        descriptor = os.open(document.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                raise UnreadableDocument("not a regular file")
            digest = _digest(descriptor)
            if self._target.holds(document.key, digest):
                return ImportStatus.UNCHANGED, 0
            request = ReadRequest(
                name=document.name,
                stem=storable_name(document.path.stem),
                suffix=suffix,
                size=state.st_size,
                cpu_seconds=int(self._reader.cpu_seconds(state.st_size)),
            )
            chunks = self._reader.read(descriptor, request, self._hear)
            return ImportStatus.IMPORTED, self._target.import_chunks(
                document.key, digest, chunks, lambda: not self._lost
            )
        finally:
            os.close(descriptor)

    def _hear(self, message: PartLost | PartLeftOut | ReadRemark | ReadProgress) -> None:
        match message:
            case PartLost(part):
                self._lost.append(part)
            case PartLeftOut(kind):
                self._left_out[kind] += 1
            case ReadRemark(text):
                self._remarks.append(text)
            case ReadProgress() if self._on_progress is not None:
                self._on_progress(self._document, message)

    def _result(self, status: ImportStatus, chunks: int = 0, problem: str = "") -> ImportResult:
        lost = tuple(self._lost) if status is ImportStatus.IMPORTED else ()
        return ImportResult(
            self._document.path, status, chunks, problem, lost, tuple(self._remarks), Counter(self._left_out)
        )


class _TextCollector:
    """An `ImportTarget` that keeps the texts."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def holds(self, key: str, digest: str) -> bool:
        return False

    def import_chunks(self, key: str, digest: str, chunks: Iterable[Chunk], is_whole: Callable[[], bool]) -> int:
        held = list(chunks)
        self.texts = [text for chunk in held for text in (chunk.title, chunk.text)]
        return len(held)


def _digest(descriptor: int) -> str:
    """A digest of the content and of the chunking version."""
    digest = blake2b(f"{CHUNKING_VERSION}\n".encode(), digest_size=16)
    while block := os.read(descriptor, _BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()
