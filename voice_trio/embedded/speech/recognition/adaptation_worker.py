"""One worker of an adaptation: reads sentences out, aligns them with their audio, sums up the frames of each Gaussian.

Its standard input is a `ReadingTask`. It writes a line for each utterance, so it ends soon after its output is closed.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from pocketsphinx import Decoder

from voice_trio.embedded.speech.recognition.adaptation import ReadingTask
from voice_trio.embedded.speech.recognition.gaussians import DIMENSIONS, StockGaussians
from voice_trio.embedded.speech.recognition.model import CEPSTRAL_MEAN
from voice_trio.embedded.speech.recognition.pronunciation import dictionary_text, pronounce
from voice_trio.embedded.speech.synthesis.voice import RATE, pcm_of
from voice_trio.speech.resampling import resample

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voice_trio.embedded.speech.recognition.gaussians import Floats
    from voice_trio.embedded.speech.synthesis.espeak import SpeakingStyle

_DECODER_RATE: Final = 16_000
_QUIET_SAMPLES, _QUIET_LEVEL = 3200, 8
"""Alignment fails on speech that begins with the first sample, and on silence that is digital."""

State = tuple[str, int]
"""A phone and one of its senones."""


def main() -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a parent that is gone ends this process, without a traceback
    reading = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=ReadingTask)
    with tempfile.TemporaryDirectory() as scratch:
        aligner = Aligner({word for sentence in reading.sentences for word in sentence}, Path(scratch))
        frames: dict[State, list[Floats]] = defaultdict(list)
        for sentence in reading.sentences:
            for style in reading.styles:
                for state, held in aligner.align(sentence, style):
                    frames[state].append(held)
                print(".", flush=True)  # noqa: T201  # this is what the parent counts
    _sum_up(frames, reading.sums_file)


class Aligner:
    """Says which frames of a synthesised sentence belong to which state."""

    def __init__(self, words: set[str], scratch: Path) -> None:
        dictionary = scratch / "words.dict"
        dictionary.write_text(dictionary_text(pronounce(words)), encoding="utf-8")
        self._cepstra = scratch / "cepstra"
        self._cepstra.mkdir()
        self._chance = np.random.default_rng(1)
        # Wide beams, no best path: an alignment must reach the end by the states it went through.
        self._decoder = Decoder(
            lm=None, dict=str(dictionary), mfclogdir=str(self._cepstra), bestpath=False,
            beam=1e-100, wbeam=1e-80, pbeam=1e-100, loglevel="FATAL",
        )  # fmt: skip

    def align(self, words: Sequence[str], style: SpeakingStyle) -> Iterator[tuple[State, Floats]]:
        """Each state that the sentence goes through with its frames, (streams, frames, dimensions).

        A sentence that cannot be aligned, one in a hundred, is left out.
        """
        text = " ".join(words)
        pcm = self._quiet() + resample(pcm_of(text, style), RATE, _DECODER_RATE) + self._quiet()
        try:
            self._decoder.set_align_text(text)
            self._decode(pcm)
            self._decoder.set_alignment()
            self._decode(pcm)
        except RuntimeError:
            return
        features = _features(self._last_cepstra())
        for word in self._decoder.get_alignment():
            for phone in word:
                for state in phone:
                    yield (phone.name, int(state.name)), features[:, state.start : state.start + state.duration]

    def _decode(self, pcm: bytes) -> None:
        for old in self._cepstra.iterdir():
            old.unlink()
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()

    def _last_cepstra(self) -> Floats:
        # The only way to get at what pocketsphinx's own front end (with its noise removal) makes of the audio.
        (log,) = self._cepstra.iterdir()
        return np.frombuffer(log.read_bytes(), ">f4", offset=4).astype(np.float32).reshape(-1, DIMENSIONS)

    def _quiet(self) -> bytes:
        return self._chance.normal(0, _QUIET_LEVEL, _QUIET_SAMPLES).astype(np.int16).tobytes()


def _features(cepstra: Floats) -> Floats:
    """The streams of pocketsphinx's `1s_c_d_dd`: the cepstrum without its mean, how it moves, how that changes."""
    count = len(cepstra)
    padded = np.pad(cepstra - np.array(CEPSTRAL_MEAN, np.float32), ((3, 3), (0, 0)), mode="edge")
    at = {shift: padded[3 + shift : 3 + shift + count] for shift in range(-3, 4)}
    return np.stack([at[0], at[2] - at[-2], (at[3] - at[-1]) - (at[1] - at[-3])], axis=0)


def _sum_up(frames: dict[State, list[Floats]], sums_file: str) -> None:
    stock = StockGaussians()
    total, taken = np.zeros_like(stock.means), np.zeros(stock.means.shape[:-1], np.float32)
    for (phone, senone), held in frames.items():
        together = np.concatenate(held, axis=1)
        shares = stock.shares(stock.phones[phone], senone, together)
        total[stock.phones[phone]] += shares.transpose(0, 2, 1) @ together
        taken[stock.phones[phone]] += shares.sum(1)
    np.savez(sums_file, total=total, taken=taken)


if __name__ == "__main__":
    main()
