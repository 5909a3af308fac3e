"""Imports documents into an existing Weaviate collection with any vectoriser. Synchronous; imports no Trio.

Besides text, title and source each passage has two properties: its document and the digest of that document. Both are
hexadecimal words, so that filters match exactly with any tokenisation. The first passage of a document is written last,
and the passages of older versions are deleted after that. So the next import repeats one that was killed.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING

from voice_trio import limits
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.weaviate.client_library import foreign_errors, short_text
from voice_trio.knowledge.weaviate.knowledge import connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType

    from voice_trio.knowledge.sqlite.base import Chunk
    from voice_trio.knowledge.weaviate.knowledge import WeaviateAddress

DOCUMENT_PROPERTY = "voice_trio_document"
DIGEST_PROPERTY = "voice_trio_digest"
_NAMESPACE = uuid.UUID("5c8f3b7e-0b5e-4a7e-9a39-6d0a2f1c7d11")


class WeaviateTarget:
    """An `ImportTarget` in Weaviate; a context manager. Raises `KnowledgeUnavailable`."""

    def __init__(
        self, address: WeaviateAddress, *, api_key: str | None, collection: str, text_property: str = "content"
    ) -> None:
        self._text_property = text_property
        with _mapping_errors():
            self._client = connect(address, api_key, limits.WEAVIATE_CALL_SECONDS_MAX)
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
        """Whether the whole document is in the collection with exactly this content."""
        with _mapping_errors():
            first = self._collection.query.fetch_objects_by_ids([_id(key, 0)]).objects
        return any(each.properties.get(DIGEST_PROPERTY) == _hex_digest(digest) for each in first)

    def import_chunks(self, key: str, digest: str, chunks: Iterable[Chunk]) -> int:
        """Replace the document by `chunks`; returns their number. The next import repeats an interrupted one."""
        numbered = enumerate(chunks)
        first = list(islice(numbered, 1))
        count = len(first)
        while batch := list(islice(numbered, limits.WEAVIATE_IMPORT_BATCH)):
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
                    DOCUMENT_PROPERTY: _hex_digest(key),
                    DIGEST_PROPERTY: _hex_digest(digest),
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

        stale = Filter.by_property(DOCUMENT_PROPERTY).equal(_hex_digest(key)) & Filter.by_property(
            DIGEST_PROPERTY
        ).not_equal(_hex_digest(digest))
        with _mapping_errors():
            self._collection.data.delete_many(stale)


@contextmanager
def _mapping_errors() -> Iterator[None]:
    try:
        yield
    except foreign_errors() as error:
        raise KnowledgeUnavailable(f"weaviate: {short_text(error)}") from error


def _id(key: str, ordinal: int) -> uuid.UUID:
    return uuid.uuid5(_NAMESPACE, f"{key}\n{ordinal}")


def _hex_digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()
