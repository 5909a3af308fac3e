"""OpenAI's own Python client talks to each server: text, then sound. It knows nothing of this project."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import trio
from openai import AsyncOpenAI

from tests.support.conformance_servers import QUESTION, spoken_question

if TYPE_CHECKING:
    from openai.resources.realtime.realtime import AsyncRealtimeConnection

    from tests.support.conformance_servers import Server

pytest.importorskip("websockets", reason="the client's socket comes with openai[realtime]")

FACT = "The brooder should be 36 degrees Celsius in the first week."
CONTEXT = f'<context>\n<passage title="Brooding" source="s">{FACT}</passage>\n</context>'


async def test_a_typed_question_is_answered_in_text(server: Server) -> None:
    said = await in_asyncio(server, _type)
    assert "36" in said


async def test_a_spoken_question_is_heard_and_answered_in_sound(server: Server) -> None:
    transcript, said, sound_ms = await in_asyncio(server, _speak)
    assert len(set(transcript.lower().split()) & set(QUESTION.split())) >= 4
    # The gateway's own documents, which say otherwise, come right before the answer.
    degrees = "34" if server.name == "gateway" else "36"
    assert degrees in said or "thirty-six" in said
    assert sound_ms > 1000


async def in_asyncio(server: Server, talk: Any) -> Any:
    """What `talk` returns, from a thread: the client needs asyncio. It bounds itself, a thread cannot be cancelled."""

    async def connected() -> Any:
        url, _, query = server.url.partition("?")
        key = server.headers.get("authorization", "Bearer none").removeprefix("Bearer ")
        client = AsyncOpenAI(api_key=key, websocket_base_url=url.removesuffix("/realtime"), max_retries=0)
        model = query.partition("model=")[2] or "gpt-realtime"
        async with asyncio.timeout(server.seconds_max), client, client.realtime.connect(model=model) as connection:
            return await talk(connection, server)

    return await trio.to_thread.run_sync(lambda: asyncio.run(connected()))


async def _type(connection: AsyncRealtimeConnection, server: Server) -> str:
    await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
    await _item(connection, "user", "How warm should the brooder be in the first week?")
    await _item(connection, "system", CONTEXT)
    await connection.response.create()
    said = ""
    async for event in connection:
        if event.type == "error":
            pytest.fail(event.error.message)
        if event.type == "response.output_text.done":
            said = event.text
        # Read to the end: with five events unread, this client stops reading and then waits 10 s for the closing.
        if event.type == "response.done":
            break
    return said


async def _speak(connection: AsyncRealtimeConnection, server: Server) -> tuple[str, str, float]:
    await connection.session.update(
        session={
            "type": "realtime",
            "audio": {
                "input": {
                    "transcription": {"model": "gpt-realtime-whisper"},
                    "turn_detection": {"type": "server_vad", "create_response": False},
                }
            },
        }
    )
    pcm = bytes(48 * 300) + spoken_question(server.name) + bytes(48 * 1000)
    for at in range(0, len(pcm), 4800):
        await connection.input_audio_buffer.append(audio=base64.b64encode(pcm[at : at + 4800]).decode())
    transcript, said, sound = "", "", Counter[str]()
    async for event in connection:
        if event.type == "error":
            pytest.fail(event.error.message)
        if event.type == "conversation.item.input_audio_transcription.completed":
            transcript = event.transcript
            await _item(connection, "system", CONTEXT)
            await connection.response.create()
        if event.type == "response.output_audio.delta":
            sound[event.item_id] += len(base64.b64decode(event.delta))
        if event.type == "response.output_audio_transcript.done":
            said = event.transcript
        if event.type == "response.done":
            break
    return transcript, said, sum(sound.values()) / 48


async def _item(connection: AsyncRealtimeConnection, role: Any, text: str) -> None:
    item: Any = {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}
    await connection.conversation.item.create(item=item)
