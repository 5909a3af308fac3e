"""The scripted model says what a real server says, in its order, and refuses what a real one refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.recorded import ENDING
from voice_trio.errors import ModelRefused
from voice_trio.testing.script import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.testing import MockClock

    from tests.testing.conftest import FakeCaller
    from voice_trio.testing.model import ScriptedModel

BUFFER, ITEM, STT = "input_audio_buffer.", "conversation.item.", "conversation.item.input_audio_transcription."


def without_repeats(types: list[str]) -> list[str]:
    return [kind for index, kind in enumerate(types) if index == 0 or types[index - 1] != kind]


async def test_a_turn_comes_in_the_recorded_order(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    model.answers_with("Thirty three", audio_ms=200, pace=1.0, first_audio_after=0.15)
    await model.hear_speech("how warm should it be for chicks", lasts=2.0)
    await caller.sends("response.create")
    await caller.hears("rate_limits.updated")
    assert caller.types() == [
        BUFFER + "speech_started",
        *[STT + "delta"] * 5,
        BUFFER + "speech_stopped",
        BUFFER + "committed",
        ITEM + "added",
        ITEM + "done",
        "response.created",
        "response.output_item.added",
        ITEM + "added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        STT + "delta",
        STT + "delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        *ENDING,
    ]
    assert (await caller.hears(STT + "completed")).event["transcript"] == "how warm should it be for chicks"


async def test_words_come_as_far_behind_the_speech_as_recorded(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    began = caller.recorder.now
    await model.hear_speech("how warm should it be for chicks", lasts=2.0)
    committed = caller.recorder.now - began
    await caller.hears(STT + "completed")
    times = [round(entry.at - began, 6) for entry in caller.recorder.heard(STT + "delta")]
    assert committed == pytest.approx(2.5)
    assert times == pytest.approx([1.2, 1.5, 1.8, 2.1, 2.4, 2.7, 2.7])
    assert caller.recorder.now - began == pytest.approx(3.0)


async def test_words_can_come_when_the_test_says(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    began = caller.recorder.now
    await model.hear_speech("how warm", words_at=[0.25, 4.0], lasts=1.0, silence=0.5)
    await caller.hears(STT + "delta")
    assert (await caller.hears(STT + "delta")).at - began == pytest.approx(4.0)
    await caller.hears(STT + "completed")


async def test_deltas_name_the_item_before_it_exists(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    item_id = await model.hear_speech("how warm")
    announced = (await caller.hears(BUFFER + "speech_started")).event["item_id"]
    committed = (await caller.hears(BUFFER + "committed")).event
    assert announced == committed["item_id"] == item_id == model.items[-1]["id"]
    assert committed["previous_item_id"] is None


async def test_silence_is_committed_without_words(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    await model.hear_speech("")
    assert (await caller.hears(STT + "completed")).event["transcript"] == ""
    assert STT + "delta" not in caller.types()


async def test_a_model_that_transcribes_after_the_commit_does_so_in_a_burst(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    await caller.sends(
        "session.update",
        session={"type": "realtime", "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}}},
    )
    await caller.hears("session.updated")
    await model.hear_speech("how warm")
    await caller.hears(STT + "completed")
    assert caller.types()[-3:] == [STT + "delta", STT + "delta", STT + "completed"]
    assert caller.types().index(BUFFER + "committed") < caller.types().index(STT + "delta")


async def test_a_transcription_can_fail(autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller) -> None:
    model.fail_next_transcription("audio_unintelligible")
    await model.hear_speech("mumble")
    assert (await caller.hears(STT + "failed")).event["error"]["code"] == "audio_unintelligible"


async def start_an_answer(model: ScriptedModel, caller: FakeCaller, **how: Any) -> str:
    """A response that is being spoken; returns its id."""
    model.answers_with("one two three four five six", **{"audio_ms": 4000, "pace": 1.0, **how})
    await caller.sends("response.create", response={"metadata": {"vt_tag": "7"}})
    await caller.hears("response.output_audio.delta")
    return str(caller.recorder.heard("response.created")[-1].event["response"]["id"])


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


async def test_speech_leaves_a_response_alone_that_nobody_has_heard_of(
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


def user_item(item_id: str, text: str = "x") -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "id": item_id, "role": "user", "content": content}


async def test_items_stand_where_they_were_put(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    await caller.sends("conversation.item.create", item=user_item("b"))
    await caller.sends("conversation.item.create", item=user_item("d"))
    await caller.sends("conversation.item.create", item=user_item("a"), previous_item_id="root")
    await caller.sends("conversation.item.create", item=user_item("c"), previous_item_id="b")
    for before in (None, "b", None, "b"):
        assert (await caller.hears(ITEM + "added")).event["previous_item_id"] == before
    assert [item["id"] for item in model.items] == ["a", "b", "c", "d"]


async def test_a_deleted_item_is_gone(autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller) -> None:
    await caller.sends("conversation.item.create", item=user_item("a"))
    await caller.sends("conversation.item.delete", item_id="a")
    assert (await caller.hears(ITEM + "deleted")).event["item_id"] == "a"
    assert model.items == []


async def test_an_item_can_be_retrieved(autojump_clock: MockClock, caller: FakeCaller) -> None:
    await caller.sends("conversation.item.create", item=user_item("a", "How warm?"))
    await caller.sends("conversation.item.retrieve", item_id="a")
    assert (await caller.hears(ITEM + "retrieved")).event["item"]["content"][0]["text"] == "How warm?"


async def test_truncation_forgets_the_words_and_the_rest_of_the_sound(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    await start_an_answer(model, caller, pace=100.0)
    await caller.hears("response.done")
    item_id = model.items[-1]["id"]
    where = {"item_id": item_id, "content_index": 0}
    await caller.sends("conversation.item.truncate", **where, audio_end_ms=4000)
    await caller.sends("conversation.item.truncate", **where, audio_end_ms=900)
    await caller.hears(ITEM + "truncated")
    assert (await caller.hears(ITEM + "truncated")).event["audio_end_ms"] == 900
    assert "transcript" not in model.items[-1]["content"][0]
    await caller.sends("conversation.item.truncate", **where, audio_end_ms=901, event_id="vt_3")
    await caller.is_refused(message="Audio content of 900ms is already shorter than 901ms", event_id="vt_3")


@pytest.mark.parametrize(
    ("event", "code"),
    [
        ({"type": ITEM + "delete", "item_id": "x"}, "item_delete_invalid_item_id"),
        ({"type": ITEM + "retrieve", "item_id": "x"}, "item_retrieve_invalid_item_id"),
        (
            {"type": ITEM + "truncate", "item_id": "x", "content_index": 0, "audio_end_ms": 1},
            "item_truncate_invalid_item_id",
        ),
        (
            {"type": ITEM + "truncate", "item_id": "known", "content_index": 0, "audio_end_ms": 1},
            "invalid_value",
        ),
        ({"type": ITEM + "create", "item": user_item("known")}, "item_create_duplicate_item_id"),
        (
            {"type": ITEM + "create", "item": user_item("new"), "previous_item_id": "x"},
            "item_create_invalid_previous_item_id",
        ),
        ({"type": BUFFER + "commit"}, "input_audio_buffer_commit_empty"),
        ({"type": BUFFER + "append", "audio": "?"}, "invalid_value"),
        ({"type": "session.update", "session": {"type": "transcription"}}, "invalid_value"),
        ({"type": "session.update", "session": {}}, "missing_required_parameter"),
        ({"type": "output_audio_buffer.clear"}, "invalid_value"),
        ({"type": "shout"}, "invalid_value"),
    ],
)
async def test_is_refused_and_the_session_lives_on(
    autojump_clock: MockClock, caller: FakeCaller, event: dict[str, Any], code: str
) -> None:
    await caller.sends("conversation.item.create", item=user_item("known"))
    await caller.sends(**{"kind": event["type"], "event_id": "vt_9", **without_type(event)})
    await caller.is_refused(code=code, event_id="vt_9")
    await caller.sends("response.create")
    await caller.hears("response.done")


def without_type(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "type"}


async def test_what_is_not_json_is_refused_too(autojump_clock: MockClock, caller: FakeCaller) -> None:
    await caller.link.send("nonsense")
    await caller.is_refused(code="invalid_json")


async def test_audio_is_committed_by_hand_from_100_ms_on(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    await caller.sends(BUFFER + "append", audio="A" * 6400)
    await caller.sends(BUFFER + "commit")
    assert (await caller.hears(BUFFER + "committed")).event["item_id"] == model.items[0]["id"]
    await caller.sends(BUFFER + "append", audio="A" * 6400)
    await caller.sends(BUFFER + "clear")
    await caller.hears(BUFFER + "cleared")
    await caller.sends(BUFFER + "commit")
    await caller.is_refused(code="input_audio_buffer_commit_empty")


async def test_a_session_shows_every_field_and_keeps_what_no_update_names(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    assert model.said[0].event["session"]["audio"]["input"]["turn_detection"]["create_response"] is True
    await caller.sends("session.update", session={"type": "realtime", "audio": {"output": {"speed": 1.15}}})
    session = (await caller.hears("session.updated")).event["session"]
    assert session["instructions"] == "Be kind."
    assert session["audio"]["input"]["turn_detection"]["create_response"] is False
    assert session["audio"]["output"]["voice"] == "marin"
    assert session["audio"]["output"]["speed"] == 1.15


async def test_the_voice_is_fixed_once_it_was_heard(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    await start_an_answer(model, caller, pace=100.0)
    await caller.hears("response.done")
    other = {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
    await caller.sends("session.update", session=other)
    await caller.is_refused(code="cannot_update_voice")
    faster = {"type": "realtime", "audio": {"output": {"speed": 1.15}}}
    await caller.sends("session.update", session=faster)
    assert (await caller.hears("session.updated")).event["session"]["audio"]["output"]["speed"] == 1.15


# Misbehaviour


async def test_an_impatient_model_answers_by_itself(
    autojump_clock: MockClock, model: ScriptedModel, connect: Callable[[], FakeCaller]
) -> None:
    model.ignore_create_response_false()
    caller = connect()
    await caller.is_ready()
    assert model.said[-1].event["session"]["audio"]["input"]["turn_detection"]["create_response"] is True
    await model.hear_speech("how warm")
    await caller.hears("response.created")


async def test_a_model_may_refuse_to_transcribe_with_a_model(
    autojump_clock: MockClock, model: ScriptedModel, connect: Callable[[], FakeCaller]
) -> None:
    model.refuse_transcription_model("gpt-realtime-whisper")
    caller = connect()
    await caller.sends(
        "session.update",
        event_id="vt_session",
        session={"type": "realtime", "audio": {"input": {"transcription": {"model": "gpt-realtime-whisper"}}}},
    )
    await caller.is_refused(param="session.audio.input.transcription.model", event_id="vt_session")
    await caller.sends(
        "session.update",
        session={"type": "realtime", "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}}},
    )
    await caller.hears("session.updated")


async def test_a_model_may_never_become_ready(
    autojump_clock: MockClock, model: ScriptedModel, connect: Callable[[], FakeCaller]
) -> None:
    model.never_ready()
    caller = connect()
    await caller.sends("session.update", session={"type": "realtime"})
    await trio.sleep(60)
    assert caller.types() == ["session.created"]


async def test_a_wrong_key_is_told_and_shown_out(
    autojump_clock: MockClock, model: ScriptedModel, connect: Callable[[], FakeCaller]
) -> None:
    model.refuse_key()
    caller = connect()
    await caller.is_refused(code="invalid_api_key")
    await caller.gone.wait()
    model.behave()
    model.quota()
    caller = connect()
    await caller.is_refused(code="insufficient_quota")
    await caller.gone.wait()
    assert model.connections == 2


async def test_a_connection_may_be_refused_outright(
    autojump_clock: MockClock, model: ScriptedModel, connect: Callable[[], FakeCaller]
) -> None:
    model.refuse_next_connection(ModelRefused("wrong key"))
    with pytest.raises(ModelRefused):
        connect()
    await connect().is_ready()


async def test_a_stalled_model_says_nothing_until_it_resumes(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    model.stall()
    with trio.move_on_after(2) as patience:
        await caller.sends("response.create")
    assert patience.cancelled_caught
    model.start_speech()
    await caller.hears_nothing_more()
    model.resume()
    await caller.hears(BUFFER + "speech_started")


async def test_a_dropped_connection_says_no_code(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    await model.drop()
    await caller.gone.wait()
    assert caller.closed_with is not None
    assert caller.closed_with.code is None


async def test_a_closing_model_says_what_it_had_to_say(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    model.send_error("session_expired", message="Your session hit the maximum duration of 60 minutes.")
    await model.close(1001, "Your session hit the maximum duration of 60 minutes.")
    await caller.is_refused(code="session_expired")
    await caller.gone.wait()
    assert caller.closed_with is not None
    assert caller.closed_with.code == 1001


async def test_an_error_can_blame_an_event_of_ours(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    model.send_error("server_error", "vt_5")
    await caller.is_refused(code="server_error", event_id="vt_5")


async def test_a_second_connection_is_a_new_conversation(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller, connect: Callable[[], FakeCaller]
) -> None:
    await model.hear_speech("how warm")
    await model.drop()
    again = connect()
    await again.is_ready()
    assert model.items == []
    await model.hear_speech("and for layers")
    assert (await again.hears(BUFFER + "committed")).event["previous_item_id"] is None
    assert {entry.session for entry in model.received} == {0, 1}


async def test_what_was_received_is_kept_with_its_time(
    autojump_clock: MockClock, model: ScriptedModel, caller: FakeCaller
) -> None:
    await trio.sleep(0.75)
    await caller.sends("response.create", event_id="first")
    await trio.sleep(0.5)
    await caller.sends("response.cancel", event_id="second")
    first, second = await model.hears("response.create"), await model.hears("response.cancel")
    assert first.event["event_id"] == "first"
    assert first.at == pytest.approx(0.75)
    assert second.at - first.at == pytest.approx(0.5)
    with trio.move_on_after(10) as patience:
        await model.hears("response.create")
    assert patience.cancelled_caught
