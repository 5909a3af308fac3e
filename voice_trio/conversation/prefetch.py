"""When to search, with which words, and which result to use. One prefetch a turn; knows words, not time.

While the user speaks: the first search at `words_min` words, another whenever the content words have changed, at most
`in_flight_max` at a time (what comes while they are all busy is asked as soon as one returns). At commit whatever words
are in are asked, on top of that bound. The newest search decides: its result is the freshest; an older one serves only
while the newest is out, and is then called stale.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from voice_trio.conversation.words import content_words, count_words

if TYPE_CHECKING:
    from voice_trio.conversation.passages import Passage

QUERY_CHARACTERS_MAX = 1_000


class SearchState(Enum):
    RUNNING = "running"
    FOUND = "found"
    FAILED = "failed"


@dataclass(slots=True)
class Search:
    id: int
    query: str
    key: tuple[str, ...]
    state: SearchState = SearchState.RUNNING
    passages: tuple[Passage, ...] = ()
    finished_at: float | None = None


class Prefetch:
    """The searches of one turn."""

    def __init__(self, *, first_id: int, words_min: int, in_flight_max: int) -> None:
        self._next_id = first_id
        self._words_min = words_min
        self._in_flight_max = in_flight_max
        self._searches: list[Search] = []
        self._postponed = False
        self._committed = False

    def hear(self, text: str) -> Search | None:
        """The words have changed: the search to start now, if any."""
        if not self._committed and count_words(text) < self._words_min:
            return None
        key = content_words(text)
        if not key or (self._searches and self._searches[-1].key == key):
            return None
        if self._in_flight >= self._in_flight_max + (1 if self._committed else 0):
            self._postponed = True
            return None
        return self._start(text, key)

    def commit(self, text: str) -> Search | None:
        """The user has stopped: ask with all the words there are, however few."""
        self._committed = True
        return self.hear(text)

    def finish(self, search_id: int, passages: tuple[Passage, ...] | None, now: float) -> bool:
        """A search returned (`None`: it failed); false if it is none of this turn's."""
        search = next((search for search in self._searches if search.id == search_id), None)
        if search is None:
            return False
        search.state = SearchState.FAILED if passages is None else SearchState.FOUND
        search.passages = passages or ()
        search.finished_at = now
        return True

    def resume(self, text: str) -> Search | None:
        """A place has become free: start what was postponed for want of one."""
        if not self._postponed:
            return None
        self._postponed = False
        return self.hear(text)

    @property
    def newest(self) -> Search | None:
        return self._searches[-1] if self._searches else None

    @property
    def is_settled(self) -> bool:
        """Whether the freshest result there will be for the words so far is in."""
        return bool(self._searches) and not self._postponed and self._searches[-1].state is not SearchState.RUNNING

    @property
    def is_running(self) -> bool:
        return self._in_flight > 0

    @property
    def best(self) -> Search | None:
        """The freshest search that has answered."""
        return next((search for search in reversed(self._searches) if search.state is SearchState.FOUND), None)

    @property
    def queries(self) -> int:
        return len(self._searches)

    @property
    def next_id(self) -> int:
        return self._next_id

    @property
    def _in_flight(self) -> int:
        return sum(search.state is SearchState.RUNNING for search in self._searches)

    def _start(self, text: str, key: tuple[str, ...]) -> Search:
        search = Search(self._next_id, text[-QUERY_CHARACTERS_MAX:], key)
        self._next_id += 1
        self._searches.append(search)
        return search
