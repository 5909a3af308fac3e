"""What ends something is understood from whatever of the upstream's frame can be read (F21)."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_trio.conversation import events
from voice_trio.errors import BadMessage
from voice_trio.protocols import realtime

HALF = "\ud83d"
TRANSCRIPTION = "conversation.item.input_audio_transcription"
PLACE = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}

WITH_HALF_AN_EMOJI: list[tuple[dict[str, Any], Any]] = [
    (
        {"type": "response.done", "response": {"id": "r", "status": "completed", "output": [{"content": HALF}]}},
        events.ResponseDone("r", "completed"),
    ),
    (
        {"type": "response.created", "response": {"id": "r", "metadata": {"vt": "t", HALF: HALF}}},
        events.ResponseCreated("r", {"vt": "t", "\ufffd": "\ufffd"}),
    ),
    (
        {"type": "response.output_audio_transcript.delta", **PLACE, "delta": f"a{HALF}"},
        events.ResponseTranscriptDelta("r", "i", "a\ufffd"),
    ),
    (
        {"type": "response.output_audio_transcript.done", **PLACE, "transcript": f"a{HALF}"},
        events.ResponseTranscriptDone("r", "i", "a\ufffd"),
    ),
    ({"type": "response.output_text.done", **PLACE, "text": HALF}, events.ResponseTranscriptDone("r", "i", "\ufffd")),
    (
        {"type": "response.function_call_arguments.done", **PLACE, "call_id": "c", "name": "f", "arguments": HALF},
        events.FunctionCalled("r", "i", "c", "f", "\ufffd"),
    ),
    ({"type": f"{TRANSCRIPTION}.delta", "item_id": "i", "delta": HALF}, events.TranscriptDelta("i", "\ufffd")),
    (
        {"type": f"{TRANSCRIPTION}.completed", "item_id": "i", "transcript": HALF},
        events.TranscriptCompleted("i", "\ufffd"),
    ),
    (
        {"type": f"{TRANSCRIPTION}.failed", "item_id": "i", "error": {"code": "c", "message": HALF}},
        events.TranscriptFailed("i", "c", "\ufffd"),
    ),
    ({"type": "error", "error": {"code": "c", "message": HALF}}, events.UpstreamError("c", "\ufffd")),
    (
        {"type": "conversation.item.done", "item": {"content": [{"text": HALF}]}},
        events.OtherUpstreamEvent("conversation.item.done"),
    ),
    (
        {"type": "response.output_item.done", "response_id": "r", "item": {HALF: HALF}},
        events.OtherUpstreamEvent("response.output_item.done", "r"),
    ),
]


@pytest.mark.parametrize(("fields", "event"), WITH_HALF_AN_EMOJI, ids=[f["type"] for f, _ in WITH_HALF_AN_EMOJI])
def test_half_an_emoji_loses_no_event_F21(fields: dict[str, Any], event: Any) -> None:
    read = realtime.read_event(json.dumps(fields))
    assert read == event
    assert isinstance(read, events.FromUpstream)
    assert "\\ud83d" not in read.wire
    assert msgspec.json.decode(read.wire)["type"] == fields["type"]  # it can be passed on


def test_half_an_emoji_in_the_json_of_a_functions_arguments_is_replaced_too_F21() -> None:
    place = {"response_id": "r", "item_id": "i", "call_id": "c", "name": "f"}
    frame = json.dumps({"type": "response.function_call_arguments.done", **place, "arguments": r'{"a":"\ud83d"}'})
    called = realtime.read_event(frame)
    assert isinstance(called, events.FunctionCalled)
    assert msgspec.json.decode(called.arguments) == {"a": "\ufffd"}


def test_half_an_emoji_in_a_session_is_shown_with_replacement_F21() -> None:
    state = realtime.read_event(json.dumps({"type": "session.updated", "session": {"id": "s", "instructions": HALF}}))
    assert isinstance(state, realtime.SessionState)
    assert msgspec.json.decode(state.session_json)["instructions"] == "\ufffd"


MALFORMED: list[tuple[dict[str, Any], Any]] = [
    (
        {"type": "response.done", "response": {"id": "r", "status": "cancelled", "usage": 3, "metadata": []}},
        events.ResponseDone("r", "cancelled"),
    ),
    ({"type": "response.done", "response": {"id": "r", "status": 5}}, events.ResponseDone("r", "failed", "malformed")),
    (
        {"type": "response.done", "response": {"id": "r", "status": "failed", "status_details": [1]}},
        events.ResponseDone("r", "failed"),
    ),
    ({"type": "response.done", "response": []}, events.ResponseDone("", "failed", "malformed")),
    ({"type": "response.done", "response_id": "r"}, events.ResponseDone("r", "failed", "malformed")),
    ({"type": "response.done"}, events.ResponseDone("", "failed", "malformed")),
    (
        {
            "type": f"{TRANSCRIPTION}.completed",
            "item_id": "i",
            "transcript": "yes",
            "usage": "much",
            "content_index": "",
        },
        events.TranscriptCompleted("i", "yes"),
    ),
    ({"type": f"{TRANSCRIPTION}.completed", "item_id": "i"}, events.TranscriptFailed("i", "malformed")),
    ({"type": f"{TRANSCRIPTION}.failed", "item_id": "i", "error": "no"}, events.TranscriptFailed("i", "unknown")),
    ({"type": "error"}, events.UpstreamError("unknown")),
    ({"type": "error", "error": {"code": 5, "event_id": "vt_1"}}, events.UpstreamError("unknown", "", "vt_1")),
    ({"type": "response.output_audio_transcript.done", **PLACE}, events.ResponseTranscriptDone("r", "i", "")),
    ({"type": "input_audio_buffer.speech_started", "item_id": "i", "audio_start_ms": "x"}, events.SpeechStarted("i")),
]


@pytest.mark.parametrize(("fields", "event"), MALFORMED)
def test_an_end_with_malformed_details_is_still_an_end_F21(fields: dict[str, Any], event: Any) -> None:
    assert realtime.read_event(json.dumps(fields)) == event


NO_JSON: list[tuple[str, Any]] = [
    (
        '{"event_id":"e","type":"response.done","response":{"object":"realtime.response","id":"r",'
        '"status":"completed","output":[{"type":"message","content":[{"transcript":"cut of',
        events.ResponseDone("r", "completed"),
    ),
    (
        '{"type":"response.done","response":{"id":"r","usage":{"input":\\x}}',
        events.ResponseDone("r", "failed", "malformed"),
    ),
    ('{"type":"response.done","response":{"id":"r","status":"failed","n":1e', events.ResponseDone("r", "failed")),
    (
        f'{{"type":"{TRANSCRIPTION}.completed","item_id":"i","transcript":"how \\"warm\\"","usage":{{',
        events.TranscriptCompleted("i", 'how "warm"'),
    ),
    (
        f'{{"type":"{TRANSCRIPTION}.completed","item_id":"i","transcript":"how w',
        events.TranscriptFailed("i", "malformed"),
    ),
    (f'{{"type":"{TRANSCRIPTION}.failed","item_id":"i","error":{{"code":"c","mes', events.TranscriptFailed("i", "c")),
    (
        '{"type":"error","event_id":"e","error":{"code":"c","event_id":"vt_1","message":"Bad \\q',
        events.UpstreamError("c", "", "vt_1"),
    ),
    (
        '{"type":"response.output_audio.done","response_id":"r","item_id":"i",,}',
        events.ResponseAudioDone("r", "i"),
    ),
    (
        '{"type":"response.output_audio_transcript.delta","response_id":"r","item_id":"i","delta":"a\tb"}',
        events.ResponseTranscriptDelta("r", "i", "a\tb"),
    ),
]


@pytest.mark.parametrize(("frame", "event"), NO_JSON)
def test_an_end_is_found_in_what_is_not_quite_json_F21(frame: str, event: Any) -> None:
    read = realtime.read_event(frame)
    assert read == event
    assert isinstance(read, events.FromUpstream)
    msgspec.json.decode(read.wire)


@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"AA',
        '{"type":"novel","a":',
        "\x00",
    ],
)
def test_what_is_no_end_and_no_json_is_skipped_F21(frame: str) -> None:
    with pytest.raises(BadMessage):
        realtime.read_event(frame)


@given(st.text(), st.integers(0, 200), st.sampled_from([f for f, _ in MALFORMED]))
def test_whatever_is_cut_or_put_in_only_bad_message_is_raised_F21(text: str, at: int, fields: dict[str, Any]) -> None:
    frame = json.dumps(fields)
    for broken in (frame[:at], frame[:at] + text + frame[at:], frame[:at] + text):
        with contextlib.suppress(BadMessage):
            realtime.read_event(broken)
