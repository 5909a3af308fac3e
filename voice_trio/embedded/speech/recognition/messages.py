"""The messages between a server and its recognition workers: msgpack behind a four-byte length. Pure.

One request, one reply, in turn. The worker's first message is `Ready`; it ends when its input does.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import msgspec


class BeginUtterance(msgspec.Struct, frozen=True, tag=True):
    """A new utterance, by a user whose `microphone` is known from an earlier one, or not."""

    microphone: str | None


class AudioBlock(msgspec.Struct, frozen=True, tag=True):
    """The next samples, PCM16 mono 24 kHz."""

    pcm: bytes


class FinishUtterance(msgspec.Struct, frozen=True, tag=True):
    """The utterance is over."""


class WorkerReady(msgspec.Struct, frozen=True, tag=True):
    """The decoder is loaded, or the utterance has begun."""


class StableWords(msgspec.Struct, frozen=True, tag=True):
    """Words that became stable."""

    words: list[str]


class DecodedUtterance(msgspec.Struct, frozen=True, tag=True):
    """An utterance: `text` in lower case, and up to ten different `alternatives`, best first, `text` among them.

    `microphone` is what the decoder learnt about the sound of this user's voice and microphone: 13 numbers, no words.
    Given to the next recognition of the same user, it saves learning it anew.
    """

    text: str
    alternatives: tuple[str, ...]
    microphone: str


WorkerRequest = BeginUtterance | AudioBlock | FinishUtterance
WorkerReply = WorkerReady | StableWords | DecodedUtterance

_LENGTH: Final = struct.Struct("!I")
LENGTH_BYTES: Final = _LENGTH.size
_encoder: Final = msgspec.msgpack.Encoder()


def encode(message: Any) -> bytes:
    """A message as it travels."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


def decode_length(header: bytes) -> int:
    """How many bytes of message follow its first `LENGTH_BYTES`."""
    (length,) = _LENGTH.unpack(header)
    return int(length)


decode_request: Final = msgspec.msgpack.Decoder(WorkerRequest).decode
decode_reply: Final = msgspec.msgpack.Decoder(WorkerReply).decode
