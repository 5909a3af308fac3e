"""Documents into a Weaviate collection that exists already, whatever makes its vectors. Synchronous; knows no Trio.

Each passage carries two properties of ours beside its text, title and source: which document it is of, and a digest of
that document, both as hexadecimal words, so that filters match them exactly however a property is tokenised. A
document's first passage is written last and the passages of its older versions are deleted after that: an import that
is killed half way is simply done again by the next one.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING

from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.weaviate.knowledge import connect, foreign_errors, in_short

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from voice_trio.knowledge.sqlite.base import Chunk
    from voice_trio.knowledge.weaviate.knowledge import WeaviateAddress

BATCH = 100
CALL_SECONDS_MAX = 30.0
DOCUMENT_PROPERTY = "voice_trio_document"
DIGEST_PROPERTY = "voice_trio_digest"
_OURS = uuid.UUID("5c8f3b7e-0b5e-4a7e-9a39-6d0a2f1c7d11")


class WeaviateTarget:
    """Where an import goes (`documents.Target`); a context manager. Raises `KnowledgeUnavailable`."""

    def __init__(
        self, address: WeaviateAddress, *, api_key: str | None, collection: str, text_property: str = "content"
    ) -> None:
        self._text_property = text_property
        with _mapping_errors():
            self._client = connect(address, api_key, CALL_SECONDS_MAX)
        try:
            with _mapping_errors():
                if not self._client.collections.exists(collection):
                    raise KnowledgeUnavailable(
                        f"there is no collection {collection}; make it with your vectoriser first"
                    )
            self._collection = self._client.collections.use(collection)
        except BaseException:
            self._client.close()
            raise

    def __enter__(self) -> WeaviateTarget:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.close()

    def holds(self, key: str, digest: str) -> bool:
        """Whether the document is there already, wholly and with exactly this content."""
        with _mapping_errors():
            first = self._collection.query.fetch_objects_by_ids([_id(key, 0)]).objects
        return any(each.properties.get(DIGEST_PROPERTY) == _word(digest) for each in first)

    def import_chunks(self, key: str, digest: str, chunks: Iterable[Chunk]) -> int:
        """Replace the document by `chunks`; returns how many. When interrupted, the next import does it again."""
        numbered = enumerate(chunks)
        first = list(islice(numbered, 1))
        count = len(first)
        while batch := list(islice(numbered, BATCH)):
            self._insert(key, digest, batch)
            count += len(batch)
        if first:
            self._insert(key, digest, first)
        self._delete_others(key, digest)
        return count

    def _insert(self, key: str, digest: str, batch: Sequence[tuple[int, Chunk]]) -> None:
        from weaviate.classes.data import DataObject

        objects = [
            DataObject(
                uuid=_id(key, ordinal),
                properties={
                    self._text_property: chunk.text,
                    "title": chunk.title,
                    "source": chunk.source,
                    DOCUMENT_PROPERTY: _word(key),
                    DIGEST_PROPERTY: _word(digest),
                },
            )
            for ordinal, chunk in batch
        ]
        with _mapping_errors():
            done = self._collection.data.insert_many(objects)
        if done.has_errors:
            reason = next(iter(done.errors.values())).message
            raise KnowledgeUnavailable(f"weaviate refused {len(done.errors)} of {len(batch)} passages: {reason[:200]}")

    def _delete_others(self, key: str, digest: str) -> None:
        from weaviate.classes.query import Filter

        stale = Filter.by_property(DOCUMENT_PROPERTY).equal(_word(key)) & Filter.by_property(DIGEST_PROPERTY).not_equal(
            _word(digest)
        )
        with _mapping_errors():
            self._collection.data.delete_many(stale)


@contextmanager
def _mapping_errors() -> Iterator[None]:
    try:
        yield
    except foreign_errors() as error:
        raise KnowledgeUnavailable(f"weaviate: {in_short(error)}") from error


def _id(key: str, ordinal: int) -> uuid.UUID:
    return uuid.uuid5(_OURS, f"{key}\n{ordinal}")


def _word(text: str) -> str:
    return blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
