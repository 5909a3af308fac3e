"""Sample rates: PCM16 bytes in, PCM16 bytes out, through soxr; the only file that knows it."""

from __future__ import annotations

import numpy as np
import soxr  # type: ignore[import-untyped]  # it ships no types


def resample(pcm: bytes, rate_from: int, rate_to: int) -> bytes:
    """A whole recording at another rate, mono; its length is exact to a sample."""
    resampled: bytes = soxr.resample(np.frombuffer(pcm, np.int16), rate_from, rate_to).tobytes()
    return resampled


class Resampler:
    """A stream at another rate, mono: what comes out lags 12 ms behind (measured), and `last=True` gives the rest."""

    def __init__(self, rate_from: int, rate_to: int) -> None:
        self._rates = rate_from, rate_to
        self.restart()

    def restart(self) -> None:
        """Forget what came before: a new stream begins."""
        self._stream = soxr.ResampleStream(*self._rates, 1, dtype="int16", quality="HQ")

    def feed(self, pcm: bytes, *, last: bool = False) -> bytes:
        """The next piece of the stream; `pcm` holds whole samples."""
        resampled: bytes = self._stream.resample_chunk(np.frombuffer(pcm, np.int16), last=last).tobytes()
        return resampled
