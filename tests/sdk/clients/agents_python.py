"""`openai-agents` for Python: an agent with a tool, all else at its defaults. It validates every event it gets."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeError, RealtimeRunner

from tests.sdk.clients.listener import Listener, read_job, speak

if TYPE_CHECKING:
    from agents.realtime import RealtimeSession


@function_tool
def count_birds(shed: str) -> str:
    """Counts the birds in a shed."""
    return f"{shed}: 42 birds"


class Complaints(logging.Handler):
    """The warnings and errors that the package logs."""

    def __init__(self, heard: Listener) -> None:
        super().__init__(logging.WARNING)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        self._heard.errors.append(self.format(record))


async def read(session: RealtimeSession, heard: Listener, seen: list[str]) -> None:
    async for event in session:
        seen.append(event.type)
        if isinstance(event, RealtimeError):
            heard.errors.append(repr(event.error))
        elif event.type == "raw_model_event":
            note_raw(event.data, heard)


def note_raw(data: Any, heard: Listener) -> None:
    match data.type:
        case "raw_server_event":
            heard.note(data.data)
        case "exception":
            heard.errors.append(f"{data.context}: {data.exception!r}")
        case "error":
            heard.errors.append(repr(data.error))


async def talk(session: RealtimeSession, heard: Listener, pcm: bytes) -> None:
    await heard.hears("session.updated")
    await speak(pcm, session.send_audio)
    await heard.hears("conversation.item.input_audio_transcription.completed")
    mark = heard.events.index(await heard.hears("response.done")) + 1

    await session.send_message("How many hours of light do layers need?")
    await heard.hears("response.done", after=mark)

    mark = len(heard.events)
    await session.send_message("Please count the birds in shed 3.")
    mark = heard.events.index(await heard.hears("response.done", after=mark)) + 1
    await heard.hears("response.done", after=mark)

    mark = len(heard.events)
    await session.send_message("Tell me about it at length.")
    await heard.hears("response.output_audio.delta", after=mark)
    await asyncio.sleep(0.5)
    await speak(pcm, session.send_audio)
    await heard.hears("conversation.item.truncated", after=mark)
    mark = heard.events.index(await heard.hears("response.done", after=mark)) + 1
    await heard.hears("response.done", after=mark)

    # Everything has come, and most of it is still to be played.
    mark = len(heard.events)
    await speak(pcm, session.send_audio)
    await heard.hears("conversation.item.truncated", after=mark)
    await heard.hears("response.done", after=mark)
    await heard.hears("conversation.item.input_audio_transcription.completed", after=mark)
    await asyncio.sleep(0.1)  # for the items retrieved after that


async def main() -> None:
    job = read_job()
    heard, seen = Listener(), list[str]()
    logging.getLogger("openai.agents").addHandler(Complaints(heard))
    agent = RealtimeAgent(name="Farmhand", instructions="Help with the farm.", tools=[count_birds])
    session = await RealtimeRunner(agent).run(model_config={"url": job["url"], "api_key": job["token"]})
    async with asyncio.timeout(job["seconds_max"]), session:
        reading = asyncio.create_task(read(session, heard, seen))
        await talk(session, heard, job["pcm"])
        history = [item.model_dump(mode="json") for item in session._history]
        reading.cancel()
    heard.report(seen=sorted(set(seen)), history=history)


asyncio.run(main())
