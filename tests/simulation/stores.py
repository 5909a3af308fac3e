"""The knowledge bases of the simulation: real ranking, computed at once, and times drawn from a seed.

The remote store ranks as the embedded base does (BM25 over the demo handbook) and takes as long as a remote one: a
log-normal time with a median of 447 ms and one search in a hundred above 2 s. How long a search takes depends on the
question and its terms only, so every way of asking meets the same times.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import trio

from voice_trio.conversation.words import query_terms
from voice_trio.demo import handbook_folder
from voice_trio.services.documents import find_documents, import_documents
from voice_trio.services.kept_passages import KeptPassages
from voice_trio.services.sqlite_base import Chunk, KnowledgeWriter
from voice_trio.services.sqlite_knowledge import SqliteKnowledge

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from voice_trio.conversation.passages import Passage

MEDIAN_SECONDS = 0.447
P99_SECONDS = 2.0
SIGMA = math.log(P99_SECONDS / MEDIAN_SECONDS) / 2.326  # 2.326: where the normal distribution has its P99
# Measured in a thread on a 2-core machine: 0.3 to 2 ms with a thousand passages; the slower end is taken.
LOCAL_SECONDS = 0.003
LIMIT = 5


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


class ImmediateNet:
    """Kept passages as sessions have them, but on virtual time, where no thread may be."""

    def __init__(self) -> None:
        self.kept = KeptPassages()

    async def keep(self, passages: Iterable[Passage]) -> None:
        await trio.lowlevel.checkpoint()
        self.kept.keep(passages, trio.current_time())

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]:
        await trio.sleep(LOCAL_SECONDS)
        return self.kept.search(query, limit, trio.current_time())

    def forget(self) -> None:
        self.kept.close()
        self.kept = KeptPassages()


def chunks_of(folder: Path) -> list[Chunk]:
    """The handbook's chunks, as an import would store them."""
    collected: list[Chunk] = []

    class Collector:
        def holds(self, key: str, digest: str) -> bool:
            return False

        def import_chunks(self, key: str, digest: str, chunks: Iterable[Chunk]) -> int:
            before = len(collected)
            collected.extend(chunks)
            return len(collected) - before

    list(import_documents(find_documents([folder]), Collector()))
    return collected
