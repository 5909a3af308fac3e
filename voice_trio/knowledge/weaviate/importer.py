"""Imports documents into a Weaviate collection with any vectoriser, lists and deletes them. Synchronous; no Trio.

The first passage of a document is written last, and the passages of older versions are deleted after that. So the next
import repeats one that was killed. Objects that were not imported here are neither listed nor deleted.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from voice_trio import limits
from voice_trio.errors import ConfigurationError, KnowledgeUnavailable
from voice_trio.knowledge.stored_documents import StoredDocument, document_key, storable_name
from voice_trio.knowledge.weaviate.client_library import foreign_errors, short_text
from voice_trio.knowledge.weaviate.collection import (
    DIGEST_PROPERTY,
    DOCUMENT_PROPERTY,
    PATH_PROPERTY,
    check_vectorizer,
    complete_collection,
    create_collection,
    property_names,
    vectorizers,
)
from voice_trio.knowledge.weaviate.knowledge import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    from voice_trio.knowledge.sqlite.base import Chunk
    from voice_trio.knowledge.weaviate.collection import NewCollection
    from voice_trio.knowledge.weaviate.knowledge import WeaviateAddress

_NAMESPACE = uuid.UUID("5c8f3b7e-0b5e-4a7e-9a39-6d0a2f1c7d11")
_REASONS_SHOWN = 3


class WeaviateTarget:
    """An `ImportTarget` in Weaviate; a context manager. Raises `KnowledgeUnavailable`."""

    def __init__(
        self,
        address: WeaviateAddress,
        *,
        api_key: str | None,
        collection: str,
        text_property: str = "content",
        new: NewCollection | None = None,
    ) -> None:
        """Connects; a missing collection is created as `new` says, or an error without it."""
        self.name, self._text_property = collection, text_property
        self._is_complete = self.was_created = False
        with _mapping_errors():
            self._client = connect(address, api_key, limits.WEAVIATE_CALL_SECONDS_MAX)
        try:
            with _mapping_errors():
                if not self._client.collections.exists(collection):
                    self._create(new)
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

    def check_vectorizer(self, alpha: float) -> None:
        """Raises `ConfigurationError` if searches with `alpha` need vectors that the collection does not have.

        A collection that was just created is deleted then.
        """
        with _mapping_errors():
            try:
                check_vectorizer(self._client, self.name, alpha)
            except ConfigurationError:
                if self.was_created:
                    self._client.collections.delete(self.name)
                raise

    @property
    def vectorizers(self) -> list[str]:
        """The modules that vectorise the passages."""
        with _mapping_errors():
            return vectorizers(self._client, self.name)

    def holds(self, key: str, digest: str) -> bool:
        """Whether the whole document is in the collection with exactly this content."""
        with _mapping_errors():
            first = self._collection.query.fetch_objects_by_ids([_id(key, 0)]).objects
        return any(each.properties.get(DIGEST_PROPERTY) == document_key(digest) for each in first)

    def import_chunks(
        self, key: str, digest: str, chunks: Iterable[Chunk], is_whole: Callable[[], bool] = lambda: True
    ) -> int:
        """Replace the document by `chunks`; returns their number.

        The next import repeats one that was interrupted, or that was not whole.
        """
        this_import = token_hex(16)
        numbered = enumerate(chunks)
        first = list(islice(numbered, 1))
        count = len(first)
        while batch := list(islice(numbered, limits.WEAVIATE_IMPORT_BATCH)):
            self._insert(key, this_import, batch)
            count += len(batch)
        # The first passage comes last: its digest says that all are there and whole. The others have a word of this
        # import, because the same file, read again, can have fewer passages.
        known = digest if is_whole() else ""
        if first:
            self._insert(key, known, first)
        self._delete_others(key, (known, this_import))
        return count

    def documents(self) -> list[StoredDocument]:
        """The documents of the collection, by path and title. Reads all passages, without their texts."""
        found: dict[str, StoredDocument] = {}
        for passage in self._passages():
            key, path = passage.get(DOCUMENT_PROPERTY) or "", passage.get(PATH_PROPERTY) or ""
            if not key:
                continue
            seen = found.get(key) or StoredDocument(key, path, passage["title"], passage["source"], 0)
            if path and passage["id"] == str(_id(path, 0)):  # the first passage names the document best
                seen = replace(seen, title=passage["title"], source=passage["source"])
            found[key] = replace(seen, passages=seen.passages + 1, path=seen.path or path)
        return sorted(found.values(), key=lambda each: (each.path, each.title))

    def delete(self, documents: Iterable[StoredDocument]) -> list[str]:
        """Delete `documents`; returns the ids of their passages."""
        from weaviate.classes.query import Filter

        keys = [each.key for each in documents]
        ids: list[str] = []
        for begin in range(0, len(keys), limits.WEAVIATE_IMPORT_BATCH):
            theirs = Filter.by_property(DOCUMENT_PROPERTY).contains_any(
                keys[begin : begin + limits.WEAVIATE_IMPORT_BATCH]
            )
            while deleted := self._delete_some(theirs):  # a server deletes 10,000 at once unless configured otherwise
                ids += deleted
        return ids

    def _create(self, new: NewCollection | None) -> None:
        if new is None:
            raise KnowledgeUnavailable(
                f"there is no collection {self.name}. To create it: voice-trio knowledge import FOLDER --to weaviate "
                "--create, with --vectorizer MODULE unless the server's default one is right"
            )
        create_collection(self._client, self.name, self._text_property, new)
        self.was_created = True

    def _passages(self) -> Iterator[dict[str, str]]:
        with _mapping_errors():
            there = property_names(self._client, self.name)
            if DOCUMENT_PROPERTY not in there:
                return
            shown = [each for each in ("title", "source", DOCUMENT_PROPERTY, PATH_PROPERTY) if each in there]
            for found in self._collection.iterator(return_properties=shown):
                properties = {name: value for name, value in found.properties.items() if isinstance(value, str)}
                yield {"title": "", "source": "", **properties, "id": str(found.uuid)}

    def _insert(self, key: str, digest: str, batch: Sequence[tuple[int, Chunk]]) -> None:
        from weaviate.classes.data import DataObject

        objects = [
            DataObject(
                uuid=_id(key, ordinal),
                properties={
                    self._text_property: chunk.text,
                    "title": chunk.title,
                    "source": chunk.source,
                    DOCUMENT_PROPERTY: document_key(key),
                    DIGEST_PROPERTY: document_key(digest),
                    PATH_PROPERTY: storable_name(key),
                },
            )
            for ordinal, chunk in batch
        ]
        with _mapping_errors():
            if not self._is_complete:
                complete_collection(self._client, self.name, self._text_property)
                self._is_complete = True
        with _mapping_errors(f"passages of {storable_name(key)} from {batch[0][1].title!r} on: "):
            done = self._collection.data.insert_many(objects)  # raises if all are refused
        if done.has_errors:
            refused = {batch[index][1].title: error.message for index, error in sorted(done.errors.items())}
            raise KnowledgeUnavailable(
                f"weaviate refused {len(done.errors)} of {len(batch)} passages of {storable_name(key)}: "
                + "; ".join(f"{title!r}: {reason[:200]}" for title, reason in list(refused.items())[:_REASONS_SHOWN])
            )

    def _delete_some(self, which: Any) -> list[str]:
        with _mapping_errors():
            done = self._collection.data.delete_many(which, verbose=True)
        if done.failed:
            faults = [f"{each.uuid}: {each.error}" for each in done.objects if not each.successful]
            raise KnowledgeUnavailable(
                f"weaviate did not delete {done.failed} of {done.matches} passages: "
                + "; ".join(faults[:_REASONS_SHOWN])
            )
        return [str(each.uuid) for each in done.objects]

    def _delete_others(self, key: str, digests: tuple[str, str]) -> None:
        """Delete the passages of the document whose digest is none of `digests`."""
        from weaviate.classes.query import Filter

        stale = Filter.all_of(
            [
                Filter.by_property(DOCUMENT_PROPERTY).equal(document_key(key)),
                *(Filter.by_property(DIGEST_PROPERTY).not_equal(document_key(digest)) for digest in digests),
            ]
        )
        with _mapping_errors():
            self._collection.data.delete_many(stale)


@contextmanager
def _mapping_errors(what: str = "") -> Iterator[None]:
    try:
        yield
    except foreign_errors() as error:
        raise KnowledgeUnavailable(f"weaviate: {what}{short_text(error)}") from error


def _id(key: str, ordinal: int) -> uuid.UUID:
    return uuid.uuid5(_NAMESPACE, f"{storable_name(key)}\n{ordinal}")
