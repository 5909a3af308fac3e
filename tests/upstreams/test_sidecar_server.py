"""Where the sidecar transcribes, and what it is shown there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voice_trio.auth.tokens import User
from voice_trio.settings import load_settings
from voice_trio.web.session_config import realtime_config_for, sidecar_for

if TYPE_CHECKING:
    from voice_trio.settings.upstream import SidecarServer

OPENAI_URL = "wss://api.openai.com/v1/realtime"
VOICE_LIVE_URL = "wss://res.services.ai.azure.com/voice-live/realtime"


def server_for(**variables: str) -> SidecarServer:
    server = load_settings({"OPENAI_API_KEY": "k", **variables}).upstream.sidecar
    assert server is not None
    return server


def test_it_is_the_upstream_unless_another_server_is_named() -> None:
    here = server_for(VOICE_UPSTREAM_HEADERS='{"x-team": "voice"}', OPENAI_TRANSCRIPTION_MODEL="gpt-live-transcribe")
    assert (here.url, here.profile.name, here.key, here.headers) == (OPENAI_URL, "openai", "k", {"x-team": "voice"})
    assert here.model == "gpt-live-transcribe"


def test_the_upstreams_key_and_headers_go_to_no_other_host() -> None:
    given = {"VOICE_UPSTREAM_HEADERS": '{"x-team": "voice"}', "OPENAI_REALTIME_URL": VOICE_LIVE_URL}
    there = server_for(VOICE_SIDECAR_URL="wss://res.openai.azure.com", **given)
    assert (there.profile.name, there.key, there.headers) == ("azure", None, {})
    assert there.model == "gpt-realtime-whisper"
    keyed = server_for(VOICE_SIDECAR_URL=OPENAI_URL, VOICE_SIDECAR_API_KEY="s", VOICE_SIDECAR_MODEL="m", **given)
    assert (keyed.profile.name, keyed.key, keyed.model) == ("openai", "s", "m")
    assert "'s'" not in repr(keyed)


def test_the_upstreams_key_goes_to_another_path_of_its_host() -> None:
    there = server_for(OPENAI_REALTIME_URL="ws://h:9/a", VOICE_SIDECAR_URL="ws://h:9/b")
    assert there.key == "k"
    assert server_for(OPENAI_REALTIME_URL="ws://h:9/a", VOICE_SIDECAR_URL="ws://h:8/b").key is None


@pytest.mark.parametrize(
    "variables",
    [
        {"VOICE_SIDECAR_TRANSCRIPTION": "off"},
        {"VOICE_SIDECAR_TRANSCRIPTION": "off", "VOICE_SIDECAR_URL": OPENAI_URL},
        {"OPENAI_REALTIME_URL": VOICE_LIVE_URL},
        {"VOICE_UPSTREAM": "flat"},
        {"VOICE_SIDECAR_URL": VOICE_LIVE_URL},
    ],
)
def test_there_is_none_where_it_is_off_or_the_server_has_no_such_sessions(variables: dict[str, str]) -> None:
    settings = load_settings(variables)
    assert settings.upstream.sidecar is None
    assert sidecar_for("u", settings) is None
    assert realtime_config_for(User(id="u"), settings).sidecar_model is None


def test_an_upstream_without_words_during_speech_is_a_warning_unless_a_sidecar_has_them() -> None:
    (warning,) = load_settings({"OPENAI_REALTIME_URL": VOICE_LIVE_URL}).warnings
    assert warning.startswith("Azure Voice Live gives no words during speech")
    assert load_settings({"OPENAI_REALTIME_URL": VOICE_LIVE_URL, "VOICE_SIDECAR_URL": OPENAI_URL}).warnings == ()
    assert load_settings({}).warnings == ()
    assert load_settings({"VOICE_SIDECAR_TRANSCRIPTION": "off"}).warnings == ()
