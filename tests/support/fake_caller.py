"""A client of the embedded server with verbs, over any link; every event is checked against the published types."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from tests.support.embedded_fixture import check
from voice_trio.embedded.connection import Connection
from voice_trio.embedded.session import EmbeddedConfig
from voice_trio.errors import LinkClosed
from voice_trio.protocols.audio import BYTES_PER_MS, encode_audio
from voice_trio.testing.links import memory_link_pair
from voice_trio.testing.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice_trio.embedded.connection import Pace
    from voice_trio.embedded.engines import Engines
    from voice_trio.net.link import Link
    from voice_trio.testing.links import MemoryLink

LISTENING: dict[str, Any] = {
    "type": "realtime",
    "audio": {
        "input": {
            "transcription": {"model": "gpt-realtime-whisper"},
            "turn_detection": {"type": "server_vad", "create_response": False},
        }
    },
}


class FakeCaller(Recorder):
    def __init__(self, link: Link) -> None:
        super().__init__()
        self.link = link
        self.lost: LinkClosed | None = None

    async def read(self) -> None:
        """Record what comes until the link is gone."""
        while True:
            try:
                frame = await self.link.receive()
            except LinkClosed as closed:
                self.lost = closed
                return
            assert isinstance(frame, str)
            self.record(check(frame))

    async def send(self, kind: str, **fields: Any) -> None:
        await self.link.send(json.dumps({"type": kind, **fields}))

    async def speak(self, pcm: bytes, *, faster: float = 1.0) -> None:
        """Append as a microphone does: 40 ms at a time, in real time."""
        piece = 40 * BYTES_PER_MS
        for at in range(0, len(pcm), piece):
            await self.send("input_audio_buffer.append", audio=encode_audio(pcm[at : at + piece]))
            await trio.sleep(0.04 / faster)

    async def type(self, text: str, role: str = "user") -> None:
        content = [{"type": "input_text", "text": text}]
        await self.send("conversation.item.create", item={"type": "message", "role": role, "content": content})

    def said(self) -> str:
        """The transcripts of all answers so far."""
        return " ".join(entry.event["transcript"] for entry in self.heard("response.output_audio_transcript.done"))


@asynccontextmanager
async def calling(engines: Engines, pace: Pace | None = None, **config: Any) -> AsyncIterator[FakeCaller]:
    """A caller in memory, greeted."""
    ours, theirs = memory_link_pair()
    connection = Connection(theirs, engines, EmbeddedConfig("t", 1_800_000_000, **config), pace)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_serve, connection, theirs)
        caller = FakeCaller(ours)
        nursery.start_soon(caller.read)
        await caller.hears("session.created")
        yield caller
        nursery.cancel_scope.cancel()


async def _serve(connection: Connection, link: MemoryLink) -> None:
    await connection.run()
    await link.aclose()
