"""What a client of OpenAI's protocol may set: its names, and when an update comes into force."""

from __future__ import annotations

import json
from typing import Any

import pytest

from voice_trio.errors import InvalidEvent
from voice_trio.protocols.openai_client import ClientSettings, client_settings
from voice_trio.protocols.realtime import RealtimeConfig, sessions
from voice_trio.settings import CLIENT_SETTINGS

CONFIG = RealtimeConfig(model="gpt-realtime-2.1", instructions="Ours.")
SESSION = json.dumps(sessions.new_session("sess_1", "gpt-realtime-2.1", 1_800_000_000))


def settings(allowed: frozenset[str] = client_settings.SETTING_NAMES) -> ClientSettings:
    return ClientSettings(CONFIG, allowed)


def update(**session: Any) -> dict[str, Any]:
    return {"type": "realtime", **session}


def test_the_operators_names_and_the_protocols_agree() -> None:
    assert set(CLIENT_SETTINGS) == client_settings.SETTING_NAMES


@pytest.mark.parametrize("name", sorted(client_settings.SETTING_NAMES))
def test_a_setting_that_is_not_allowed_does_not_go_upstream(name: str) -> None:
    everything = update(
        instructions="Theirs.",
        tools=[{"type": "function", "name": "weather"}],
        output_modalities=["text"],
        max_output_tokens=9,
        reasoning={"effort": "low"},
        audio={
            "input": {
                "turn_detection": {"type": "semantic_vad"},
                "noise_reduction": {"type": "far_field"},
                "transcription": {"model": "theirs", "language": "zh"},
            },
            "output": {"voice": "cedar", "speed": 1.5},
        },
    )
    sent = settings().request_update("u1", everything)
    without = settings(client_settings.SETTING_NAMES - {name}).request_update("u1", everything)
    assert sent != without
    assert len(json.dumps(without)) < len(json.dumps(sent)) or name == "transcription_model"


def test_an_update_is_in_force_once_it_was_accepted() -> None:
    ours = settings()
    detection = {"type": "server_vad", "create_response": False, "interrupt_response": False}
    audio = {"input": {"turn_detection": detection, "transcription": {"model": "any"}}}
    ours.request_update("u1", update(instructions="Theirs.", audio=audio))
    assert (ours.turn_policy.automatic, ours.wants_transcripts) == (True, False)
    assert ours.visible_session(SESSION, 5.0)["instructions"] == ""
    ours.accept_oldest()
    assert (ours.turn_policy.automatic, ours.turn_policy.interrupts, ours.wants_transcripts) == (False, False, True)
    assert ours.visible_session(SESSION, 5.0)["instructions"] == "Theirs."


def test_a_refused_update_changes_nothing_and_later_ones_count() -> None:
    ours = settings()
    ours.request_update("u1", update(instructions="First."), event_id="theirs_1")
    ours.request_update("u2", update(tool_choice="none"))
    assert ours.refuse("u1") == "theirs_1"
    ours.accept_oldest()
    shown = ours.visible_session(SESSION, 5.0)
    assert (shown["instructions"], shown["tool_choice"]) == ("", "none")
    assert not ours.is_pending("u1")
    assert not ours.is_pending("u2")


def test_an_invalid_update_is_not_pending() -> None:
    ours = settings()
    with pytest.raises(InvalidEvent) as refused:
        ours.request_update("u1", update(tools=[{"type": "mcp"}]))
    assert refused.value.param == "session.tools[0].type"
    assert not ours.is_pending("u1")
