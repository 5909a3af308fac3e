"""Clients of OpenAI's own protocol: the answers, and what stands between them and the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio

from tests.support.realtime_session_fixture import SPEECH_EVENTS, DropInStage
from tests.support.recorded import BEGINNING, ENDING
from tests.support.session_fixture import CONFIG, UNIX_TIME, contexts
from voice_trio.session.endings import Ending
from voice_trio.testing.script import Answer

if TYPE_CHECKING:
    from trio.testing import MockClock

QUESTION = "how warm must the brooder be in winter"
LONG = "Thirty three degrees in the first week and then a little less every day."
ANSWERED = ["response.created", *BEGINNING, *ENDING]


@pytest.fixture
async def stage(autojump_clock: MockClock, nursery: trio.Nursery) -> DropInStage:
    return DropInStage(nursery)


# What it sees


async def test_the_session_looks_as_if_nobody_stood_between(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    assert stage.told() == ["session.created"]
    session = stage.last_told("session.created")["session"]
    assert session["instructions"] == ""
    assert session["tools"] == []
    assert session["expires_at"] == UNIX_TIME + 600
    assert session["audio"]["input"]["transcription"] is None
    assert session["audio"]["input"]["turn_detection"]["create_response"] is True
    asked = stage.model.heard("session.update")[0].event["session"]
    assert asked["audio"]["input"]["turn_detection"]["create_response"] is False


async def test_I2_a_spoken_turn_is_answered_after_its_context_and_looks_like_openais_own(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    await stage.asks(QUESTION)
    await stage.client.hears("response.done")
    await trio.sleep(0.1)
    assert stage.requests() == ["conversation.item.create", "response.create"]
    assert len(contexts([entry.event for entry in stage.model.heard("conversation.item.create")])) == 1
    assert stage.told("session.created") == [
        *SPEECH_EVENTS,
        "conversation.item.added",
        "conversation.item.done",
        *[kind for kind in ANSWERED if kind != "rate_limits.updated" or kind in stage.told()],
    ]


async def test_nothing_of_ours_is_ever_seen(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    for _ in range(2):
        await stage.asks(QUESTION)
        await stage.client.hears("response.done")
        await trio.sleep(3)
    for entry in stage.client.heard:
        text = msgspec.json.encode(entry.event).decode()
        assert '"vt' not in text
        assert "<context>" not in text
        assert CONFIG.instructions not in text


async def test_items_follow_each_other_as_if_the_context_were_not_there(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    first = await stage.asks(QUESTION)
    await stage.client.hears("response.done")
    await trio.sleep(3)
    answer = stage.answer_item()
    second = await stage.asks(QUESTION)
    await stage.client.hears("response.done")
    before = {
        entry.event["item"]["id"]: entry.event["previous_item_id"]
        for entry in stage.client.heard_of("conversation.item.added")
    }
    assert before == {first: None, answer: first, second: answer, stage.answer_item(): second}
    assert stage.last_told("input_audio_buffer.committed")["previous_item_id"] == answer


async def test_the_clients_own_metadata_and_event_ids_come_back(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    await stage.write("ducks", id="mine_1")
    await stage.ask("ask_1", metadata={"topic": "ducks"})
    await stage.client.hears("response.done")
    assert stage.last_told("response.created")["response"]["metadata"] == {"topic": "ducks"}
    assert stage.last_told("response.done")["response"]["metadata"] == {"topic": "ducks"}
    assert stage.client.heard_of("conversation.item.added")[0].event["item"]["id"] == "mine_1"
    await stage.send("conversation.item.delete", "delete_1", item_id="nowhere")
    assert (await stage.client.hears("error")).event["error"]["event_id"] == "delete_1"


async def test_sixteen_pairs_of_metadata_are_all_the_clients(autojump_clock: MockClock, stage: DropInStage) -> None:
    full = {f"key{number}": "value" for number in range(16)}
    await stage.ready()
    await stage.ask(metadata=full)
    await stage.client.hears("response.done")
    assert stage.last_told("response.created")["response"]["metadata"] == full
    assert stage.errors() == []


async def test_transcription_is_told_to_those_who_asked_for_it(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    await stage.asks(QUESTION)
    await stage.client.hears("response.done")
    await trio.sleep(3)
    assert not [kind for kind in stage.client.types() if "transcription" in kind]
    shown = await stage.update(audio={"input": {"transcription": {"model": "whisper-1", "language": "en"}}})
    assert shown["audio"]["input"]["transcription"] == {"model": CONFIG.transcription_model, "language": "en"}
    await stage.asks(QUESTION)
    await stage.client.hears("conversation.item.input_audio_transcription.completed")
    assert len(stage.client.heard_of("conversation.item.input_audio_transcription.delta")) == len(QUESTION.split())


# When answers come


async def test_I3_the_answer_is_asked_for_at_most_200_ms_after_the_commit(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    stage.knowledge.hang()
    await stage.ready()
    await stage.asks(QUESTION)
    committed = (await stage.client.hears("input_audio_buffer.committed")).at
    await stage.client.hears("response.created")
    assert stage.times("response.create") == [round(committed + 0.2, 6)]


async def test_who_asks_by_itself_gets_the_context_at_commit_and_the_answer_when_it_asks(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    await stage.answer_when_asked()
    await stage.asks(QUESTION)
    await trio.sleep(5)
    assert stage.requests() == ["conversation.item.create"]
    await stage.ask()
    await stage.client.hears("response.done")
    assert stage.requests() == ["conversation.item.create", "response.create"]


async def test_a_request_is_held_while_retrieval_runs(autojump_clock: MockClock, stage: DropInStage) -> None:
    stage.knowledge.answer_after(0.15)
    await stage.ready()
    await stage.write(QUESTION)
    asked_at = stage.now
    await stage.ask()
    await stage.client.hears("response.created")
    assert stage.requests() == ["conversation.item.create", "conversation.item.create", "response.create"]
    assert stage.times("response.create") == [pytest.approx(asked_at + 0.15)]


async def test_I3_a_held_request_leaves_after_200_ms_whatever_retrieval_does(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    stage.knowledge.hang()
    await stage.ready()
    await stage.write(QUESTION)
    asked_at = stage.now
    await stage.ask()
    await stage.client.hears("response.created")
    assert stage.times("response.create") == [pytest.approx(asked_at + 0.2)]


async def test_I1_a_client_that_asks_although_it_need_not_is_answered_once(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    stage.knowledge.hang()
    await stage.ready()
    await stage.asks(QUESTION)
    await stage.client.hears("input_audio_buffer.committed")
    await stage.ask(metadata={"from": "client"})
    await stage.client.hears("response.done")
    await trio.sleep(5)
    assert len(stage.model.heard("response.create")) == 1
    assert stage.last_told("response.done")["response"]["metadata"] == {"from": "client"}


async def test_I1_a_request_during_an_answer_is_refused_as_openai_would(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    await stage.ask()
    await stage.client.hears("response.created")
    await stage.ask("second")
    await stage.client.hears("response.done")
    (error,) = stage.errors()
    assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "second")
    assert len(stage.model.heard("response.create")) == 1


async def test_committed_by_hand_and_asked_at_once_the_answer_still_follows_its_context(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    await stage.listen_by_hand()
    stage.knowledge.answer_after(0.05)
    await stage.append(2.0)
    await stage.send("input_audio_buffer.commit")
    await stage.ask("mine")
    committed = await stage.client.hears("input_audio_buffer.committed")
    stage.model.complete_transcript(committed.event["item_id"], QUESTION)
    await stage.client.hears("response.done")
    kinds = [entry.type for entry in stage.model.received if entry.type != "session.update"]
    assert kinds == [
        "input_audio_buffer.append",
        "input_audio_buffer.commit",
        "conversation.item.create",
        "response.create",
    ]


async def test_words_before_a_commit_by_hand_are_searched_early(autojump_clock: MockClock, stage: DropInStage) -> None:
    stage.knowledge.answer_after(0.4)
    await stage.ready()
    await stage.listen_by_hand()
    await stage.append(2.0)
    stage.model.hear_piece("item_0_early", QUESTION)
    await trio.sleep(0.5)
    assert len(stage.knowledge.queries) == 1


async def test_an_empty_commit_is_refused_by_its_own_id_and_holds_nothing_up(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    await stage.listen_by_hand()
    await stage.send("input_audio_buffer.commit", "empty")
    await stage.ask()
    await stage.client.hears("response.done")
    (error,) = stage.errors()
    assert (error["code"], error["event_id"]) == ("input_audio_buffer_commit_empty", "empty")


async def test_earlier_items_are_taken_as_they_are_and_only_the_last_question_is_searched(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    for number in range(6):
        await stage.write(f"Question number {number} about turkeys")
        text = [{"type": "output_text", "text": f"Answer {number}"}]
        await stage.send("conversation.item.create", item={"type": "message", "role": "assistant", "content": text})
    await stage.write(QUESTION)
    assert stage.knowledge.queries == []
    await stage.ask()
    await stage.client.hears("response.done")
    assert len(stage.knowledge.queries) == 1
    assert "turkeys" not in stage.knowledge.queries[0].text


async def test_a_greeting_needs_no_question(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    await stage.ask(instructions="Say hello.")
    await stage.client.hears("response.done")
    (asked,) = stage.model.heard("response.create")
    assert asked.event["response"]["instructions"] == f"{CONFIG.instructions}\n\nSay hello."
    assert stage.knowledge.queries == []


async def test_functions_are_the_clients_own(autojump_clock: MockClock, stage: DropInStage) -> None:
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}
    await stage.ready()
    shown = await stage.update(tools=[tool], tool_choice="auto")
    assert shown["tools"] == [tool]
    stage.model.call_function("weather", "{}")
    await stage.asks(QUESTION)
    call = (await stage.client.hears("response.function_call_arguments.done")).event
    await stage.client.hears("response.done")
    searched = len(stage.knowledge.queries)
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    await stage.send("conversation.item.create", item=output)
    asked_at = stage.now
    await stage.ask()
    await stage.client.hears("response.done")
    assert stage.times("response.create")[-1] == pytest.approx(asked_at)
    assert len(stage.knowledge.queries) == searched
    assert stage.errors() == []


async def test_a_response_aside_of_the_conversation_disturbs_nothing(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    stage.model.answers_next(Answer(audio_ms=4000), Answer(audio_ms=4000))
    await stage.ask()
    await stage.client.hears("response.created")
    await stage.ask(conversation="none", metadata={"purpose": "label"})
    aside = (await stage.client.hears("response.created")).event["response"]
    assert aside["metadata"] == {"purpose": "label"}
    stage.model.start_speech()
    await trio.sleep(10)
    done = {e.event["response"]["id"]: e.event["response"]["status"] for e in stage.client.heard_of("response.done")}
    assert done == {stage.response_id(0): "cancelled", aside["id"]: "completed"}
    assert sum(1 for _ in stage.audio_of(aside["id"])) == 40
    assert stage.errors() == []


# Interruptions


async def test_I5_after_a_barge_in_no_further_sound_of_the_answer_comes(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    stage.model.answers_with(LONG, audio_ms=8000)
    stage.model.interrupt_after(0.2)
    await stage.ask()
    await stage.client.hears("response.created")
    await trio.sleep(1.05)
    stage.model.start_speech()
    started = await stage.client.hears("input_audio_buffer.speech_started")
    await stage.client.hears("response.done")
    assert stage.last_told("response.done")["response"]["status"] == "cancelled"
    assert max(stage.audio_of(stage.response_id())) <= started.at
    assert "response.output_audio.done" in stage.told()


async def test_I5_what_was_queued_for_a_slow_client_is_dropped(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    stage.model.answers_with(LONG, audio_ms=8000, pace=1000.0)
    await stage.ask()
    await stage.client.hears("response.created")
    stage.client.stop_reading()
    await trio.sleep(2)
    stage.model.start_speech()
    await trio.sleep(0.5)
    stage.client.read_again()
    await stage.client.hears("input_audio_buffer.speech_started")
    await trio.sleep(1)
    after = stage.client.types()[stage.client.types().index("input_audio_buffer.speech_started") :]
    assert "response.output_audio.delta" not in after


async def interrupted(stage: DropInStage, *, after: float = 1.3) -> str:
    """An answer is cut in by speech that is not committed yet; its item."""
    stage.model.answers_with(LONG, audio_ms=8000)
    await stage.ask()
    await stage.client.hears("response.created")
    await trio.sleep(after)
    stage.model.start_speech()
    await stage.client.hears("response.done")
    return stage.answer_item()


def truncations(stage: DropInStage) -> list[tuple[str, int]]:
    return [
        (entry.event["item_id"], entry.event["audio_end_ms"])
        for entry in stage.model.heard("conversation.item.truncate")
    ]


async def finish_speech(stage: DropInStage) -> None:
    """What was begun is committed, and answered."""
    turn = stage.client.heard_of("input_audio_buffer.speech_started")[-1].event
    stage.model.hear_piece(turn["item_id"], QUESTION)
    stage.model.stop_speech(turn["item_id"])
    await stage.client.hears("response.created")


async def test_I6_a_client_that_says_nothing_is_reckoned_to_have_heard_what_the_clock_says(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    item = await interrupted(stage)
    assert truncations(stage) == []  # the client may still have its say
    await finish_speech(stage)
    ((cut, ms),) = truncations(stage)
    assert cut == item
    assert abs(ms - 1000) <= 1  # the sound began 0.3 s after response.created
    assert "conversation.item.truncated" not in stage.told()
    await stage.cut(item, 900, "late")
    told = await stage.client.hears("conversation.item.truncated")
    assert (told.event["item_id"], told.event["audio_end_ms"]) == (item, 900)
    assert len(truncations(stage)) == 1
    assert stage.errors() == []


async def test_I6_the_clients_own_word_comes_first_and_ours_is_dropped(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    item = await interrupted(stage)
    await stage.cut(item, 700)
    await stage.client.hears("conversation.item.truncated")
    await finish_speech(stage)
    assert truncations(stage) == [(item, 700)]
    await stage.cut(item, 600)
    await stage.client.hears("conversation.item.truncated")
    assert truncations(stage) == [(item, 700)]


async def test_I6_a_clock_that_runs_ahead_is_held_to_what_was_received(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    item = await interrupted(stage)
    await stage.cut(item, 1_000_000)
    await stage.client.hears("conversation.item.truncated")
    ((_, ms),) = truncations(stage)
    assert ms == 4100  # four times real time, and a piece more
    assert stage.errors() == []


async def test_I6_an_answer_of_which_nothing_was_heard_is_deleted_and_nobody_is_the_wiser(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    stage.model.interrupt_after(0.5)
    item = await interrupted(stage, after=0.25)  # sound comes at 0.3 s, while the model does not know yet
    await finish_speech(stage)
    assert [entry.event["item_id"] for entry in stage.model.heard("conversation.item.delete")] == [item]
    assert "conversation.item.deleted" not in stage.told()
    await stage.cut(item, 0)
    await stage.client.hears("conversation.item.truncated")
    await stage.send("conversation.item.retrieve", item_id=item)
    shown = (await stage.client.hears("conversation.item.retrieved")).event["item"]
    assert (shown["id"], shown["content"]) == (item, [])
    await stage.send("conversation.item.delete", item_id=item)
    await stage.client.hears("conversation.item.deleted")
    assert stage.errors() == []


async def test_speech_may_be_asked_not_to_interrupt(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    detection = {"type": "server_vad", "interrupt_response": False}
    await stage.update(audio={"input": {"turn_detection": detection}})
    stage.model.answers_next(Answer(audio_ms=4000))
    await stage.ask()
    await stage.client.hears("response.created")
    await trio.sleep(0.5)
    await stage.asks(QUESTION)
    await stage.client.hears("response.created")
    statuses = [entry.event["response"]["status"] for entry in stage.client.heard_of("response.done")]
    assert statuses == ["completed"]
    assert len(stage.audio_of(stage.response_id(0))) == 40


async def test_a_cancel_without_an_id_gets_the_one_it_means(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    await stage.ask()
    await stage.client.hears("response.created")
    await stage.send("response.cancel")
    await stage.client.hears("response.done")
    (cancel,) = stage.model.heard("response.cancel")
    assert cancel.event["response_id"] == stage.response_id()


async def test_a_cancel_with_nothing_active_is_an_error_with_the_clients_id(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    await stage.send("response.cancel", "nothing")
    error = (await stage.client.hears("error")).event["error"]
    assert (error["code"], error["event_id"]) == ("response_cancel_not_active", "nothing")


async def test_a_cancel_before_the_model_has_begun_is_not_lost(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    stage.model.answers_with(LONG, created_after=0.5)
    await stage.ask()
    await trio.sleep(0.1)
    await stage.send("response.cancel")
    await stage.client.hears("response.done")
    assert stage.last_told("response.done")["response"]["status"] == "cancelled"
    assert stage.audio_of(stage.response_id()) == []


@pytest.mark.parametrize("stopped_by", ["cancel", "speech"])
async def test_a_held_request_that_nobody_wants_any_more_still_gets_its_response(
    autojump_clock: MockClock, stage: DropInStage, stopped_by: str
) -> None:
    stage.knowledge.hang()
    await stage.ready()
    await stage.write(QUESTION)
    await stage.ask()
    await trio.sleep(0.1)
    if stopped_by == "cancel":
        await stage.send("response.cancel")
    else:
        stage.model.start_speech()
    await stage.client.hears("response.done")
    assert stage.last_told("response.done")["response"]["status"] == "cancelled"
    assert stage.audio_of(stage.response_id()) == []


async def test_an_answer_that_was_due_and_is_cancelled_does_not_come(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    stage.knowledge.hang()
    await stage.ready()
    await stage.asks(QUESTION)
    await stage.client.hears("input_audio_buffer.committed")
    await stage.send("response.cancel")
    await trio.sleep(5)
    assert stage.model.heard("response.create") == []


# What it may have


async def test_instructions_are_appended_and_seen_alone(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    shown = await stage.update(instructions="Speak like a pirate.")
    assert shown["instructions"] == "Speak like a pirate."
    asked = stage.model.heard("session.update")[-1].event["session"]
    assert asked["instructions"] == f"{CONFIG.instructions}\n\nSpeak like a pirate."


@pytest.mark.parametrize(
    ("session", "param"),
    [
        ({"tools": [{"type": "mcp", "server_url": "https://example.org"}]}, "session.tools[0].type"),
        ({"audio": {"input": {"format": {"type": "audio/pcmu"}}}}, "session.audio.input.format"),
        ({"audio": {"output": {"format": {"type": "audio/pcma"}}}}, "session.audio.output.format"),
        ({"type": "transcription"}, "session.type"),
        ({"tool_choice": {"type": "mcp", "server_label": "x"}}, "session.tool_choice"),
        ({"instructions": "x" * 40_000}, "session.instructions"),
        ({"output_modalities": ["smell"]}, "session.output_modalities[0]"),
    ],
)
async def test_what_cannot_be_had_is_refused_by_name(
    autojump_clock: MockClock, stage: DropInStage, session: dict[str, Any], param: str
) -> None:
    await stage.ready()
    await stage.send("session.update", "wish", session={"type": "realtime", **session})
    error = (await stage.client.hears("error")).event["error"]
    assert (error["param"], error["event_id"]) == (param, "wish")
    assert len(stage.model.heard("session.update")) == 1


async def test_what_it_can_do_without_is_left_out(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    detection = {"type": "semantic_vad", "eagerness": "high", "idle_timeout_ms": 6000}
    await stage.update(
        model="gpt-realtime",
        tracing="auto",
        truncation="disabled",
        max_output_tokens=5,
        include=["item.input_audio_transcription.logprobs"],
        audio={"input": {"turn_detection": detection, "noise_reduction": None}, "output": {"voice": "cedar"}},
    )
    asked = stage.model.heard("session.update")[-1].event["session"]
    assert asked == {
        "type": "realtime",
        "audio": {
            "input": {"turn_detection": {"type": "semantic_vad", "eagerness": "high", "create_response": False}},
            "output": {"voice": "cedar"},
        },
    }


async def test_an_operator_may_allow_nothing(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    stage = DropInStage(nursery, allowed=frozenset())
    await stage.ready()
    shown = await stage.update(instructions="Obey me.", audio={"output": {"voice": "cedar", "speed": 1.5}})
    assert shown["instructions"] == ""
    assert stage.model.heard("session.update")[-1].event["session"] == {"type": "realtime"}
    text = [{"type": "input_text", "text": "Obey me."}]
    await stage.send("conversation.item.create", item={"type": "message", "role": "system", "content": text})
    assert (await stage.client.hears("error")).event["error"]["param"] == "item.role"
    await stage.ask(instructions="Obey me.", output_modalities=["text"])
    await stage.client.hears("response.done")
    assert set(stage.model.heard("response.create")[0].event["response"]) == {"metadata"}


async def test_a_preset_is_in_force_before_the_session_is_shown(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    preset = {"type": "realtime", "instructions": "Be merry.", "audio": {"output": {"voice": "cedar"}}}
    stage = DropInStage(nursery, preset=preset)
    await stage.ready()
    session = stage.last_told("session.created")["session"]
    assert (session["instructions"], session["audio"]["output"]["voice"]) == ("Be merry.", "cedar")
    assert stage.told() == ["session.created"]


async def test_a_preset_that_cannot_be_had_is_done_without(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    stage = DropInStage(nursery, preset={"type": "realtime", "tools": [{"type": "mcp"}]})
    await stage.ready()
    assert stage.last_told("session.created")["session"]["tools"] == []


async def test_an_update_the_model_refuses_is_told_by_the_clients_id_and_changes_nothing(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    await stage.ask()
    await stage.client.hears("response.done")
    change = {"type": "realtime", "instructions": "New.", "audio": {"output": {"voice": "ash"}}}
    await stage.send("session.update", "late", session=change)
    assert (await stage.client.hears("error")).event["error"]["event_id"] == "late"
    shown = await stage.update()
    assert shown["instructions"] == ""


@pytest.mark.parametrize(
    "event",
    [
        {"type": "conversation.item.delete", "item_id": "vt_x1"},
        {"type": "conversation.item.retrieve", "item_id": "vt_x1"},
        {"type": "conversation.item.truncate", "item_id": "vt_x1", "content_index": 0, "audio_end_ms": 1},
        {
            "type": "conversation.item.create",
            "item": {"id": "vt_x1", "type": "message", "role": "user", "content": []},
        },
        {
            "type": "conversation.item.create",
            "previous_item_id": "vt_x1",
            "item": {"type": "message", "role": "user", "content": []},
        },
        {"type": "response.create", "response": {"metadata": {"vt": "vt_r1"}}},
        {"type": "response.create", "response": {"input": [{"type": "item_reference", "id": "vt_x1"}]}},
        {"type": "transcription_session.update", "session": {}},
        {"type": "mcp.approve", "id": "x"},
        {"type": "input_audio_buffer.append", "audio": "no base64!"},
        {"type": "input_audio_buffer.append", "audio": "AAAA"},
        {"no": "type"},
        "no JSON",
        b"\xff\x00",
    ],
)
async def test_I11_what_is_not_for_it_to_touch_goes_no_further(
    autojump_clock: MockClock, stage: DropInStage, event: Any
) -> None:
    await stage.ready()
    before = len(stage.model.received)
    await stage.client.send(event)
    assert (await stage.client.hears("error")).event["error"]["type"] == "invalid_request_error"
    assert len(stage.model.received) == before


async def test_I11_fields_that_nobody_checked_do_not_travel(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    await stage.client.send(
        {
            "type": "conversation.item.create",
            "evil": 1,
            "item": {"type": "message", "role": "user", "evil": 2, "content": [{"type": "input_text", "text": "hi"}]},
        }
    )
    await stage.ask(evil=3, prompt={"id": "pmpt_1"})
    await stage.client.hears("response.done")
    assert "evil" not in msgspec.json.encode([entry.event for entry in stage.model.received]).decode()
    assert "prompt" not in stage.model.heard("response.create")[0].event["response"]


async def test_a_recording_sent_at_once_is_heard_whole(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    await stage.listen_by_hand()
    for _ in range(8):
        await stage.append(5.0)
    await stage.send("input_audio_buffer.commit")
    await stage.client.hears("input_audio_buffer.committed")
    assert len(stage.model.heard("input_audio_buffer.append")) == 8
    assert stage.now < 1


# Endings


async def test_I7_the_cap_is_openais_own_error_and_close(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    stage = DropInStage(nursery, duration_seconds=100.0)
    await stage.ready()
    closed = await stage.client.is_closed()
    assert (closed.code, closed.reason) == (1001, "Session duration limit reached")
    assert stage.errors()[-1]["code"] == "session_expired"
    assert not [kind for kind in stage.client.types() if kind.startswith("session.") and kind != "session.created"]
    await stage.over.wait()
    assert stage.ended_at <= 102.0


async def test_a_lost_model_ends_the_session_because_only_the_client_could_tell_another_one_everything(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    await stage.model.drop()
    closed = await stage.client.is_closed()
    assert closed.code == 1011
    assert stage.errors()[-1]["type"] == "server_error"
    await stage.over.wait()
    assert stage.summary.ending is Ending.UPSTREAM_LOST


async def test_the_companys_troubles_with_openai_are_not_told_in_openais_words(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    stage.model.send_error("insufficient_quota", message="Quota of org-acme used up, see https://billing")
    await stage.client.is_closed()
    assert "acme" not in msgspec.json.encode([entry.event for entry in stage.client.heard]).decode()
    assert stage.errors()[-1]["code"] == "server_error"


async def test_errors_about_what_it_never_sent_are_not_told(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    await stage.asks(QUESTION)
    await stage.client.hears("response.created")
    context = stage.model.heard("conversation.item.create")[0].event
    stage.model.send_error("invalid_value", event_id=context["event_id"])
    await stage.client.hears("response.done")
    assert stage.errors() == []


async def test_a_server_that_begins_to_answer_by_itself_is_left(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    stage.model.ignore_create_response_false()
    await stage.send(
        "session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
    )
    assert (await stage.client.is_closed()).code == 1011


async def test_each_turn_is_recorded_with_what_was_said_and_heard(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    stage.model.answers_next(Answer(text="Thirty three degrees.", audio_ms=1000))
    await stage.asks(QUESTION)
    await stage.client.hears("response.done")
    await trio.sleep(5)
    (record,) = stage.records
    assert (record.said, record.answer.strip(), record.status) == (QUESTION, "Thirty three degrees.", "completed")
    assert (record.heard_ms, record.received_ms) == (1000, 1000)
    assert record.outcome is not None
    assert stage.summary_so_far().usages


async def test_I10_what_runs_aside_is_paid_for_too(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    await stage.ask()
    await stage.ask(conversation="none")
    for _ in range(2):
        await stage.client.hears("response.done")
    kinds = [kind for kind, _ in stage.summary_so_far().usages.values()]
    assert kinds == ["response", "response"]
