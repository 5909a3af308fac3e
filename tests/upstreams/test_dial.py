"""The URL and the headers of an upstream's connection."""

from __future__ import annotations

import pytest

from voice_trio.auth.tokens import User
from voice_trio.settings import load_settings
from voice_trio.upstreams.azure import AZURE
from voice_trio.upstreams.choose import PROFILES, profile_for
from voice_trio.upstreams.openai import OPENAI
from voice_trio.upstreams.profile import Authorization
from voice_trio.web.session_config import dial_for, realtime_config_for


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("wss://api.openai.com/v1/realtime", "openai"),
        ("wss://res.openai.azure.com/openai/v1/realtime", "azure"),
        ("wss://res.cognitiveservices.azure.com/openai/v1/realtime", "azure"),
        ("wss://res.services.ai.azure.com/openai/v1/realtime", "azure"),
        ("wss://RES.Services.AI.Azure.com", "azure"),
        ("wss://res.services.ai.azure.com/voice-live/realtime?api-version=2025-10-01", "azure-voice-live"),
        ("ws://proxy.internal/voice-live/realtime", "azure-voice-live"),
        ("wss://openai.azure.com.example.org/v1/realtime", "openai"),
        ("ws://127.0.0.1:8765/v1/realtime", "openai"),
    ],
)
def test_auto_goes_by_the_host_and_the_path(url: str, name: str) -> None:
    assert profile_for("auto", url).name == name
    assert profile_for("openai", url) is OPENAI


@pytest.mark.parametrize(
    ("name", "given", "url"),
    [
        ("openai", "wss://api.openai.com/v1/realtime", "wss://api.openai.com/v1/realtime?model=m"),
        ("openai", "ws://h:9000/v1/realtime?model=old&x=1", "ws://h:9000/v1/realtime?model=m&x=1"),
        ("azure", "wss://res.openai.azure.com", "wss://res.openai.azure.com/openai/v1/realtime?model=m"),
        ("azure", "wss://res.openai.azure.com/", "wss://res.openai.azure.com/openai/v1/realtime?model=m"),
        ("azure", "wss://proxy/openai/v1/realtime?x=1", "wss://proxy/openai/v1/realtime?x=1&model=m"),
        (
            "azure-voice-live",
            "wss://res.services.ai.azure.com",
            "wss://res.services.ai.azure.com/voice-live/realtime?api-version=2026-07-15&model=m",
        ),
        (
            "azure-voice-live",
            "wss://r/voice-live/realtime?api-version=2025-10-01",
            "wss://r/voice-live/realtime?api-version=2025-10-01&model=m",
        ),
        ("flat", "ws://127.0.0.1:8000", "ws://127.0.0.1:8000/v1/realtime?model=m"),
    ],
)
def test_a_url_gets_what_it_lacks(name: str, given: str, url: str) -> None:
    assert PROFILES[name].url(given, "m") == url


def test_the_url_of_a_sidecar_names_no_model() -> None:
    azure = "wss://res.openai.azure.com/openai/v1/realtime"
    assert AZURE.transcription_url("wss://res.openai.azure.com") == f"{azure}?intent=transcription"
    assert OPENAI.transcription_url("ws://h/v1/realtime?model=m") == "ws://h/v1/realtime?intent=transcription"


def test_a_token_of_entra_is_sent_as_a_bearer_and_a_resources_key_is_not() -> None:
    token = "eyJ0eXAiOiJKV1QifQ.eyJhdWQiOiJ4In0.c2ln_-"
    assert AZURE.headers(token) == {"Authorization": f"Bearer {token}"}
    assert AZURE.headers("eyJ0eXAiOiJKV1QifQ") == {"api-key": "eyJ0eXAiOiJKV1QifQ"}


def test_inworlds_key_is_sent_as_basic() -> None:
    inworld = profile_for("auto", "wss://api.inworld.ai/v1/realtime")
    assert (inworld.name, inworld.headers("a2V5")) == ("openai", {"Authorization": "Basic a2V5"})
    assert inworld.headers("eyJ0.eyJh.c2ln") == {"Authorization": "Bearer eyJ0.eyJh.c2ln"}


def test_only_servers_of_openais_interface_are_sent_the_safety_identifier() -> None:
    assert PROFILES["flat"].headers(None, "u") == {}
    assert PROFILES["azure-voice-live"].headers("k", "u") == {"api-key": "k"}
    assert AZURE.headers("k", "u") == {"api-key": "k", "OpenAI-Safety-Identifier": "u"}


def test_a_key_is_sent_as_the_profile_says() -> None:
    assert OPENAI.headers("k", "u") == {"Authorization": "Bearer k", "OpenAI-Safety-Identifier": "u"}
    assert AZURE.headers("k") == {"api-key": "k"}
    assert Authorization.BASIC.header("user:word") == ("Authorization", "Basic dXNlcjp3b3Jk")
    assert Authorization.BASIC.header("dXNlcjp3b3Jk") == ("Authorization", "Basic dXNlcjp3b3Jk")


def test_headers_that_are_set_replace_others_of_the_same_name() -> None:
    environ = {"OPENAI_API_KEY": "k", "VOICE_UPSTREAM_HEADERS": '{"authorization": "Basic eA==", "x-team": "voice"}'}
    dial = dial_for("m", load_settings(environ), "u")
    assert dial._headers == {"OpenAI-Safety-Identifier": "u", "authorization": "Basic eA==", "x-team": "voice"}
    assert dial._url == "wss://api.openai.com/v1/realtime?model=m"


def test_models_and_the_voice_are_the_profiles_where_they_are_not_set() -> None:
    url = "wss://res.services.ai.azure.com/voice-live/realtime"
    azures = load_settings({"OPENAI_REALTIME_URL": url, "OPENAI_TRANSCRIPTION_MODEL": "mai-transcribe-1"})
    assert (azures.upstream.model, azures.voice.name) == ("gpt-realtime", "marin")
    assert azures.upstream.transcription_model == "mai-transcribe-1"
    flat = realtime_config_for(User(id="u"), load_settings({"VOICE_UPSTREAM": "flat"}))
    assert (flat.transcription_model, flat.voice) == ("whisper-1", "")
    usual = realtime_config_for(User(id="u"), load_settings({}))
    assert (usual.model, usual.transcription_model, usual.voice) == (
        "gpt-realtime-2.1",
        "gpt-realtime-whisper",
        "marin",
    )
