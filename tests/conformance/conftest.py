"""A client connected to each server in turn; see `servers` for which there are, and how to add another by URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.conformance_servers import NAMES, Server, running, spoken_question
from tests.support.fake_caller import FakeCaller
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.protocols.audio import BYTES_PER_MS, encode_audio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PIECE_BYTES = 100 * BYTES_PER_MS


class Client(FakeCaller):
    """Says what a test tells it to; `server` is the one it talks to."""

    def __init__(self, server: Server, link: Any) -> None:
        super().__init__(link)
        self.server = server

    async def is_refused(self, **expected: Any) -> dict[str, Any]:
        """The next error, which must say at least this."""
        error = (await self.hears("error")).event["error"]
        assert {name: error.get(name) for name in expected} == expected
        return dict(error)

    async def append(self, pcm: bytes) -> None:
        """As fast as it goes."""
        for at in range(0, len(pcm), PIECE_BYTES):
            await self.send("input_audio_buffer.append", audio=encode_audio(pcm[at : at + PIECE_BYTES]))

    async def ask(self) -> None:
        await self.append(bytes(300 * BYTES_PER_MS) + spoken_question(self.server.name) + bytes(1000 * BYTES_PER_MS))

    async def updates(self, **session: Any) -> dict[str, Any]:
        await self.send("session.update", session={"type": "realtime", **session})
        return dict((await self.hears("session.updated")).event["session"])

    async def creates_item(self, text: str, role: str = "user", **place: Any) -> dict[str, Any]:
        """`conversation.item.done`, which ends what `conversation.item.create` begins."""
        content = [{"type": "output_text" if role == "assistant" else "input_text", "text": text}]
        item = {"type": "message", "role": role, "content": content, **place.pop("item", {})}
        await self.send("conversation.item.create", item=item, **place)
        return (await self.hears("conversation.item.done")).event

    async def lives(self) -> None:
        """The session still answers."""
        await self.updates()


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return tmp_path_factory.mktemp("speech")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test against each server; this machine's ears take time to start and are tried only with speech."""
    if "server_name" in metafunc.fixturenames:
        speaks = metafunc.module.__name__.rpartition(".")[2] in ("test_speech", "test_openai_client")
        metafunc.parametrize("server_name", [name for name in NAMES if speaks or name != "embedded-real"])


@pytest.fixture
async def server(server_name: str, nursery: trio.Nursery, cache_dir: Any) -> AsyncIterator[Server]:
    async with running(server_name, nursery, cache_dir) as server:
        yield server


@pytest.fixture
async def unheard(server: Server, nursery: trio.Nursery) -> AsyncIterator[Client]:
    """A client that has just connected."""
    with trio.fail_after(server.seconds_max):
        link = await open_link(nursery, server.url, headers=server.headers)
        client = Client(server, link)
        nursery.start_soon(client.read)
        yield client
        await link.aclose()


@pytest.fixture
async def client(unheard: Client) -> Client:
    """A client whose session answers in short texts and only when asked; tests change what they are about."""
    await unheard.hears("session.created")
    listening = {"transcription": {"model": "gpt-realtime-whisper"}, "turn_detection": None}
    await unheard.updates(output_modalities=["text"], instructions="Be very brief.", audio={"input": listening})
    return unheard
