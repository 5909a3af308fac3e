"""Opens the knowledge base that the settings configure: Weaviate, shared by all sessions, or the embedded file."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
import trio

from voice_trio import limits
from voice_trio.knowledge.passage_cache.cache import PassageCache, ThreadedPassageCache
from voice_trio.knowledge.passage_cache.file import PassageCacheFile, passage_cache_path
from voice_trio.knowledge.passage_cache.revalidation import revalidate_forever
from voice_trio.knowledge.shared_knowledge import SharedKnowledge
from voice_trio.knowledge.sqlite.knowledge import SqliteKnowledge
from voice_trio.knowledge.weaviate.client_library import import_client_library
from voice_trio.knowledge.weaviate.knowledge import WeaviateAddress, WeaviateKnowledge
from voice_trio.net.background import keep_running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice_trio.knowledge.knowledge import Knowledge
    from voice_trio.settings import Settings

log = structlog.get_logger(__name__)


@asynccontextmanager
async def open_knowledge(settings: Settings) -> AsyncIterator[Knowledge]:
    """Open the knowledge base for one block; it connects at the first search. Raises `ConfigurationError`.

    A result that `CachesPassages` gives sessions `Policy.passage_cache`.
    """
    if settings.weaviate.url is None:
        embedded = SqliteKnowledge(settings.retrieval.knowledge_path)
        try:
            yield embedded
        finally:
            embedded.close()
        return
    store, passage_cache = weaviate_of(settings), passage_cache_of(settings)
    import_client_library()  # before anything can ask for it in several threads
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_running, revalidate_forever, passage_cache, store)
            seconds_max = settings.retrieval.search_timeout_ms / 1000
            yield SharedKnowledge(store, nursery, passage_cache=passage_cache, search_seconds_max=seconds_max)
            nursery.cancel_scope.cancel(reason="the process ends")
    finally:
        store.close()
        with trio.move_on_after(limits.DISCONNECT_SECONDS_MAX, shield=True):
            await passage_cache.aclose()


def passage_cache_of(settings: Settings) -> ThreadedPassageCache:
    """The passage cache of the configured Weaviate: one file for each URL, collection, property and API key."""
    weaviate = settings.weaviate
    key = weaviate.api_key.get_secret_value() if weaviate.api_key else None
    path = passage_cache_path(
        settings.retrieval.knowledge_path, weaviate.url, weaviate.collection, weaviate.text_property, key
    )
    return ThreadedPassageCache(
        PassageCache(age_seconds_max=limits.PASSAGE_FILE_SECONDS_MAX, file=PassageCacheFile(path))
    )


def weaviate_of(settings: Settings) -> WeaviateKnowledge:
    """The Weaviate that the settings name, not connected yet. Raises `ConfigurationError`."""
    key = settings.weaviate.api_key
    return WeaviateKnowledge(
        WeaviateAddress.of(str(settings.weaviate.url or "")),
        api_key=key.get_secret_value() if key else None,
        collection=settings.weaviate.collection,
        text_property=settings.weaviate.text_property,
        alpha=settings.retrieval.alpha,
        search_seconds_max=settings.retrieval.search_timeout_ms / 1000,
        observe=_observe,
    )


def _observe(queued_seconds: float, search_seconds: float) -> None:
    if queued_seconds > limits.SEARCH_QUEUED_SECONDS_LOGGED:
        log.warning("search_queued", queued_ms=round(1000 * queued_seconds), search_ms=round(1000 * search_seconds))
