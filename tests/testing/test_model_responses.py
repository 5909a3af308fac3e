"""Responses of the scripted model: the recorded order of events, interruption, cancelling, failures and calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.recorded import ENDING
from tests.testing.conftest import start_an_answer
from voice_trio.testing.script import Answer

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.testing.conftest import FakeCaller
    from voice_trio.testing.model import ScriptedModel

BUFFER, ITEM = "input_audio_buffer.", "conversation.item."


def without_repeats(types: list[str]) -> list[str]:
    return [kind for index, kind in enumerate(types) if index == 0 or types[index - 1] != kind]


async def test_speech_cuts_an_answer_in_the_documented_order(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    await start_an_answer(model, caller)
    await trio.sleep(1.05)
    caller.recorder.forget()
    model.start_speech()
    await caller.hears("rate_limits.updated")
    assert caller.types() == [BUFFER + "speech_started", *ENDING]
    done = caller.recorder.heard("response.done")[0].event["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "turn_detected")
    assert done["usage"]["output_token_details"]["audio_tokens"] == 22  # 1.1 s at 50 ms each
    assert caller.recorder.heard(ITEM + "done")[0].event["item"]["status"] == "incomplete"
    await caller.hears_nothing_more()


async def test_speech_before_any_output_ends_the_response_alone(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    model.answers_with("never said", first_audio_after=5.0)
    await caller.sends("response.create")
    await caller.hears("response.created")
    model.start_speech()
    await caller.hears("rate_limits.updated")
    assert caller.types() == [
        "response.created",
        BUFFER + "speech_started",
        "response.done",
        "rate_limits.updated",
    ]


async def test_speech_after_the_answer_was_generated_is_only_announced(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    await start_an_answer(model, caller, pace=100.0)
    await caller.hears("rate_limits.updated")
    caller.recorder.forget()
    model.start_speech()
    await caller.hears(BUFFER + "speech_started")
    await caller.hears_nothing_more()


async def test_speech_does_not_cut_a_response_that_was_not_announced(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    model.answers_with("soon", created_after=0.5, audio_ms=100)
    await caller.sends("response.create")
    await model.hears("response.create")
    model.start_speech()
    assert (await caller.hears("response.done")).event["response"]["status"] == "completed"


async def test_a_session_may_forbid_interruption(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    detection = {"type": "server_vad", "interrupt_response": False, "create_response": False}
    audio = {"input": {"turn_detection": detection}}
    await caller.sends("session.update", session={"type": "realtime", "audio": audio})
    await start_an_answer(model, caller)
    model.start_speech()
    assert (await caller.hears("response.done")).event["response"]["status"] == "completed"


async def test_deltas_go_on_while_a_cut_is_under_way(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    model.interrupt_after(0.25)
    await start_an_answer(model, caller)
    model.start_speech()
    started = caller.recorder.now
    await caller.hears("response.done")
    late = [entry.at for entry in caller.recorder.heard("response.output_audio.delta") if entry.at > started]
    assert len(late) == 2
    assert caller.recorder.now - started == pytest.approx(0.25)


async def test_a_cancel_by_id_ends_that_response(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    response_id = await start_an_answer(model, caller)
    await caller.sends("response.cancel", response_id=response_id)
    done = (await caller.hears("response.done")).event["response"]
    assert (done["id"], done["status"]) == (response_id, "cancelled")
    assert done["status_details"]["reason"] == "client_cancelled"


async def test_a_cancel_without_id_ends_whatever_is_active(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    await start_an_answer(model, caller)
    await caller.sends("response.cancel")
    assert (await caller.hears("response.done")).event["response"]["status"] == "cancelled"


async def test_a_cancel_of_nothing_is_refused(autojump_clock: MockClock, caller: FakeCaller) -> None:
    await caller.sends("response.cancel", event_id="vt_1", response_id="resp_x")
    await caller.is_refused(code="response_cancel_not_active", event_id="vt_1")


async def test_there_is_one_active_response(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    await start_an_answer(model, caller)
    await caller.sends("response.create", event_id="vt_2")
    await caller.is_refused(code="conversation_already_has_active_response", event_id="vt_2")


async def test_a_response_outside_the_conversation_may_run_beside_it(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    await start_an_answer(model, caller)
    model.answers_next(Answer(text="a query", audio_ms=0))
    await caller.sends("response.create", response={"conversation": "none", "output_modalities": ["text"]})
    assert (await caller.hears("response.output_text.done")).event["text"] == "a query"
    assert len(model.items) == 1


async def test_a_held_done_keeps_the_response_active(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    model.hold_done()
    await start_an_answer(model, caller, pace=100.0)
    await caller.hears("response.output_item.done")
    await trio.sleep(3)
    assert "response.done" not in caller.types()
    await caller.sends("response.create")
    await caller.is_refused(code="conversation_already_has_active_response")
    model.release_done()
    await caller.hears("response.done")
    await caller.sends("response.create")
    await caller.hears("response.created")


async def test_metadata_comes_back(autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller) -> None:
    await start_an_answer(model, caller, pace=100.0)
    assert caller.recorder.heard("response.created")[0].event["response"]["metadata"] == {"vt_tag": "7"}
    assert (await caller.hears("response.done")).event["response"]["metadata"] == {"vt_tag": "7"}


async def test_a_failed_response_says_why(autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller) -> None:
    model.fail_next_response("rate_limit_exceeded")
    await caller.sends("response.create")
    done = (await caller.hears("response.done")).event["response"]
    assert (done["status"], done["status_details"]["error"]["code"]) == ("failed", "rate_limit_exceeded")


async def test_an_incomplete_response_says_why(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    model.incomplete_next_response("content_filter")
    await caller.sends("response.create")
    done = (await caller.hears("response.done")).event["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("incomplete", "content_filter")
    assert done["output"][0]["status"] == "incomplete"


async def test_a_tool_turn_comes_in_the_recorded_order(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    model.call_function("weather", '{"city":"Lyon"}')
    await caller.sends("response.create")
    done = (await caller.hears("response.done")).event["response"]
    await caller.hears("rate_limits.updated")
    assert without_repeats(caller.types()) == [
        "response.created",
        "response.output_item.added",
        ITEM + "added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        ITEM + "done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    call = done["output"][0]
    assert (call["type"], call["name"], call["arguments"]) == ("function_call", "weather", '{"city":"Lyon"}')
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    await caller.sends("conversation.item.create", item=output)
    await caller.hears(ITEM + "done")
    await caller.hears(ITEM + "done")
    await caller.hears_nothing_more()


async def test_several_items_of_one_response_are_spoken_in_turn(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    model.answers_with("one two three four", audio_ms=400, items=2)
    await caller.sends("response.create")
    done = (await caller.hears("response.done")).event["response"]
    assert [item["content"][0]["transcript"] for item in done["output"]] == ["one two", "three four"]
    assert [entry.event["output_index"] for entry in caller.recorder.heard("response.output_item.added")] == [0, 1]


async def test_a_model_that_waits_answers_when_told(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    model.waits_to_be_told()
    await caller.sends("response.create")
    await trio.sleep(7)
    assert caller.types() == []
    told = await model.say("at last", audio_ms=100)
    assert (await caller.hears("response.created")).event["response"]["id"] == told
    assert (await caller.hears("response.done")).event["response"]["status"] == "completed"
