"""Half an emoji in any text, in either direction and on either protocol: read with replacement, nothing lost (F21)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import structlog
import trio

from tests.support.response_ends import unended_responses
from tests.support.session_fixture import SessionFixture
from voice_trio.conversation.retrieval.passage import Passage

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.support.realtime_session_fixture import RealtimeSessionFixture

HALF = "\ud83d"


def say(session: SessionFixture, **event: Any) -> None:
    """The upstream sends a frame of its own, with `HALF` written as an escape."""
    session.model.session.link.send_nowait(json.dumps(event))  # type: ignore[union-attr]  # a memory link, after ready


async def test_a_question_with_half_an_emoji_is_asked_F21(autojump_clock: MockClock, session: SessionFixture) -> None:
    await session.ready()
    await session.client.send(r'{"type":"text.input","text":"how warm \ud83d"}')
    await session.client.hears("response.done")
    item = session.model.heard("conversation.item.create")[0].event["item"]
    assert item["content"][0]["text"] == "how warm \ufffd"
    assert session.told().count("error") == 0


async def test_words_with_half_an_emoji_lose_no_end_F21(autojump_clock: MockClock, session: SessionFixture) -> None:
    await session.ready()
    session.model.answers_with(HALF, audio_ms=400, first_audio_after=5.0)
    await session.client.type("how warm")
    created = (await session.client.hears("response.created")).event["response_id"]
    say(session, type="response.output_audio_transcript.delta", response_id=created, item_id="i", delta=f"warm {HALF}")
    say(session, type="response.done", response={"id": created, "status": "completed", "output": [{"text": HALF}]})
    done = await session.client.hears("response.done")
    assert (done.event["response_id"], done.event["status"]) == (created, "completed")
    assert session.last_told("response.audio_transcript.delta")["delta"] == "warm \ufffd"


async def test_a_response_that_ends_without_an_id_is_the_active_one_F21(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.model.answers_with("Warm.", audio_ms=400, first_audio_after=5.0)
    await session.client.type("how warm")
    created = (await session.client.hears("response.created")).event["response_id"]
    say(session, type="response.done", response=None)
    done = await session.client.hears("response.done")
    assert (done.event["response_id"], done.event["status"]) == (created, "failed")


async def test_a_function_may_return_half_an_emoji_F21(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async def weather(arguments: str) -> str:
        await trio.lowlevel.checkpoint()
        return f'{{"sky":"{HALF}"}}'

    session = SessionFixture(nursery, tools={"weather": weather})
    await session.ready()
    session.model.call_function("weather", "{}")
    await session.client.type("how is the weather")
    await session.client.hears("response.done")
    await trio.sleep(5)
    outputs = [entry.event["item"] for entry in session.model.heard("conversation.item.create")]
    assert [item["output"] for item in outputs if item["type"] == "function_call_output"] == ['{"sky":"\ufffd"}']


async def test_passages_may_have_half_an_emoji_F21(autojump_clock: MockClock, session: SessionFixture) -> None:
    session.knowledge.learn(Passage("p9", f"Geese{HALF}", f"Geese graze.{HALF}", "handbook 9"))
    await session.ready()
    await session.client.type("what do geese graze")
    await session.client.hears("response.done")
    assert session.last_told("context.injected")["passages"][0]["title"] == "Geese\ufffd"


async def test_a_passthrough_client_may_send_half_an_emoji_anywhere_F21(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    content = [{"type": "input_text", "text": f"how warm {HALF}"}]
    item = {"type": "message", "role": "user", "content": content}
    await passthrough.client.send(json.dumps({"type": "conversation.item.create", "item": item}))
    response = {"metadata": {f"key{HALF}": HALF}}
    await passthrough.client.send(json.dumps({"type": "response.create", "event_id": "mine", "response": response}))
    done = await passthrough.client.hears("response.done")
    assert done.event["response"]["metadata"] == {"key\ufffd": "\ufffd"}
    assert passthrough.errors() == []
    sent = passthrough.model.heard("conversation.item.create")[0].event["item"]
    assert sent["content"][0]["text"] == "how warm \ufffd"


async def test_an_unreadable_end_reaches_a_passthrough_client_in_openais_form_F21(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    passthrough.model.answers_with("Warm.", audio_ms=400, first_audio_after=5.0)
    await passthrough.ask()
    await passthrough.client.hears("response.created")
    say(passthrough, type="response.done")
    done = await passthrough.client.hears("response.done")
    assert done.event["response"]["id"] == passthrough.response_id()
    assert done.event["response"]["status"] == "failed"
    await trio.sleep(10)
    assert unended_responses(entry.event for entry in passthrough.client.heard) == []


@pytest.mark.parametrize("garbage", ["\x00", '{"type":"response.output_audio.delta"}'])
async def test_thousands_of_messages_that_cannot_be_read_are_a_few_lines_of_log_F61(
    autojump_clock: MockClock, session: SessionFixture, garbage: str
) -> None:
    await session.ready()
    with structlog.testing.capture_logs() as lines:
        for _ in range(400):
            for _ in range(50):
                session.model.session.link.send_nowait(garbage)  # type: ignore[union-attr]  # a memory link
            await trio.sleep(0.1)
    skipped = [line for line in lines if line["event"] == "upstream_message_skipped"]
    assert len(skipped) <= 8
    assert sum(line["skipped"] for line in skipped) > 10_000
