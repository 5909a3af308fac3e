"""MAP adaptation: the acoustic model's means moved towards espeak-ng's voices, from words that espeak-ng reads out.

For each frame of speech that a forced alignment assigns to a state, every Gaussian of that state takes its share of the
frame; a mean then becomes the average of its old self, which counts as `TAU` frames, and of the frames it took.

What is read out is words drawn at random, so the result depends on no documents: it is made once on a machine,
by child processes side by side (`adaptation_worker`), and kept. It derives from the model that pocketsphinx brings
along, whose BSD-like licence allows that; it is never shipped.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from voice_trio.embedded.speech.recognition.gaussians import StockGaussians
from voice_trio.embedded.speech.recognition.model import (
    CEPSTRAL_MEAN,
    GENERAL_WORDS,
    AcousticModel,
    ListeningModel,
    cache_key,
    default_cache_dir,
    keep_directory,
)
from voice_trio.embedded.speech.recognition.ngrams import GeneralEnglish
from voice_trio.embedded.speech.synthesis.espeak import SpeakingStyle
from voice_trio.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from voice_trio.embedded.speech.recognition.model import Progress

TAU: Final = 20.0
"""The smaller, the closer to the synthetic voices and the further from people's; 20 did no clear harm to people's."""
VOICES: Final = (SpeakingStyle("en-us", 150), SpeakingStyle("en-us+f3", 140), SpeakingStyle("en", 160))
SENTENCES: Final = 40
"""Some 10 s on two cores. 20 sentences cost half of that and leave a fifth more word errors; 60 cost half more."""
_WORDS_A_SENTENCE: Final = 10
_WORDS_DRAWN_FROM: Final = 2500
_WORKERS_MAX: Final = 4
_RECIPE: Final = 1
"""Raised whenever the code changes what it makes."""


def prepare_model(
    documents: Iterable[str],
    *,
    adapted: bool = True,
    cache_dir: Path | None = None,
    language_dir: Path | None = None,
    progress: Progress = lambda step, share: None,
    general_words: int = GENERAL_WORDS,
    sentences: int = SENTENCES,
) -> ListeningModel:
    """The model with which a recognizer understands questions about `documents`.

    `adapted` to synthetic voices, as the demo and the tests need it, or as pocketsphinx ships it for people. The first
    time on a machine it takes some 12 s on two cores, 3 s if not adapted; later 3 s when documents have changed, or a
    few ms. `language_dir` keeps what is made of the documents; by default `cache_dir` keeps that too. Fewer
    `general_words` and `sentences` read out make it faster and worse. Blocking: call it in a thread. Raises
    `ConfigurationError`.
    """
    with nullcontext() if not adapted else adapting(cache_dir, sentences=sentences) as adaptation:
        stock = ListeningModel.build(
            documents, cache_dir=language_dir or cache_dir, progress=progress, general_words=general_words
        )
        acoustic = adaptation.result(progress) if adaptation else stock.acoustic
    return msgspec.structs.replace(stock, acoustic=acoustic)


class ReadingTask(msgspec.Struct, frozen=True):
    """The sentences that one worker reads out, and the file for its sums."""

    sentences: tuple[tuple[str, ...], ...]
    styles: tuple[SpeakingStyle, ...]
    sums_file: str


class Adaptation:
    """An adapted model in the making: workers compute while the caller does something else, until `result`."""

    def __init__(
        self, directory: Path, readings: tuple[ReadingTask, ...], workers: tuple[subprocess.Popen[bytes], ...]
    ) -> None:
        self._directory = directory
        self._readings = readings
        self.workers = workers

    def result(self, progress: Progress) -> AcousticModel:
        """The adapted model, when it is done. Raises `ConfigurationError` when a worker failed."""
        expected = sum(len(reading.sentences) * len(reading.styles) for reading in self._readings)
        # All have the same to do: while the first is read line by line, the others are as far as it is.
        read = 0
        for index, worker in enumerate(self.workers):
            assert worker.stdout is not None
            for _ in worker.stdout:
                read += len(self.workers) if index == 0 else 0
                progress("adapting recognition to synthetic voices", min(read / expected, 1.0))
            if worker.wait():
                raise ConfigurationError(f"adapting the acoustic model failed with status {worker.returncode}")
        if not self._directory.is_dir():
            keep_directory(self._directory, {"means": _adapted_means(self._readings)})
        return _acoustic_model(self._directory)


@contextmanager
def adapting(cache_dir: Path | None = None, *, sentences: int = SENTENCES) -> Iterator[Adaptation]:
    """Starts to adapt the acoustic model to synthetic voices, or finds it done; leaving the block ends what still runs.

    40 sentences in three voices cost about 15 s of CPU, spread over up to four cores, once on a machine.
    """
    key = cache_key(_RECIPE, TAU, VOICES, sentences, CEPSTRAL_MEAN)
    directory = (cache_dir or default_cache_dir()) / f"acoustic-{key}"
    if directory.is_dir():
        yield Adaptation(directory, (), ())
        return
    with tempfile.TemporaryDirectory() as scratch:
        readings = tuple(_readings(sentences, scratch))
        workers = tuple(_start(reading) for reading in readings)
        try:
            yield Adaptation(directory, readings, workers)
        finally:
            for worker in workers:
                with worker:  # closes its pipe and waits for it
                    worker.kill()


def adapted_model(
    cache_dir: Path | None = None, *, sentences: int = SENTENCES, progress: Progress = lambda step, share: None
) -> AcousticModel:
    """The acoustic model adapted to synthetic voices; some 10 s on two cores the first time. Blocking."""
    with adapting(cache_dir, sentences=sentences) as adaptation:
        return adaptation.result(progress)


def _readings(sentences: int, scratch: str) -> Iterator[ReadingTask]:
    chance = random.Random(1)  # any words will do, but the same ones every time
    words = GeneralEnglish(_WORDS_DRAWN_FROM).vocabulary
    drawn = tuple(tuple(chance.choices(words, k=_WORDS_A_SENTENCE)) for _ in range(sentences))
    count = min(os.cpu_count() or 1, _WORKERS_MAX)
    for index in range(count):
        yield ReadingTask(drawn[index::count], VOICES, str(Path(scratch) / f"{index}.npz"))


def _start(reading: ReadingTask) -> subprocess.Popen[bytes]:
    worker = subprocess.Popen(
        [sys.executable, "-m", "voice_trio.embedded.speech.recognition.adaptation_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for this process, which then ends the workers
    )
    assert worker.stdin is not None
    worker.stdin.write(msgspec.msgpack.encode(reading))
    worker.stdin.close()
    return worker


def _adapted_means(readings: tuple[ReadingTask, ...]) -> bytes:
    stock = StockGaussians()
    total, taken = np.float32(TAU) * stock.means, np.full(stock.means.shape[:-1], TAU, np.float32)
    for reading in readings:
        with np.load(reading.sums_file) as sums:
            total += sums["total"]
            taken += sums["taken"]
    return stock.means_file_with(total / taken[..., None])


def _acoustic_model(directory: Path) -> AcousticModel:
    stock = AcousticModel.stock()
    return AcousticModel(stock.directory, str(directory / "means"), second_pass=False)
