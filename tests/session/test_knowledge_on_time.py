"""Every outcome of retrieval in a whole session, with a remote store as sessions share it, exact to the millisecond."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio
import trio.testing

from tests.support.session_fixture import HANDBOOK, SessionFixture, contexts
from voice_trio.conversation.policy import Policy
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.passage_cache.cache import PassageCache
from voice_trio.knowledge.shared_knowledge import SharedKnowledge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.conversation.retrieval.passage import Passage

QUESTION = "how warm must the brooder be in winter"


class QuickNet:
    """The real index of kept passages, without its thread: on virtual time there may be none."""

    def __init__(self) -> None:
        self.kept = PassageCache()

    async def put(self, passages: Iterable[Passage]) -> None:
        await trio.lowlevel.checkpoint()
        self.kept.put(passages, trio.current_time())

    async def search(self, query: str, limit: int) -> tuple[Passage, ...]:
        await trio.sleep(0.003)
        return self.kept.search(query, limit, trio.current_time())


def start_session(nursery: trio.Nursery, **policy: Any) -> SessionFixture:
    """A session whose store is far away: its searches go on by themselves and leave their passages behind."""
    return SessionFixture(
        nursery, policy=Policy(passage_cache=True, **policy), knows=lambda store: shared(store, nursery)
    )


def shared(store: Any, nursery: trio.Nursery) -> SharedKnowledge:
    return SharedKnowledge(store, nursery, passage_cache=QuickNet())


async def outcome(session: SessionFixture) -> tuple[str, int]:
    """What the client is told of the newest turn's context."""
    told = (await session.client.hears("context.injected")).event
    return told["outcome"], told["waited_ms"]


async def test_hidden(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> None:
    session = start_session(nursery)
    await session.ready()
    session.knowledge.answer_after(0.4)
    await session.asks(words_at=[0.3 * number for number in range(8)], lasts=2.4)
    assert await outcome(session) == ("hidden", 0)
    await session.model.hears("response.create")
    assert "34 degrees" in contexts(session.model.items)[0]


async def test_waited(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> None:
    session = start_session(nursery)
    await session.ready()
    session.knowledge.answer_after(0.4)
    await session.asks(words_at=[2.2] * 8, lasts=2.0)
    # Three milliseconds for the kept passages to agree: they have grown by what was found.
    assert await outcome(session) == ("waited", 103)


async def test_local_serves_the_second_who_asks_too_late(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    session = start_session(nursery)
    await session.ready()
    session.knowledge.answer_after(0.7)
    await session.asks("brooder warm", words_at=[1.0, 1.05], lasts=0.6)
    assert await outcome(session) == ("late", 200)
    await trio.sleep(5.0)  # the search of the first turn has landed meanwhile, for nobody
    await session.asks("warm brooder degrees", words_at=[1.0, 1.05, 1.15], lasts=0.6)
    assert await outcome(session) == ("local", 200)
    assert "34 degrees" in contexts(session.model.items)[0]


async def test_late(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> None:
    session = start_session(nursery)
    await session.ready()
    session.knowledge.answer_after(1.5)
    await session.asks("brooder warm", words_at=[1.0, 1.05], lasts=0.6)
    assert await outcome(session) == ("late", 200)
    assert contexts(session.model.items) == []


async def test_none(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> None:
    session = start_session(nursery)
    await session.ready()
    await session.asks("zeppelins over the ocean tonight", lasts=3.0)
    assert (await outcome(session))[0] == "none"


async def test_a_store_that_hangs_costs_200_ms_and_an_open_breaker_nothing(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    session = start_session(nursery, searches_max=1, searches_at_end_max=0)
    await session.ready()
    session.knowledge.hang()
    for number in range(3):
        await session.asks(f"how warm must the brooder number {number} be", lasts=3.0)
        assert (await outcome(session))[0] == "late"
        await trio.sleep(6.0)
    asked = len(session.knowledge.queries)
    await session.asks("how deep must the water for ducks be")
    assert (await outcome(session))[0] == "none"
    assert len(session.knowledge.queries) == asked
    assert session.times("response.create")[-1] is not None


async def test_a_failing_store_never_ends_a_session(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    session = start_session(nursery)
    await session.ready()
    session.knowledge.fail(KnowledgeUnavailable("away"))
    for _ in range(5):
        await session.asks(QUESTION)
        assert (await outcome(session))[0] == "none"
        await trio.sleep(6.0)
    assert len(session.requests()) == 5


async def test_what_one_turn_found_serves_the_next_only_as_a_kept_passage(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    session = start_session(nursery)
    await session.ready()
    session.knowledge.answer_after(1.5)
    await session.asks("brooder warm", words_at=[1.0, 1.05], lasts=0.6)
    assert await outcome(session) == ("late", 200)
    await session.until(9.0)
    session.knowledge.hang()
    await session.asks("ducks deep water bills", words_at=[1.0, 1.05, 1.1, 1.15], lasts=0.6)
    assert (await outcome(session))[0] == "late"
    assert contexts(session.model.items) == []


def test_the_handbook_of_the_stage_tells_these_questions_apart() -> None:
    kept = PassageCache()
    kept.put(HANDBOOK, 0.0)
    assert [kept.search(query, 1, 0.0)[0].id for query in ("brooder warm degrees", "ducks water")] == ["p1", "p3"]
