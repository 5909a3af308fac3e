"""Audio as base64 text: its length, its validation, and back."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_trio.errors import BadMessage
from voice_trio.protocols import audio

SAMPLES = st.binary(min_size=2, max_size=400).filter(lambda pcm: len(pcm) % 2 == 0)


@given(SAMPLES)
def test_the_length_of_audio_is_read_off_its_text(pcm: bytes) -> None:
    text = base64.b64encode(pcm).decode()
    assert audio.audio_ms(text) == audio.check_audio(text) == len(pcm) / 48


@given(SAMPLES)
def test_samples_survive_the_way_there_and_back(pcm: bytes) -> None:
    assert audio.decode_audio(audio.encode_audio(pcm)) == pcm


@given(st.text(max_size=40))
def test_whatever_text_comes_is_audio_or_refused(text: str) -> None:
    try:
        duration = audio.check_audio(text)
    except BadMessage:
        duration = None
    assert duration is None or duration == audio.audio_ms(text) > 0


@pytest.mark.parametrize("text", ["", "A", "AAA", "AA==", "AAAA", "AA\nA", "AA-_", "AAA=AAA=", " AAA=", "AAA=\0"])
def test_is_no_audio_of_a_client(text: str) -> None:
    with pytest.raises(BadMessage):
        audio.check_audio(text)


def test_silence_is_silent() -> None:
    assert audio.decode_audio(audio.silence(20)) == bytes(960)
    assert audio.audio_ms(audio.silence(20)) == 20
