"""The speech engines of `voice_trio.embedded.speech` behind the protocols of `engines`. Needs the `local` extra."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from voice_trio.embedded.engines import Chunk, Engines, VoiceBegan, VoiceEnded
from voice_trio.embedded.speech.activity import SpeechStarted, VoiceActivity
from voice_trio.embedded.speech.ears import open_ears
from voice_trio.embedded.speech.preparation import prepare_model
from voice_trio.embedded.speech.voice import VOICES, Voice
from voice_trio.errors import ConfigurationError
from voice_trio.net.threads import Bulkhead

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterable
    from pathlib import Path

    from voice_trio.embedded.speech.model import Progress
    from voice_trio.embedded.speech.voice import Spoken

log = structlog.get_logger(__name__)

VOICE_THREADS_MAX = 4
CHUNKS_AT_ONCE = 8
"""Half a second of speech: a hop to a thread costs more than a chunk, and the first chunk is wanted alone."""


@asynccontextmanager
async def open_speech(
    documents: Iterable[str], ears_max: int, adapted: bool, cache_dir: Path | None, progress: Progress
) -> AsyncIterator[Engines]:
    """Ears, and a voice if this machine has espeak-ng; see `local.open_local_engines`."""
    texts = list(documents)
    # Abandoned when cancelled: who stops the program while it prepares need not wait, and caches are written at once.
    model = await Bulkhead(1).read(prepare_model, texts, adapted=adapted, cache_dir=cache_dir, progress=progress)
    async with open_ears(model, ears_max) as ears:
        yield Engines(LocalActivity, ears, _open_mouth(), missing="this server has no voice")


def _open_mouth() -> LocalMouth | None:
    try:
        return LocalMouth()
    except ConfigurationError as error:
        log.warning("no_voice", reason=str(error))
        return None


class LocalActivity:
    """webrtcvad, with the start and the end of speech in the server's words."""

    def __init__(self) -> None:
        self._activity = VoiceActivity()
        self.forget, self.retune = self._activity.forget, self._activity.retune

    def feed(self, pcm: bytes) -> list[VoiceBegan | VoiceEnded]:
        return [
            VoiceBegan(event.audio_start_ms) if isinstance(event, SpeechStarted) else VoiceEnded(event.audio_end_ms)
            for event in self._activity.feed(pcm)
        ]


class LocalMouth:
    """Says texts with espeak-ng, in threads: a sentence holds its lock for up to 30 ms."""

    def __init__(self) -> None:
        """Raises `ConfigurationError` when this machine has no espeak-ng."""
        self.voices = frozenset(VOICES)
        self._voice = Voice()
        self._threads = Bulkhead(VOICE_THREADS_MAX)

    def say(self, text: str, *, voice: str, speed: float) -> LocalSpeech:
        return LocalSpeech(self._voice.speak(text, voice=voice, speed=speed), self._threads)


class LocalSpeech:
    def __init__(self, chunks: Generator[Spoken], threads: Bulkhead) -> None:
        self._chunks = chunks
        self._threads = threads
        self._ready: list[Chunk] = []
        self._at_once = 1

    async def next_chunk(self) -> Chunk | None:
        if not self._ready:
            # Never abandoned: the generator belongs to one thread at a time, and 30 ms are soon over.
            self._ready = await self._threads.write(self._some, self._at_once)
            self._ready.reverse()
            self._at_once = CHUNKS_AT_ONCE
        return self._ready.pop() if self._ready else None

    def _some(self, count: int) -> list[Chunk]:
        return [Chunk(spoken.text, spoken.pcm) for spoken in islice(self._chunks, count)]
