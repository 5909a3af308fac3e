"""What synthesis promises: chunks of a size, the text along with them, speed, languages, and an end at any time."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from voice_trio.embedded.language import guess_language
from voice_trio.embedded.speech.synthesis.espeak import SpeakingStyle, load_espeak
from voice_trio.embedded.speech.synthesis.voice import VOICES, SynthesisVoice, pcm_of, split_sentences
from voice_trio.errors import BadMessage, ConfigurationError

if TYPE_CHECKING:
    from voice_trio.embedded.engines import SpeechChunk

SENTENCES = "Chicks need 35 °C. Give them water, please! Then let them rest… and look in again."


def seconds_of(chunks: list[SpeechChunk]) -> float:
    return sum(len(chunk.pcm) for chunk in chunks) / 48_000


def loudness_of(pcm: bytes) -> float:
    return float(np.abs(np.frombuffer(pcm, np.int16).astype(float)).mean())


def test_an_answer_is_real_speech_in_chunks_of_40_to_100_ms() -> None:
    chunks = list(SynthesisVoice().speak(SENTENCES))
    assert 4 < seconds_of(chunks) < 10
    assert all(0.04 <= seconds_of([chunk]) <= 0.1 for chunk in chunks)
    assert loudness_of(b"".join(chunk.pcm for chunk in chunks)) > 500


@pytest.mark.parametrize("text", [SENTENCES, "  x", "...", "one\n\ntwo\n", "你好。小鸡！", "a" * 1000, "word " * 100])
def test_the_texts_of_the_chunks_join_to_the_whole_text(text: str) -> None:
    assert "".join(chunk.text for chunk in SynthesisVoice().speak(text)) == text


def test_a_word_comes_with_the_chunk_in_which_it_begins() -> None:
    chunks = list(SynthesisVoice().speak("Water, and then a good deal of silence before the word litter."))
    with_text = [(index, chunk.text) for index, chunk in enumerate(chunks) if chunk.text]
    assert with_text[0][0] == 0
    assert with_text[-1][1] == "litter."
    assert with_text[-1][0] > len(chunks) // 2


def test_nothing_to_say_makes_no_chunk() -> None:
    assert list(SynthesisVoice().speak("")) == []


def test_speed_is_honoured_from_a_quarter_to_one_and_a_half() -> None:
    text = "Young chicks need warm, dry litter and clean water every day."
    seconds = {speed: seconds_of(list(SynthesisVoice().speak(text, speed=speed))) for speed in (0.25, 0.5, 1.0, 1.5)}
    for speed in (0.25, 0.5, 1.5):
        assert seconds[speed] * speed == pytest.approx(seconds[1.0], rel=0.1)


def test_every_voice_speaks_in_a_way_of_its_own() -> None:
    said = {
        name: b"".join(chunk.pcm for chunk in SynthesisVoice().speak("Good morning", voice=name)) for name in VOICES
    }
    assert set(said) >= {"alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"}
    assert len(set(said.values())) == len(said)


def test_an_unknown_voice_is_refused_before_anything_is_said() -> None:
    with pytest.raises(BadMessage, match="unknown voice 'hal'"):
        SynthesisVoice().speak("Good morning", voice="hal")


def test_an_answer_can_be_dropped_half_way_and_another_begun() -> None:
    voice = SynthesisVoice()
    dropped = voice.speak(SENTENCES * 5)
    next(dropped)
    assert next(dropped).pcm
    dropped.close()
    assert list(dropped) == []
    assert [chunk.text for chunk in voice.speak("Something else.") if chunk.text] == ["Something ", "else."]


def test_a_long_answer_begins_at_once() -> None:
    started = time.perf_counter()
    next(SynthesisVoice().speak("the birds drink more water when it is hot, " * 200))
    assert time.perf_counter() - started < 0.3


def test_threads_may_speak_at_the_same_time() -> None:
    styles = [SpeakingStyle("en-us"), SpeakingStyle("de"), SpeakingStyle("en-us+f3", 140), SpeakingStyle("fr", 200)]
    alone = [len(pcm_of("One two three four.", style)) for style in styles]
    together: dict[int, int] = {}

    def speak(index: int) -> None:
        for _ in range(5):
            together[index] = len(pcm_of("One two three four.", styles[index]))

    threads = [threading.Thread(target=speak, args=[index]) for index in range(len(styles))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # espeak-ng draws a little chance into every sound: the same words differ by some milliseconds.
    assert [together[index] for index in range(len(styles))] == pytest.approx(alone, rel=0.02)


def test_a_voice_that_espeak_lacks_is_a_configuration_error_and_the_next_one_works() -> None:
    with pytest.raises(ConfigurationError, match="no voice 'tlh-nowhere'"):
        pcm_of("x", SpeakingStyle("tlh-nowhere"))
    assert load_espeak().has_voice("en-us+f3")
    assert pcm_of("x", SpeakingStyle("en-us"))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How warm should it be?", "en"),
        ("Les poules sont dans la cour.", "fr"),
        ("Die Küken brauchen Wärme und Wasser.", "de"),
        ("Los pollitos necesitan agua y calor para vivir.", "es"),
        ("De kippen zijn in het hok en niet buiten.", "nl"),
        ("As galinhas não precisam de mais água do que isso.", "pt"),
        ("Le galline sono nel pollaio con il gallo.", "it"),
        ("小鸡需要温暖和水。", "zh"),
        ("ひよこは水が必要です。", "ja"),
        ("Цыплятам нужна вода.", "ru"),
        ("The word 鸡 means chicken in Chinese.", "en"),
        ("42", "en"),
    ],
)
def test_the_language_of_a_text_is_guessed(text: str, language: str) -> None:
    assert guess_language(text) == language


def test_each_language_sounds_different() -> None:
    said = {
        language: [chunk.pcm for chunk in SynthesisVoice().speak("Taxi", language=language)]
        for language in ("en", "fr", "de")
    }
    assert said["en"] != said["fr"] != said["de"] != said["en"]


def test_sentences_are_cut_where_they_end_or_at_a_space() -> None:
    assert split_sentences("It is 3.5 kg. Really?  Yes") == ["It is 3.5 kg. ", "Really? ", " Yes"]
    assert all(len(piece) <= 200 for piece in split_sentences("word " * 100))
