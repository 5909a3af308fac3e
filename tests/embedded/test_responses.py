"""Responses: overrides, cancelling, the one that may be active, and what they cost."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.embedded_fixture import CONTEXT, Desk, error_in
from tests.support.fake_engines import quiet, voice
from voice_trio.embedded.outbound import Speak, StopSpeaking


def asked_desk(**session: Any) -> Desk:
    """A question has been typed, its context is there."""
    desk = Desk(session=session or None)
    desk.say_in_text("how warm should the brooder be")
    desk.say_in_text(CONTEXT, "system")
    desk.fresh()
    return desk


def test_a_text_response_has_the_events_of_text_and_no_sound() -> None:
    desk = asked_desk()
    events = desk.send("response.create", response={"output_modalities": ["text"]})
    kinds = desk.fresh()
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert kinds[:4] == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
    ]
    assert kinds[4 + len(deltas) :] == [
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "rate_limits.updated",
    ]
    done = events[-2]["response"]
    assert done["output"][0]["content"] == [{"type": "output_text", "text": "".join(deltas)}]
    assert "32 to 35" in "".join(deltas)
    assert not any(isinstance(order, Speak) for order in desk.orders)


def test_a_session_may_be_of_text_only() -> None:
    desk = asked_desk(output_modalities=["text"])
    assert desk.send("response.create")[-2]["response"]["output_modalities"] == ["text"]


def test_only_one_response_is_active_in_the_conversation() -> None:
    desk = asked_desk()
    active = desk.send("response.create")[0]["response"]["id"]
    error = error_in(desk.send("response.create", event_id="second"))
    assert error["code"] == "conversation_already_has_active_response"
    assert active in error["message"]
    assert error["event_id"] == "second"
    desk.say("One")
    desk.finish()
    assert desk.send("response.create")[0]["type"] == "response.created"


def test_responses_beside_the_conversation_leave_it_alone() -> None:
    desk = asked_desk()
    desk.send("response.create")
    params = {"conversation": "none", "metadata": {"topic": "x"}, "output_modalities": ["text"]}
    events = desk.send("response.create", response=params)
    done = events[-2]["response"]
    assert (done["status"], done["metadata"], done["conversation_id"]) == ("completed", {"topic": "x"}, None)
    assert not any(event["type"].startswith("conversation.") for event in events)
    item_id = done["output"][0]["id"]
    assert error_in(desk.send("conversation.item.retrieve", item_id=item_id))["param"] == "item_id"


def test_speech_interrupts_the_conversations_response_only() -> None:
    desk = asked_desk()
    beside = desk.send("response.create", response={"conversation": "none"})[0]["response"]["id"]
    desk.append(voice(200))
    assert not any(isinstance(order, StopSpeaking) for order in desk.orders)
    assert desk.send("response.cancel", response_id=beside)[0]["response"]["status"] == "cancelled"


def test_too_many_responses_beside_the_conversation_are_refused() -> None:
    desk = asked_desk()
    for _ in range(4):
        desk.send("response.create", response={"conversation": "none"})
    error = error_in(desk.send("response.create", response={"conversation": "none"}))
    assert error["code"] == "too_many_responses"


def test_cancel_by_id_and_without() -> None:
    desk = asked_desk()
    first = desk.send("response.create")[0]["response"]["id"]
    desk.say("One")
    done = desk.send("response.cancel")[-2]["response"]
    assert (done["id"], done["status_details"]) == (first, {"type": "cancelled", "reason": "client_cancelled"})
    second = desk.send("response.create")[0]["response"]["id"]
    assert error_in(desk.send("response.cancel", response_id=first))["code"] == "response_cancel_not_active"
    assert desk.send("response.cancel", response_id=second)[0]["response"]["id"] == second
    assert error_in(desk.send("response.cancel", event_id="e"))["event_id"] == "e"


def test_a_response_that_waits_for_words_can_be_cancelled() -> None:
    desk = Desk()
    desk.append(voice(400) + quiet(500))
    assert desk.send("response.cancel")[0]["response"]["status"] == "cancelled"
    assert desk.heard("how warm") == []
    assert desk.wait(1) == []


def test_input_replaces_the_conversation() -> None:
    desk = asked_desk()
    words = {"type": "input_text", "text": "how cold must chicks be to huddle"}
    given = [{"type": "message", "role": "user", "content": [words]}]
    desk.send("response.create", response={"input": given})
    assert desk.last(Speak).text.startswith("I do not know")


def test_input_may_refer_to_items_and_be_empty() -> None:
    desk = Desk()
    question = desk.say_in_text("how warm should the brooder be")
    desk.say_in_text("something else", "user")
    context = desk.say_in_text(CONTEXT, "system")
    references = [{"type": "item_reference", "id": each} for each in (question, context)]
    desk.send("response.create", response={"input": references, "conversation": "none"})
    assert "32 to 35" in desk.last(Speak).text
    desk.send("response.create", response={"input": []})
    assert desk.last(Speak).text.startswith("Hello.")


def test_a_reference_to_nothing_is_refused_by_its_place() -> None:
    desk = Desk()
    error = error_in(desk.send("response.create", response={"input": [{"type": "item_reference", "id": "x"}]}))
    assert error["param"] == "response.input[0].id"


def test_metadata_comes_back_in_created_and_done() -> None:
    desk = asked_desk()
    created = desk.send("response.create", response={"metadata": {"a": "1"}})[0]
    desk.say("One")
    assert created["response"]["metadata"] == desk.finish()[-2]["response"]["metadata"] == {"a": "1"}


@pytest.mark.parametrize("written", [True, False])
def test_max_output_tokens_ends_an_answer_as_incomplete(written: bool) -> None:
    desk = asked_desk()
    params = {"max_output_tokens": 5, "output_modalities": ["text" if written else "audio"]}
    events = desk.send("response.create", response=params)
    if not written:
        assert desk.say("According", 100)[-1]["type"] == "response.output_audio.delta"
        events = desk.say(" to", 100)
        assert isinstance(desk.orders[-1], StopSpeaking)
    response = events[-2]["response"]
    assert response["status"] == "incomplete"
    assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert response["usage"]["output_tokens"] in (5, 6)
    assert response["output"][0]["status"] == "incomplete"


def test_a_mouth_that_fails_ends_the_response_and_not_the_session() -> None:
    desk = asked_desk()
    desk.send("response.create")
    desk.say("One")
    response = desk.take(desk.dialogue.failed_to_speak(desk.last(Speak).response_id, "espeak is gone"))[-2]["response"]
    assert response["status"] == "failed"
    assert response["status_details"]["error"]["code"] == "speech_failed"
    assert desk.send("response.create")[0]["type"] == "response.created"


def test_usage_follows_the_published_rules() -> None:
    desk = Desk(session={"instructions": "Be brief.", "audio": {"input": {"turn_detection": None}}})
    desk.append(voice(1250))
    desk.send("input_audio_buffer.commit")
    desk.heard("not counted as text")
    desk.say_in_text("three words more", "system")
    desk.send("response.create")
    desk.say("Two words", 130)
    usage = desk.finish()[-2]["response"]["usage"]
    assert usage["input_token_details"]["audio_tokens"] == 13  # 1250 ms, one each 100 ms begun
    assert usage["input_token_details"]["text_tokens"] == 5  # the instructions and the item
    assert usage["input_token_details"]["cached_tokens"] == 0
    assert usage["output_token_details"] == {"text_tokens": 2, "audio_tokens": 3}  # 130 ms, one each 50 ms begun
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] == 23


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"conversation": "other"}, "response.conversation"),
        ({"max_output_tokens": 5000}, "response.max_output_tokens"),
        ({"max_output_tokens": 0}, "response.max_output_tokens"),
        ({"output_modalities": ["text", "audio"]}, "response.output_modalities"),
        ({"audio": {"output": {"voice": "nobody"}}}, "response.audio.output.voice"),
        ({"audio": {"output": {"format": {"type": "audio/pcmu"}}}}, "response.audio.output.format.type"),
        ({"metadata": {"k": 1}}, "response.metadata[...]"),
        ({"instructions": 1}, "response.instructions"),
        ({"input": [{"type": "message", "role": "user"}]}, "response.input[0].content"),
    ],
)
def test_wrong_overrides_are_refused_by_name_and_no_response_begins(params: dict[str, Any], param: str) -> None:
    desk = asked_desk()
    error = error_in(desk.send("response.create", response=params, event_id="e9"))
    assert (error["param"], error["event_id"]) == (param, "e9")
    assert error_in(desk.send("response.cancel"))["code"] == "response_cancel_not_active"
