"""Bad input: every malformed event gets an `error` event that names the field, and the session lives on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tests.support.embedded_fixture import SessionDriver, error_in
from voice_trio.protocols.realtime.client_events import CLIENT_EVENT_TYPES


@pytest.mark.parametrize(
    ("event", "param"),
    [
        ({}, "type"),
        ({"type": 5}, "type"),
        ({"type": "session.destroy"}, "type"),
        ({"type": "session.update"}, "session"),
        ({"type": "session.update", "session": []}, "session"),
        ({"type": "input_audio_buffer.append"}, "audio"),
        ({"type": "input_audio_buffer.append", "audio": 1}, "audio"),
        ({"type": "input_audio_buffer.append", "audio": "not base64!"}, "audio"),
        ({"type": "conversation.item.create"}, "item"),
        ({"type": "conversation.item.create", "item": {}}, "item.type"),
        ({"type": "conversation.item.create", "item": {"type": "message"}}, "item.role"),
        ({"type": "conversation.item.create", "item": {"type": "function_call_output"}}, "item.call_id"),
        (
            {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [{}]}},
            "item.content[0].type",
        ),
        ({"type": "conversation.item.retrieve"}, "item_id"),
        ({"type": "conversation.item.delete", "item_id": "x"}, "item_id"),
        ({"type": "conversation.item.truncate", "item_id": "x", "content_index": 0, "audio_end_ms": 0}, "item_id"),
        ({"type": "conversation.item.truncate", "item_id": "x", "content_index": 0}, "audio_end_ms"),
        (
            {"type": "conversation.item.truncate", "item_id": "x", "content_index": 0, "audio_end_ms": -1},
            "audio_end_ms",
        ),
        ({"type": "response.create", "response": {"tools": 1}}, "response.tools"),
        ({"type": "response.cancel", "response_id": 1}, "response_id"),
        ({"type": "output_audio_buffer.clear"}, "type"),
    ],
)
def test_a_malformed_event_is_answered_by_the_name_of_its_field(event: dict[str, Any], param: str) -> None:
    driver = SessionDriver()
    events = driver.take(driver.session.receive(json.dumps({**event, "event_id": "mine"}), 0.0))
    error = error_in(events)
    assert (error["param"], error["event_id"]) == (param, "mine")
    assert driver.send("session.update", session={"type": "realtime"})[0]["type"] == "session.updated"


@pytest.mark.parametrize("frame", ["", "{", "[]", "null", '"x"', b"\xff\xfe", "[" * 100_000])
def test_what_is_no_event_at_all_is_an_error_too(frame: str | bytes) -> None:
    driver = SessionDriver()
    assert error_in(driver.take(driver.session.receive(frame, 0.0)))["message"]
    assert driver.send("session.update", session={"type": "realtime"})[0]["type"] == "session.updated"


_names = some.sampled_from(
    [
        "type",
        "session",
        "item",
        "item_id",
        "previous_item_id",
        "response",
        "response_id",
        "audio",
        "input",
        "output",
        "role",
        "content",
        "text",
        "id",
        "voice",
        "audio_end_ms",
        "content_index",
        "turn_detection",
        "transcription",
        "format",
        "conversation",
        "metadata",
        "input_text",
        "message",
    ]
)
_json = some.recursive(
    some.none() | some.booleans() | some.integers(-5, 5000) | some.text(max_size=5),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(_names, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(some.sampled_from(sorted(CLIENT_EVENT_TYPES)), some.dictionaries(_names, _json, max_size=5))
def test_no_event_whatever_ends_a_session(kind: str, fields: dict[str, Any]) -> None:
    driver = SessionDriver()
    driver.take(driver.session.receive(json.dumps({**fields, "type": kind}), 0.0))
    assert driver.send("session.update", session={"type": "realtime"})[-1]["type"] == "session.updated"
