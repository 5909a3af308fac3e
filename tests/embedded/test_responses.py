"""Responses: overrides, cancelling, the one that may be active, and what they cost."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.embedded_fixture import CONTEXT, SessionDriver, error_in
from tests.support.fake_engines import quiet, voice
from voice_trio.embedded.commands import CancelSynthesis, Synthesize


def asked_driver(**session: Any) -> SessionDriver:
    """A question has been typed, its context is there."""
    driver = SessionDriver(session=session or None)
    driver.say_in_text("how warm should the brooder be")
    driver.say_in_text(CONTEXT, "system")
    driver.fresh()
    return driver


def test_a_text_response_has_the_events_of_text_and_no_sound() -> None:
    driver = asked_driver()
    events = driver.send("response.create", response={"output_modalities": ["text"]})
    kinds = driver.fresh()
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
    assert not any(isinstance(command, Synthesize) for command in driver.commands)


def test_a_session_may_be_of_text_only() -> None:
    driver = asked_driver(output_modalities=["text"])
    assert driver.send("response.create")[-2]["response"]["output_modalities"] == ["text"]


def test_only_one_response_is_active_in_the_conversation() -> None:
    driver = asked_driver()
    active = driver.send("response.create")[0]["response"]["id"]
    error = error_in(driver.send("response.create", event_id="second"))
    assert error["code"] == "conversation_already_has_active_response"
    assert active in error["message"]
    assert error["event_id"] == "second"
    driver.say("One")
    driver.finish()
    assert driver.send("response.create")[0]["type"] == "response.created"


def test_responses_beside_the_conversation_leave_it_alone() -> None:
    driver = asked_driver()
    driver.send("response.create")
    params = {"conversation": "none", "metadata": {"topic": "x"}, "output_modalities": ["text"]}
    events = driver.send("response.create", response=params)
    done = events[-2]["response"]
    assert (done["status"], done["metadata"], done["conversation_id"]) == ("completed", {"topic": "x"}, None)
    assert not any(event["type"].startswith("conversation.") for event in events)
    item_id = done["output"][0]["id"]
    assert error_in(driver.send("conversation.item.retrieve", item_id=item_id))["param"] == "item_id"


def test_speech_interrupts_the_conversations_response_only() -> None:
    driver = asked_driver()
    beside = driver.send("response.create", response={"conversation": "none"})[0]["response"]["id"]
    driver.append(voice(200))
    assert not any(isinstance(command, CancelSynthesis) for command in driver.commands)
    assert driver.send("response.cancel", response_id=beside)[0]["response"]["status"] == "cancelled"


def test_too_many_responses_beside_the_conversation_are_refused() -> None:
    driver = asked_driver()
    for _ in range(4):
        driver.send("response.create", response={"conversation": "none"})
    error = error_in(driver.send("response.create", response={"conversation": "none"}))
    assert error["code"] == "too_many_responses"


def test_cancel_by_id_and_without() -> None:
    driver = asked_driver()
    first = driver.send("response.create")[0]["response"]["id"]
    driver.say("One")
    done = driver.send("response.cancel")[-2]["response"]
    assert (done["id"], done["status_details"]) == (first, {"type": "cancelled", "reason": "client_cancelled"})
    second = driver.send("response.create")[0]["response"]["id"]
    assert error_in(driver.send("response.cancel", response_id=first))["code"] == "response_cancel_not_active"
    assert driver.send("response.cancel", response_id=second)[0]["response"]["id"] == second
    assert error_in(driver.send("response.cancel", event_id="e"))["event_id"] == "e"


def test_a_response_that_waits_for_words_can_be_cancelled() -> None:
    driver = SessionDriver()
    driver.append(voice(400) + quiet(500))
    assert driver.send("response.cancel")[0]["response"]["status"] == "cancelled"
    assert driver.heard("how warm") == []
    assert driver.wait(1) == []


def test_input_replaces_the_conversation() -> None:
    driver = asked_driver()
    words = {"type": "input_text", "text": "how cold must chicks be to huddle"}
    given = [{"type": "message", "role": "user", "content": [words]}]
    driver.send("response.create", response={"input": given})
    assert driver.last(Synthesize).text.startswith("I do not know")


def test_input_may_refer_to_items_and_be_empty() -> None:
    driver = SessionDriver()
    question = driver.say_in_text("how warm should the brooder be")
    driver.say_in_text("something else", "user")
    context = driver.say_in_text(CONTEXT, "system")
    references = [{"type": "item_reference", "id": each} for each in (question, context)]
    driver.send("response.create", response={"input": references, "conversation": "none"})
    assert "32 to 35" in driver.last(Synthesize).text
    driver.send("response.create", response={"input": []})
    assert driver.last(Synthesize).text.startswith("Hello.")


def test_a_reference_to_nothing_is_refused_by_its_place() -> None:
    driver = SessionDriver()
    error = error_in(driver.send("response.create", response={"input": [{"type": "item_reference", "id": "x"}]}))
    assert error["param"] == "response.input[0].id"


def test_metadata_comes_back_in_created_and_done() -> None:
    driver = asked_driver()
    created = driver.send("response.create", response={"metadata": {"a": "1"}})[0]
    driver.say("One")
    assert created["response"]["metadata"] == driver.finish()[-2]["response"]["metadata"] == {"a": "1"}


@pytest.mark.parametrize("written", [True, False])
def test_max_output_tokens_ends_an_answer_as_incomplete(written: bool) -> None:
    driver = asked_driver()
    params = {"max_output_tokens": 5, "output_modalities": ["text" if written else "audio"]}
    events = driver.send("response.create", response=params)
    if not written:
        assert driver.say("According", 100)[-1]["type"] == "response.output_audio.delta"
        events = driver.say(" to", 100)
        assert isinstance(driver.commands[-1], CancelSynthesis)
    response = events[-2]["response"]
    assert response["status"] == "incomplete"
    assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert response["usage"]["output_tokens"] in (5, 6)
    assert response["output"][0]["status"] == "incomplete"


def test_synthesis_that_fails_ends_the_response_and_not_the_session() -> None:
    driver = asked_driver()
    driver.send("response.create")
    driver.say("One")
    response = driver.take(driver.session.synthesis_failed(driver.last(Synthesize).response_id, "espeak is gone"))[-2][
        "response"
    ]
    assert response["status"] == "failed"
    assert response["status_details"]["error"]["code"] == "speech_failed"
    assert driver.send("response.create")[0]["type"] == "response.created"


def test_usage_follows_the_published_rules() -> None:
    driver = SessionDriver(session={"instructions": "Be brief.", "audio": {"input": {"turn_detection": None}}})
    driver.append(voice(1250))
    driver.send("input_audio_buffer.commit")
    driver.heard("not counted as text")
    driver.say_in_text("three words more", "system")
    driver.send("response.create")
    driver.say("Two words", 130)
    usage = driver.finish()[-2]["response"]["usage"]
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
    driver = asked_driver()
    error = error_in(driver.send("response.create", response=params, event_id="e9"))
    assert (error["param"], error["event_id"]) == (param, "e9")
    assert error_in(driver.send("response.cancel"))["code"] == "response_cancel_not_active"
