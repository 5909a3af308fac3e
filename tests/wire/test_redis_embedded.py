"""A conversation that outlives its gateway, with the embedded model, which uses the conversation."""

from __future__ import annotations

import re
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.deployment import SCRIPTS, SERVE_COMMAND, GatewayProcess, environment, token
from tests.support.redis_servers import RedisServer, becomes, redis_server
from voice_trio.knowledge.sqlite.base import Chunk, KnowledgeWriter
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.testing import FakeClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("redis_is_here")

TEXTS = (
    ("Brooding", "Chicks need a brooder of thirty-four degrees in the first week."),
    ("Brooding", "Ducks need a brooder of thirty degrees in the first week."),
    ("Water", "Ducks need water that is deep enough for their bills."),
    ("Litter", "Ducks need fresh litter twice a day."),
)


@asynccontextmanager
async def embedded_model(tmp_path: Path) -> AsyncIterator[str]:
    """The embedded Realtime server as a process of its own; yields its URL."""
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "hens.md").write_text("# Hens\nA hen lays an egg a day.\n")
    command = [str(SCRIPTS / "voice-trio"), "embedded", "--bind", "127.0.0.1:0", "--documents", str(documents)]
    command += ["--stock", "--ears", "1"]
    environ = {"XDG_CACHE_HOME": str(tmp_path), "PATH": "", "COLUMNS": "200"}
    process = await trio.lowlevel.open_process(command, stderr=subprocess.PIPE, env=environ)
    try:
        assert process.stderr is not None
        told = b""
        while not (found := re.search(rb"ws://[\d.:]+/\S*", told)):
            told += await process.stderr.receive_some() or pytest.fail(told.decode())
        yield found[0].decode()
    finally:
        process.kill()
        with trio.move_on_after(5, shield=True):
            await process.wait()


async def answer_to(client: FakeClient, question: str) -> str:
    client.forget()
    await client.type(question)
    done: dict[str, Any] = (await client.hears("response.audio_transcript.done")).event
    await client.hears("response.done")
    return str(done["transcript"]).lower()


def kept(redis: RedisServer) -> bytes:
    """The record of the only session there is."""
    return b"".join(redis.do("HGET", key, "json") for key in redis.keys() if ":record:" in key)  # noqa: SIM118  # a server


@pytest.mark.slow
async def test_a_follow_up_after_the_gateway_was_killed_is_understood_by_what_was_said_before(tmp_path: Path) -> None:
    knowledge = tmp_path / "knowledge.sqlite3"
    with KnowledgeWriter(knowledge) as writer:
        for number, (title, text) in enumerate(TEXTS):
            writer.import_chunks(f"{title}{number}", "1", [Chunk(title, text, f"{title}{number}.md")])
    with trio.fail_after(55), redis_server() as redis:
        async with embedded_model(tmp_path) as model_url, trio.open_nursery() as nursery:
            environ = environment(model_url, knowledge, LOG_FORMAT="json", REDIS_URL=redis.url)
            one, two = GatewayProcess(SERVE_COMMAND, environ), GatewayProcess(SERVE_COMMAND, environ)
            await nursery.start(one.run)
            await nursery.start(two.run)

            async def join(gateway: GatewayProcess, query: str = "") -> FakeClient:
                url = f"ws://127.0.0.1:{gateway.port}/v1/ws/voice{query}"
                client = FakeClient(await open_link(nursery, url, headers={"Authorization": f"Bearer {token()}"}))
                nursery.start_soon(client.run)
                return client

            client = await join(one)
            left = (await client.hears("connection.ready")).event
            assert "thirty-four" in await answer_to(client, "How many degrees must the brooder have for chicks?")
            await becomes(lambda: b"thirty-four" in kept(redis), 20.0)  # written once it was played
            one.kill()
            resumed = await join(two, f"?resume={left['resume_token']}")
            assert (await resumed.hears("connection.ready")).event["session_id"] == left["session_id"]
            # Alone this is a question about ducks; only after the other one it is about their brooder.
            assert "thirty degrees" in await answer_to(resumed, "And for ducks?")

            stranger = await join(two)
            await stranger.hears("connection.ready")
            assert "degrees" not in await answer_to(stranger, "And for ducks?")
            nursery.cancel_scope.cancel()
