"""Speech by energy alone: where webrtcvad is not installed."""

from __future__ import annotations

import random

import pytest

from voice_trio.protocols.audio import BYTES_PER_MS
from voice_trio.speech import choose
from voice_trio.speech.activity import VoiceActivity
from voice_trio.speech.detector import VoiceActivityStarted, VoiceActivityStopped
from voice_trio.speech.energy import EnergyActivity


def noise(ms: int, amplitude: int) -> bytes:
    draw = random.Random(ms * amplitude)
    return b"".join(draw.randint(-amplitude, amplitude).to_bytes(2, "little", signed=True) for _ in range(ms * 24))


def events_of(pcm: bytes, activity: EnergyActivity | None = None) -> list[VoiceActivityStarted | VoiceActivityStopped]:
    activity = activity or EnergyActivity()
    pieces = range(0, len(pcm), 37 * BYTES_PER_MS)
    return [event for at in pieces for event in activity.feed(pcm[at : at + 37 * BYTES_PER_MS])]


@pytest.mark.parametrize("background", [0, 20, 100])
def test_loud_sound_in_noise_starts_and_stops_once(background: int) -> None:
    around = noise(1000, background) if background else bytes(1000 * BYTES_PER_MS)
    started, stopped = events_of(around + noise(1500, 6000) + around + around)
    assert started == VoiceActivityStarted(700)  # 300 ms of padding before it
    assert stopped == VoiceActivityStopped(pytest.approx(3000, abs=20))  # type: ignore[arg-type]  # compares as an int


def test_a_click_is_no_speech() -> None:
    assert events_of(bytes(1000 * BYTES_PER_MS) + noise(60, 20_000) + bytes(1000 * BYTES_PER_MS)) == []


def test_a_hum_that_sets_in_is_background_after_some_seconds() -> None:
    found = events_of(bytes(500 * BYTES_PER_MS) + noise(15_000, 600))
    assert [type(event) for event in found] == [VoiceActivityStarted, VoiceActivityStopped]


def test_a_pause_shorter_than_the_silence_that_ends_speech_does_not_end_it() -> None:
    found = events_of(noise(600, 6000) + bytes(400 * BYTES_PER_MS) + noise(600, 6000) + bytes(600 * BYTES_PER_MS))
    assert [type(event) for event in found] == [VoiceActivityStarted, VoiceActivityStopped]


def test_what_was_forgotten_is_not_stopped() -> None:
    activity = EnergyActivity()
    assert len(events_of(noise(600, 6000), activity)) == 1
    activity.forget()
    assert events_of(bytes(1000 * BYTES_PER_MS), activity) == []


def test_the_better_detector_is_taken_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}
    assert isinstance(choose.make_detector(**settings), VoiceActivity)  # type: ignore[arg-type]  # one float
    monkeypatch.setattr(choose, "has_webrtcvad", lambda: False)
    assert isinstance(choose.make_detector(**settings), EnergyActivity)  # type: ignore[arg-type]  # one float
