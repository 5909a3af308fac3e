"""`openai` for Python, its asyncio client: everything a raw client does, by the calls of its documentation."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

from openai import AsyncOpenAI

from tests.sdk.clients.listener import Listener, read_job, speak

if TYPE_CHECKING:
    from openai.resources.realtime.realtime import AsyncRealtimeConnection

COUNT_BIRDS: Any = {
    "type": "function",
    "name": "count_birds",
    "description": "Counts the birds in a shed.",
    "parameters": {"type": "object", "properties": {"shed": {"type": "string"}}, "required": ["shed"]},
}


class Talk:
    """One connection, and the turns of a conversation."""

    def __init__(self, connection: AsyncRealtimeConnection, job: dict[str, Any]) -> None:
        self.connection = connection
        self.job = job
        self.heard = Listener()

    async def read(self) -> None:
        async for event in self.connection:
            self.heard.note(event.to_dict(mode="json"))

    async def begin(self) -> None:
        await self.heard.hears("session.created")
        audio: Any = {"input": {"transcription": {"model": "gpt-realtime-whisper"}}}
        session: Any = {"type": "realtime", "audio": audio, "tools": [COUNT_BIRDS]}
        await self.connection.session.update(session=session, event_id="begin")
        await self.heard.hears("session.updated")

    async def ask_aloud(self) -> None:
        mark = len(self.heard.events)
        await speak(self.job["pcm"], self.append)
        await self.heard.hears("response.done", after=mark)
        await self.heard.hears("conversation.item.input_audio_transcription.completed", after=mark)

    async def ask(self, text: str, **response: Any) -> int:
        mark = len(self.heard.events)
        item: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        await self.connection.conversation.item.create(item=item)
        wanted: Any = response
        await self.connection.response.create(response=wanted)
        return mark

    async def ask_with_metadata(self) -> None:
        mark = await self.ask("How many hours of light do layers need?", metadata={"client_event_id": "mine"})
        await self.heard.hears("response.done", after=mark)

    async def let_it_call(self) -> None:
        mark = await self.ask("Please count the birds in shed 3.")
        call = await self.heard.hears("response.function_call_arguments.done", after=mark)
        await self.heard.hears("response.done", after=mark)
        mark = len(self.heard.events)
        output = f"{json.loads(call['arguments'])['shed']}: 42 birds"
        item: Any = {"type": "function_call_output", "call_id": call["call_id"], "output": output}
        await self.connection.conversation.item.create(item=item)
        await self.connection.response.create()
        await self.heard.hears("response.done", after=mark)

    async def interrupt(self) -> None:
        mark = await self.ask("Tell me about it at length.")
        delta = await self.heard.hears("response.output_audio.delta", after=mark)
        await asyncio.sleep(0.5)
        speaking = asyncio.create_task(speak(self.job["pcm"], self.append))
        await self.heard.hears("input_audio_buffer.speech_started", after=mark)
        await self.connection.conversation.item.truncate(
            item_id=delta["item_id"], content_index=0, audio_end_ms=400, event_id="cut"
        )
        await self.heard.hears("conversation.item.truncated", after=mark)
        await speaking
        after_it = self.heard.events.index(await self.heard.hears("response.done", after=mark)) + 1
        await self.heard.hears("response.done", after=after_it)
        await self.heard.hears("conversation.item.input_audio_transcription.completed", after=after_it)

    async def append(self, piece: bytes) -> None:
        await self.connection.input_audio_buffer.append(audio=base64.b64encode(piece).decode())


async def main() -> None:
    job = read_job()
    client = AsyncOpenAI(api_key=job["token"], base_url=job["base_url"])
    async with asyncio.timeout(job["seconds_max"]), client:
        async with client.realtime.connect(model=job["model"]) as connection:
            talk = Talk(connection, job)
            reading = asyncio.create_task(talk.read())
            await talk.begin()
            await talk.ask_aloud()
            await talk.ask_with_metadata()
            await talk.let_it_call()
            await talk.interrupt()
            await connection.conversation.item.delete(item_id="nobody", event_id="wrong")
            wrong = await talk.heard.hears("error")
            talk.heard.events.remove(wrong)
            reading.cancel()
        talk.heard.report(wrong=wrong)


asyncio.run(main())
