"""Items: where they are put, what is refused, what truncation takes away."""

from __future__ import annotations

import pytest

from tests.support.embedded_fixture import SessionDriver, error_in, only
from tests.support.fake_engines import voice
from voice_trio.embedded.commands import FinishRecognition, RecognizeAudio, StartRecognition, Synthesize
from voice_trio.protocols.audio import encode_audio
from voice_trio.protocols.realtime_server.session import ITEMS_MAX


def typed(item_id: str, text: str = "hello") -> dict[str, object]:
    return {"id": item_id, "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def spoken_answer(driver: SessionDriver, duration_ms: int = 100) -> str:
    driver.say_in_text("how warm")
    driver.send("response.create")
    driver.say("One two", duration_ms)
    driver.finish()
    return next(str(event["item"]["id"]) for event in driver.events if event["type"] == "response.output_item.added")


def test_an_item_is_added_and_done_at_once_with_the_id_of_the_one_before() -> None:
    driver = SessionDriver()
    driver.send("conversation.item.create", item=typed("a"))
    added, done = driver.send("conversation.item.create", item=typed("b"))
    assert (added["type"], done["type"]) == ("conversation.item.added", "conversation.item.done")
    assert added["previous_item_id"] == done["previous_item_id"] == "a"
    assert added["item"] == {**typed("b"), "object": "realtime.item", "status": "completed"}


@pytest.mark.parametrize(("place", "order"), [("root", "cab"), ("a", "acb"), ("b", "abc"), (None, "abc")])
def test_previous_item_id_says_where_an_item_goes(place: str | None, order: str) -> None:
    driver = SessionDriver()
    for name in "ab":
        driver.send("conversation.item.create", item=typed(name))
    added = driver.send("conversation.item.create", item=typed("c"), previous_item_id=place)[0]
    at = order.index("c")
    assert added.get("previous_item_id") == (order[at - 1] if at else None)


def test_an_unknown_previous_item_is_an_error_and_nothing_is_added() -> None:
    driver = SessionDriver()
    error = error_in(driver.send("conversation.item.create", item=typed("a"), previous_item_id="x", event_id="e1"))
    assert (error["param"], error["event_id"]) == ("previous_item_id", "e1")
    assert error_in(driver.send("conversation.item.retrieve", item_id="a"))["code"] == "item_retrieve_invalid_item_id"


def test_an_id_that_exists_is_refused() -> None:
    driver = SessionDriver()
    driver.send("conversation.item.create", item=typed("a"))
    error = error_in(driver.send("conversation.item.create", item=typed("a", "other")))
    assert error["code"] == "item_create_duplicate_item_id"
    assert driver.send("conversation.item.retrieve", item_id="a")[0]["item"]["content"][0]["text"] == "hello"


def test_a_deleted_item_is_gone_and_its_id_free() -> None:
    driver = SessionDriver()
    driver.send("conversation.item.create", item=typed("a"))
    assert only(driver.send("conversation.item.delete", item_id="a"))["item_id"] == "a"
    assert error_in(driver.send("conversation.item.delete", item_id="a"))["param"] == "item_id"
    assert driver.send("conversation.item.create", item=typed("a"))[0]["type"] == "conversation.item.added"


def test_truncation_takes_sound_and_the_whole_transcript() -> None:
    driver = SessionDriver()
    item_id = spoken_answer(driver, 500)
    event = only(driver.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=120))
    assert (event["type"], event["audio_end_ms"]) == ("conversation.item.truncated", 120)
    item = driver.send("conversation.item.retrieve", item_id=item_id)[0]["item"]
    assert item["content"] == [{"type": "output_audio"}]
    assert driver.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=0) != []


def test_truncating_beyond_the_audio_is_an_error() -> None:
    driver = SessionDriver()
    item_id = spoken_answer(driver, 500)
    error = error_in(driver.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=501))
    assert error["message"] == "Audio content of 500ms is already shorter than 501ms"
    error = error_in(driver.send("conversation.item.truncate", item_id=item_id, content_index=1, audio_end_ms=1))
    assert error["param"] == "content_index"


def test_only_sound_of_the_assistant_can_be_truncated() -> None:
    driver = SessionDriver()
    item_id = driver.say_in_text("hello", "assistant")
    error = error_in(driver.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=0))
    assert error["message"] == "Only model output audio messages can be truncated"


def test_an_item_made_of_sound_is_listened_to_for_the_answer() -> None:
    driver = SessionDriver()
    content = [{"type": "input_audio", "audio": encode_audio(voice(400))}]
    added = driver.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})[0]
    assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    assert [type(command) for command in driver.commands] == [StartRecognition, RecognizeAudio, FinishRecognition]
    driver.send("response.create")
    assert driver.heard("what is it") == []
    assert driver.last(Synthesize).text.startswith("I do not know")


def test_sound_that_is_no_base64_is_refused_and_nothing_is_added() -> None:
    driver = SessionDriver()
    content = [{"type": "input_audio", "audio": "§"}]
    item = {"id": "a", "type": "message", "role": "user", "content": content}
    assert error_in(driver.send("conversation.item.create", item=item))["param"] == "item.content[0].audio"
    assert error_in(driver.send("conversation.item.retrieve", item_id="a"))["code"] == "item_retrieve_invalid_item_id"


def test_deleting_the_item_that_is_being_said_does_not_disturb_the_answer() -> None:
    driver = SessionDriver()
    driver.say_in_text("how warm")
    driver.send("response.create")
    item_id = driver.say("One")[0]["item"]["id"]
    driver.send("conversation.item.delete", item_id=item_id)
    driver.say(" two")
    assert driver.finish()[-2]["response"]["status"] == "completed"


def test_a_conversation_has_an_end_of_items() -> None:
    driver = SessionDriver()
    for _ in range(ITEMS_MAX):
        driver.session.receive(
            '{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[]}}', 0
        )
    assert error_in(driver.send("conversation.item.create", item=typed("a")))["code"] == "conversation_full"
