"""When to search, with which words, which result to use, and whether waiting can improve it. One prefetch a turn.

While the user speaks: the first search at `prefetch_words_min` words, another whenever the terms of the query have
changed, at most `searches_in_flight_max` at a time (a change that comes while all are busy is asked as soon as one
returns) and `searches_max` in all. At commit whatever words are in are asked, on top of both bounds.

With a passage cache (`passage_cache`), each change of the words is asked there first, and answered within milliseconds:
the last words of a question come too late for any remote store. While both agree on the best passage the store is not
asked, and the response does not wait. A store that is as quick itself (the embedded one) is asked at each change of the
words, without any bound but one at a time. It knows words and times, not tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from voice_trio.conversation.retrieval.query import SearchQuery, make_query, topic_of
from voice_trio.conversation.retrieval.text import count_words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.conversation.policy import Policy
    from voice_trio.conversation.retrieval.latency import SearchLatency
    from voice_trio.conversation.retrieval.passage import Passage


# So many new terms are worth a search although nothing seems to change: they may lead to passages that are not cached.
NEW_TERMS_MIN = 3


# How many times better than the second the best cached passage must score for the response not to wait. Measured: 1.0
# waits in 31 % of turns and is right in 91.0 %, 1.25 in 39 % and 92.2 %, 1.4 in 42 % and 92.5 %.
STANDING_OUT = 1.25


class SearchState(Enum):
    RUNNING = "running"
    FOUND = "found"
    FAILED = "failed"


@dataclass(slots=True)
class Search:
    id: int
    query: SearchQuery
    local: bool
    started_at: float
    state: SearchState = SearchState.RUNNING
    passages: tuple[Passage, ...] = ()
    finished_at: float | None = None

    @property
    def is_running(self) -> bool:
        return self.state is SearchState.RUNNING

    @property
    def top(self) -> str | None:
        return self.passages[0].id if self.passages else None


class Prefetch:
    """The searches of one turn; `latency` is how long searches take lately.

    `topic` is what the turn before was about; or it is read from the prefetch `before` when it is first needed, because
    a turn begins while a response is being silenced. One that `continues` the turn before has that one's topic.
    """

    def __init__(
        self,
        *,
        first_id: int,
        policy: Policy,
        latency: SearchLatency,
        topic: str = "",
        before: Prefetch | None = None,
        continues: bool = False,
    ) -> None:
        self._next_id = first_id
        self._policy = policy
        self._latency = latency
        self._topic, self._before = topic, before
        if before is not None and continues:
            self._topic, self._before = before._topic, before._before
        elif before is not None:
            before.resolve_topic()  # so that no chain of earlier turns is kept, however many say nothing
        self._remote: list[Search] = []
        self._local: list[Search] = []
        self._said = ""
        self._deadline: float | None = None
        self._asked_in_speech = 0
        self._cache_grew = False

    # What happens

    def hear(self, said: str, now: float) -> list[Search]:
        """The words have changed: the searches to start now."""
        self._said = said
        return list(self._start_possible(now))

    def commit(self, said: str, now: float) -> list[Search]:
        """The user has stopped: ask with all the words there are, however few; the wait begins."""
        self._deadline = now + self._policy.wait_seconds_max
        self._asked_in_speech = len(self._remote)
        return self.hear(said, now)

    def finish(self, search_id: int, passages: tuple[Passage, ...] | None, now: float) -> bool:
        """A search returned (`None`: it failed); false if it is none of this turn's."""
        search = next((search for search in (*self._remote, *self._local) if search.id == search_id), None)
        if search is None:
            return False
        search.state = SearchState.FAILED if passages is None else SearchState.FOUND
        search.passages = passages or ()
        search.finished_at = now
        if passages is not None and not search.local:
            self._latency.note(now - search.started_at)
            self._cache_grew = bool(passages)
        return True

    def resume(self, now: float) -> list[Search]:
        """A place has become free: start what was postponed for want of one."""
        return list(self._start_possible(now))

    # What it comes to

    @property
    def newest(self) -> Search | None:
        return self._remote[-1] if self._remote else None

    @property
    def best(self) -> Search | None:
        """The result to use: the store's own, unless the cache was asked with terms that the store has not seen."""
        remote, local = _freshest(self._remote), _freshest(self._local)
        if remote is None or local is None:
            return remote or local
        knows_more = bool(local.query.terms - remote.query.terms) and local.top is not None
        return local if knows_more and local.top != remote.top else remote

    # When waiting on may still improve the context
    #
    # The wait costs the user silence, so it ends as soon as a better result cannot come before the deadline:
    #
    # 1. Two independent results begin with the same passage (`_is_steady`): more words hardly change it.
    # 2. The store has answered for all the words so far, and more words would reach it too late: only a quick store can
    #    still be asked for them.
    # 3. A running search can come in time if its age plus the time left exceeds the fastest of recent searches (their
    #    5 % quantile): the age and the time left add up to a constant, so a search is either hopeful to the end or not.
    # 4. Nothing runs, but the transcript is incomplete: the words that come are worth a search only if a search that
    #    starts now could return in time, or if cached passages can be asked.
    #
    # tests/simulation measures what each rule is worth.

    def can_improve(self, now: float, *, more_words: bool) -> bool:
        """Whether waiting on, until the deadline at most, may lead to a better context than what is in.

        `more_words`: the transcript is not complete, so that some may still come.
        """
        if self._is_steady or (self._is_answered and not (more_words and self._latency.is_quick)):
            return False
        left = 0.0 if self._deadline is None else self._deadline - now
        if any(self._latency.may_come(now - search.started_at, left) for search in self._remote if search.is_running):
            return True
        if not more_words:
            return any(search.is_running for search in self._local)
        return self._policy.passage_cache or self._latency.may_come(0.0, left)

    @property
    def earlier_topic(self) -> str:
        """What the turn before was about."""
        self.resolve_topic()
        return self._topic

    def resolve_topic(self) -> None:
        """Read the topic of the turn before, and keep that turn's prefetch no longer."""
        if self._before is not None:
            self._topic, self._before = self._before.topic, None

    @property
    def has_words(self) -> bool:
        """Whether anything has been said that could be searched for."""
        return bool(self._query(whole=True).terms)

    @property
    def is_running(self) -> bool:
        return any(search.is_running for search in self._remote)

    @property
    def queries(self) -> int:
        """Searches of the store; those of the passage cache are not counted."""
        return len(self._remote)

    @property
    def topic(self) -> str:
        """What this turn is about, for a follow-up."""
        return topic_of(self._query(whole=True).text)

    @property
    def next_id(self) -> int:
        return self._next_id

    # How

    @property
    def _committed(self) -> bool:
        return self._deadline is not None

    @property
    def _is_answered(self) -> bool:
        """The store has answered, or failed to, for all the words so far, and nothing newer has been said."""
        newest = self.newest
        return newest is not None and not newest.is_running and newest.query.terms == self._query(whole=True).terms

    @property
    def _is_steady(self) -> bool:
        """Two independent looks begin with the same passage, so that more words hardly change it.

        With a passage cache: the store's freshest result and the cache's, where its best stands out; without: the
        store's two freshest.
        """
        if self._policy.passage_cache:
            return self._cache_agrees and _stands_out(_freshest(self._local))
        tops = [search.top for search in self._remote if search.top is not None]
        agree = len(tops) >= 2 and tops[-1] == tops[-2]
        return agree and (not self._latency.is_quick or _stands_out(_freshest(self._remote)))

    @property
    def _cache_agrees(self) -> bool:
        remote, local = _freshest(self._remote), _freshest(self._local)
        return remote is not None and local is not None and remote.top is not None and remote.top == local.top

    def _start_possible(self, now: float) -> Iterator[Search]:
        if not self._committed and count_words(self._said) < self._policy.prefetch_words_min:
            return
        latest = self._query(whole=True)
        if latest.terms and self._policy.passage_cache and self._may_ask_cache(latest):
            self._cache_grew = False
            yield self._start(self._local, latest, now, local=True)
        query = self._query(whole=self._committed or self._policy.whole_words)
        if query.terms and self._may_ask_store(query, now):
            yield self._start(self._remote, query, now, local=False)

    def _may_ask_store(self, query: SearchQuery, now: float) -> bool:
        if self._remote and self._remote[-1].query.terms == query.terms:
            return False
        if self._latency.is_quick:
            return not (self._remote and self._remote[-1].is_running)
        in_flight, asked = sum(search.is_running for search in self._remote), len(self._remote)
        if self._deadline is None:
            has_place = in_flight < self._policy.searches_in_flight_max and asked < self._policy.searches_max
            return has_place and self._is_worth_asking(query)
        asked_at_end = asked - self._asked_in_speech
        if asked and asked_at_end >= self._policy.searches_at_end_max:
            return False
        return not asked or self._latency.may_come(0.0, self._deadline - now)

    def _is_worth_asking(self, query: SearchQuery) -> bool:
        """Whether the store may know better: not while the cache, asked first, still agrees with it."""
        remote = _freshest(self._remote)
        if remote is None or not self._local:
            return True
        if self._local[-1].is_running:
            return False  # a matter of milliseconds; `resume` asks again
        return not self._cache_agrees or len(query.terms - remote.query.terms) >= NEW_TERMS_MIN

    def _may_ask_cache(self, query: SearchQuery) -> bool:
        newest = self._local[-1] if self._local else None
        if newest is None:
            return True
        return not newest.is_running and (self._cache_grew or newest.query.terms != query.terms)

    def _start(self, searches: list[Search], query: SearchQuery, now: float, *, local: bool) -> Search:
        search = Search(self._next_id, query, local, now)
        self._next_id += 1
        searches.append(search)
        return search

    def _query(self, *, whole: bool) -> SearchQuery:
        return make_query(self._said, topic=self.earlier_topic, whole=whole)


def _stands_out(search: Search | None) -> bool:
    scores = [passage.score for passage in search.passages[:2]] if search is not None else []
    return len(scores) == 1 or (len(scores) == 2 and scores[0] > STANDING_OUT * scores[1])


def _freshest(searches: list[Search]) -> Search | None:
    """The newest search that found something; failing that, the newest that found nothing."""
    found = [search for search in reversed(searches) if search.state is SearchState.FOUND]
    return next((search for search in found if search.passages), found[0] if found else None)
