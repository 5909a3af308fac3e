"""WebSocket frames written bit by bit, valid or not, and what one end makes of them however they are cut."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from voice_trio.net.frames import Event, ProtocolFault, WebSocketProtocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SIDES = pytest.mark.parametrize("is_client", [False, True], ids=["server", "client"])

FIN = 0x80
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
KEY = b"\x9d\x01\xe2\x47"


@dataclass(frozen=True)
class RawFrame:
    """A frame as it goes over the wire, where the fields need not fit together."""

    first: int
    payload: bytes = b""
    announced: int | None = None
    """The length in the header, where it is not that of the payload."""
    length_bytes: int | None = None
    """0, 2 or 8 bytes of extended length; None for the shortest."""
    has_wrong_mask_bit: bool = False

    def encode(self, *, is_masked: bool) -> bytes:
        is_masked ^= self.has_wrong_mask_bit
        length = len(self.payload) if self.announced is None else self.announced
        shortest = 0 if length < 126 else 2 if length < 65_536 else 8
        size = shortest if self.length_bytes is None else self.length_bytes
        second = {0: length, 2: 126, 8: 127}[size] | (0x80 if is_masked else 0)
        head = bytes((self.first, second)) + (length.to_bytes(size) if size else b"")
        return head + (KEY + xor(self.payload, KEY) if is_masked else self.payload)


def xor(payload: bytes, key: bytes) -> bytes:
    repeated = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload) ^ int.from_bytes(repeated)).to_bytes(len(payload))


def text(payload: bytes | str) -> RawFrame:
    return RawFrame(FIN | TEXT, payload if isinstance(payload, bytes) else payload.encode())


def close(code: int, reason: bytes = b"") -> RawFrame:
    return RawFrame(FIN | CLOSE, code.to_bytes(2) + reason)


def protocol(*, is_client: bool, message_bytes_max: int = 1 << 24) -> WebSocketProtocol:
    return WebSocketProtocol(is_client=is_client, message_bytes_max=message_bytes_max)


def encode(frames: Iterable[RawFrame], *, is_client: bool) -> bytes:
    """What the peer of an end sends: a server's peer masks."""
    return b"".join(frame.encode(is_masked=not is_client) for frame in frames)


@dataclass(frozen=True)
class Received:
    """What one end made of a stream: its events, and the code and reason of the fault that ended it."""

    events: list[Event]
    fault: int | None = None
    reason: str = field(default="", compare=False)


def receive(end: WebSocketProtocol, pieces: Iterable[bytes]) -> Received:
    """Feed an end as its owner does: after each piece all events, also after the last one."""
    events: list[Event] = []
    fault: ProtocolFault | None = None
    for piece in pieces:
        end.receive_data(piece)
        try:
            while (event := end.next_event()) is not None:
                events.append(event)
        except ProtocolFault as error:
            assert fault is None, "a second fault"
            fault = error
    return Received(events) if fault is None else Received(events, fault.code, fault.reason)


def bytewise(stream: bytes) -> list[bytes]:
    return [stream[at : at + 1] for at in range(len(stream))]


def cut(stream: bytes, places: Sequence[int]) -> list[bytes]:
    """The stream in pieces; `places` in any order, those outside left out."""
    edges = [0, *sorted({place for place in places if 0 < place < len(stream)}), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(edges)]
