"""xAI's frames, read and written."""

from __future__ import annotations

import json

from voice_trio.conversation import commands, events
from voice_trio.protocols.realtime import RealtimeConfig, SessionState
from voice_trio.upstreams.choose import profile_for
from voice_trio.upstreams.xai_wire import XaiTranslator

_TRANSCRIPTION = "conversation.item.input_audio_transcription"


def test_detection_is_off_and_the_voice_stands_at_the_top() -> None:
    config = RealtimeConfig(model="m", instructions="Be brief.", voice="ara", transcription_model="grok-transcribe")
    pcm = {"type": "audio/pcm", "rate": 24000}
    assert json.loads(XaiTranslator().session_update(config, "vt_session")) == {
        "type": "session.update",
        "event_id": "vt_session",
        "session": {
            "instructions": "Be brief.",
            "voice": "ara",
            "turn_detection": {"type": None},
            "audio": {
                "input": {"format": pcm, "transcription": {"model": "grok-transcribe"}},
                "output": {"format": pcm},
            },
        },
    }


def test_transcripts_that_repeat_themselves_become_new_words_and_the_last_one_is_final() -> None:
    wire = XaiTranslator()
    found: list[object] = []
    for kind, status, transcript in (
        ("updated", None, "Hello?"),
        ("completed", "in_progress", "Hello?"),
        ("updated", None, "Hello, my name is"),
        ("completed", "in_progress", "Hello, my name is"),
        ("completed", "completed", "Hello, my name is Charlie."),
    ):
        frame = {"type": f"{_TRANSCRIPTION}.{kind}", "item_id": "i", "transcript": transcript, "status": status}
        found += wire.read(json.dumps(frame))
    assert found == [
        events.TranscriptDelta("i", "Hello?"),
        events.TranscriptDelta("i", " my name is"),
        events.TranscriptCompleted("i", "Hello, my name is Charlie."),
    ]


def test_odd_fields_cost_no_event() -> None:
    response = {"id": "r", "status": "in_progress", "status_details": "unimplemented", "usage": {}}
    (created,) = XaiTranslator().read(json.dumps({"type": "response.created", "response": response}))
    assert created == events.ResponseCreated("r")
    session = {"id": "s", "voice": "ara", "turn_detection": {"type": None}, "modalities": ["audio"]}
    (state,) = XaiTranslator().read(json.dumps({"type": "session.updated", "session": session}))
    assert isinstance(state, SessionState)
    assert (state.voice, state.turn_detection, state.create_response) == ("ara", None, None)


def test_context_is_an_item_of_the_users_because_those_of_the_system_are_not_obeyed() -> None:
    (frame,) = XaiTranslator().write(commands.CreateContextItem("vt_1", "vt_c", None, "<context>…"))
    assert json.loads(frame)["item"]["role"] == "user"
    assert list(XaiTranslator().write(commands.ChangeSpeed("vt_2", 1.1))) == []


def test_it_is_known_by_its_host() -> None:
    profile = profile_for("auto", "wss://api.x.ai/v1/realtime")
    assert (profile.name, profile.headers("k")["Authorization"]) == ("xai", "Bearer k")
    assert profile.url("wss://api.x.ai/v1/realtime", "grok-voice-latest").endswith("?model=grok-voice-latest")
