"""Sessions. Each expectation says where it comes from.

Sources: "types" are the docstrings of `openai.types.realtime` in openai-python 3; "recording" is traffic of the live
service kept in pydantic-ai's tests (gpt-realtime, July 2026); "guide" is OpenAI's documentation; others are named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conformance.conftest import Client


async def test_session_created_comes_first_and_shows_the_whole_session(unheard: Client) -> None:
    """Types, session_created_event: emitted automatically as the first server event, with the default configuration.

    Recording: it has an id, and `expires_at` is an hour away.
    """
    session = (await unheard.hears("session.created")).event["session"]
    assert unheard.types()[0] == "session.created"
    assert session["type"] == "realtime"
    assert session["id"]
    assert session["expires_at"] > 1_700_000_000
    assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"


async def test_session_updated_shows_what_was_asked_for(client: Client) -> None:
    """Types, session_updated_event: returned when a session is updated, unless there is an error, with all of it."""
    detection = {"type": "server_vad", "threshold": 0.4, "create_response": False, "silence_duration_ms": 400}
    session = await client.updates(
        instructions="Answer in one word.",
        max_output_tokens=300,
        audio={"input": {"turn_detection": detection}, "output": {"voice": "marin"}},
    )
    assert session["instructions"] == "Answer in one word."
    assert session["max_output_tokens"] == 300
    assert session["audio"]["output"]["voice"] == "marin"
    assert session["audio"]["input"]["turn_detection"].items() >= detection.items()


async def test_only_the_fields_of_an_update_change(client: Client) -> None:
    """Types, session_update_event: only the fields that are present are updated."""
    await client.updates(instructions="Answer in one word.")
    session = await client.updates(max_output_tokens=300)
    assert session["instructions"] == "Answer in one word."


async def test_null_turns_detection_off(client: Client) -> None:
    """Types, realtime_audio_config_input: turn_detection can be set to null; then the client must trigger responses."""
    await client.updates(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
    session = await client.updates(audio={"input": {"turn_detection": None}})
    assert session["audio"]["input"]["turn_detection"] is None


async def test_a_conversation_refuses_to_become_a_transcription_session(client: Client) -> None:
    """Guide, realtime transcription: a socket opened with `model` is a conversation and refuses the other type."""
    await client.send("session.update", event_id="mine", session={"type": "transcription"})
    await client.is_refused(event_id="mine")
    await client.lives()


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("session.update", {}),
        ("session.update", {"session": {"type": "realtime", "output_modalities": ["smell"]}}),
        ("session.update", {"session": {"type": "realtime", "audio": {"output": {"speed": 99}}}}),
        ("input_audio_buffer.append", {}),
        ("input_audio_buffer.append", {"audio": "no base64 at all!"}),
        ("conversation.item.create", {"item": {"type": "message", "role": "nobody", "content": []}}),
        ("conversation.item.truncate", {"item_id": "none", "content_index": 0, "audio_end_ms": 0}),
        ("response.create", {"response": {"output_modalities": ["text", "audio"]}}),
        ("no.such.event", {}),
    ],
)
async def test_a_malformed_event_is_an_error_that_names_it_and_the_session_lives(
    client: Client, kind: str, fields: dict[str, Any]
) -> None:
    """Types, realtime_error_event: most errors are recoverable, the session stays open; `event_id` is the client's."""
    await client.send(kind, event_id="mine", **fields)
    assert (await client.is_refused(event_id="mine"))["message"]
    await client.lives()


async def test_what_is_no_json_is_an_error_too(client: Client) -> None:
    """Types, realtime_error_event, as above; there is no event id to name."""
    await client.link.send("{")
    await client.is_refused()
    await client.lives()
