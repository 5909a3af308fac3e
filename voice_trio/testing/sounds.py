"""Audio for tests and demonstrations: a tone, and the loudness of audio."""

from __future__ import annotations

import math
import sys
from array import array
from functools import lru_cache

import pybase64

SAMPLES_PER_MS = 24
TONE_HZ = 250.0  # a whole number of periods in 4 ms, so that pieces join without a click
TONE_LOUDNESS = 6000


@lru_cache(maxsize=8)
def _pcm(duration_ms: int) -> bytes:
    step = 2 * math.pi * TONE_HZ / (SAMPLES_PER_MS * 1000)
    samples = array("h", (int(TONE_LOUDNESS * math.sin(step * n)) for n in range(duration_ms * SAMPLES_PER_MS)))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def tone_pcm(start_ms: int, duration_ms: int) -> bytes:
    """PCM of a tone from `start_ms` of it on; consecutive pieces join smoothly."""
    phase_bytes = start_ms % 4 * SAMPLES_PER_MS * 2
    return _pcm(duration_ms + 4)[phase_bytes : phase_bytes + duration_ms * SAMPLES_PER_MS * 2]


def tone(start_ms: int, duration_ms: int) -> str:
    """The same in base64."""
    return pybase64.b64encode(tone_pcm(start_ms, duration_ms)).decode("ascii")


def loudness(pcm: bytes) -> float:
    """Root mean square of 16-bit samples, 0–32768."""
    samples = array("h", pcm[: len(pcm) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples)) if samples else 0.0
