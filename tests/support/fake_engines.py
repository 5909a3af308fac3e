"""Speech engines that keep virtual time: all that is not silence is speech, and every time is exact.

They follow the protocols of `voice_trio.embedded.engines`; nothing here recognises or synthesises.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from voice_trio.embedded.engines import Engines, SpeechChunk
from voice_trio.errors import ModelUnavailable
from voice_trio.protocols.audio import BYTES_PER_MS
from voice_trio.speech.detector import VoiceActivityStarted, VoiceActivityStopped
from voice_trio.testing.sounds import tone_pcm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

FRAME_BYTES = 20 * BYTES_PER_MS
ONSET_FRAMES = 6
WORD_MS = 300


def voice(duration_ms: int) -> bytes:
    return tone_pcm(0, duration_ms)


def quiet(duration_ms: int) -> bytes:
    return bytes(duration_ms * BYTES_PER_MS)


class FakeVoiceActivity:
    """Speech begins with 120 ms of sound and ends with enough silence, in frames of 20 ms."""

    def __init__(self) -> None:
        self._pending = b""
        self._frames = 0
        self._voiced = 0
        self._silent = 0
        self._is_speaking = False
        self._padding_ms, self._silence_ms = 300, 500

    def retune(self, *, threshold: float, prefix_padding_ms: int, silence_duration_ms: int) -> None:
        self._padding_ms, self._silence_ms = prefix_padding_ms, silence_duration_ms

    def forget(self) -> None:
        self._voiced = self._silent = 0
        self._is_speaking = False

    def feed(self, pcm: bytes) -> list[VoiceActivityStarted | VoiceActivityStopped]:
        self._pending += pcm
        events = []
        while len(self._pending) >= FRAME_BYTES:
            frame, self._pending = self._pending[:FRAME_BYTES], self._pending[FRAME_BYTES:]
            if event := self._hear(any(frame)):
                events.append(event)
        return events

    def _hear(self, voiced: bool) -> VoiceActivityStarted | VoiceActivityStopped | None:
        self._frames += 1
        self._voiced = self._voiced + 1 if voiced else 0
        self._silent = 0 if voiced else self._silent + 1
        now_ms = 20 * self._frames
        if not self._is_speaking and self._voiced >= ONSET_FRAMES:
            self._is_speaking = True
            return VoiceActivityStarted(max(0, now_ms - 20 * self._voiced - self._padding_ms))
        if self._is_speaking and 20 * self._silent >= self._silence_ms:
            self.forget()
            return VoiceActivityStopped(now_ms)
        return None


@dataclass(slots=True)
class Words:
    text: str
    microphone: str = "m1"


@dataclass(slots=True)
class FakeRecognizer:
    """Hears `says`, a word for each 300 ms of sound, and the rest at the end, `finish_seconds` later."""

    says: str = "how warm should the brooder be"
    size: int = 2
    finish_seconds: float = 0.015
    microphones: list[str | None] = field(default_factory=list)
    listening: int = 0
    fails: bool = False

    @asynccontextmanager
    async def listen(self, microphone: str | None = None) -> AsyncIterator[FakeRecognitionStream]:
        if self.listening >= self.size:
            raise ModelUnavailable(f"all {self.size} recognizers are in use")
        self.microphones.append(microphone)
        self.listening += 1
        try:
            await trio.lowlevel.checkpoint()
            yield FakeRecognitionStream(self)
        finally:
            self.listening -= 1


class FakeRecognitionStream:
    def __init__(self, recognizer: FakeRecognizer) -> None:
        self._recognizer = recognizer
        self._voiced_bytes = 0
        self._told = 0

    async def feed(self, pcm: bytes) -> str:
        await trio.lowlevel.checkpoint()
        if self._recognizer.fails:
            raise ModelUnavailable("the recognition worker has died")
        self._voiced_bytes += len(pcm.replace(b"\0", b""))
        words = self._recognizer.says.split()
        due = min(len(words) - 1, self._voiced_bytes // (WORD_MS * BYTES_PER_MS))
        delta = " ".join(words[self._told : due])
        delta = f" {delta}" if self._told and delta else delta
        self._told = max(due, self._told)
        return delta

    async def finish(self) -> Words:
        await trio.sleep(self._recognizer.finish_seconds)
        return Words(self._recognizer.says)


@dataclass(slots=True)
class FakeSynthesizer:
    """Says each word in one chunk of `chunk_ms`; synthesis takes `seconds_before` once."""

    chunk_ms: int = 100
    seconds_before: float = 0.03
    said: list[tuple[str, str, float]] = field(default_factory=list)
    fails_at_word: int | None = None
    chunks_made: int = 0

    @property
    def voices(self) -> Collection[str]:
        return ("alloy", "marin", "cedar")

    def say(self, text: str, *, voice: str, speed: float) -> FakeSynthesisStream:
        self.said.append((text, voice, speed))
        return FakeSynthesisStream(self, text)


class FakeSynthesisStream:
    def __init__(self, synthesizer: FakeSynthesizer, text: str) -> None:
        self._synthesizer = synthesizer
        self._words = [f" {word}" if at else word for at, word in enumerate(text.split())]
        self._at = 0

    async def next_chunk(self) -> SpeechChunk | None:
        await trio.sleep(0 if self._at else self._synthesizer.seconds_before)
        if self._at == self._synthesizer.fails_at_word:
            raise ModelUnavailable("espeak lost its voice")
        if self._at >= len(self._words):
            return None
        self._synthesizer.chunks_made += 1
        start_ms = self._at * self._synthesizer.chunk_ms
        self._at += 1
        return SpeechChunk(self._words[self._at - 1], tone_pcm(start_ms, self._synthesizer.chunk_ms))


def fake_engines(recognizer: FakeRecognizer | None = None, synthesizer: FakeSynthesizer | None = None) -> Engines:
    return Engines(FakeVoiceActivity, recognizer or FakeRecognizer(), synthesizer or FakeSynthesizer())
