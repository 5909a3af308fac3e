"""Results of recent searches by normalised query, bounded in number and age. Pure: times are given by the caller."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, TypeAlias

from voice_trio.conversation.retrieval.text import fold

if TYPE_CHECKING:
    from voice_trio.conversation.retrieval.passage import Passage

SEARCHES_MAX = 1_024
AGE_SECONDS_MAX = 60.0

Key: TypeAlias = tuple[str, int]


def key_of(query: str, limit: int) -> Key:
    """What makes two searches equal: the same words, whatever their case, accents, punctuation and spacing."""
    words = "".join(c if c.isalnum() else " " for c in fold(query)).split()
    return " ".join(words), limit


class SearchCache:
    """The least recently used result goes first; an old one is never given."""

    def __init__(self, searches_max: int = SEARCHES_MAX, age_seconds_max: float = AGE_SECONDS_MAX) -> None:
        self._searches_max = searches_max
        self._age_seconds_max = age_seconds_max
        self._results: OrderedDict[Key, tuple[float, tuple[Passage, ...]]] = OrderedDict()

    def get(self, key: Key, now: float) -> tuple[Passage, ...] | None:
        at, passages = self._results.get(key, (float("-inf"), ()))
        if now - at > self._age_seconds_max:
            self._results.pop(key, None)
            return None
        self._results.move_to_end(key)
        return passages

    def put(self, key: Key, passages: tuple[Passage, ...], now: float) -> None:
        self._results[key] = (now, passages)
        self._results.move_to_end(key)
        while len(self._results) > self._searches_max:
            self._results.popitem(last=False)

    def __len__(self) -> int:
        return len(self._results)
