"""Turns of a client of OpenAI's protocol: context and requests, spoken, committed by hand or typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.realtime_session_fixture import (
    QUESTION,
    RealtimeSessionFixture,
)
from tests.support.session_fixture import REALTIME_CONFIG
from voice_trio.testing.script import Answer

if TYPE_CHECKING:
    from trio.testing import MockClock


# When answers come


async def test_I3_the_answer_is_asked_for_at_most_200_ms_after_the_commit(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    passthrough.knowledge.hang()
    await passthrough.ready()
    await passthrough.asks(QUESTION)
    committed = (await passthrough.client.hears("input_audio_buffer.committed")).at
    await passthrough.client.hears("response.created")
    assert passthrough.times("response.create") == [round(committed + 0.2, 6)]


async def test_who_asks_by_itself_gets_the_context_at_commit_and_the_answer_when_it_asks(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.answer_when_asked()
    await passthrough.asks(QUESTION)
    await trio.sleep(5)
    assert passthrough.requests() == ["conversation.item.create"]
    await passthrough.ask()
    await passthrough.client.hears("response.done")
    assert passthrough.requests() == ["conversation.item.create", "response.create"]


async def test_a_request_is_held_while_retrieval_runs(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    passthrough.knowledge.answer_after(0.15)
    await passthrough.ready()
    await passthrough.write(QUESTION)
    asked_at = passthrough.now
    await passthrough.ask()
    await passthrough.client.hears("response.created")
    assert passthrough.requests() == ["conversation.item.create", "conversation.item.create", "response.create"]
    assert passthrough.times("response.create") == [pytest.approx(asked_at + 0.15)]


async def test_I3_a_held_request_leaves_after_200_ms_whatever_retrieval_does(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    passthrough.knowledge.hang()
    await passthrough.ready()
    await passthrough.write(QUESTION)
    asked_at = passthrough.now
    await passthrough.ask()
    await passthrough.client.hears("response.created")
    assert passthrough.times("response.create") == [pytest.approx(asked_at + 0.2)]


async def test_I1_a_client_that_asks_although_it_need_not_is_answered_once(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    passthrough.knowledge.hang()
    await passthrough.ready()
    await passthrough.asks(QUESTION)
    await passthrough.client.hears("input_audio_buffer.committed")
    await passthrough.ask(metadata={"from": "client"})
    await passthrough.client.hears("response.done")
    await trio.sleep(5)
    assert len(passthrough.model.heard("response.create")) == 1
    assert passthrough.last_told("response.done")["response"]["metadata"] == {"from": "client"}


async def test_I1_a_request_during_an_answer_is_refused_as_openai_would(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.ask()
    await passthrough.client.hears("response.created")
    await passthrough.ask("second")
    await passthrough.client.hears("response.done")
    (error,) = passthrough.errors()
    assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "second")
    assert len(passthrough.model.heard("response.create")) == 1


async def test_committed_by_hand_and_asked_at_once_the_answer_still_follows_its_context(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.listen_by_hand()
    passthrough.knowledge.answer_after(0.05)
    await passthrough.append(2.0)
    await passthrough.send("input_audio_buffer.commit")
    await passthrough.ask("mine")
    committed = await passthrough.client.hears("input_audio_buffer.committed")
    passthrough.model.complete_transcript(committed.event["item_id"], QUESTION)
    await passthrough.client.hears("response.done")
    kinds = [entry.type for entry in passthrough.model.received if entry.type != "session.update"]
    assert kinds == [
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "conversation.item.create",
        "response.create",
    ]


async def test_words_before_a_commit_by_hand_are_searched_early(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    passthrough.knowledge.answer_after(0.4)
    await passthrough.ready()
    await passthrough.listen_by_hand()
    await passthrough.append(2.0)
    passthrough.model.hear_piece("item_0_early", QUESTION)
    await trio.sleep(0.5)
    assert len(passthrough.knowledge.queries) == 1


async def test_an_empty_commit_is_refused_by_its_own_id_and_holds_nothing_up(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.listen_by_hand()
    await passthrough.send("input_audio_buffer.commit", "empty")
    await passthrough.ask()
    await passthrough.client.hears("response.done")
    (error,) = passthrough.errors()
    assert (error["code"], error["event_id"]) == ("input_audio_buffer_commit_empty", "empty")


async def test_earlier_items_are_taken_as_they_are_and_only_the_last_question_is_searched(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    for number in range(6):
        await passthrough.write(f"Question number {number} about turkeys")
        text = [{"type": "output_text", "text": f"Answer {number}"}]
        await passthrough.send(
            "conversation.item.create", item={"type": "message", "role": "assistant", "content": text}
        )
    await passthrough.write(QUESTION)
    assert passthrough.knowledge.queries == []
    await passthrough.ask()
    await passthrough.client.hears("response.done")
    assert len(passthrough.knowledge.queries) == 1
    assert "turkeys" not in passthrough.knowledge.queries[0].text


async def test_a_greeting_needs_no_question(autojump_clock: MockClock, passthrough: RealtimeSessionFixture) -> None:
    await passthrough.ready()
    await passthrough.ask(instructions="Say hello.")
    await passthrough.client.hears("response.done")
    (asked,) = passthrough.model.heard("response.create")
    assert asked.event["response"]["instructions"] == f"{REALTIME_CONFIG.instructions}\n\nSay hello."
    assert passthrough.knowledge.queries == []


async def test_functions_are_the_clients_own(autojump_clock: MockClock, passthrough: RealtimeSessionFixture) -> None:
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
    await passthrough.ready()
    shown = await passthrough.update(tools=[tool], tool_choice="auto")
    assert shown["tools"] == [tool]
    passthrough.model.call_function("weather", "{}")
    await passthrough.asks(QUESTION)
    call = (await passthrough.client.hears("response.function_call_arguments.done")).event
    await passthrough.client.hears("response.done")
    searched = len(passthrough.knowledge.queries)
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    await passthrough.send("conversation.item.create", item=output)
    asked_at = passthrough.now
    await passthrough.ask()
    await passthrough.client.hears("response.done")
    assert passthrough.times("response.create")[-1] == pytest.approx(asked_at)
    assert len(passthrough.knowledge.queries) == searched
    assert passthrough.errors() == []


async def test_a_response_aside_of_the_conversation_disturbs_nothing(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    passthrough.model.answers_next(Answer(audio_ms=4000), Answer(audio_ms=4000))
    await passthrough.ask()
    await passthrough.client.hears("response.created")
    await passthrough.ask(conversation="none", metadata={"purpose": "label"})
    aside = (await passthrough.client.hears("response.created")).event["response"]
    assert aside["metadata"] == {"purpose": "label"}
    passthrough.model.start_speech()
    await trio.sleep(10)
    done = {
        e.event["response"]["id"]: e.event["response"]["status"] for e in passthrough.client.heard_of("response.done")
    }
    assert done == {passthrough.response_id(0): "cancelled", aside["id"]: "completed"}
    assert sum(1 for _ in passthrough.audio_of(aside["id"])) == 40
    assert passthrough.errors() == []
