"""Frames of the flat wire: what Azure Voice Live was recorded to send, what other servers say, what is sent to them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.beta.realtime import RealtimeClientEvent
from pydantic import BaseModel, TypeAdapter

from tests.support.recorded import recorded_frames
from voice_trio.conversation import commands, events
from voice_trio.errors import BadMessage
from voice_trio.protocols.realtime import RealtimeConfig, SessionState
from voice_trio.protocols.voice.writer import visible_session
from voice_trio.upstreams.azure_voice_live import VoiceLiveTranslator
from voice_trio.upstreams.flat_wire import FlatTranslator

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = RealtimeConfig(model="m", instructions="Be brief.", transcription_model="whisper-1", voice="")


def recorded(name: str) -> Iterator[dict[str, Any]]:
    return recorded_frames(f"azure-voice-live/{name}")


def read(event: dict[str, Any]) -> events.UpstreamEvent | SessionState:
    (found,) = FlatTranslator().read(json.dumps(event))
    return found


def session_sent(translator: FlatTranslator, **config: Any) -> dict[str, Any]:
    session: dict[str, Any] = json.loads(translator.session_update(replace(CONFIG, **config), "e1"))["session"]
    return session


def test_a_recorded_spoken_turn_has_the_events_of_a_conversation() -> None:
    found = [read(event) for event in recorded("audio_in_server_vad_turn")]
    kinds = [type(each) for each in found if not isinstance(each, events.OtherUpstreamEvent)]
    in_order = [kind for place, kind in enumerate(kinds) if place == 0 or kinds[place - 1] is not kind]
    assert in_order[:6] == [
        SessionState,
        events.SpeechStarted,
        events.SpeechStopped,
        events.SpeechCommitted,
        events.ResponseCreated,
        events.OutputItemAdded,
    ]
    assert in_order[-3:] == [events.ResponseAudioDone, events.ResponseTranscriptDone, events.ResponseDone]
    words = [each.delta for each in found if isinstance(each, events.ResponseTranscriptDelta)]
    (said,) = [each.text for each in found if isinstance(each, events.ResponseTranscriptDone)]
    assert "".join(words) == said == "Hi Charlie, nice to meet you! How can I help you today?"
    assert sum(isinstance(each, events.ResponseAudioDelta) for each in found) == sum(
        event["type"] == "response.audio.delta" for event in recorded("audio_in_server_vad_turn")
    )
    (done,) = [each for each in found if isinstance(each, events.ResponseDone)]
    assert done.usage is not None
    assert done.usage["total_tokens"] == 143


def test_a_recorded_typed_turn_has_the_events_of_a_conversation() -> None:
    kinds = {type(read(event)) for event in recorded("text_in_audio_out_turn")}
    assert {events.ResponseCreated, events.ResponseAudioDelta, events.ResponseDone} < kinds
    assert events.UpstreamError not in kinds


def test_the_recorded_session_says_what_it_will_do() -> None:
    created, updated = [
        each for event in recorded("audio_in_server_vad_turn") if isinstance(each := read(event), SessionState)
    ]
    assert (created.voice, created.turn_detection, created.create_response) == ("alloy", "server_vad", True)
    assert created.transcription_model is None
    assert (updated.type, updated.transcription_model) == ("session.updated", "whisper-1")
    assert updated.interrupt_response is True


def test_clients_are_told_of_the_session_as_openai_would() -> None:
    states = [each for event in recorded("audio_in_server_vad_turn") if isinstance(each := read(event), SessionState)]
    told = visible_session(states[-1].session_json)
    assert told["audio"]["input"]["transcription"] == {"model": "whisper-1", "language": None}
    assert told["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 500
    assert told["audio"]["output"] == {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy", "speed": 1.0}
    assert (told["type"], told["output_modalities"], told["max_output_tokens"]) == ("realtime", ["audio"], "inf")
    assert told["model"] == "gpt-realtime-global-standard"


@pytest.mark.parametrize("detection", [None, "server_vad", {"type": None}, {}])
def test_a_session_without_turn_detection_responds_to_nothing_by_itself(detection: object) -> None:
    state = read({"type": "session.updated", "session": {"turn_detection": detection, "voice": {"id": 1}}})
    assert isinstance(state, SessionState)
    assert (state.turn_detection, state.create_response, state.voice) == (None, None, "")


def test_create_response_false_is_read_where_the_flat_object_has_it() -> None:
    detection = {"type": "server_vad", "create_response": False}
    state = read({"type": "session.updated", "session": {"turn_detection": detection, "voice": "af_heart"}})
    assert isinstance(state, SessionState)
    assert (state.create_response, state.interrupt_response, state.voice) == (False, True, "af_heart")


def test_a_nested_session_is_read_as_openais() -> None:
    detection = {"type": "server_vad", "create_response": False}
    state = read({"type": "session.updated", "session": {"audio": {"input": {"turn_detection": detection}}}})
    assert isinstance(state, SessionState)
    assert (state.turn_detection, state.create_response) == ("server_vad", False)


def test_names_inside_of_what_was_said_are_not_translated() -> None:
    said = '"type":"response.audio.done"'
    event = read({"item_id": "i", "transcript": said, "type": "conversation.item.input_audio_transcription.completed"})
    assert isinstance(event, events.TranscriptCompleted)
    assert event.transcript == said


def test_an_end_that_was_cut_is_an_end() -> None:
    (event,) = FlatTranslator().read('{"type": "response.audio.done", "response_id": "r", "item_id": "i", "conte')
    assert isinstance(event, events.ResponseAudioDone)


def test_the_session_asked_for_is_flat_and_leaves_the_voice_to_the_server() -> None:
    assert session_sent(FlatTranslator()) == {
        "modalities": ["text", "audio"],
        "instructions": "Be brief.",
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "input_audio_transcription": {"model": "whisper-1"},
        "turn_detection": {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": 500,
            "create_response": False,
            "interrupt_response": True,
        },
        "max_response_output_tokens": 4096,
    }


def test_functions_are_asked_for_where_there_are_any() -> None:
    tools = [{"type": "function", "name": "weather", "parameters": {}}]
    sent = session_sent(FlatTranslator(), tools=tools, voice="af_heart")
    assert (sent["tools"], sent["tool_choice"], sent["voice"]) == (tools, "auto", "af_heart")


@pytest.mark.parametrize(
    ("voice", "speed", "sent"),
    [
        ("marin", 1.0, {"type": "openai", "name": "marin"}),
        ("marin", 1.2, {"type": "openai", "name": "marin"}),
        ("en-US-AvaNeural", 1.0, {"type": "azure-standard", "name": "en-US-AvaNeural"}),
        ("de-DE-KatjaNeural", 1.2, {"type": "azure-standard", "name": "de-DE-KatjaNeural", "rate": "1.2"}),
    ],
)
def test_voice_live_has_voices_of_two_makers(voice: str, speed: float, sent: dict[str, str]) -> None:
    session = session_sent(VoiceLiveTranslator(), voice=voice, speed=speed)
    assert session["voice"] == sent
    assert session["input_audio_sampling_rate"] == 24_000
    assert session["input_audio_noise_reduction"] == {"type": "azure_deep_noise_suppression"}
    assert "input_audio_noise_reduction" not in session_sent(VoiceLiveTranslator(), noise_reduction=None)


def test_commands_are_written_without_what_the_wire_has_not() -> None:
    write = FlatTranslator().write
    (created,) = write(commands.CreateResponse("e1", {"vt": "7"}, tools_allowed=False))
    assert json.loads(created) == {"event_id": "e1", "type": "response.create", "response": {"tool_choice": "none"}}
    (told,) = write(commands.CreateAssistantItem("e2", "i", "Hello."))
    assert json.loads(told)["item"]["content"] == [{"type": "text", "text": "Hello."}]
    (asked,) = write(commands.CreateUserItem("e3", "i", "Hello?"))
    assert json.loads(asked)["item"]["content"] == [{"type": "input_text", "text": "Hello?"}]
    assert list(write(commands.ChangeSpeed("e4", 1.2))) == []


def heard_by(translator: FlatTranslator, *frames: tuple[str, str]) -> list[tuple[str, str]]:
    """Kinds and items of the events of frames, given in the same way."""
    found: list[tuple[str, str]] = []
    for kind, item_id in frames:
        event = {"type": kind, "item_id": item_id, "transcript": "x", "error": {"message": "Transcription failed"}}
        found += [(type(each).__name__, getattr(each, "item_id", "")) for each in translator.read(json.dumps(event))]
    return found


STOPPED, COMMITTED = "input_audio_buffer.speech_stopped", "input_audio_buffer.committed"
STARTED = "input_audio_buffer.speech_started"
COMPLETED = "conversation.item.input_audio_transcription.completed"


def chained() -> FlatTranslator:
    """The translator of a server that transcribes, answers and reads aloud, one after the other."""
    translator = FlatTranslator()
    session = {"turn_detection": None, "speech_model": "kokoro"}
    assert list(translator.read(json.dumps({"type": "session.created", "session": session})))
    return translator


def test_the_commit_of_a_server_that_answers_from_the_words_counts_from_the_transcript() -> None:
    frames = ((STARTED, "a"), (STOPPED, "a"), (COMMITTED, "a"), ("conversation.item.created", ""), (COMPLETED, "a"))
    assert heard_by(chained(), *frames) == [
        ("SpeechStarted", "a"),
        ("SpeechStopped", "a"),
        ("OtherUpstreamEvent", ""),
        ("SpeechCommitted", "a"),
        ("TranscriptCompleted", "a"),
    ]
    assert heard_by(FlatTranslator(), *frames)[2] == ("SpeechCommitted", "a")


@pytest.mark.parametrize(
    ("frame", "event"), [((STARTED, "b"), ("SpeechStarted", "b")), (("error", ""), ("UpstreamError", ""))]
)
def test_a_commit_waits_neither_beyond_the_next_utterance_nor_beyond_an_error(
    frame: tuple[str, str], event: tuple[str, str]
) -> None:
    assert heard_by(chained(), (COMMITTED, "a"), frame, (COMPLETED, "a")) == [
        ("SpeechCommitted", "a"),
        event,
        ("TranscriptCompleted", "a"),
    ]


def test_another_items_transcript_ends_no_wait_and_another_commit_does() -> None:
    assert heard_by(chained(), (COMMITTED, "a"), (COMPLETED, "z"), (COMMITTED, "b"), (COMPLETED, "b")) == [
        ("TranscriptCompleted", "z"),
        ("SpeechCommitted", "a"),
        ("SpeechCommitted", "b"),
        ("TranscriptCompleted", "b"),
    ]


# OpenAI's own types of that time read what is sent, and have each field of it.

CLIENT_EVENT: TypeAdapter[BaseModel] = TypeAdapter(RealtimeClientEvent)
TOOLS = [{"type": "function", "name": "weather", "description": "The weather.", "parameters": {"type": "object"}}]
COMMANDS: list[commands.UpstreamCommand] = [
    commands.CreateContextItem("e", "i", "before", "<context>"),
    commands.CreateUserItem("e", "i", "Hello?"),
    commands.CreateAssistantItem("e", "i", "Hello."),
    commands.CreateInstructionItem("e", "i", "Go on."),
    commands.CreateFunctionOutput("e", "call", "{}"),
    commands.CreateResponse("e", {"vt": "1"}, tools_allowed=False),
    commands.CancelResponse("e", "r"),
    commands.TruncateItem("e", "i", 100),
    commands.DeleteItem("e", "i"),
]


def unknown_fields(value: object, path: str = "") -> list[str]:
    """The fields that OpenAI's types have not, in a value that they have read."""
    if isinstance(value, list):
        return [name for each in value for name in unknown_fields(each, path)]
    if not isinstance(value, BaseModel):
        return []
    known = [name for field in type(value).model_fields for name in unknown_fields(getattr(value, field), path + field)]
    return [path + name for name in value.model_extra or {}] + known


