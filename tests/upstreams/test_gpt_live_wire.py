"""The frames of GPT-Live, read and written; with traffic that others recorded, where it is there."""

from __future__ import annotations

import json

import pytest

from voice_trio.conversation import commands, events
from voice_trio.conversation.full_duplex.commands import AppendThinking
from voice_trio.conversation.full_duplex.events import (
    AssistantWords,
    DelegationCreated,
    OutputAudio,
    SessionUsageUpdated,
    UserWords,
)
from voice_trio.conversation.turn.history import Said
from voice_trio.errors import BadMessage
from voice_trio.protocols.audio import encode_audio
from voice_trio.protocols.realtime import RealtimeConfig, SessionState
from voice_trio.upstreams.choose import profile_for
from voice_trio.upstreams.gpt_live import GPT_LIVE
from voice_trio.upstreams.gpt_live_wire import INPUT_ITEMS_MAX, GptLiveTranslator

CONFIG = RealtimeConfig(model="gpt-live-1", instructions="Be brief.", safety_identifier="abc")


def read(**event: object) -> list[object]:
    return list(GptLiveTranslator().read(json.dumps(event)))


def started(config: RealtimeConfig) -> dict[str, object]:
    frame = json.loads(GptLiveTranslator().session_update(config, "vt_session"))
    assert frame["type"] == "session.start"
    session: dict[str, object] = frame["session"]
    return session


def test_the_first_frame_has_only_fields_that_the_api_knows() -> None:
    assert started(CONFIG) == {
        "model": "gpt-live-1",
        "instructions": "Be brief.",
        "audio": {"format": {"type": "audio/pcm", "rate": 24000}, "output": {"voice": "marin"}},
        "delegation": {"type": "client"},
        "store": False,
        "safety_identifier": "abc",
    }


def test_what_was_said_goes_in_at_the_beginning_newest_first_up_to_the_bounds() -> None:
    history = [Said("1", "user", "How warm?"), Said("2", "assistant", "Thirty-four degrees.")]
    session = started(RealtimeConfig(model="m", instructions="", history=history))
    assert session["input"] == [
        {"role": "user", "content": [{"type": "input_text", "text": "How warm?"}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Thirty-four degrees."}]},
    ]
    many = started(RealtimeConfig(model="m", instructions="", history=[Said(str(n), "user", "x") for n in range(200)]))
    assert len(many["input"]) == INPUT_ITEMS_MAX  # type: ignore[arg-type]  # a list
    long = started(RealtimeConfig(model="m", instructions="", history=[Said("1", "user", "x" * 30_000), history[1]]))
    assert len(long["input"]) == 1  # type: ignore[arg-type]  # a list


def test_a_fork_has_no_settings_of_its_own() -> None:
    assert started(RealtimeConfig(model="m", instructions="x", fork_of="live_1")) == {}


@pytest.mark.parametrize(
    ("samples", "is_loud"),
    [([0] * 2400, False), ([15, -15] * 1200, False), ([0] * 2399 + [-100], True), ([400] * 10, True), ([], False)],
)
def test_silence_is_known_although_it_is_not_quite_zero(samples: list[int], is_loud: bool) -> None:
    audio = encode_audio(b"".join(n.to_bytes(2, "little", signed=True) for n in samples)) if samples else ""
    (event,) = read(type="session.output_audio.delta", delta=audio)
    assert event == OutputAudio(audio, len(samples) / 24, is_loud)


def test_what_it_says_becomes_events() -> None:
    times = {"start_ms": 800, "end_ms": 1000}
    assert read(type="session.input_transcript.delta", delta=" What", **times) == [UserWords(" What", 800, 1000)]
    assert read(type="session.output_transcript.delta", delta=" So", **times) == [AssistantWords(" So", 800, 1000)]
    delegation = {"id": "d1", "type": "delegation", "target": "client"}
    assert read(type="session.delegation.created", delegation=delegation, offset_ms=5) == [DelegationCreated("d1")]
    assert read(type="session.delegation.created", delegation=delegation | {"target": "responses"}) == []
    assert read(type="session.usage.updated", usage={"seconds": 14.5}) == [SessionUsageUpdated(14.5)]
    assert read(type="session.thinking.appended", start_ms=1) == [
        events.OtherUpstreamEvent("session.thinking.appended")
    ]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"type": "session.closed", "reason": "expired"}, ["session_expired"]),
        ({"type": "session.closed", "reason": "close_requested"}, []),
        (
            {"type": "error", "error": {"code": None, "type": "invalid_request_error", "message": "x"}},
            ["invalid_request_error"],
        ),
        ({"type": "error", "error": None}, ["unknown"]),
        ({"type": "error"}, ["unknown"]),
    ],
)
def test_ends_and_errors_are_understood_whatever_is_missing(event: dict[str, object], expected: list[str]) -> None:
    found = read(**event)
    assert [each.code for each in found if isinstance(each, events.UpstreamError)] == expected


def test_odd_fields_make_no_event_malformed() -> None:
    assert read(type="session.input_transcript.delta", delta=5, start_ms="x", end_ms=None) == [UserWords("", 0, 0)]
    assert read(type="session.usage.updated", usage=[]) == []
    (state,) = read(type="session.started", session={"id": 5, "expires_at": "soon", "audio": []})
    assert isinstance(state, SessionState)
    with pytest.raises(BadMessage):
        read(kind="session.started")


def test_only_what_it_takes_is_written() -> None:
    write = GptLiveTranslator().write
    (append,) = write(AppendThinking("vt_1", "Hens.", None))
    expected = {"type": "session.thinking.append", "event_id": "vt_1", "content": "Hens.", "delegation_id": None}
    assert json.loads(append) == expected
    assert list(write(commands.CancelResponse("vt_2", "r"))) == []


def test_the_url_needs_no_model_and_a_realtime_url_that_was_left_as_it_was_will_do() -> None:
    live = "wss://api.openai.com/v1/live/sessions"
    assert GPT_LIVE.url("wss://api.openai.com/v1/realtime", "gpt-live-1") == live
    assert profile_for("auto", live) is GPT_LIVE
    azure = profile_for("gpt-live", "wss://res.openai.azure.com")
    assert azure.url("wss://res.openai.azure.com", "m") == "wss://res.openai.azure.com/openai/v1/live/sessions"
    assert azure.headers("k") == {"api-key": "k"}
