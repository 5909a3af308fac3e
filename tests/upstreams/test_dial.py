"""The URL and the headers of an upstream's connection."""

from __future__ import annotations

import pytest

from voice_trio.settings import load_settings
from voice_trio.upstreams.azure import AZURE
from voice_trio.upstreams.choose import profile_for
from voice_trio.upstreams.openai import OPENAI
from voice_trio.upstreams.profile import Authorization
from voice_trio.web.session_config import dial_for


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("wss://api.openai.com/v1/realtime", "openai"),
        ("wss://res.openai.azure.com/openai/v1/realtime", "azure"),
        ("wss://res.cognitiveservices.azure.com/openai/v1/realtime", "azure"),
        ("ws://127.0.0.1:8765/v1/realtime", "openai"),
    ],
)
def test_auto_goes_by_the_host(url: str, name: str) -> None:
    assert profile_for("auto", url).name == name
    assert profile_for("openai", url) is OPENAI


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
