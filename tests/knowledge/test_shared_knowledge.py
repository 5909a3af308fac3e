"""One remote store for all sessions: asked once, remembered, left alone when it fails; its passages are kept."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs

from voice_trio import limits
from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.knowledge import CachesPassages, Knowledge, MemoryKnowledge
from voice_trio.knowledge.passage_cache.cache import PassageCache, ThreadedPassageCache
from voice_trio.knowledge.shared_knowledge import SearchCache, SharedKnowledge, key_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator


LIGHT = Passage("2", "Light", "Layers need 16 hours of light.", "handbook")
WATER = Passage("3", "Water", "Ducks need deep water.", "handbook")


class Basket:
    """A net that only shows what is thrown into it."""

    def __init__(self) -> None:
        self.kept: list[tuple[float, Passage]] = []

    async def put(self, passages: Iterable[Passage]) -> None:
        await trio.lowlevel.checkpoint()
        self.kept += [(trio.current_time(), passage) for passage in passages]

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]:
        await trio.lowlevel.checkpoint()
        return tuple(passage for _, passage in self.kept)[:limit]


class Scene:
    """A store, what is before it, and when the curtain rose."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.store = MemoryKnowledge([LIGHT, WATER])
        self.net = Basket()
        self.shared = SharedKnowledge(self.store, nursery, passage_cache=self.net)
        self.began = trio.current_time()

    @property
    def now(self) -> float:
        return round(trio.current_time() - self.began, 6)

    async def fails(self, query: str) -> float:
        """Ask, be refused; when."""
        with pytest.raises(KnowledgeUnavailable):
            await self.shared.search(query, 5)
        return self.now


