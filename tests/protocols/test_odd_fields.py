"""Odd and unknown fields never make an event malformed that begins or ends something (F24's neighbours)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice_trio.conversation import events
from voice_trio.protocols.realtime import read_event

if TYPE_CHECKING:
    from collections.abc import Mapping

_TRANSCRIPTION = "conversation.item.input_audio_transcription"

# Each with what it must still say. All other fields may hold anything.
NEEDED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "input_audio_buffer.speech_started": ({"item_id": "i"}, {"item_id": "i"}),
    "input_audio_buffer.speech_stopped": ({"item_id": "i"}, {"item_id": "i"}),
    "input_audio_buffer.committed": ({"item_id": "i"}, {"item_id": "i"}),
    "response.created": ({"response": {"id": "r"}}, {"response_id": "r"}),
    "response.done": ({"response": {"id": "r", "status": "completed"}}, {"response_id": "r", "status": "completed"}),
    "response.output_item.added": ({"response_id": "r", "item": {"id": "i"}}, {"response_id": "r", "item_id": "i"}),
    "response.output_audio.delta": ({"response_id": "r", "item_id": "i", "delta": "AAAA"}, {"item_id": "i"}),
    "response.output_audio.done": ({"response_id": "r", "item_id": "i"}, {"item_id": "i"}),
    "response.output_audio_transcript.delta": ({"response_id": "r", "item_id": "i", "delta": "a"}, {"delta": "a"}),
    "response.output_audio_transcript.done": ({"response_id": "r", "item_id": "i", "transcript": "a"}, {"text": "a"}),
    f"{_TRANSCRIPTION}.delta": ({"item_id": "i", "delta": "a"}, {"item_id": "i", "delta": "a"}),
    f"{_TRANSCRIPTION}.completed": ({"item_id": "i", "transcript": "a"}, {"transcript": "a"}),
    f"{_TRANSCRIPTION}.failed": ({"item_id": "i"}, {"item_id": "i"}),
}
OPTIONAL = (
    *("audio_start_ms", "audio_end_ms", "previous_item_id", "event_id", "content_index", "output_index"),
    *("logprobs", "usage", "part", "phase", "obfuscation", "start_time", "languages", "error"),
)
OPTIONAL_OF_RESPONSE = ("status_details", "usage", "output", "metadata", "conversation_id", "audio", "object")

anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**7) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


def odd(kind: str, event: Mapping[str, Any], top: dict[str, Any], inner: dict[str, Any]) -> dict[str, Any]:
    made = {**top, **event, "type": kind}
    if "response" in event:
        made["response"] = {**inner, **event["response"]}
    if "item" in event:
        made["item"] = {**inner, **event["item"]}
    return made


@pytest.mark.parametrize("kind", NEEDED)
@settings(max_examples=25, deadline=None)
@given(
    top=st.dictionaries(st.sampled_from(OPTIONAL) | st.text(max_size=6), anything, max_size=5),
    inner=st.dictionaries(st.sampled_from(OPTIONAL_OF_RESPONSE) | st.text(max_size=6), anything, max_size=5),
)
def test_whatever_else_it_says_it_is_understood(kind: str, top: dict[str, Any], inner: dict[str, Any]) -> None:
    needed, expected = NEEDED[kind]
    event = read_event(json.dumps(odd(kind, needed, top, inner)))
    assert not isinstance(event, events.OtherUpstreamEvent)
    assert {name: getattr(event, name) for name in expected} == expected


def test_a_response_whose_details_are_a_text_begins() -> None:
    response = {"id": "r", "status": "in_progress", "status_details": "unimplemented", "usage": {}, "output": []}
    assert read_event(json.dumps({"type": "response.created", "response": response})) == events.ResponseCreated("r")
