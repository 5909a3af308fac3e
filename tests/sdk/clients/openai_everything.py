"""`openai` for Python, event by event: each request that a client may make, the wrong ones too, and what came of it.

One after the other, each with an id of its own, and nothing spoken: so two servers can be compared by what they say.
"""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

from openai import AsyncOpenAI

from tests.sdk.clients.listener import Listener, read_job

if TYPE_CHECKING:
    from openai.resources.realtime.realtime import AsyncRealtimeConnection

STEP_SECONDS_MAX = 8.0
BEHIND_SECONDS = 0.04
SOUND = base64.b64encode(bytes(48 * 400)).decode()
COUNT_BIRDS = {"type": "function", "name": "count_birds", "description": "Counts.", "parameters": {"type": "object"}}


def message(text: str, role: str = "user", **more: Any) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}], **more}


def session(**fields: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": {"type": "realtime", **fields}}


def create(item: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "conversation.item.create", "item": item, **more}


def respond(**response: Any) -> dict[str, Any]:
    return {"type": "response.create", **({"response": response} if response else {})}


def about(what: str, item_id: str, **more: Any) -> dict[str, Any]:
    return {"type": f"conversation.item.{what}", "item_id": item_id, **more}


def buffer(what: str, **more: Any) -> dict[str, Any]:
    return {"type": f"input_audio_buffer.{what}", **more}


WRITTEN: dict[str, Any] = {"output_modalities": ["text"], "audio": {"input": {"turn_detection": None}}}
FIRST = create(message("First.", id="mine_0"), previous_item_id="root")
SECOND = create(message("Second.", id="mine_2"), previous_item_id="mine_0")
QUOTED = [{"type": "item_reference", "id": "mine_0"}, message("And this?")]
UPDATED, MADE, ANSWERED, REFUSED = "session.updated", "conversation.item.done", "response.done", "error"
STEPS: list[tuple[str, list[dict[str, Any]], str]] = [
    ("a session that writes and listens by hand", [session(**WRITTEN)], UPDATED),
    ("a tool and no other", [session(tools=[COUNT_BIRDS], tool_choice="auto")], UPDATED),
    ("nothing at all", [session()], UPDATED),
    ("a question", [create(message("Hello there.")), respond()], ANSWERED),
    ("a question with an id", [create(message("Hello again.", id="mine_1"))], MADE),
    ("the same id again", [create(message("Hello again.", id="mine_1"))], REFUSED),
    ("an item at the front", [FIRST], MADE),
    ("an item in between", [SECOND], MADE),
    ("an item after nobody", [create(message("Third."), previous_item_id="nobody")], REFUSED),
    ("an answer it gave before", [create(message("I said so.", "assistant", id="mine_3"))], MADE),
    ("an instruction", [create(message("Be brief.", "system", id="mine_4"))], MADE),
    ("an item with wrong content", [create(message("x", "assistant") | {"role": "user"})], REFUSED),
    ("an item of no kind", [create({"type": "poem"})], REFUSED),
    ("fetched", [about("retrieve", "mine_1")], "conversation.item.retrieved"),
    ("fetched in vain", [about("retrieve", "nobody")], REFUSED),
    ("deleted", [about("delete", "mine_1")], "conversation.item.deleted"),
    ("deleted twice", [about("delete", "mine_1")], REFUSED),
    ("an answer with metadata", [respond(metadata={"a": "b"}, instructions="Sing.")], ANSWERED),
    ("an answer aside", [respond(conversation="none", metadata={"aside": "yes"}, input=[])], ANSWERED),
    ("an answer to what is quoted", [respond(conversation="none", input=QUOTED)], ANSWERED),
    ("a call", [create(message("Please count.")), respond()], ANSWERED),
    ("too much metadata", [respond(metadata={"a": "x" * 513})], REFUSED),
    ("an empty buffer", [buffer("commit")], REFUSED),
    ("sound, cleared", [buffer("append", audio=SOUND), buffer("clear")], "input_audio_buffer.cleared"),
    ("sound, committed", [buffer("append", audio=SOUND), buffer("commit")], MADE),
    ("an answer to it", [respond()], ANSWERED),
    ("sound that is none", [buffer("append", audio="!")], REFUSED),
    ("stopped without need", [{"type": "response.cancel"}], REFUSED),
    ("stopped by a wrong name", [{"type": "response.cancel", "response_id": "resp_nobody"}], REFUSED),
    ("an answer in sound", [create(message("Hello there.")), respond(output_modalities=["audio"])], ANSWERED),
    ("another voice, too late", [session(audio={"output": {"voice": "cedar"}})], REFUSED),
    ("cut where no sound is", [about("truncate", "mine_0", content_index=0, audio_end_ms=1)], REFUSED),
    ("a buffer of other transports", [{"type": "output_audio_buffer.clear"}], REFUSED),
    ("another kind of session", [{"type": "session.update", "session": {"type": "transcription"}}], REFUSED),
    ("no kind of session", [{"type": "session.update", "session": {}}], REFUSED),
    ("no such event", [{"type": "conversation.item.paint"}], REFUSED),
    ("no type", [{"kind": "nothing"}], REFUSED),
]


async def read(connection: AsyncRealtimeConnection, heard: Listener) -> None:
    async for event in connection:
        heard.note(event.to_dict(mode="json"))


async def step(connection: Any, heard: Listener, number: int, events: list[dict[str, Any]], end: str) -> None:
    mark = len(heard.events)
    for place, event in enumerate(events):
        await connection.send({**event, "event_id": f"step_{number}_{place}"})
    await heard.hears(end, after=mark)
    await asyncio.sleep(BEHIND_SECONDS)  # for what comes right behind


async def stop_midway(connection: Any, heard: Listener) -> None:
    """One response at a time; a cancelled one ends."""
    mark = len(heard.events)
    await connection.send(create(message("Tell me at length.")) | {"event_id": "long_0"})
    await connection.send(respond(output_modalities=["audio"]) | {"event_id": "long_1"})
    created = await heard.hears("response.created", after=mark)
    await connection.send(respond() | {"event_id": "long_2"})
    await heard.hears("error", after=mark)
    await heard.hears("response.output_audio.delta", after=mark)
    await connection.send({"type": "response.cancel", "response_id": created["response"]["id"], "event_id": "long_3"})
    await heard.hears("response.done", after=mark)
    await asyncio.sleep(BEHIND_SECONDS)


async def talk(connection: Any, heard: Listener, marks: list[tuple[str, int]]) -> None:
    reading = asyncio.create_task(read(connection, heard))
    await heard.hears("session.created")
    for number, (name, events, end) in enumerate(STEPS):
        marks.append((name, len(heard.events)))
        try:
            async with asyncio.timeout(STEP_SECONDS_MAX):
                await step(connection, heard, number, events, end)
        except TimeoutError:
            heard.errors.append(f"{name}: no {end}")
    marks.append(("stopped midway", len(heard.events)))
    await stop_midway(connection, heard)
    reading.cancel()


async def main() -> None:
    job, heard = read_job(), Listener()
    marks: list[tuple[str, int]] = []
    client = AsyncOpenAI(api_key=job["token"], base_url=job["base_url"])
    async with (
        asyncio.timeout(job["seconds_max"]),
        client,
        client.realtime.connect(model=job["model"]) as connection,
    ):
        await talk(connection, heard, marks)
    heard.report(marks=marks)


asyncio.run(main())
