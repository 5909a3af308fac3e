"""A Weaviate that accepts connections and never responds: sessions start and respond in time (real clock)."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import trio

from tests.support.deployment import gateway
from tests.support.session_fixture import SessionFixture
from tests.support.weaviate_server import WeaviateServer
from voice_trio.conversation.policy import Policy
from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.knowledge.shared_knowledge import SharedKnowledge
from voice_trio.knowledge.weaviate.knowledge import WeaviateAddress, WeaviateKnowledge

if TYPE_CHECKING:
    from pathlib import Path

    from voice_trio.knowledge.knowledge import Knowledge

BROODING = Passage("1", "Brooding", "The brooder must be at 34 degrees in the first week.", "handbook")


def stage_with(nursery: trio.Nursery, url: str) -> tuple[SessionFixture, WeaviateKnowledge]:
    store = WeaviateKnowledge(WeaviateAddress.of(url), search_seconds_max=0.5)

    def shared(_: Knowledge) -> Knowledge:
        return SharedKnowledge(store, nursery, search_seconds_max=0.5)

    return SessionFixture(nursery, policy=Policy(passage_cache=True), knows=shared), store


async def test_a_session_is_ready_at_once_and_its_answer_is_asked_for_within_the_wait(nursery: trio.Nursery) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with trio.fail_after(20):
            session, store = stage_with(nursery, f"http://127.0.0.1:{port}?grpc_port={port}")
            began = time.monotonic()
            await session.ready()
            assert time.monotonic() - began < 1.0
            await session.asks("how warm must the brooder be now", words_at=[0.1 * n for n in range(7)], lasts=1.0)
            committed = time.monotonic()
            await session.model.hears("response.create")
            assert time.monotonic() - committed < 0.4  # 200 ms, and something for a busy machine
        store.close()
        nursery.cancel_scope.cancel()


async def test_kept_passages_serve_when_the_weaviate_has_fallen_silent(nursery: trio.Nursery) -> None:
    with WeaviateServer([BROODING]) as server, trio.fail_after(30):
        session, store = stage_with(nursery, server.url)
        await session.ready()
        await session.asks("how warm must the brooder be", words_at=[0.1 * n for n in range(6)], lasts=2.0)
        assert (await session.client.hears("context.injected")).event["outcome"] == "hidden"
        await session.model.says("response.done")
        await trio.sleep(1.0)
        server.hang()
        await session.asks("degrees in the brooder please", words_at=[0.1 * n for n in range(5)], lasts=1.0)
        told = (await session.client.hears("context.injected")).event
        assert told["outcome"] == "local"
        assert [each["title"] for each in told["passages"]] == ["Brooding"]
        store.close()
        nursery.cancel_scope.cancel()


async def test_a_gateway_that_is_given_a_weaviate_answers_from_it_and_says_so(tmp_path: Path) -> None:
    with WeaviateServer([BROODING]) as server, trio.fail_after(30):
        async with gateway(tmp_path, WEAVIATE_URL=server.url) as deployment, trio.open_nursery() as nursery:
            client = await deployment.join(nursery)
            await client.hears("connection.ready")
            await client.type("how warm must the brooder be?")  # connecting takes longer than the wait …
            await client.hears("response.done")
            await trio.sleep(1.0)
            await client.type("degrees in the brooder please")  # … the second question finds it open
            told = (await client.hears("context.injected")).event
            told = (await client.hears("context.injected")).event
            assert told["outcome"] in ("waited", "local", "hidden")
            assert [each["title"] for each in told["passages"]] == ["Brooding"]
            health = (await deployment.get("/v1/voice/health")).json
            assert (health["weaviate_enabled"], health["knowledge_available"]) == (True, True)
            nursery.cancel_scope.cancel()
