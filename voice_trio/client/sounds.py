"""Reads and writes sound files as the voice protocol's PCM: 16-bit little-endian mono at 24 kHz."""

from __future__ import annotations

import sys
import wave
from array import array
from typing import TYPE_CHECKING

from voice_trio.errors import ConfigurationError, VoiceTrioError

if TYPE_CHECKING:
    from pathlib import Path

RATE = 24_000
BYTES_PER_MS = RATE * 2 // 1000
LOUD = 500  # of 32,768: speech peaks above 3,000, a quiet room stays below 200


class SoundUnreadable(VoiceTrioError):
    """A file could not be read as sound; the message says why."""


def read_sound(path: Path) -> bytes:
    """Read a sound file as 16-bit little-endian mono PCM at 24 kHz.

    With the extra `sound` (`pip install 'voice-trio[sound]'`) it reads WAV, FLAC, OGG and the other formats of
    libsndfile, at any rate and with any number of channels. Without it, it reads WAV files that are 24 kHz 16-bit mono
    already and raises `voice_trio.errors.ConfigurationError` for other WAV files.

    Raises `voice_trio.client.sounds.SoundUnreadable` if the file is missing or is not a sound file. It blocks: call it
    before `trio.run` or in a thread.
    """
    try:
        import numpy
        import soundfile
        import soxr  # type: ignore[import-untyped]  # it has no types
    except ImportError:
        return _read_plain_wav(path)
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, ValueError) as error:
        raise SoundUnreadable(f"{path}: {error}") from error
    mono = samples.mean(axis=1)
    at_our_rate = mono if rate == RATE else soxr.resample(mono, rate, RATE)
    pcm: bytes = (numpy.clip(at_our_rate, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()
    return pcm


def write_wav(path: Path, pcm: bytes) -> None:
    """Write PCM (16-bit little-endian mono at 24 kHz) as a WAV file. Raises `OSError`. It blocks."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm)


def end_of_sound_ms(pcm: bytes) -> float:
    """Position of the last loud sample in milliseconds; 0 for silence."""
    samples = array("h", pcm[: len(pcm) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    last = next((index for index in range(len(samples) - 1, -1, -1) if abs(samples[index]) > LOUD), 0)
    return last / RATE * 1000


def _read_plain_wav(path: Path) -> bytes:
    try:
        with wave.open(str(path), "rb") as file:
            shape = (file.getnchannels(), file.getsampwidth(), file.getframerate())
            pcm = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise SoundUnreadable(f"{path}: {error}") from error
    except OSError as error:
        raise SoundUnreadable(f"{path}: {error.strerror}") from error
    if shape != (1, 2, RATE):
        raise ConfigurationError(f"{path} is not 24 kHz 16-bit mono; to read it install voice-trio[sound]")
    return pcm
