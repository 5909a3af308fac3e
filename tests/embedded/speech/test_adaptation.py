"""Recognition adapted to synthetic voices: made by workers, kept, and better with those voices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from tests.embedded.speech.conftest import DOCUMENTS
from voice_trio.embedded.speech.recognition import adaptation_worker
from voice_trio.embedded.speech.recognition.adaptation import (
    VOICES,
    ReadingTask,
    adapted_model,
    adapting,
    prepare_model,
)
from voice_trio.embedded.speech.recognition.gaussians import StockGaussians
from voice_trio.embedded.speech.recognition.model import AcousticModel, ListeningModel
from voice_trio.embedded.speech.recognition.wording import spoken_words
from voice_trio.embedded.speech.recognition.worker import Decoding
from voice_trio.embedded.speech.synthesis.voice import pcm_of

if TYPE_CHECKING:
    from pathlib import Path

QUESTIONS = (
    "what should the temperature of the brooder be",
    "how is coccidiosis spread",
    "how do i keep the litter clean and dry",
    "what does the brooder need",
)


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> AcousticModel:
    """From ten sentences: a quarter of what the demo takes."""
    return adapted_model(tmp_path_factory.mktemp("acoustic"), sentences=10)


def words_missed(model: ListeningModel) -> int:
    decoding = Decoding(model)
    missed = 0
    for question in QUESTIONS:
        for style in VOICES:
            decoding.begin()
            decoding.feed(pcm_of(question, style))
            missed += len(set(spoken_words(question)) - set(decoding.finish().text.split()))
    return missed


def test_an_adapted_model_misses_fewer_words_of_synthetic_voices(
    listening_model: ListeningModel, adapted: AcousticModel
) -> None:
    better = ListeningModel(adapted, listening_model.dictionary, listening_model.language_model)
    assert words_missed(better) < 0.7 * words_missed(listening_model)


def test_an_adaptation_is_made_once(tmp_path: Path) -> None:
    told: list[float] = []
    first = adapted_model(tmp_path, sentences=1, progress=lambda step, share: told.append(share))
    assert told == sorted(told)
    assert told[-1] == 1
    told.clear()
    assert adapted_model(tmp_path, sentences=1, progress=lambda step, share: told.append(share)) == first
    assert told == []


def test_an_adaptation_that_is_left_ends_its_workers_and_keeps_nothing(tmp_path: Path) -> None:
    with adapting(tmp_path, sentences=1000) as adaptation:
        workers = adaptation.workers
        assert workers
    assert all(worker.returncode is not None for worker in workers)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_at_a_terminal_reaches_no_worker_of_an_adaptation(tmp_path: Path) -> None:
    with adapting(tmp_path, sentences=1) as adaptation:
        assert all(os.getsid(worker.pid) == worker.pid for worker in adaptation.workers)


def test_a_worker_of_an_adaptation_ends_in_silence_when_its_parent_is_gone(tmp_path: Path) -> None:
    task = ReadingTask((("hen",),) * 1000, VOICES, str(tmp_path / "sums.npz"))
    command = [sys.executable, "-m", adaptation_worker.__name__]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as worker:
        assert worker.stdin
        assert worker.stdout
        assert worker.stderr
        worker.stdin.write(msgspec.msgpack.encode(task))
        worker.stdin.close()
        assert worker.stdout.readline() == b".\n"
        worker.stdout.close()
        assert worker.stderr.read() == b""
    assert worker.returncode == -signal.SIGPIPE


def test_a_model_that_is_not_adapted_is_pocketsphinx_own(tmp_path: Path) -> None:
    model = prepare_model(DOCUMENTS, adapted=False, cache_dir=tmp_path, general_words=50)
    assert model.acoustic == AcousticModel.stock()


def test_a_model_is_adapted_unless_told_otherwise(tmp_path: Path) -> None:
    model = prepare_model(DOCUMENTS, cache_dir=tmp_path, general_words=50, sentences=1)
    assert model.acoustic == adapted_model(tmp_path, sentences=1)
    assert model.dictionary == prepare_model(DOCUMENTS, adapted=False, cache_dir=tmp_path, general_words=50).dictionary


def test_the_gaussians_of_a_state_share_each_frame_out() -> None:
    stock = StockGaussians()
    assert stock.means.shape == (42, 3, 128, 13)
    assert np.exp(-stock.log_weights[..., :50].astype(float) * 0.1024).sum(1) == pytest.approx(1, abs=0.1)
    frames = np.random.default_rng(1).normal(0, 5, (3, 20, 13)).astype(np.float32)
    shares = stock.shares(stock.phones["AA"], 500, frames)
    assert shares.sum(-1) == pytest.approx(1, abs=1e-4)
    at_a_mean = np.repeat(stock.means[stock.phones["AA"]][:, 7:8], 2, axis=1)
    distances = ((stock.means[stock.phones["AA"]] - at_a_mean[:, :1]) ** 2).sum(-1)
    assert distances.argmin(-1).tolist() == [7, 7, 7]
    assert stock.shares(stock.phones["AA"], 500, at_a_mean).shape == (3, 2, 128)


def test_means_written_unchanged_are_the_stock_model(listening_model: ListeningModel, tmp_path: Path) -> None:
    stock = StockGaussians()
    (tmp_path / "means").write_bytes(stock.means_file_with(stock.means))
    same = AcousticModel(listening_model.acoustic.directory, str(tmp_path / "means"), second_pass=True)
    question = pcm_of(QUESTIONS[1], VOICES[0])
    texts = []
    for acoustic in (same, listening_model.acoustic):
        decoding = Decoding(ListeningModel(acoustic, listening_model.dictionary, listening_model.language_model))
        decoding.begin()
        decoding.feed(question)
        texts.append(decoding.finish().text)
    assert texts[0] == texts[1] != ""
