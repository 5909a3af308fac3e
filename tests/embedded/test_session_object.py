"""The session object: all of it is shown, what is asked for is kept, what cannot be is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.embedded_fixture import SessionDriver, error_in, only
from voice_trio.embedded.commands import Synthesize


def test_the_first_event_is_the_session_with_every_field() -> None:
    driver = SessionDriver()
    session = driver.send("session.update", session={"type": "realtime"})[0]["session"]
    assert session.keys() >= {
        "id",
        "object",
        "type",
        "model",
        "output_modalities",
        "instructions",
        "tools",
        "tool_choice",
        "max_output_tokens",
        "tracing",
        "truncation",
        "prompt",
        "expires_at",
        "audio",
        "include",
    }
    assert session["audio"]["input"].keys() == {"format", "transcription", "noise_reduction", "turn_detection"}
    assert session["audio"]["output"].keys() == {"format", "voice", "speed"}
    assert session["expires_at"] == 1_800_003_600


def test_what_is_asked_for_is_echoed() -> None:
    driver = SessionDriver()
    asked: dict[str, Any] = {
        "type": "realtime",
        "output_modalities": ["text"],
        "instructions": "Be brief.",
        "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}}],
        "tool_choice": "none",
        "max_output_tokens": 100,
        "tracing": "auto",
        "truncation": {"type": "retention_ratio", "retention_ratio": 0.8},
        "include": ["item.input_audio_transcription.logprobs"],
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": {"model": "gpt-realtime-whisper", "language": "en"},
                "noise_reduction": {"type": "near_field"},
                "turn_detection": {"type": "server_vad", "threshold": 0.3, "idle_timeout_ms": 6000},
            },
            "output": {"voice": "marin", "speed": 1.2},
        },
    }
    shown = only(driver.send("session.update", session=asked))["session"]
    for name in asked.keys() - {"audio"}:
        assert shown[name] == asked[name], name
    assert shown["audio"]["input"]["transcription"] == asked["audio"]["input"]["transcription"]
    assert shown["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.3,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "idle_timeout_ms": 6000,
        "create_response": True,
        "interrupt_response": True,
    }
    assert shown["audio"]["output"] == {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.2}


def test_what_is_cleared_goes_back_to_how_it_began() -> None:
    driver = SessionDriver(
        session={"instructions": "Be brief.", "max_output_tokens": 7, "audio": {"output": {"voice": "marin"}}}
    )
    cleared = {"instructions": None, "max_output_tokens": None, "output_modalities": None}
    audio = {"input": {"format": None}, "output": {"voice": None, "speed": None, "format": None}}
    shown = only(driver.send("session.update", session={"type": "realtime", **cleared, "audio": audio}))["session"]
    assert (shown["instructions"], shown["max_output_tokens"], shown["output_modalities"]) == ("", "inf", ["audio"])
    assert shown["audio"]["output"] == {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.0}


def test_voice_and_speed_are_those_the_answer_is_said_with() -> None:
    driver = SessionDriver(session={"audio": {"output": {"voice": "cedar", "speed": 0.8}}})
    driver.send("response.create")
    assert (driver.last(Synthesize).voice, driver.last(Synthesize).speed) == ("cedar", 0.8)


def test_the_voice_is_frozen_after_the_first_sound() -> None:
    driver = SessionDriver()
    marin = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    driver.send("response.create")
    assert driver.send("session.update", session=marin)[0]["type"] == "session.updated"
    driver.say("Hello")
    cedar = {"type": "realtime", "instructions": "new", "audio": {"output": {"voice": {"id": "cedar"}}}}
    error = error_in(driver.send("session.update", session=cedar))
    assert (error["code"], error["param"]) == ("cannot_update_voice", "session.audio.output.voice")
    shown = driver.send("session.update", session=marin)[0]["session"]
    assert (shown["audio"]["output"]["voice"], shown["instructions"]) == ("marin", "")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({}, "session.type"),
        ({"type": "transcription"}, "session.type"),
        ({"type": "realtime", "instructions": 5}, "session.instructions"),
        ({"type": "realtime", "output_modalities": ["video"]}, "session.output_modalities[0]"),
        ({"type": "realtime", "output_modalities": []}, "session.output_modalities"),
        ({"type": "realtime", "max_output_tokens": 4097}, "session.max_output_tokens"),
        ({"type": "realtime", "audio": {"output": {"speed": 3}}}, "session.audio.output.speed"),
        ({"type": "realtime", "audio": {"output": {"voice": "nobody"}}}, "session.audio.output.voice"),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcma"}}}},
            "session.audio.input.format.type",
        ),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 8000}}}},
            "session.audio.input.format.rate",
        ),
        (
            {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 2}}}},
            "session.audio.input.turn_detection.threshold",
        ),
        (
            {"type": "realtime", "audio": {"input": {"turn_detection": {"type": "psychic_vad"}}}},
            "session.audio.input.turn_detection.type",
        ),
    ],
)
def test_wrong_settings_are_refused_by_name_and_change_nothing(change: dict[str, Any], param: str) -> None:
    driver = SessionDriver()
    before = driver.send("session.update", session={"type": "realtime"})
    error = error_in(driver.send("session.update", session=change, event_id="e1"))
    assert (error["param"], error["event_id"]) == (param, "e1")
    after = driver.send("session.update", session={"type": "realtime"})
    assert before[0]["session"] == after[0]["session"]