@pytest.fixture
async def scene(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> Scene:
    return Scene(nursery)


async def test_it_is_a_knowledge_base_that_keeps_passages(autojump_clock: trio.testing.MockClock, scene: Scene) -> None:
    knowledge: Knowledge = scene.shared
    assert isinstance(knowledge, CachesPassages)
    assert not isinstance(scene.store, CachesPassages)
    assert await knowledge.is_available()


async def test_the_same_question_is_asked_once_a_minute(autojump_clock: trio.testing.MockClock, scene: Scene) -> None:
    scene.store.answer_after(0.4)
    first = await scene.shared.search("light for layers", 5)
    assert scene.now == 0.4
    assert await scene.shared.search("Light, for LAYERS?", 5) == first
    assert scene.now == 0.4
    assert len(scene.store.queries) == 1
    await trio.sleep(60.1)
    await scene.shared.search("light for layers", 5)
    assert len(scene.store.queries) == 2


async def test_another_limit_or_another_word_is_another_question(
    autojump_clock: trio.testing.MockClock, scene: Scene
) -> None:
    for query, limit in (("light", 5), ("light", 4), ("lights", 5)):
        await scene.shared.search(query, limit)
    assert len(scene.store.queries) == 3


async def test_equal_searches_at_the_same_time_share_one(autojump_clock: trio.testing.MockClock, scene: Scene) -> None:
    scene.store.answer_after(0.4)
    found = []

    async def ask() -> None:
        found.append(await scene.shared.search("light", 5))

    async with trio.open_nursery() as sessions:
        for _ in range(20):
            sessions.start_soon(ask)
    assert len(scene.store.queries) == 1
    assert [passages[0].id for passages in found] == ["2"] * 20


async def test_a_search_whose_turn_is_over_still_lands_and_its_passages_are_kept(
    autojump_clock: trio.testing.MockClock, scene: Scene
) -> None:
    scene.store.answer_after(0.7)
    with trio.move_on_after(0.2):
        await scene.shared.search("light", 5)
    assert scene.now == 0.2
    assert scene.net.kept == []
    await trio.sleep(0.6)
    assert [passage.id for _, passage in scene.net.kept] == ["2"]
    assert [passage.id for passage in await scene.shared.search_cached("light", 5)] == ["2"]


async def test_three_failures_in_a_row_open_the_breaker_for_30_seconds(
    autojump_clock: trio.testing.MockClock, scene: Scene
) -> None:
    scene.store.fail(KnowledgeUnavailable("away"))
    for query in ("one", "two", "three"):
        await scene.fails(query)
    assert scene.shared.is_circuit_open
    await scene.fails("four")
    await trio.sleep(29.9)
    await scene.fails("five")
    assert len(scene.store.queries) == 3
    await trio.sleep(0.2)
    scene.store.answer_after(0.1)
    assert await scene.shared.search("light", 5)
    assert not scene.shared.is_circuit_open


async def test_one_search_probes_at_a_time_and_its_failure_opens_the_breaker_again(
    autojump_clock: trio.testing.MockClock, scene: Scene
) -> None:
    scene.store.fail(KnowledgeUnavailable("away"))
    for query in ("one", "two", "three"):
        await scene.fails(query)
    await trio.sleep(30.1)
    scene.store.answer_after(5.0)

    async def probe() -> None:
        await scene.fails("probe")

    async with trio.open_nursery() as sessions:
        sessions.start_soon(probe)
        await trio.sleep(0.5)
        await scene.fails("turned away")
    assert [query.text for query in scene.store.queries] == ["one", "two", "three", "probe"]
    await trio.sleep(29.0)
    await scene.fails("still open")
    assert len(scene.store.queries) == 4


async def test_a_success_between_failures_keeps_the_breaker_closed(
    autojump_clock: trio.testing.MockClock, scene: Scene
) -> None:
    for attempt in range(6):
        scene.store.fail(KnowledgeUnavailable("away"))
        await scene.fails(f"failure {attempt}")
        await scene.fails(f"again {attempt}")
        scene.store.answer_after(0.0)
        await scene.shared.search(f"light {attempt}", 5)
    assert not scene.shared.is_circuit_open


async def test_a_store_that_hangs_costs_its_time_limit_and_counts_as_a_failure(
    autojump_clock: trio.testing.MockClock, scene: Scene
) -> None:
    scene.store.hang()
    assert await scene.fails("one") == 2.0
    assert await scene.fails("two") == 4.0
    assert await scene.fails("three") == 6.0
    assert await scene.fails("four") == 6.0


async def test_failures_are_not_remembered_as_answers(autojump_clock: trio.testing.MockClock, scene: Scene) -> None:
    scene.store.fail(KnowledgeUnavailable("away"))
    await scene.fails("light")
    scene.store.answer_after(0.0)
    assert await scene.shared.search("light", 5)


async def test_searches_under_way_are_bounded(autojump_clock: trio.testing.MockClock, scene: Scene) -> None:
    scene.store.answer_after(1.0)
    async with trio.open_nursery() as sessions:
        for number in range(limits.SEARCHES_UNDER_WAY_MAX):
            sessions.start_soon(scene.shared.search, f"light {number}", 5)
        await trio.sleep(0.5)
        await scene.fails("one too many")


def test_the_cache_is_bounded_and_the_least_recently_used_goes_first() -> None:
    now = 0.0
    cache = SearchCache(searches_max=2, clock=lambda: now)
    for name in ("a", "b"):
        cache.put(key_of(name, 5), (LIGHT,))
    now = 1.0
    assert cache.get(key_of("a", 5)) == (LIGHT,)
    now = 2.0
    cache.put(key_of("c", 5), ())
    now = 3.0
    assert cache.get(key_of("b", 5)) is None
    assert cache.get(key_of("c", 5)) == ()
    assert len(cache) == 2


async def test_the_real_net_answers_from_its_own_thread() -> None:
    net = ThreadedPassageCache()
    with trio.fail_after(5):
        await net.put([LIGHT, WATER])
        assert [passage.id for passage in await net.search("deep water", 5)] == ["3"]
        assert await net.search("zeppelin", 5) == ()


class SlowDisk(PassageCache):
    """An index whose reads may stand still; `at_once` is the most threads ever found in it at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once = 0
        self._inside = 0
        self._moves = threading.Event()
        self._moves.set()

    def stand_still(self) -> None:
        self._moves.clear()

    def move(self) -> None:
        self._moves.set()

    def search(self, query: str, limit: int, now: float) -> tuple[Passage, ...]:
        with self._entered():
            return super().search(query, limit, now)

    def unseen_since(self, then: float, limit: int) -> tuple[str, ...]:
        with self._entered():
            return super().unseen_since(then, limit)

    def put(self, passages: Iterable[Passage], now: float) -> None:
        with self._entered():
            super().put(passages, now)

    @contextmanager
    def _entered(self) -> Iterator[None]:
        self._inside += 1
        self.at_once = max(self.at_once, self._inside)
        self._moves.wait(5)
        yield
        self._inside -= 1


@pytest.mark.parametrize(
    "read",
    [lambda net: net.search("light", 5), lambda net: net.unseen_since(time.time() + 1, 5)],
    ids=["search", "unseen_since"],
)
async def test_a_disk_that_stands_still_holds_up_no_cancellation_and_one_thread_is_at_the_file_at_a_time(
    read: Callable[[ThreadedPassageCache], Awaitable[tuple[object, ...]]],
) -> None:
    disk = SlowDisk()
    net = ThreadedPassageCache(disk)
    with trio.fail_after(10):
        await net.put([LIGHT])
        disk.stand_still()
        began = time.monotonic()
        with trio.move_on_after(0.05) as left:
            await read(net)
        with trio.move_on_after(0.05) as never_begun:
            await net.put([WATER])
        assert (left.cancelled_caught, never_begun.cancelled_caught) == (True, True)
        assert time.monotonic() - began < 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(net.put, [WATER])
            await trio.sleep(0.05)
            disk.move()
        assert [passage.id for passage in await net.search("deep water", 5)] == ["3"]
    assert disk.at_once == 1


async def test_a_store_that_fails_in_any_way_fails_this_search_only_F58(
    autojump_clock: trio.testing.MockClock, scene: Scene
) -> None:
    scene.store.fail(RuntimeError("can't start new thread"))
    with capture_logs() as logged:
        assert await scene.fails("light") == 0
    assert [line["event"] for line in logged] == ["search_failed"]
    scene.store.answer_after(0)
    (found,) = await scene.shared.search("light", 5)  # the nursery of the searches still stands
    assert found.title == "Light"
