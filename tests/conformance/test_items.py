"""Items of the conversation. Each expectation says where it comes from; sources as in `test_session`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conformance.conftest import Client


async def test_an_item_is_added_and_then_done_after_the_one_before(client: Client) -> None:
    """Guide, migration to GA: `conversation.item.added` and `.done` replace the beta's `.created`."""
    first = (await client.creates_item("one"))["item"]["id"]
    second = await client.creates_item("two")
    assert second["previous_item_id"] == first
    kinds = [kind for kind in client.types() if kind.startswith("conversation.item.")]
    assert kinds == ["conversation.item.added", "conversation.item.done"] * 2


async def test_the_client_may_name_an_item(client: Client) -> None:
    """Types, realtime_conversation_item_user_message: the id may be provided by the client."""
    assert (await client.creates_item("hello", item={"id": "item_of_mine"}))["item"]["id"] == "item_of_mine"


async def test_root_puts_an_item_in_front_and_an_id_puts_it_behind_that_item(client: Client) -> None:
    """Types, conversation_item_create_event: `root` is the beginning; an id inserts behind that item."""
    first = (await client.creates_item("one"))["item"]["id"]
    await client.creates_item("two")
    assert (await client.creates_item("zero", previous_item_id="root")).get("previous_item_id") is None
    assert (await client.creates_item("between", previous_item_id=first))["previous_item_id"] == first


async def test_behind_an_unknown_item_nothing_is_added(client: Client) -> None:
    """Types, conversation_item_create_event: if the id cannot be found, an error is returned and nothing is added."""
    content = [{"type": "input_text", "text": "lost"}]
    item = {"id": "lost", "type": "message", "role": "user", "content": content}
    await client.send("conversation.item.create", item=item, previous_item_id="nowhere", event_id="mine")
    await client.is_refused(event_id="mine")
    await client.send("conversation.item.retrieve", item_id="lost")
    await client.is_refused()
    assert client.heard("conversation.item.added") == []


async def test_an_id_cannot_be_used_twice(client: Client) -> None:
    """LiveKit's plugin handles the code `item_create_duplicate_item_id` of the live service."""
    await client.creates_item("one", item={"id": "twin"})
    content = [{"type": "input_text", "text": "two"}]
    item = {"id": "twin", "type": "message", "role": "user", "content": content}
    await client.send("conversation.item.create", item=item, event_id="mine")
    await client.is_refused(event_id="mine", code="item_create_duplicate_item_id")


async def test_an_item_can_be_retrieved_until_it_is_deleted(client: Client) -> None:
    """Types, conversation_item_retrieve_event and _delete_event: an error where the item does not exist."""
    item_id = (await client.creates_item("hello"))["item"]["id"]
    await client.send("conversation.item.retrieve", item_id=item_id)
    shown = (await client.hears("conversation.item.retrieved")).event["item"]
    assert shown["content"][0]["text"] == "hello"
    await client.send("conversation.item.delete", item_id=item_id)
    assert (await client.hears("conversation.item.deleted")).event["item_id"] == item_id
    await client.send("conversation.item.retrieve", item_id=item_id, event_id="mine")
    await client.is_refused(event_id="mine")


@pytest.mark.parametrize(
    ("role", "wrong"), [("system", "input_image"), ("user", "output_text"), ("assistant", "input_text")]
)
async def test_each_role_has_its_own_kinds_of_content(client: Client, role: str, wrong: str) -> None:
    """Types, realtime_conversation_item_*_message: system takes input_text, user input_*, assistant output_text."""
    item = {"type": "message", "role": role, "content": [{"type": wrong, "text": "x", "image_url": "x"}]}
    await client.send("conversation.item.create", item=item, event_id="mine")
    await client.is_refused(event_id="mine")


async def test_spoken_answers_can_be_truncated_and_lose_their_transcript(client: Client) -> None:
    """Types, conversation_item_truncate_event: the audio after `audio_end_ms` goes, the transcript goes whole."""
    item_id = await _spoken_item(client)
    await client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=100)
    truncated = (await client.hears("conversation.item.truncated")).event
    assert (truncated["item_id"], truncated["content_index"], truncated["audio_end_ms"]) == (item_id, 0, 100)
    await client.send("conversation.item.retrieve", item_id=item_id)
    assert not (await client.hears("conversation.item.retrieved")).event["item"]["content"][0].get("transcript")


async def test_truncating_beyond_the_sound_is_an_error(client: Client) -> None:
    """Types, conversation_item_truncate_event: an error where audio_end_ms exceeds the actual duration.

    pipecat-ai/pipecat#931 and openai/openai-agents-python#2370 met it: "Audio content of Xms is already shorter …".
    """
    item_id = await _spoken_item(client)
    await client.send(
        "conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=600_000, event_id="mine"
    )
    if client.server.name == "gateway":  # it knows how much there was, and corrects a clock that ran ahead
        assert (await client.hears("conversation.item.truncated")).event["audio_end_ms"] < 600_000
    else:
        assert "shorter" in (await client.is_refused(event_id="mine"))["message"]
    await client.lives()


async def test_what_the_user_said_cannot_be_truncated(client: Client) -> None:
    """livekit/agents#1050: "Only model output audio messages can be truncated"."""
    item_id = (await client.creates_item("hello"))["item"]["id"]
    await client.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=0, event_id="mine")
    await client.is_refused(event_id="mine")


async def _spoken_item(client: Client) -> str:
    await client.creates_item("Say hello.")
    await client.send("response.create", response={"output_modalities": ["audio"]})
    response = (await client.hears("response.done")).event["response"]
    assert response["status"] == "completed"
    return str(response["output"][0]["id"])
