"""Sound files of questions: they can be played, detected as one utterance, and understood."""

from __future__ import annotations

import wave
from typing import TYPE_CHECKING

import pytest

from voice_trio.embedded.speech.recognition.worker import Decoding
from voice_trio.embedded.speech.synthesis.voice import question_pcm, write_question
from voice_trio.speech.activity import VoiceActivity
from voice_trio.speech.detector import VoiceActivityStarted, VoiceActivityStopped

if TYPE_CHECKING:
    from pathlib import Path

    from voice_trio.embedded.speech.recognition.model import ListeningModel

QUESTION = "What are the signs of coccidiosis?"


def test_a_question_file_is_24_khz_mono_sound_of_the_right_length(tmp_path: Path) -> None:
    write_question(tmp_path / "question.wav", QUESTION)
    with wave.open(str(tmp_path / "question.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        assert 2.5 < file.getnframes() / 24_000 < 5


def test_a_question_is_one_utterance_that_ends_before_the_file_does(listening_model: ListeningModel) -> None:
    pcm = question_pcm(QUESTION)
    started, stopped = VoiceActivity().feed(pcm)
    assert isinstance(started, VoiceActivityStarted)
    assert isinstance(stopped, VoiceActivityStopped)
    assert started.at_ms == pytest.approx(0, abs=100)
    assert stopped.at_ms < len(pcm) / 48
    decoding = Decoding(listening_model)
    decoding.begin()
    decoding.feed(pcm[started.at_ms * 48 : stopped.at_ms * 48])
    assert "coccidiosis" in decoding.finish().text
