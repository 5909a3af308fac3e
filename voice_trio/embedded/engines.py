"""What the embedded server needs of speech engines, as protocols: nothing here knows which engines there are.

All audio is PCM16 mono 24 kHz little-endian. `voice_trio.embedded.local` fills them with the ears and the voice of
`voice_trio.embedded.speech`; tests fill them with deterministic ones that keep virtual time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from contextlib import AbstractAsyncContextManager


@dataclass(frozen=True, slots=True)
class VoiceBegan:
    """Speech began; `at_ms` on the clock of the audio received, the prefix padding included."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class VoiceEnded:
    """Speech ended; `at_ms` on the clock of the audio received, the silence that told so included."""

    at_ms: int


class Activity(Protocol):
    """Finds speech in one stream of audio; pure, the audio is its only clock."""

    def feed(self, pcm: bytes) -> Sequence[VoiceBegan | VoiceEnded]:
        """What the next audio tells."""
        ...

    def forget(self) -> None:
        """The audio so far was cleared or committed: no end will be reported for it. The clock runs on."""
        ...

    def retune(self, *, threshold: float, prefix_padding_ms: int, silence_duration_ms: int) -> None:
        """Other settings from here on."""
        ...


class Heard(Protocol):
    """All that was said, and what the ears learnt of the speaker's microphone for the next time."""

    @property
    def text(self) -> str: ...

    @property
    def microphone(self) -> str: ...


class Hearing(Protocol):
    """One utterance being listened to; both calls raise `ModelUnavailable`."""

    async def feed(self, pcm: bytes) -> str:
        """The words that became sure with this audio; joined, the answers are a text that only grows."""
        ...

    async def finish(self) -> Heard:
        """The whole; once, at the end."""
        ...


class Ears(Protocol):
    def listen(self, microphone: str | None = None) -> AbstractAsyncContextManager[Hearing]:
        """Listen to one utterance; entering raises `ModelUnavailable` when nobody is free to listen."""
        ...


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an answer: the text whose words begin in it, and its audio."""

    text: str
    pcm: bytes


class Speech(Protocol):
    """A text being said."""

    async def next_chunk(self) -> Chunk | None:
        """The next piece, some tens of ms long; none at the end. Safe to cancel, after which nobody may ask again."""
        ...


class Mouth(Protocol):
    """`voices` are the names `say` knows."""

    @property
    def voices(self) -> Collection[str]: ...

    def say(self, text: str, *, voice: str, speed: float) -> Speech: ...


NewActivity: TypeAlias = "Callable[[], Activity]"


@dataclass(frozen=True, slots=True)
class Engines:
    """What a server works with. Without ears, or a mouth, `missing` tells the client what the operator must install."""

    new_activity: NewActivity | None = None
    ears: Ears | None = None
    mouth: Mouth | None = None
    missing: str = "this server has no speech engines"
