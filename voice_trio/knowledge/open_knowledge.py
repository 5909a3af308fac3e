"""The knowledge base that the settings ask for: Weaviate as all sessions share it, or the embedded file."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog
import trio

from voice_trio.knowledge.passage_cache.cache import LocalNet, PassageCache
from voice_trio.knowledge.passage_cache.checks import keep_true
from voice_trio.knowledge.passage_cache.file import PassageCacheFile, passage_cache_path
from voice_trio.knowledge.shared_knowledge import SharedKnowledge
from voice_trio.knowledge.sqlite.knowledge import SqliteKnowledge
from voice_trio.knowledge.weaviate.knowledge import WeaviateAddress, WeaviateKnowledge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice_trio.knowledge.knowledge import Knowledge
    from voice_trio.settings import Settings

log = structlog.get_logger(__name__)

QUEUE_SECONDS_WORTH_A_LINE = 0.05
CLOSE_SECONDS_MAX = 1.0
UNSEEN_SECONDS_MAX = 3 * 86_400.0
"""How long a passage is kept that nobody can ask the store about: a weekend, and then some."""


@asynccontextmanager
async def open_knowledge(settings: Settings) -> AsyncIterator[Knowledge]:
    """Open while the block runs; nothing is connected yet when it begins. Raises `ConfigurationError`.

    Whether passages are kept locally shows in the type (`KeepsPassages`): sessions then get `Policy.local_net`.
    """
    if settings.weaviate.url is None:
        embedded = SqliteKnowledge(settings.retrieval.knowledge_path)
        try:
            yield embedded
        finally:
            embedded.close()
        return
    store, net = weaviate_of(settings), passage_cache_of(settings)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_true, net, store)
            seconds_max = settings.retrieval.search_timeout_ms / 1000
            yield SharedKnowledge(store, nursery, net=net, search_seconds_max=seconds_max)
            nursery.cancel_scope.cancel(reason="the process ends")
    finally:
        store.close()
        with trio.move_on_after(CLOSE_SECONDS_MAX, shield=True):
            await net.aclose()


def passage_cache_of(settings: Settings) -> LocalNet:
    """Where the passages of that Weaviate are kept: a file of their own for each URL, collection, property and key."""
    weaviate = settings.weaviate
    key = weaviate.api_key.get_secret_value() if weaviate.api_key else None
    path = passage_cache_path(
        settings.retrieval.knowledge_path, weaviate.url, weaviate.collection, weaviate.text_property, key
    )
    return LocalNet(PassageCache(age_seconds_max=UNSEEN_SECONDS_MAX, file=PassageCacheFile(path)))


def weaviate_of(settings: Settings) -> WeaviateKnowledge:
    """The Weaviate that the settings name; not connected. Raises `ConfigurationError`."""
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
    if queued_seconds > QUEUE_SECONDS_WORTH_A_LINE:
        log.warning("search_queued", queued_ms=round(1000 * queued_seconds), search_ms=round(1000 * search_seconds))
