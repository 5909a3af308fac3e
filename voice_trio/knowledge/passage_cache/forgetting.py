"""Deleted documents leave the passage caches of this machine too, with their words. Synchronous."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from voice_trio.knowledge.passage_cache.cache import PassageCache
from voice_trio.knowledge.passage_cache.file import PassageCacheFile, passage_cache_paths

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def forget_passages(knowledge_path: Path, ids: Sequence[str]) -> None:
    """Delete the passages `ids` from every cache file beside `knowledge_path`; raises `KnowledgeUnavailable`.

    A gateway that runs on this machine reads the same file, so it cites them no more.
    """
    for path in passage_cache_paths(knowledge_path):
        with closing(PassageCache(file=PassageCacheFile(path))) as cache:
            cache.forget(ids)
