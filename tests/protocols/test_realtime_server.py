"""The server's side of the Realtime wire: every client event is read, every fault named, every event valid."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from voice_trio.conversation import events
from voice_trio.errors import BadMessage, InvalidEvent
from voice_trio.protocols import realtime
from voice_trio.protocols.audio import silence
from voice_trio.protocols.realtime import client_events, input_events, server_events, sessions
from voice_trio.protocols.realtime.items import Item, Part, as_kept

OPENAI: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def read(**event: object) -> client_events.ClientEvent:
    return client_events.read_client_event(json.dumps(event))


def message(role: str, *parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": list(parts), **fields}


TEXT = {"type": "input_text", "text": "How warm?"}
FULL_SESSION = {
    "type": "realtime",
    "model": "gpt-realtime-2.1",
    "output_modalities": ["audio"],
    "instructions": "Be kind.",
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": {"model": "gpt-realtime-whisper", "language": "en", "delay": "low"},
            "noise_reduction": {"type": "near_field"},
            "turn_detection": {"type": "semantic_vad", "eagerness": "high", "create_response": False},
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": {"id": "voice_1"}, "speed": 1.2},
    },
    "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}}],
    "tool_choice": {"type": "function", "name": "weather"},
    "max_output_tokens": 400,
    "tracing": "auto",
    "truncation": {"type": "retention_ratio", "retention_ratio": 0.8},
    "reasoning": {"effort": "low"},
    "novelty": [1, 2],
}


@pytest.mark.parametrize(
    ("event", "meaning"),
    [
        ({"type": "input_audio_buffer.append", "audio": "AAA="}, client_events.AppendAudio(audio="AAA=")),
        ({"type": "input_audio_buffer.commit", "event_id": "e"}, client_events.CommitAudio(event_id="e")),
        ({"type": "input_audio_buffer.clear"}, client_events.ClearAudio()),
        ({"type": "output_audio_buffer.clear"}, client_events.ClearOutput()),
        ({"type": "conversation.item.retrieve", "item_id": "i"}, client_events.RetrieveItem(item_id="i")),
        ({"type": "conversation.item.delete", "item_id": "i"}, client_events.DeleteItem(item_id="i")),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": 7},
            client_events.TruncateItem(item_id="i", content_index=0, audio_end_ms=7),
        ),
        (
            {"type": "conversation.item.create", "item": message("user", TEXT), "previous_item_id": "root"},
            client_events.CreateItem(
                item=Item(type="message", role="user", content=[Part(type="input_text", text="How warm?")]),
                previous_item_id="root",
            ),
        ),
        ({"type": "response.create"}, client_events.CreateResponse()),
        (
            {"type": "response.create", "response": {"metadata": {"a": "b"}, "input": [], "novelty": 1}},
            client_events.CreateResponse(response=client_events.ResponseParams(metadata={"a": "b"}, input=[])),
        ),
        ({"type": "response.cancel", "response_id": "r"}, client_events.CancelResponse(response_id="r")),
        ({"type": "session.update", "session": FULL_SESSION}, client_events.UpdateSession(session=FULL_SESSION)),
        (
            {"type": "session.update", "session": {"type": "transcription", "audio": {"input": {}}}},
            client_events.UpdateSession(session={"type": "transcription", "audio": {"input": {}}}),
        ),
    ],
)
def test_reads(event: dict[str, Any], meaning: client_events.ClientEvent) -> None:
    assert client_events.read_client_event(json.dumps(event)) == meaning


def session(**audio: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": {"type": "realtime", "audio": audio}}


@pytest.mark.parametrize(
    ("event", "param"),
    [
        ({}, "type"),
        ({"type": 1}, "type"),
        ({"type": "response.shout"}, "type"),
        ({"type": "response.cancel", "response_id": 1}, "response_id"),
        ({"type": "conversation.item.delete"}, "item_id"),
        ({"type": "conversation.item.truncate", "item_id": "i", "content_index": 0}, "audio_end_ms"),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": -1},
            "audio_end_ms",
        ),
        (
            {"type": "conversation.item.truncate", "item_id": "i", "content_index": 0, "audio_end_ms": True},
            "audio_end_ms",
        ),
        ({"type": "input_audio_buffer.append", "audio": "?"}, "audio"),
        ({"type": "conversation.item.create"}, "item"),
        ({"type": "conversation.item.create", "item": {"role": "user"}}, "item.type"),
        ({"type": "conversation.item.create", "item": {"type": "message", "content": []}}, "item.role"),
        ({"type": "conversation.item.create", "item": {"type": "message", "role": "user"}}, "item.content"),
        (
            {"type": "conversation.item.create", "item": message("system", {"type": "input_audio"})},
            "item.content[0].type",
        ),
        (
            {"type": "conversation.item.create", "item": message("user", TEXT, {"type": "input_text"})},
            "item.content[1].text",
        ),
        (
            {"type": "conversation.item.create", "item": {"type": "function_call_output", "call_id": "c"}},
            "item.output",
        ),
        ({"type": "conversation.item.create", "item": {"type": "item_reference", "id": "i"}}, "item.type"),
        (
            {"type": "response.create", "response": {"output_modalities": ["text", "audio"]}},
            "response.output_modalities",
        ),
        ({"type": "response.create", "response": {"max_output_tokens": "all"}}, "response.max_output_tokens"),
        ({"type": "response.create", "response": {"input": [{"type": "message"}]}}, "response.input[0].role"),
        ({"type": "session.update"}, "session"),
        ({"type": "session.update", "session": {}}, "session.type"),
        ({"type": "session.update", "session": {"type": "x"}}, "session.type"),
        (session(output={"speed": 9}), "session.audio.output.speed"),
        (
            session(input={"turn_detection": {"type": "server_vad", "threshold": 2}}),
            "session.audio.input.turn_detection.threshold",
        ),
        (session(input={"format": {"type": "audio/pcm", "rate": 16000}}), "session.audio.input.format.rate"),
    ],
)
def test_a_fault_is_named_by_its_field(event: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        read(**event, event_id="vt_1")
    assert refused.value.param == param
    assert refused.value.event_id == "vt_1"
    assert refused.value.code
    assert str(refused.value)


@given(st.text() | st.binary())
def test_whatever_arrives_only_invalid_event_is_raised(frame: str | bytes) -> None:
    with pytest.raises(InvalidEvent):
        client_events.read_client_event(frame)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "item", "session", "response", "audio", "content", "id"]), inner)
    ),
    max_leaves=10,
)


@given(st.sampled_from(sorted(client_events.CLIENT_EVENT_TYPES)), st.dictionaries(st.text() | st.just("item"), JSON))
def test_whatever_fields_a_client_sends_only_invalid_event_is_raised(kind: str, fields: dict[str, Any]) -> None:
    try:
        event: client_events.ClientEvent | None = read(**{**fields, "type": kind})
    except InvalidEvent as refused:
        event = None
        OPENAI.validate_python(
            written(input_events.error_event(input_events.ErrorDetails(message=str(refused), param=refused.param)))
        )
    assert event is None or isinstance(event, client_events.ClientEvent)


@given(st.sampled_from(["response.created", "response.done", "error", "session.updated", "shout"]), JSON)
def test_whatever_a_server_says_only_bad_message_is_raised(kind: str, value: Any) -> None:
    fields = value if isinstance(value, dict) else {"response": value}
    try:
        event = realtime.read_event(json.dumps({**fields, "type": kind}))
    except BadMessage:
        return
    assert event.wire or (isinstance(event, events.ResponseDone) and event.response_id == "")


def written(event: input_events.ServerEvent) -> dict[str, Any]:
    decoded: dict[str, Any] = msgspec.json.decode(server_events.write_event(event, "event_1"))
    return decoded


OF_CONTENT: dict[str, Any] = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
OF_CALL: dict[str, Any] = {"response_id": "r", "item_id": "i", "output_index": 0, "call_id": "c"}
USER = as_kept(Item(type="message", role="user", content=[Part(type="input_audio")]), "item_u")
ASSISTANT = as_kept(
    Item(type="message", role="assistant", content=[Part(type="output_audio", transcript="33")]), "item_a", "incomplete"
)
CALL = as_kept(Item(type="function_call", name="weather", arguments="{}", call_id="c"), "item_c")
CONVERSATION = sessions.new_session("sess_1", "gpt-realtime-2.1", 1_800_000_000)
EVENTS: list[input_events.ServerEvent] = [
    input_events.SessionCreated(session=CONVERSATION),
    input_events.SessionUpdated(session=sessions.merged(CONVERSATION, FULL_SESSION)),
    input_events.SessionCreated(session=sessions.new_transcription_session("sess_2", 1_800_000_000)),
    input_events.error_event(input_events.ErrorDetails(message="No.")),
    input_events.SpeechStarted(item_id="i", audio_start_ms=3),
    input_events.SpeechStopped(item_id="i", audio_end_ms=9),
    input_events.BufferCommitted(item_id="i", previous_item_id=None),
    input_events.BufferCleared(),
    input_events.ItemAdded(item=USER, previous_item_id=None),
    input_events.ItemDone(item=ASSISTANT, previous_item_id="item_u"),
    input_events.ItemRetrieved(item=CALL),
    input_events.ItemDeleted(item_id="i"),
    input_events.ItemTruncated(item_id="i", content_index=0, audio_end_ms=10),
    input_events.TranscriptionDelta(item_id="i", content_index=0, delta=" how"),
    input_events.TranscriptionCompleted(
        item_id="i", content_index=0, transcript="how", usage={"type": "duration", "seconds": 3}
    ),
    input_events.TranscriptionFailed(item_id="i", content_index=0, error=input_events.ErrorDetails(message="No.")),
    server_events.ResponseCreated(response=server_events.Response(id="r", status="in_progress", metadata={"a": "b"})),
    server_events.ResponseDone(
        response=server_events.Response(
            id="r",
            status="cancelled",
            status_details=server_events.StatusDetails(type="cancelled", reason="turn_detected"),
            output=[ASSISTANT, CALL],
            usage={"total_tokens": 1, "input_token_details": {"cached_tokens": 0}},
        )
    ),
    server_events.OutputItemAdded(response_id="r", output_index=0, item=ASSISTANT),
    server_events.OutputItemDone(response_id="r", output_index=0, item=CALL),
    server_events.ContentPartAdded(**OF_CONTENT, part=server_events.ContentPart(type="audio")),
    server_events.ContentPartDone(**OF_CONTENT, part=server_events.ContentPart(type="text", text="33")),
    server_events.AudioDelta(**OF_CONTENT, delta=silence(20)),
    server_events.AudioDone(**OF_CONTENT),
    server_events.AudioTranscriptDelta(**OF_CONTENT, delta=" 33"),
    server_events.AudioTranscriptDone(**OF_CONTENT, transcript="33"),
    server_events.TextDelta(**OF_CONTENT, delta=" 33"),
    server_events.TextDone(**OF_CONTENT, text="33"),
    server_events.ArgumentsDelta(**OF_CALL, delta="{"),
    server_events.ArgumentsDone(**OF_CALL, name="weather", arguments="{}"),
    server_events.RateLimitsUpdated(rate_limits=[{"name": "tokens", "limit": 9, "remaining": 8, "reset_seconds": 0.5}]),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_what_a_server_says_is_of_the_apis_own_types(event: input_events.ServerEvent) -> None:
    shape = type(OPENAI.validate_python(written(event)))
    assert shape in get_args(get_args(RealtimeServerEvent)[0])
    assert get_args(shape.model_fields["type"].annotation) == (event.__struct_config__.tag,)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_what_a_server_says_can_be_read_by_the_gateway(event: input_events.ServerEvent) -> None:
    assert realtime.read_event(server_events.write_event(event, "event_1")).wire


def test_no_kind_of_event_is_left_out_above() -> None:
    kinds = {
        shape
        for shape in [*vars(input_events).values(), *vars(server_events).values()]
        if isinstance(shape, type) and issubclass(shape, input_events.ServerEvent)
    }
    tagged = {shape for shape in kinds if "." in str(shape.__struct_config__.tag) or shape is input_events.Error}
    assert tagged == {type(event) for event in EVENTS}


def test_an_update_replaces_what_it_names_and_keeps_the_rest() -> None:
    update = {
        "type": "realtime",
        "model": "another",
        "novelty": 1,
        "audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}},
    }
    after = sessions.merged(sessions.merged(CONVERSATION, {"type": "realtime", "instructions": "Be kind."}), update)
    detection = sessions.turn_detection_of(after)
    assert detection is not None
    assert (detection.create_response, detection.interrupt_response) == (False, True)
    assert (detection.silence_duration_ms, detection.threshold) == (500, 0.5)
    assert (after["instructions"], after["model"]) == ("Be kind.", "gpt-realtime-2.1")
    assert after["audio"]["output"] == CONVERSATION["audio"]["output"]
    assert "novelty" not in after


def test_null_clears() -> None:
    update = {"type": "realtime", "audio": {"input": {"turn_detection": None, "transcription": None}}}
    after = sessions.merged(sessions.merged(CONVERSATION, FULL_SESSION), update)
    assert sessions.turn_detection_of(after) is None
    assert sessions.transcription_model_of(after) is None
