"""What a reader process and the process that imports say to each other: frames of MessagePack over a socket pair.

A frame is its length in four bytes and one message. The file itself goes along with the request as a descriptor, so
that the reader opens nothing and needs no name that is valid text.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import socket

FRAME_BYTES_MAX = 4 * 1024 * 1024
_LENGTH = struct.Struct("!I")


class ReadRequest(msgspec.Struct, frozen=True):
    """Read the file that comes with this message. `suffix` names its format, in small letters with the dot."""

    name: str
    stem: str
    suffix: str
    size: int
    cpu_seconds: int


class ChunksRead(msgspec.Struct, frozen=True, tag="chunks"):
    """Chunks of the file in their order, each as title, text and source."""

    chunks: list[tuple[str, str, str]]


class PartLost(msgspec.Struct, frozen=True, tag="lost"):
    """A part of the file that could not be read, for example "page 3: unknown filter"."""

    part: str


class PartLeftOut(msgspec.Struct, frozen=True, tag="left-out"):
    """A part that is left out by rule, for example the navigation of a web page."""

    kind: str


class ReadRemark(msgspec.Struct, frozen=True, tag="remark"):
    """Something to know about how the file was read; nothing is lost."""

    text: str


class ReadProgress(msgspec.Struct, frozen=True, tag="progress"):
    """How far the reader is, for example page 120 of 900."""

    unit: str
    done: int
    total: int


class ReadDone(msgspec.Struct, frozen=True, tag="done"):
    """The file has been read; `retire`: the process has grown and should be replaced."""

    retire: bool = False


class ReadFailed(msgspec.Struct, frozen=True, tag="failed"):
    """The file cannot be read, and why; `retire`: the process may be in disorder and should be replaced."""

    problem: str
    retire: bool = False


ReaderMessage = ChunksRead | PartLost | PartLeftOut | ReadRemark | ReadProgress | ReadDone | ReadFailed

_encoder = msgspec.msgpack.Encoder()
_messages: msgspec.msgpack.Decoder[ReaderMessage] = msgspec.msgpack.Decoder(ReaderMessage)
_requests = msgspec.msgpack.Decoder(ReadRequest)


def to_frame(message: msgspec.Struct) -> bytes:
    """One message with its length before it."""
    payload = _encoder.encode(message)
    return _LENGTH.pack(len(payload)) + payload


def receive_message(link: socket.socket) -> tuple[ReaderMessage, int] | None:
    """The next message of a reader and its size in bytes, or None once the reader has ended.

    Raises `TimeoutError` by the timeout of `link`, and `msgspec.MsgspecError` for what is no message.
    """
    payload = _receive_frame(link, b"")
    return None if payload is None else (_messages.decode(payload), len(payload))


def receive_request(link: socket.socket) -> tuple[ReadRequest, int] | None:
    """The next request and the descriptor of its file, or None once the other side has closed."""
    import socket  # only the reader receives descriptors

    start, descriptors, _, _ = socket.recv_fds(link, _LENGTH.size, 1)
    payload = _receive_frame(link, start) if start else None
    return None if payload is None or not descriptors else (_requests.decode(payload), descriptors[0])


def _receive_frame(link: socket.socket, start: bytes) -> bytes | None:
    head = _receive_exactly(link, _LENGTH.size - len(start))
    if head is None:
        return None
    (length,) = _LENGTH.unpack(start + head)
    if length > FRAME_BYTES_MAX:
        raise msgspec.ValidationError(f"a frame of {length} bytes")
    return _receive_exactly(link, length)


def _receive_exactly(link: socket.socket, count: int) -> bytes | None:
    received = bytearray()
    while len(received) < count:
        block = link.recv(min(count - len(received), 1 << 16))
        if not block:
            return None
        received += block
    return bytes(received)
