"""The knowledge bases of the simulation: real ranking, computed at once, and times drawn from a seed.

The remote store ranks as the embedded base does (BM25 over the demo handbook) and takes as long as a remote one: a
log-normal time with a median of 447 ms and one search in a hundred above 2 s. How long a search takes depends on the
question and its terms only, so every way of asking meets the same times.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from voice_trio.conversation.retrieval.text import content_words, fold, query_terms
from voice_trio.demo import handbook_folder
from voice_trio.knowledge.importing.documents import import_documents
from voice_trio.knowledge.importing.found_files import find_documents
from voice_trio.knowledge.passage_cache.cache import PassageCache
from voice_trio.knowledge.sqlite.base import Chunk, KnowledgeWriter
from voice_trio.knowledge.sqlite.knowledge import SqliteKnowledge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from voice_trio.conversation.retrieval.passage import Passage

MEDIAN_SECONDS = 0.447
P99_SECONDS = 2.0
SIGMA = math.log(P99_SECONDS / MEDIAN_SECONDS) / 2.326  # 2.326: where the normal distribution has its P99
# Measured through the thread on a busy 2-core machine: P50 0.3 ms with the handbook's 144 passages, 1.0 ms with 1,000;
# P95 2 to 4 ms.
LOCAL_SECONDS = 0.003
LIMIT = 5
ALPHA = 0.7


class Handbook:
    """The demo handbook as a base, with the answers remembered."""

    def __init__(self, folder: Path) -> None:
        path = folder / "handbook.sqlite"
        with KnowledgeWriter(path) as writer:
            assert all(not result.problem for result in import_documents(find_documents([handbook_folder()]), writer))
        self._base = SqliteKnowledge(path)
        self._known: dict[tuple[str, ...], tuple[Passage, ...]] = {}

    def find(self, query: str) -> tuple[Passage, ...]:
        terms = query_terms(query)
        if terms not in self._known:
            self._known[terms] = self._base.search_blocking(query, LIMIT)
        return self._known[terms]

    def top(self, query: str) -> str | None:
        """The passage that the whole base would put first."""
        return next((passage.id for passage in self.find(query)), None)

    def close(self) -> None:
        self._base.close()


class LikenessHandbook(Handbook):
    """The handbook as a store with vectors might rank it: 0.7 likeness, 0.3 words, each against its best.

    Likeness is the cosine of letter trigrams weighted by rarity: a crude stand-in for a vectoriser, but another order
    than that of the kept passages, which know words only.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        chunks = chunks_of(handbook_folder())
        bags = [_trigrams(f"{chunk.title} {chunk.text}") for chunk in chunks]
        frequency = Counter(gram for bag in bags for gram in bag)
        self._rarity = {gram: math.log(1 + len(chunks) / count) for gram, count in frequency.items()}
        self._vectors = {(chunk.title, chunk.text): self._vector(bag) for chunk, bag in zip(chunks, bags, strict=True)}
        self._passages = {
            (passage.title, passage.text): passage
            for chunk in chunks
            for passage in self._base.search_blocking(f"{chunk.title} {chunk.text[:200]}", 20)
        }

    def find(self, query: str) -> tuple[Passage, ...]:
        key = ("likeness", *query_terms(query))
        if key not in self._known:
            self._known[key] = tuple(self._ranked(query)) if query_terms(query) else ()
        return self._known[key]

    def _ranked(self, query: str) -> list[Passage]:
        asked = self._vector(_trigrams(" ".join(content_words(query))))
        likeness = {
            key: sum(asked.get(gram, 0.0) * weight for gram, weight in vector.items())
            for key, vector in self._vectors.items()
        }
        words = {(p.title, p.text): p.score for p in self._base.search_blocking(query, 50)}
        best_likeness, best_words = max(likeness.values()) or 1.0, max(words.values(), default=0.0) or 1.0
        scores = {
            key: ALPHA * like / best_likeness + (1 - ALPHA) * words.get(key, 0.0) / best_words
            for key, like in likeness.items()
            if key in self._passages
        }
        best = sorted(scores, key=lambda key: -scores[key])[:LIMIT]
        return [replace(self._passages[key], score=scores[key]) for key in best]

    def _vector(self, bag: Counter[str]) -> dict[str, float]:
        weights = {gram: math.log(1 + count) * self._rarity.get(gram, 0.0) for gram, count in bag.items()}
        length = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
        return {gram: weight / length for gram, weight in weights.items() if weight}


def _trigrams(text: str) -> Counter[str]:
    words = (f" {word} " for word in fold(text).split())
    return Counter(word[at : at + 3] for word in words for at in range(len(word) - 2))


class RemoteStore:
    """A `Knowledge` that ranks like the handbook and takes its time."""

    def __init__(self, handbook: Handbook, seed: int) -> None:
        self._handbook = handbook
        self._seed = seed
        self.turn = 0
        self.asked = 0

    def seconds(self, turn: int, query: str) -> float:
        """How long this search takes in this turn."""
        chance = random.Random(f"{self._seed} {turn} {sorted(set(query_terms(query)))}")
        return chance.lognormvariate(math.log(MEDIAN_SECONDS), SIGMA)

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]:
        self.asked += 1
        await trio.sleep(self.seconds(self.turn, query))
        return self._handbook.find(query)[:limit]

    async def is_available(self) -> bool:
        await trio.lowlevel.checkpoint()
        return True

    async def is_empty(self) -> bool | None:
        await trio.lowlevel.checkpoint()
        return False


class ImmediateNet:
    """Kept passages as sessions have them, but on virtual time, where no thread may be."""

    def __init__(self) -> None:
        self.kept = PassageCache()

    async def put(self, passages: Iterable[Passage]) -> None:
        await trio.lowlevel.checkpoint()
        self.kept.put(passages, trio.current_time())

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]:
        await trio.sleep(LOCAL_SECONDS)
        return self.kept.search(query, limit, trio.current_time())

    def forget(self) -> None:
        self.kept.close()
        self.kept = PassageCache()


def chunks_of(folder: Path) -> list[Chunk]:
    """The handbook's chunks, as an import would store them."""
    collected: list[Chunk] = []

    class Collector:
        def holds(self, key: str, digest: str) -> bool:
            return False

        def import_chunks(self, key: str, digest: str, chunks: Iterable[Chunk], is_whole: Callable[[], bool]) -> int:
            before = len(collected)
            collected.extend(chunks)
            return len(collected) - before

    list(import_documents(find_documents([folder]), Collector()))
    return collected
