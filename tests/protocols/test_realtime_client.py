"""The gateway's side of the Realtime wire: what it reads, and that what it writes is what the API's types ask for."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter

from voice_trio.conversation import commands, events
from voice_trio.errors import BadMessage
from voice_trio.protocols import realtime
from voice_trio.protocols.audio import silence

if TYPE_CHECKING:
    from types import FrameType

OPENAI: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)


def read(**event: object) -> events.UpstreamEvent | realtime.SessionState:
    return realtime.read_event(json.dumps(event))


def test_every_event_keeps_the_frame_it_came_in() -> None:
    frame = '{ "type": "input_audio_buffer.speech_started", "item_id":"i", "audio_start_ms": 12, "novel": [1] }'
    event = realtime.read_event(frame)
    assert event == events.SpeechStarted("i", 12)
    assert event.wire is frame


@pytest.mark.parametrize(
    ("event", "meaning"),
    [
        (
            {"type": "input_audio_buffer.speech_stopped", "item_id": "i", "audio_end_ms": 9},
            events.SpeechStopped("i", 9),
        ),
        (
            {"type": "input_audio_buffer.committed", "item_id": "i", "previous_item_id": None},
            events.SpeechCommitted("i", None),
        ),
        (
            {"type": "conversation.item.input_audio_transcription.delta", "item_id": "i", "delta": " warm"},
            events.TranscriptDelta("i", " warm", 0),
        ),
        (
            {
                "type": "conversation.item.input_audio_transcription.completed",
                "item_id": "i",
                "content_index": 0,
                "transcript": "How warm?",
                "usage": {"type": "duration", "seconds": 3},
            },
            events.TranscriptCompleted("i", "How warm?", {"type": "duration", "seconds": 3}, 0),
        ),
        (
            {
                "type": "conversation.item.input_audio_transcription.failed",
                "item_id": "i",
                "error": {"type": "server_error", "code": "audio_unintelligible", "message": "No"},
            },
            events.TranscriptFailed("i", "audio_unintelligible", "No"),
        ),
        (
            {"type": "response.created", "response": {"id": "r", "metadata": {"vt": "7"}, "output": []}},
            events.ResponseCreated("r", {"vt": "7"}),
        ),
        ({"type": "response.created", "response": {"id": "r", "metadata": None}}, events.ResponseCreated("r", {})),
        (
            {"type": "response.output_item.added", "response_id": "r", "item": {"id": "i", "type": "function_call"}},
            events.OutputItemAdded("r", "i", "function_call"),
        ),
        (
            {"type": "response.output_audio.done", "response_id": "r", "item_id": "i"},
            events.ResponseAudioDone("r", "i"),
        ),
        (
            {"type": "response.output_audio_transcript.delta", "response_id": "r", "item_id": "i", "delta": " 33"},
            events.ResponseTranscriptDelta("r", "i", " 33"),
        ),
        (
            {"type": "response.output_text.delta", "response_id": "r", "item_id": "i", "delta": " 33"},
            events.ResponseTranscriptDelta("r", "i", " 33"),
        ),
        (
            {"type": "response.output_audio_transcript.done", "response_id": "r", "item_id": "i", "transcript": "33"},
            events.ResponseTranscriptDone("r", "i", "33"),
        ),
        (
            {"type": "response.output_text.done", "response_id": "r", "item_id": "i", "text": "33"},
            events.ResponseTranscriptDone("r", "i", "33"),
        ),
        (
            {
                "type": "response.function_call_arguments.done",
                "response_id": "r",
                "item_id": "i",
                "call_id": "c",
                "name": "weather",
                "arguments": "{}",
            },
            events.FunctionCalled("r", "i", "c", "weather", "{}"),
        ),
        (
            {
                "type": "response.done",
                "response": {
                    "id": "r",
                    "status": "failed",
                    "status_details": {"type": "failed", "error": {"type": "server_error", "code": "overloaded"}},
                    "usage": None,
                },
            },
            events.ResponseDone("r", "failed", "", "overloaded", None),
        ),
        (
            {
                "type": "response.done",
                "response": {
                    "id": "r",
                    "status": "cancelled",
                    "status_details": {"type": "cancelled", "reason": "turn_detected"},
                    "usage": {"total_tokens": 5},
                },
            },
            events.ResponseDone("r", "cancelled", "turn_detected", "", {"total_tokens": 5}),
        ),
        (
            {"type": "error", "error": {"type": "invalid_request_error", "message": "No", "event_id": "vt_1"}},
            events.UpstreamError("invalid_request_error", "No", "vt_1"),
        ),
        ({"type": "rate_limits.updated", "rate_limits": []}, events.OtherUpstreamEvent("rate_limits.updated")),
        ({"type": "response.thought", "anything": {"at": "all"}}, events.OtherUpstreamEvent("response.thought")),
    ],
)
def test_reads(event: dict[str, Any], meaning: events.UpstreamEvent) -> None:
    assert realtime.read_event(json.dumps(event)) == meaning


def test_the_length_of_an_answers_audio_is_read_off_its_text() -> None:
    event = read(type="response.output_audio.delta", response_id="r", item_id="i", delta=silence(40))
    assert event == events.ResponseAudioDelta("r", "i", silence(40), 40.0)


def test_audio_whose_slashes_are_escaped_is_the_same_audio() -> None:
    frame = '{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"\\/\\/\\/\\/"}'
    event = realtime.read_event(frame)
    assert isinstance(event, events.ResponseAudioDelta)
    assert event.audio == "////"


def test_fields_that_mean_nothing_to_a_conversation_may_hold_anything() -> None:
    event = read(type="response.output_audio.done", response_id="r", item_id="i", output_index="x", content_index=[{}])
    assert event == events.ResponseAudioDone("r", "i")
    response = {"id": "r", "object": 3, "output": {"type": "novelty"}, "max_output_tokens": None, "audio": "loud"}
    assert read(type="response.created", response=response) == events.ResponseCreated("r", {})
    item = {"id": "i", "type": "mcp_call", "status": 7}
    assert read(type="response.output_item.added", response_id="r", item=item) == events.OutputItemAdded(
        "r", "i", "mcp_call"
    )


def test_an_audio_delta_is_read_in_few_calls() -> None:
    """One comes every 20–100 ms of every answer: what reading it costs is paid the most often."""
    frame = json.dumps(
        {"type": "response.output_audio.delta", "response_id": "r", "item_id": "i", "delta": silence(20)}
    )
    calls: list[str] = []

    def note(running: FrameType, what: str, _: object) -> None:
        if what == "call":
            calls.append(running.f_code.co_name)

    sys.setprofile(note)
    try:
        realtime.read_event(frame)
    finally:
        sys.setprofile(None)
    assert calls == ["read_event", "to_event", "decode_audio", "__init__"]


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "nonsense",
        "[]",
        "17",
        '{"item_id": "i"}',
        '{"type": 3}',
        '{"type": "response.created", "response": {"id": 3}}',
        '{"type": "session.updated", "session": {"audio": 3}}',
        '{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"a\\"b"}',
        "[" * 100_000,
        '{"type":"novel","a":' + "[" * 100_000,
        "\ud800",
        b"\xff\xfe",
    ],
)
def test_what_is_no_event_can_be_logged_and_skipped(frame: str | bytes) -> None:
    with pytest.raises(BadMessage):
        realtime.read_event(frame)


def session(**turn_detection: object) -> dict[str, Any]:
    return {
        "id": "sess_1",
        "type": "realtime",
        "model": "gpt-realtime-2.1",
        "instructions": "Be kind.",
        "audio": {
            "input": {"transcription": {"model": "gpt-realtime-whisper"}, "turn_detection": turn_detection or None},
            "output": {"voice": "marin"},
        },
        "expires_at": 1790000000,
    }


def test_a_sessions_state_says_whether_the_server_would_answer_by_itself() -> None:
    state = read(type="session.updated", session=session(type="server_vad", create_response=False))
    assert isinstance(state, realtime.SessionState)
    assert (state.type, state.create_response, state.interrupt_response) == ("session.updated", False, True)
    assert (state.transcription_model, state.voice, state.session_id) == ("gpt-realtime-whisper", "marin", "sess_1")
    assert json.loads(state.session_json)["instructions"] == "Be kind."


def test_a_server_that_does_not_say_answers_by_itself() -> None:
    state = read(type="session.created", session=session(type="semantic_vad"))
    assert isinstance(state, realtime.SessionState)
    assert state.create_response is True


def test_without_turn_detection_there_is_nothing_to_answer_by_itself() -> None:
    state = read(type="session.created", session=session())
    assert isinstance(state, realtime.SessionState)
    assert (state.turn_detection, state.create_response) == (None, None)


@pytest.mark.parametrize(
    ("command", "written"),
    [
        (
            commands.CreateContextItem("vt_e", "vt_i", "item_u", "<context>…</context>"),
            {
                "type": "conversation.item.create",
                "previous_item_id": "item_u",
                "item": {
                    "id": "vt_i",
                    "type": "message",
                    "role": "system",
                    "content": [{"type": "input_text", "text": "<context>…</context>"}],
                },
            },
        ),
        (
            commands.CreateUserItem("vt_e", "vt_i", "How warm?"),
            {
                "type": "conversation.item.create",
                "item": {
                    "id": "vt_i",
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "How warm?"}],
                },
            },
        ),
        (
            commands.CreateFunctionOutput("vt_e", "call_1", '{"ok":true}'),
            {
                "type": "conversation.item.create",
                "item": {"type": "function_call_output", "call_id": "call_1", "output": '{"ok":true}'},
            },
        ),
        (
            commands.CreateResponse("vt_e", {"vt_tag": "3"}),
            {"type": "response.create", "response": {"metadata": {"vt_tag": "3"}}},
        ),
        (
            commands.CreateResponse("vt_e", {}, tools_allowed=False),
            {"type": "response.create", "response": {"tool_choice": "none"}},
        ),
        (commands.CancelResponse("vt_e", "resp_1"), {"type": "response.cancel", "response_id": "resp_1"}),
        (
            commands.TruncateItem("vt_e", "item_a", 1200),
            {
                "type": "conversation.item.truncate",
                "item_id": "item_a",
                "content_index": 0,
                "audio_end_ms": 1200,
            },
        ),
        (commands.DeleteItem("vt_e", "item_a"), {"type": "conversation.item.delete", "item_id": "item_a"}),
        (
            commands.ChangeSpeed("vt_e", 1.15),
            {"type": "session.update", "session": {"type": "realtime", "audio": {"output": {"speed": 1.15}}}},
        ),
    ],
)
def test_writes(command: commands.UpstreamCommand, written: dict[str, Any]) -> None:
    frame = json.loads(realtime.write_command(command))
    assert frame == {"event_id": "vt_e", **written}
    OPENAI.validate_python(frame)


def test_audio_is_pasted_in_as_it_came() -> None:
    frame = json.loads(realtime.append_audio(silence(20)))
    assert frame == {"type": "input_audio_buffer.append", "audio": silence(20)}
    OPENAI.validate_python(frame)


def test_the_imposed_session_leaves_answering_to_us_and_interrupting_to_the_server() -> None:
    config = realtime.RealtimeConfig(model="gpt-realtime-2.1", instructions="Be kind.", reasoning_effort="low")
    frame = json.loads(realtime.session_update(config))
    OPENAI.validate_python(frame)
    audio = frame["session"]["audio"]
    assert audio["input"]["turn_detection"]["create_response"] is False
    assert audio["input"]["turn_detection"]["interrupt_response"] is True
    assert audio["input"]["format"] == audio["output"]["format"] == {"type": "audio/pcm", "rate": 24000}
    assert frame["session"]["output_modalities"] == ["audio"]
    assert frame["session"]["reasoning"] == {"effort": "low"}


def test_noise_reduction_can_be_switched_off_and_a_language_named() -> None:
    config = realtime.RealtimeConfig(model="m", instructions="", noise_reduction=None, language="zh")
    heard = json.loads(realtime.session_update(config))["session"]["audio"]["input"]
    assert heard["noise_reduction"] is None
    assert heard["transcription"] == {"model": "gpt-realtime-whisper", "language": "zh"}


@pytest.mark.parametrize("model", ["gpt-realtime-2", "gpt-realtime-2.1", "gpt-realtime-2.1-mini"])
def test_reasoning_models_take_an_effort(model: str) -> None:
    assert realtime.takes_reasoning_effort(model)


@pytest.mark.parametrize("model", ["gpt-realtime", "gpt-realtime-1.5", "gpt-realtime-2025-08-28", "scripted"])
def test_others_would_refuse_the_whole_update_for_it(model: str) -> None:
    config = realtime.RealtimeConfig(model=model, instructions="", reasoning_effort="low")
    assert "reasoning" not in json.loads(realtime.session_update(config))["session"]


def test_the_end_of_a_response_is_not_missed_for_a_malformed_detail() -> None:
    frame = (
        '{"type":"response.done","response":{"id":"resp_1","status":"failed","status_details":{"error":{"code":42}}}}'
    )
    assert realtime.read_event(frame) == events.ResponseDone("resp_1", "failed", "", "unknown")


def test_an_error_says_which_setting_it_is_about() -> None:
    frame = '{"type":"error","error":{"code":"invalid_value","param":"session.audio.output.voice"}}'
    event = realtime.read_event(frame)
    assert isinstance(event, events.UpstreamError)
    assert event.param == "session.audio.output.voice"
