"""Speech synthesis: text to 24 kHz PCM16 in small chunks, each with the words that begin in it."""

from __future__ import annotations

import re
import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from voice_trio.embedded.engines import SpeechChunk
from voice_trio.embedded.language import guess_language
from voice_trio.embedded.speech.synthesis.espeak import ESPEAK_RATE, SpeakingStyle, Synthesised, load_espeak
from voice_trio.errors import BadMessage
from voice_trio.speech.resampling import resample

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

RATE: Final = 24_000
CHUNK_SAMPLES: Final = RATE * 60 // 1000
_SHORTEST_CHUNK_SAMPLES: Final = RATE * 40 // 1000
_SENTENCE_CHARACTERS_MAX: Final = 200
"""Longer sentences are cut at a space, so that no caller waits more than some 30 ms for the lock or the first audio."""

SPEED_MIN, SPEED_MAX = 0.25, 1.5
_WORDS_PER_MINUTE: Final = 165
_WORDS_PER_MINUTE_MIN: Final = 80
"""espeak-ng goes no slower; below it, silence between the words makes up the time."""
_WORD_GAP_FOR_HALF_SPEED: Final = 20
"""In espeak's units, at 80 words a minute: a gap about as long as the average English word (measured)."""


@dataclass(frozen=True, slots=True)
class _Timbre:
    variant: str
    pitch: int
    english: str = "en-us"


VOICES: Final = {
    "alloy": _Timbre("", 50),
    "ash": _Timbre("m3", 42),
    "ballad": _Timbre("m1", 48, "en"),
    "cedar": _Timbre("m7", 40),
    "coral": _Timbre("f3", 55),
    "echo": _Timbre("m2", 45),
    "marin": _Timbre("f2", 50),
    "sage": _Timbre("f4", 48),
    "shimmer": _Timbre("f5", 58),
    "verse": _Timbre("m4", 52, "en"),
}
"""OpenAI's voice names, each with an espeak variant of its own: audibly different, no imitation."""

_ESPEAK_LANGUAGES: Final = {"zh": "cmn", "no": "nb"}
"""Where espeak-ng calls a language otherwise than its two-letter code."""


class SynthesisVoice:
    """Speaks. Synchronous; `speak` may be iterated from any thread, one thread at a time for one answer."""

    def __init__(self) -> None:
        """Raises `ConfigurationError` when this machine has no espeak-ng."""
        self._espeak = load_espeak()

    def speak(
        self, text: str, *, voice: str = "marin", speed: float = 1.0, language: str | None = None
    ) -> Generator[SpeechChunk]:
        """`text` as chunks of audio, one sentence synthesised at a time, some 300 times faster than real time.

        `voice` is one of `VOICES`, `speed` is held between 0.25 and 1.5, `language` (`fr`, `pt-BR`) is guessed from
        the text when None. A sentence costs up to 30 ms before its first chunk, the other chunks some 20 µs.
        Nothing is held between chunks: closing the iterator half way leaves nothing behind and nothing to wait for.
        Raises `BadMessage` for a voice that does not exist, at once.
        """
        if voice not in VOICES:
            raise BadMessage(f"unknown voice {voice!r}; there are {', '.join(VOICES)}")
        style = _style(VOICES[voice], speed, language or guess_language(text))
        return self._chunks(text, style)

    def _chunks(self, text: str, style: SpeakingStyle) -> Generator[SpeechChunk]:
        sentences = split_sentences(text)
        for index, sentence in enumerate(sentences):
            said = self._espeak.synthesise(sentence, style, pause_after=index + 1 < len(sentences))
            yield from _chunk(sentence, said)


def pcm_of(text: str, style: SpeakingStyle) -> bytes:
    """`text` as one piece of PCM16 mono 24 kHz, said by an espeak voice: for tests, samples and adaptation."""
    said = load_espeak().synthesise(text, style)
    return resample(said.samples, ESPEAK_RATE, RATE)


def split_sentences(text: str) -> list[str]:
    """`text` in pieces short enough to synthesise at once; joined they are `text`."""
    pieces = re.split(r"(?<=[.!?…]\s)|(?<=[。！？\n])", text)
    return [part for piece in pieces if piece for part in _split_long(piece)]


def _split_long(sentence: str) -> Iterator[str]:
    while len(sentence) > _SENTENCE_CHARACTERS_MAX:
        cut = sentence.rfind(" ", 0, _SENTENCE_CHARACTERS_MAX) + 1 or _SENTENCE_CHARACTERS_MAX
        yield sentence[:cut]
        sentence = sentence[cut:]
    if sentence:
        yield sentence


def _style(timbre: _Timbre, speed: float, language: str) -> SpeakingStyle:
    speed = min(max(speed, SPEED_MIN), SPEED_MAX)
    wanted = _WORDS_PER_MINUTE * speed
    return SpeakingStyle(
        voice=_espeak_voice(timbre, language.lower()),
        words_per_minute=max(round(wanted), _WORDS_PER_MINUTE_MIN),
        pitch=timbre.pitch,
        word_gap=max(0, round(_WORD_GAP_FOR_HALF_SPEED * (_WORDS_PER_MINUTE_MIN / wanted - 1))),
    )


def _espeak_voice(timbre: _Timbre, language: str) -> str:
    base = language.split("-")[0]
    name = timbre.english if base == "en" else _ESPEAK_LANGUAGES.get(base, base)
    if not load_espeak().has_voice(name):
        name = timbre.english
    return f"{name}+{timbre.variant}" if timbre.variant else name


def _chunk(sentence: str, said: Synthesised) -> Iterator[SpeechChunk]:
    pcm = resample(said.samples, ESPEAK_RATE, RATE)
    starts = [(character, sample * RATE // ESPEAK_RATE) for character, sample in said.words]
    told = begin = 0
    samples = len(pcm) // 2
    while begin < samples:
        end = begin + CHUNK_SAMPLES
        if samples - end < _SHORTEST_CHUNK_SAMPLES:
            end = samples
        until = next((character for character, sample in starts if sample >= end), len(sentence))
        yield SpeechChunk(sentence[told:until], pcm[2 * begin : 2 * end])
        told, begin = max(told, until), end
    if told < len(sentence):  # nothing in it makes a sound
        yield SpeechChunk(sentence[told:], b"")


# Recordings of questions

ASKING: Final = SpeakingStyle("en-us", 150)
_BEFORE_MS, _AFTER_MS = 300, 1000
"""Silence: room for the padding before speech, and enough after it to be taken for its end."""


def question_pcm(text: str, style: SpeakingStyle = ASKING) -> bytes:
    """`text` asked aloud, PCM16 mono 24 kHz, 0.3 s of silence before and 1 s after."""
    return bytes(_BEFORE_MS * RATE // 500) + pcm_of(text, style) + bytes(_AFTER_MS * RATE // 500)


def write_question(path: Path, text: str, style: SpeakingStyle = ASKING) -> None:
    """The same as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(question_pcm(text, style))
