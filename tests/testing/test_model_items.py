"""Items, audio and the session of the scripted model, and what it refuses as a real server does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.testing.conftest import start_an_answer

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.testing.conftest import FakeCaller
    from voice_trio.testing.model import ScriptedModel

BUFFER, ITEM = "input_audio_buffer.", "conversation.item."


def user_item(item_id: str, text: str = "x") -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "id": item_id, "role": "user", "content": content}


def without_type(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "type"}


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
