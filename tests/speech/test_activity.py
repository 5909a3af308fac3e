"""Where speech begins and ends: words of three voices are found, hiss of any colour is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from numpy.typing import NDArray

from voice_trio.embedded.speech.synthesis.espeak import SpeakingStyle
from voice_trio.embedded.speech.synthesis.voice import pcm_of
from voice_trio.speech.activity import VoiceActivity
from voice_trio.speech.detector import VoiceActivityStarted, VoiceActivityStopped

QUESTION = "How warm should the brooder be in the first week?"
MANNERS = (SpeakingStyle("en-us", 150), SpeakingStyle("en-us+f3", 140), SpeakingStyle("en", 160))


def speech(text: str = QUESTION, style: SpeakingStyle = MANNERS[0]) -> NDArray[np.float64]:
    return np.frombuffer(pcm_of(text, style), np.int16).astype(float)


def noise(seconds: float, dbfs: float, *, color: int = 0) -> NDArray[np.float64]:
    """Hiss whose power falls with frequency to the power of `color`: 0 is white, 1 pink, 2 brown."""
    count = int(24_000 * seconds)
    spectrum = np.fft.rfft(np.random.default_rng(1).standard_normal(count))
    tilt = np.maximum(np.fft.rfftfreq(count, 1 / 24_000), 50) ** (color / 2)
    shaped: NDArray[np.float64] = np.fft.irfft(spectrum / tilt, count)
    shaped *= 32_768 * 10 ** (dbfs / 20) / float(shaped.std())
    return shaped


def around(middle: NDArray[np.float64], dbfs: float = -70) -> NDArray[np.float64]:
    """`middle` with a second before it and two after it, all of it in noise."""
    padded = np.concatenate([np.zeros(24_000), middle, np.zeros(48_000)])
    return padded + noise(len(padded) / 24_000, dbfs)


def events_of(
    samples: NDArray[np.float64], activity: VoiceActivity | None = None, chunk_bytes: int = 1920
) -> list[VoiceActivityStarted | VoiceActivityStopped]:
    pcm = samples.clip(-32_768, 32_767).astype(np.int16).tobytes()
    activity = activity or VoiceActivity()
    chunks = (pcm[begin : begin + chunk_bytes] for begin in range(0, len(pcm), chunk_bytes))
    return [event for chunk in chunks for event in activity.feed(chunk)]


@pytest.mark.parametrize("style", MANNERS, ids=lambda style: style.voice)
@pytest.mark.parametrize("text", [QUESTION, "No.", "Stop", "And for layers?"])
@pytest.mark.parametrize("dbfs", [-120, -60, -45, -30])
def test_speech_in_noise_starts_and_stops_once(style: SpeakingStyle, text: str, dbfs: float) -> None:
    said = speech(text, style)
    started, stopped = events_of(around(said, dbfs))
    assert isinstance(started, VoiceActivityStarted)
    assert isinstance(stopped, VoiceActivityStopped)
    voice_ends_ms = 1000 + np.flatnonzero(np.abs(said) > 1500)[-1] / 24
    assert started.at_ms == pytest.approx(1000 - 300, abs=200)  # hiss hides an s, which the padding holds
    assert stopped.at_ms == pytest.approx(voice_ends_ms + 500, abs=200)


@pytest.mark.parametrize("color", [0, 1, 2])
@pytest.mark.parametrize("before_dbfs", [-120, -90, -60, -40, -30])
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
def test_noise_of_minus_30_dbfs_is_no_speech_even_when_it_sets_in(
    color: int, before_dbfs: float, threshold: float
) -> None:
    sounds = np.concatenate([noise(1, before_dbfs, color=color), noise(4, -30, color=color)])
    assert events_of(sounds, VoiceActivity(threshold=threshold)) == []


@pytest.mark.parametrize("chunk_bytes", [1, 3, 960, 4801, 1_000_000])
def test_the_size_of_chunks_changes_nothing(chunk_bytes: int) -> None:
    sounds = around(speech("No."))[24_000 // 2 :]
    assert events_of(sounds, chunk_bytes=chunk_bytes) == events_of(sounds)


def test_padding_reaches_back_to_the_beginning_of_the_stream_at_most() -> None:
    sounds = np.concatenate([noise(0.1, -70), speech(), noise(1, -70)])
    assert events_of(sounds)[0] == VoiceActivityStarted(0)
    (unpadded, _) = events_of(sounds, VoiceActivity(prefix_padding_ms=0))
    assert isinstance(unpadded, VoiceActivityStarted)
    assert unpadded.at_ms == pytest.approx(100, abs=40)


def test_padding_never_reaches_into_the_speech_before() -> None:
    sounds = np.concatenate([around(speech("Stop"))[:-30_000], around(speech("Wait"))[18_000:]])
    first_start, first_stop, second_start, _ = events_of(sounds, VoiceActivity(prefix_padding_ms=1500))
    assert first_start == VoiceActivityStarted(0)
    assert isinstance(first_stop, VoiceActivityStopped)
    assert second_start == VoiceActivityStarted(first_stop.at_ms)


def test_longer_silence_joins_two_sentences() -> None:
    sounds = np.concatenate([around(speech("Stop"))[:-30_000], around(speech("Wait"))[18_000:]])
    assert len(events_of(sounds)) == 4
    assert len(events_of(sounds, VoiceActivity(silence_duration_ms=1500))) == 2


def test_a_high_threshold_ignores_what_is_quiet() -> None:
    quiet = around(speech() / 16)
    assert events_of(quiet, VoiceActivity(threshold=0.9)) == []
    assert len(events_of(quiet, VoiceActivity(threshold=0.5))) == 2


def test_settings_may_change_in_the_middle_of_speech() -> None:
    activity = VoiceActivity()
    sounds = around(speech())
    assert len(events_of(sounds[:48_000], activity)) == 1
    activity.retune(threshold=0.5, prefix_padding_ms=300, silence_duration_ms=1000)
    (stopped,) = events_of(sounds[48_000:], activity)
    (_, usual) = events_of(sounds)
    assert isinstance(stopped, VoiceActivityStopped)
    assert isinstance(usual, VoiceActivityStopped)
    assert stopped.at_ms == pytest.approx(usual.at_ms + 500, abs=60)


def test_speech_that_was_committed_by_hand_is_not_stopped_again() -> None:
    activity = VoiceActivity()
    events_of(around(speech("No."))[:34_000], activity)
    assert activity.is_speaking
    activity.forget()
    assert events_of(noise(2, -70), activity) == []
