"""PCM in base64: lengths without decoding, and validation of what clients send. Knows no event and no wire format.

All audio here is PCM16, little-endian, mono, 24 kHz: 24 samples of 2 bytes make 48 bytes a millisecond.
"""

from __future__ import annotations

from functools import lru_cache

import msgspec
import pybase64

from voice_trio.errors import BadMessage

BYTES_PER_MS = 48
BYTES_PER_SAMPLE = 2


class AudioAppended(msgspec.Struct, frozen=True, gc=False):
    """Audio from a client's microphone: base64 that has been checked, and its length in ms.

    A struct of msgspec, because one is made for each frame: that takes a third of the time of a frozen dataclass.
    """

    audio: str
    duration_ms: float

    def __repr__(self) -> str:
        return f"AudioAppended(…, {self.duration_ms!r})"


def audio_ms(audio: str) -> float:
    """Milliseconds of sound in base64 text, from its length alone; padding carries no sound."""
    padding = 2 if audio.endswith("==") else 1 if audio.endswith("=") else 0
    return max(0, len(audio) * 3 // 4 - padding) / BYTES_PER_MS


def check_audio(audio: str) -> float:
    """Milliseconds of sound in a client's base64; raises `BadMessage` unless it is whole samples in strict base64."""
    length = len(decode_audio(audio))
    _check_samples(length)
    return length / BYTES_PER_MS


def decode_audio(audio: str) -> bytes:
    """The samples in base64 text; raises `BadMessage` if it is not strict base64."""
    # To decode is the only way to check an alphabet at SIMD speed. Audio of an upstream is checked by it as well.
    try:
        return pybase64.b64decode(audio, validate=True)
    except ValueError as error:
        raise BadMessage("audio is not valid base64") from error


def encode_audio(pcm: bytes) -> str:
    """Raw samples from a client as base64; raises `BadMessage` for half samples or none."""
    _check_samples(len(pcm))
    return pybase64.b64encode(pcm).decode("ascii")


def split_audio(audio: str, duration_ms_max: int) -> list[str]:
    """Base64 in pieces of at most so long (even ms: whole groups of base64 and whole samples), without decoding it."""
    size = duration_ms_max // 2 * 2 * BYTES_PER_MS * 4 // 3
    return [audio[start : start + size] for start in range(0, len(audio), size)] or [audio]


@lru_cache(maxsize=32)
def silence(duration_ms: int) -> str:
    """`duration_ms` of digital silence in base64."""
    return pybase64.b64encode(bytes(duration_ms * BYTES_PER_MS)).decode("ascii")


def _check_samples(length: int) -> None:
    if not length:
        raise BadMessage("audio is empty")
    if length % BYTES_PER_SAMPLE:
        raise BadMessage("audio has an odd number of bytes; PCM16 has two a sample")
