"""The speech engines that the embedded server needs, as protocols. The server knows no engine by name.

All audio is PCM16 mono 24 kHz little-endian. `voice_trio.embedded.local` constructs the engines of this machine; tests
bring deterministic ones that keep virtual time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence
    from contextlib import AbstractAsyncContextManager

    from voice_trio.speech.detector import VoiceActivityDetector


class RecognitionResult(Protocol):
    """The whole text of an utterance, and an opaque profile of the microphone for the speaker's next utterance."""

    @property
    def text(self) -> str: ...

    @property
    def microphone(self) -> str: ...


class RecognitionStream(Protocol):
    """The recognition of one utterance; both calls raise `ModelUnavailable`."""

    async def feed(self, pcm: bytes) -> str:
        """The words that became stable with this audio; the joined answers are a text that only grows."""
        ...

    async def finish(self) -> RecognitionResult:
        """The final result; call it once, at the end."""
        ...


class SpeechRecognizer(Protocol):
    def listen(self, microphone: str | None = None) -> AbstractAsyncContextManager[RecognitionStream]:
        """Recognise one utterance; entering raises `ModelUnavailable` when no recognizer is free."""
        ...


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """A piece of synthesised speech: its PCM, and the text whose words begin in it. The texts join to the whole."""

    text: str
    pcm: bytes


class SynthesisStream(Protocol):
    """The synthesis of one text."""

    async def next_chunk(self) -> SpeechChunk | None:
        """The next piece, some tens of ms long; `None` at the end. A cancelled call ends the stream."""
        ...


class SpeechSynthesizer(Protocol):
    """`voices` are the names that `say` accepts."""

    @property
    def voices(self) -> Collection[str]: ...

    def say(self, text: str, *, voice: str, speed: float) -> SynthesisStream: ...


NewVoiceActivityDetector: TypeAlias = "Callable[[], VoiceActivityDetector]"


LearnWords: TypeAlias = "Callable[[Sequence[str]], Awaitable[None]]"


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of one server; `missing` tells clients what the operator must install where one is `None`.

    `learn` lets the recognizer understand questions about other documents than those it was made for, while it is in
    use. It raises `ModelUnavailable`, and the recognizer then stays as it was.
    """

    new_activity: NewVoiceActivityDetector | None = None
    recognizer: SpeechRecognizer | None = None
    synthesizer: SpeechSynthesizer | None = None
    missing: str = "this server has no speech engines"
    learn: LearnWords | None = None