def test_openais_own_types_of_that_time_read_each_command() -> None:
    frames = [frame for command in COMMANDS for frame in FlatTranslator().write(command)]
    frames += [FlatTranslator().append_audio("AAAA"), FlatTranslator().session_update(CONFIG, "e")]
    frames.append(FlatTranslator().session_update(replace(CONFIG, tools=TOOLS, voice="alloy", language="de"), "e"))
    assert len(frames) == len(COMMANDS) + 3
    assert [name for frame in frames for name in unknown_fields(CLIENT_EVENT.validate_json(frame))] == []


NAMES = ["type", "model", "name", "create_response", "interrupt_response"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=5,
)
FIELDS = st.sampled_from(["turn_detection", "voice", "input_audio_transcription", "audio", "tools", "instructions"])


@given(session=st.dictionaries(FIELDS, ANYTHING), kind=st.sampled_from(["session.created", "session.updated"]))
@settings(max_examples=60, deadline=None)
def test_odd_fields_of_a_session_are_no_crash(session: dict[str, Any], kind: str) -> None:
    try:
        found = list(FlatTranslator().read(json.dumps({"type": kind, "session": session})))
    except BadMessage:
        return
    assert [type(each) for each in found] == [SessionState]


@given(frame=st.text(max_size=40) | ANYTHING.filter(lambda value: not isinstance(value, dict)).map(json.dumps))
@settings(max_examples=60, deadline=None)
def test_what_is_no_event_is_a_bad_message(frame: str) -> None:
    with pytest.raises(BadMessage):
        list(FlatTranslator().read(frame))


def test_a_transcript_that_is_repeated_becomes_words_that_are_added() -> None:
    translator = FlatTranslator()
    found: list[events.UpstreamEvent | SessionState] = []
    for transcript in ("How", "How warm", "How warm must", None):
        partial = {"type": "input_audio_buffer.partial_transcription", "item_id": "a", "transcript": transcript}
        found += translator.read(json.dumps(partial))
    assert found == [events.TranscriptDelta("a", " How"), events.TranscriptDelta("a", " warm")]
