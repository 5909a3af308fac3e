"""The Weaviate adapter against a server that speaks Weaviate's own messages."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.session_fixture import SessionFixture
from tests.support.weaviate_server import WeaviateServer
from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.errors import ConfigurationError, KnowledgeUnavailable
from voice_trio.knowledge.shared_knowledge import SharedKnowledge
from voice_trio.knowledge.weaviate.knowledge import WeaviateAddress, WeaviateKnowledge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

HANDBOOK = (
    Passage("1", "Brooding", "The brooder must be 32 to 35 degrees in the first week.", "handbook"),
    Passage("2", "Water", "Hens drink a quarter of a litre a day. Chicks drink less.", "handbook"),
    Passage("3", "Ammonia", "Wet litter makes ammonia, which hurts the eyes of hens.", "handbook"),
)
SECONDS_MAX = 0.5


@pytest.fixture
def server() -> Iterator[WeaviateServer]:
    with WeaviateServer(HANDBOOK) as server:
        yield server


def knowledge_at(url: str, **how: Any) -> WeaviateKnowledge:
    return WeaviateKnowledge(WeaviateAddress.of(url), search_seconds_max=SECONDS_MAX, **how)


async def test_a_hybrid_search_brings_passages_best_first(server: WeaviateServer) -> None:
    knowledge = knowledge_at(server.url, alpha=0.25)
    with trio.fail_after(20):
        found = await knowledge.search("how warm must the brooder be", 2)
    knowledge.close()
    assert (found[0].title, found[0].text, found[0].source) == (HANDBOOK[0].title, HANDBOOK[0].text, "handbook")
    assert found[0].id
    assert found[0].score > 0
    (request,) = server.requests
    assert request.collection == "Document"
    assert request.limit == 2
    assert request.hybrid_search.query == "how warm must the brooder be"
    hybrid = request.hybrid_search
    assert (hybrid.alpha_param if hybrid.use_alpha_param else hybrid.alpha) == pytest.approx(0.25)


async def test_nothing_that_fits_is_an_empty_answer_and_an_empty_question_is_not_asked(server: WeaviateServer) -> None:
    knowledge = knowledge_at(server.url)
    with trio.fail_after(20):
        assert await knowledge.search("zeppelin", 5) == ()
        assert await knowledge.search("  ", 5) == ()
        assert await knowledge.search("hens", 0) == ()
    knowledge.close()
    assert len(server.requests) == 1


async def test_of_a_very_long_question_the_last_words_are_asked(server: WeaviateServer) -> None:
    knowledge = knowledge_at(server.url)
    with trio.fail_after(20):
        await knowledge.search("so " * 10_000 + "brooder", 1)
    knowledge.close()
    assert len(server.requests[0].hybrid_search.query) <= 2_000
    assert server.requests[0].hybrid_search.query.endswith("so brooder")


async def test_the_key_goes_with_every_search() -> None:
    with WeaviateServer(HANDBOOK, api_key="sesame") as server:
        knowledge, stranger = knowledge_at(server.url, api_key="sesame"), knowledge_at(server.url, api_key="wrong")
        with trio.fail_after(20):
            assert await knowledge.search("brooder", 1)
            with pytest.raises(KnowledgeUnavailable) as refused:
                await stranger.search("brooder", 1)
        assert "wrong" not in str(refused.value)
        knowledge.close()
        stranger.close()


async def test_other_names_of_collection_and_text_are_used(server: WeaviateServer) -> None:
    knowledge = knowledge_at(server.url, collection="Handbook", text_property="source")
    with trio.fail_after(20):
        (found,) = await knowledge.search("ammonia", 1)
    knowledge.close()
    assert server.requests[0].collection == "Handbook"
    assert found.text == "handbook"


async def test_an_error_a_hang_and_half_an_answer_are_one_kind_of_error(server: WeaviateServer) -> None:
    knowledge = knowledge_at(server.url)
    with trio.fail_after(30):
        assert await knowledge.search("brooder", 1)
        for misbehave in (server.fail, server.answer_half, server.hang):
            misbehave()
            with pytest.raises(KnowledgeUnavailable):
                await knowledge.search("brooder", 1)
        server.behave()
        assert await knowledge.search("brooder", 1)
    knowledge.close()


# The driver asks a closed port again and again for about a minute, so these are what stands before it.


async def test_a_server_that_has_gone_costs_the_time_limit_three_times_and_then_nothing(
    nursery: trio.Nursery, server: WeaviateServer
) -> None:
    knowledge = knowledge_at(server.url)
    shared = SharedKnowledge(knowledge, nursery, search_seconds_max=SECONDS_MAX)
    with trio.fail_after(20):
        assert await shared.search("brooder", 1)
        server.close()
        for question, seconds_max in (("one", 1.0), ("two", 1.0), ("three", 1.0), ("four", 0.1), ("five", 0.1)):
            began = time.monotonic()
            with pytest.raises(KnowledgeUnavailable):
                await shared.search(question, 1)
            assert time.monotonic() - began < seconds_max
    assert knowledge.busy == 3  # no thread is held by a question that came after
    knowledge.close()
    nursery.cancel_scope.cancel()


async def test_a_turn_goes_on_in_time_when_the_server_has_gone(nursery: trio.Nursery, server: WeaviateServer) -> None:
    knowledge = knowledge_at(server.url)
    with trio.fail_after(30):
        await knowledge.search("brooder", 1)
        session = SessionFixture(
            nursery, knows=lambda _: SharedKnowledge(knowledge, nursery, search_seconds_max=SECONDS_MAX)
        )
        await session.ready()
        await session.asks("how warm must the brooder be", words_at=[0.1 * n for n in range(6)], lasts=1.0)
        await session.model.hears("response.create")
        assert (await session.client.hears("context.injected")).event["outcome"] == "hidden"
        await session.model.says("response.done")
        server.close()
        for question in ("does wet litter hurt the eyes", "how much water do hens drink"):
            await session.asks(question, words_at=[0.1 * n for n in range(6)], lasts=1.0)
            committed = time.monotonic()
            await session.model.hears("response.create")
            assert time.monotonic() - committed < 0.4  # 200 ms, and something for a busy machine
            assert (await session.client.hears("context.injected")).event["outcome"] in ("late", "none")
            await session.model.says("response.done")
    knowledge.close()
    nursery.cancel_scope.cancel()


async def test_a_cancelled_search_returns_at_once_and_its_thread_ends_by_itself(server: WeaviateServer) -> None:
    knowledge = knowledge_at(server.url)
    with trio.fail_after(20):
        await knowledge.search("brooder", 1)
        server.hang()
        began = time.monotonic()
        with trio.move_on_after(0.05):
            await knowledge.search("brooder", 1)
        assert time.monotonic() - began < 0.3
        assert knowledge.busy == 1
        while knowledge.busy:  # noqa: ASYNC110 - a thread ends there, which can set no trio event
            await trio.sleep(0.02)
    knowledge.close()


async def test_waiting_for_a_thread_and_searching_are_measured_apart(server: WeaviateServer) -> None:
    seen: list[tuple[float, float]] = []
    knowledge = knowledge_at(server.url, observe=lambda queued, took: seen.append((queued, took)))
    server.answer_after(0.1)
    with trio.fail_after(20):
        await knowledge.search("brooder", 1)
    knowledge.close()
    ((queued, took),) = seen
    assert queued < took
    assert took >= 0.1


async def test_health_says_whether_it_answers(server: WeaviateServer) -> None:
    knowledge = knowledge_at(server.url)
    with trio.fail_after(20):
        assert await knowledge.is_available()
        nobody = knowledge_at("http://127.0.0.1:9?grpc_port=9")
        assert not await nobody.is_available()
        with pytest.raises(KnowledgeUnavailable):
            await nobody.search("brooder", 1)
    knowledge.close()


async def test_a_port_that_accepts_and_never_answers_costs_no_more_than_the_time_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.monotonic()
        knowledge = knowledge_at(f"http://127.0.0.1:{port}?grpc_port={port}")  # making one waits for nothing
        assert time.monotonic() - began < 0.1
        with trio.fail_after(20):
            with pytest.raises(KnowledgeUnavailable):
                await knowledge.search("brooder", 1)
            assert not await knowledge.is_available()


class DefectiveWeaviate(WeaviateKnowledge):
    """Its connection fails as the client library should not: two threads that import it at once deadlock."""

    def _connected(self) -> Any:
        raise RuntimeError("deadlock detected by _ModuleLock('weaviate')")


async def test_an_error_of_any_kind_makes_it_unavailable_and_ends_nothing_else_F58() -> None:
    knowledge = DefectiveWeaviate(WeaviateAddress.of("http://127.0.0.1:1"))
    with trio.fail_after(20):
        assert not await knowledge.is_available()
        with pytest.raises(KnowledgeUnavailable, match="RuntimeError: deadlock detected"):
            await knowledge.search("brooder", 1)
        with pytest.raises(KnowledgeUnavailable, match="RuntimeError: deadlock detected"):
            await knowledge.look_up(["5c8f3b7e-0b5e-4a7e-9a39-6d0a2f1c7d11"])


def test_the_client_library_is_imported_only_when_it_is_needed() -> None:
    code = "import sys, voice_trio.knowledge.weaviate.knowledge; sys.exit('weaviate' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://localhost:8080", WeaviateAddress("localhost", 8080, "localhost", 50051, False)),
        ("http://weaviate", WeaviateAddress("weaviate", 80, "weaviate", 50051, False)),
        ("https://w.example:8443?grpc_port=50052", WeaviateAddress("w.example", 8443, "w.example", 50052, True)),
        ("https://w.example?grpc_host=g.example", WeaviateAddress("w.example", 443, "g.example", 50051, True)),
        (
            "https://abc.c0.europe.gcp.weaviate.cloud",
            WeaviateAddress(
                "abc.c0.europe.gcp.weaviate.cloud", 443, "grpc-abc.c0.europe.gcp.weaviate.cloud", 443, True
            ),
        ),
        (
            "https://abc.weaviate.network",
            WeaviateAddress("abc.weaviate.network", 443, "abc.grpc.weaviate.network", 443, True),
        ),
    ],
)
def test_both_ports_come_from_one_url(url: str, address: WeaviateAddress) -> None:
    assert WeaviateAddress.of(url) == address


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x", "http://", "http://x:99999", "http://x?grpc_port=many"])
def test_a_wrong_url_names_the_variable(url: str) -> None:
    with pytest.raises(ConfigurationError, match="WEAVIATE_URL"):
        WeaviateAddress.of(url)
