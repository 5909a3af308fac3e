"""The engines of this machine behind the protocols of `voice_trio.embedded.engines`. Needs the `local` extra."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import structlog

from voice_trio.embedded.engines import Engines, SpeechChunk
from voice_trio.embedded.speech.recognition.adaptation import prepare_model
from voice_trio.embedded.speech.recognition.learning import learn_words
from voice_trio.embedded.speech.recognition.model import delete_other_models
from voice_trio.embedded.speech.recognition.recognizer import open_recognizer
from voice_trio.embedded.speech.synthesis.voice import VOICES, SynthesisVoice
from voice_trio.errors import ConfigurationError
from voice_trio.net.threads import Bulkhead
from voice_trio.speech.activity import VoiceActivity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterable
    from pathlib import Path

    from voice_trio.embedded.speech.recognition.model import Progress

log = structlog.get_logger(__name__)

SYNTHESIS_THREADS_MAX = 4
CHUNKS_AT_ONCE = 8
"""Half a second of speech: a hop to a thread costs more than a chunk, and the first chunk is wanted alone."""


@asynccontextmanager
async def open_speech(
    documents: Iterable[str],
    recognizers_max: int,
    adapted: bool,
    directories: tuple[Path | None, Path | None, Path | None],
    progress: Progress,
) -> AsyncIterator[Engines]:
    """A recognizer, and a synthesizer if this machine has espeak-ng; see `local.open_local_engines`."""
    texts = list(documents)
    cache_dir, language_dir, learned_dir = directories
    # Abandoned when cancelled: the program need not wait for it to end, and caches are written at once.
    model = await Bulkhead(1).read(
        prepare_model, texts, adapted=adapted, cache_dir=cache_dir, language_dir=language_dir, progress=progress
    )
    if language_dir is not None:
        await Bulkhead(1).write(delete_other_models, language_dir, model)
    async with open_recognizer(model, recognizers_max) as recognizer:
        learn = None if learned_dir is None else partial(learn_words, recognizer, directory=learned_dir)
        yield Engines(VoiceActivity, recognizer, _open_synthesizer(), "this server has no voice", learn)


def _open_synthesizer() -> LocalSynthesizer | None:
    try:
        return LocalSynthesizer()
    except ConfigurationError as error:
        log.warning("no_voice", reason=str(error))
        return None


class LocalSynthesizer:
    """Says texts with espeak-ng, in threads: a sentence holds espeak's lock for up to 30 ms."""

    def __init__(self) -> None:
        """Raises `ConfigurationError` when this machine has no espeak-ng."""
        self.voices = frozenset(VOICES)
        self._voice = SynthesisVoice()
        self._threads = Bulkhead(SYNTHESIS_THREADS_MAX)

    def say(self, text: str, *, voice: str, speed: float) -> LocalSynthesisStream:
        return LocalSynthesisStream(self._voice.speak(text, voice=voice, speed=speed), self._threads)


class LocalSynthesisStream:
    def __init__(self, chunks: Generator[SpeechChunk], threads: Bulkhead) -> None:
        self._chunks = chunks
        self._threads = threads
        self._ready: list[SpeechChunk] = []
        self._at_once = 1

    async def next_chunk(self) -> SpeechChunk | None:
        if not self._ready:
            # Never abandoned: the generator belongs to one thread at a time, and 30 ms are soon over.
            self._ready = await self._threads.write(self._some, self._at_once)
            self._ready.reverse()
            self._at_once = CHUNKS_AT_ONCE
        return self._ready.pop() if self._ready else None

    def _some(self, count: int) -> list[SpeechChunk]:
        return list(islice(self._chunks, count))
