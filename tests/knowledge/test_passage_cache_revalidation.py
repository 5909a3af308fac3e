"""Kept passages are looked up again while the store answers, and left alone while it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.passage_cache.cache import PassageCache
from voice_trio.knowledge.passage_cache.revalidation import revalidate, revalidate_forever

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from trio.testing import MockClock

LIGHT = Passage("2", "Light", "Layers need 16 hours of light.", "handbook")
WATER = Passage("3", "Water", "Ducks need deep water.", "handbook")


class Kept:
    """The real index without its thread: on virtual time there may be none."""

    def __init__(self, *passages: Passage) -> None:
        self.index = PassageCache(age_seconds_max=10 * limits.REVALIDATE_SECONDS)
        self.index.put(passages, trio.current_time())
        self._seconds_back = 0.0

    def unix_time(self) -> float:
        return trio.current_time() - self._seconds_back

    def set_the_clock_back(self, seconds: float) -> None:
        self._seconds_back = seconds

    async def unseen_since(self, then: float, limit: int) -> tuple[str, ...]:
        await trio.lowlevel.checkpoint()
        return self.index.unseen_since(then, limit)

    async def confirm(self, asked: Sequence[str], found: Iterable[Passage]) -> None:
        await trio.lowlevel.checkpoint()
        self.index.confirm(asked, found, self.unix_time())

    def texts(self, query: str) -> list[str]:
        return [passage.text for passage in self.index.search(query, 5, self.unix_time())]


class Store:
    """Holds passages by id; may be away, or silent."""

    def __init__(self, *passages: Passage) -> None:
        self.passages = {passage.id: passage for passage in passages}
        self.asked: list[tuple[str, ...]] = []
        self.is_away = False
        self.is_silent = False
        self.when_asked: Callable[[], None] = lambda: None

    async def look_up(self, ids: Sequence[str]) -> tuple[Passage, ...]:
        self.asked.append(tuple(ids))
        self.when_asked()
        if self.is_silent:
            await trio.sleep_forever()
        await trio.sleep(0.01)
        if self.is_away:
            raise KnowledgeUnavailable("away")
        return tuple(self.passages[each] for each in ids if each in self.passages)


def start(nursery: trio.Nursery, kept: Kept, store: Store) -> None:
    nursery.start_soon(lambda: revalidate_forever(kept, store, unix_time=kept.unix_time))


async def test_a_deleted_passage_is_given_no_longer_than_the_time_between_two_checks(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    kept, store = Kept(LIGHT, WATER), Store(LIGHT)
    start(nursery, kept, store)
    await trio.sleep(limits.REVALIDATE_SECONDS - 1)
    assert (kept.texts("water"), store.asked) == ([WATER.text], [])
    await trio.sleep(limits.REVALIDATE_ROUND_SECONDS + 2)
    assert (kept.texts("water"), kept.texts("light")) == ([], [LIGHT.text])


async def test_a_changed_passage_is_given_as_it_is_now(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    kept, store = Kept(LIGHT), Store(Passage("2", "Light", "Layers need 14 hours of light.", "handbook"))
    start(nursery, kept, store)
    await trio.sleep(limits.REVALIDATE_SECONDS + limits.REVALIDATE_ROUND_SECONDS + 1)
    assert kept.texts("light") == ["Layers need 14 hours of light."]


async def test_what_is_there_is_asked_for_once_in_each_time(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    kept, store = Kept(LIGHT, WATER), Store(LIGHT, WATER)
    start(nursery, kept, store)
    await trio.sleep(3 * (limits.REVALIDATE_SECONDS + limits.REVALIDATE_ROUND_SECONDS) + 1)
    assert [set(asked) for asked in store.asked] == [{"2", "3"}] * 3


async def test_many_are_asked_for_in_batches_and_all_at_the_start_if_they_are_old(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    passages = [Passage(str(n), "T", f"word{n}", "s") for n in range(2 * limits.REVALIDATE_BATCH + 7)]
    kept, store = Kept(*passages), Store(*passages)
    await trio.sleep(limits.REVALIDATE_SECONDS + 1)  # the process is away for a night
    start(nursery, kept, store)
    await trio.sleep(1)
    assert [len(asked) for asked in store.asked] == [limits.REVALIDATE_BATCH, limits.REVALIDATE_BATCH, 7]


async def test_while_the_store_is_away_or_silent_nothing_is_dropped_and_it_is_asked_once_a_round(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    kept, store = Kept(WATER), Store()
    store.is_away = True
    start(nursery, kept, store)
    await trio.sleep(limits.REVALIDATE_SECONDS + 5.5 * limits.REVALIDATE_ROUND_SECONDS)
    assert (kept.texts("water"), len(store.asked)) == ([WATER.text], 5)
    store.is_away, store.is_silent = False, True
    await trio.sleep(3 * (limits.REVALIDATE_ROUND_SECONDS + limits.LOOK_UP_SECONDS_MAX))
    assert (kept.texts("water"), len(store.asked)) == ([WATER.text], 8)
    store.is_silent = False
    await trio.sleep(2 * limits.REVALIDATE_ROUND_SECONDS + 1)
    assert kept.texts("water") == []


async def test_a_clock_that_goes_back_during_a_look_ends_the_round_and_the_next_one_has_its_own_time(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    passages = [Passage(str(n), "T", f"word{n}", "s") for n in range(limits.REVALIDATE_BATCH + 7)]
    kept, store = Kept(*passages), Store(*passages)
    store.when_asked = lambda: kept.set_the_clock_back(2 * limits.REVALIDATE_SECONDS)
    await trio.sleep(limits.REVALIDATE_SECONDS + 1)
    with trio.fail_after(1):
        await revalidate(kept, store, kept.unix_time())
    assert [len(asked) for asked in store.asked] == [limits.REVALIDATE_BATCH]
    start(nursery, kept, store)
    await trio.sleep(2 * limits.REVALIDATE_SECONDS + limits.REVALIDATE_ROUND_SECONDS)
    assert {each for asked in store.asked[1:] for each in asked} == {passage.id for passage in passages}
    assert len(store.asked) <= 5
