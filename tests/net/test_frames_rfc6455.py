"""The rules of RFC 6455 case by case, for both ends, in the categories of the public Autobahn suite.

Each case is read in one piece, byte by byte, and in random pieces. A stream that goes on after a fault or a close frame
shows that nothing after it counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.websocket_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    PING,
    PONG,
    SIDES,
    TEXT,
    RawFrame,
    Received,
    bytewise,
    close,
    cut,
    encode,
    protocol,
    receive,
    text,
)
from voice_trio.net.frames import CloseFrame, Event, Ping, Pong

if TYPE_CHECKING:
    from collections.abc import Iterator

PROTOCOL_ERROR, INVALID_TEXT, TOO_BIG = 1002, 1007, 1009
MESSAGE_BYTES_MAX = 200_000
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10


@dataclass(frozen=True)
class Case:
    name: str
    frames: list[RawFrame]
    events: list[Event] = field(default_factory=list)
    fault: int | None = None


def part(opcode: int, payload: bytes | str = b"") -> RawFrame:
    """A fragment that is not the last."""
    return RawFrame(opcode, payload if isinstance(payload, bytes) else payload.encode())


def last(payload: bytes | str = b"") -> RawFrame:
    return RawFrame(FIN | CONTINUATION, payload if isinstance(payload, bytes) else payload.encode())


def ping(payload: bytes = b"") -> RawFrame:
    return RawFrame(FIN | PING, payload)


def pong(payload: bytes = b"") -> RawFrame:
    return RawFrame(FIN | PONG, payload)


def framing() -> Iterator[Case]:
    for size in (0, 1, 125, 126, 127, 128, 65_535, 65_536, 131_072):
        yield Case(f"text of {size} bytes", [text("*" * size)], ["*" * size])
        yield Case(f"binary of {size} bytes", [RawFrame(FIN | BINARY, b"\xfe" * size)], [b"\xfe" * size])
    for size, length_bytes in ((0, 2), (125, 2), (0, 8), (126, 8), (65_535, 8)):
        frame = RawFrame(FIN | TEXT, bytes(size), length_bytes=length_bytes)
        yield Case(f"length {size} in {length_bytes} bytes", [text("ok"), frame], ["ok"], PROTOCOL_ERROR)
    for size in (1 << 63, (1 << 64) - 1):
        frame = RawFrame(FIN | BINARY, announced=size)
        yield Case(f"length {size:#x}", [frame], [], PROTOCOL_ERROR)
    for first in (FIN | TEXT, FIN | PING, FIN | CLOSE, TEXT):
        frame = RawFrame(first, b"\x03\xe8", has_wrong_mask_bit=True)
        yield Case(f"wrong mask bit on {first:#x}", [text("ok"), frame, text("late")], ["ok"], PROTOCOL_ERROR)


def pings_and_pongs() -> Iterator[Case]:
    for payload in (b"", b"Hello", b"\x00\xff\xfe", bytes(125)):
        yield Case(f"ping with {payload!r:.20}", [ping(payload)], [Ping(payload)])
        yield Case(f"unsolicited pong with {payload!r:.20}", [pong(payload)], [Pong(payload)])
    yield Case("ten pings", [ping(b"%d" % number) for number in range(10)], [Ping(b"%d" % n) for n in range(10)])
    for opcode in (PING, PONG, CLOSE):
        yield Case(f"control {opcode:#x} of 126 bytes", [RawFrame(FIN | opcode, bytes(126))], [], PROTOCOL_ERROR)
        yield Case(f"fragmented control {opcode:#x}", [RawFrame(opcode), last()], [], PROTOCOL_ERROR)
        short = RawFrame(FIN | opcode, b"\x03\xe8", length_bytes=2)
        yield Case(f"control {opcode:#x} with a 16-bit length", [short], [], PROTOCOL_ERROR)
        long = RawFrame(FIN | opcode, announced=1 << 20)
        yield Case(f"control {opcode:#x} with a 64-bit length", [long], [], PROTOCOL_ERROR)


def reserved_bits() -> Iterator[Case]:
    for bits in (RSV1, RSV2, RSV3, RSV1 | RSV2, RSV1 | RSV3, RSV2 | RSV3, RSV1 | RSV2 | RSV3):
        for opcode in (TEXT, BINARY, PING, PONG, CLOSE):
            frame = RawFrame(FIN | bits | opcode, b"\x03\xe8")
            yield Case(f"bits {bits:#x} on {opcode:#x}", [text("ok"), frame, ping()], ["ok"], PROTOCOL_ERROR)
        inside = [part(TEXT, "a"), RawFrame(FIN | bits | CONTINUATION, b"b")]
        yield Case(f"bits {bits:#x} on a continuation", inside, [], PROTOCOL_ERROR)
        full = RawFrame(FIN | bits | TEXT, b"x" * 200)
        yield Case(f"bits {bits:#x} on a frame with a 16-bit length", [full], [], PROTOCOL_ERROR)


def opcodes() -> Iterator[Case]:
    for opcode in (0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF):
        for payload in (b"", b"x", b"x" * 130):
            frames = [text("ok"), RawFrame(FIN | opcode, payload), ping()]
            yield Case(f"opcode {opcode:#x}, {len(payload)} bytes", frames, ["ok"], PROTOCOL_ERROR)


def fragmentation() -> Iterator[Case]:
    yield Case("two fragments", [part(TEXT, "frag"), last("ment")], ["fragment"])
    yield Case(
        "binary fragments", [part(BINARY, b"\xff"), part(CONTINUATION, b"\xfe"), last(b"\xfd")], [b"\xff\xfe\xfd"]
    )
    yield Case("empty fragments", [part(TEXT), part(CONTINUATION), last()], [""])
    yield Case("empty binary fragments", [part(BINARY), part(CONTINUATION), last()], [b""])
    yield Case("a middle fragment has the text", [part(TEXT), part(CONTINUATION, "x"), last()], ["x"])
    yield Case("the last fragment has the text", [part(TEXT), part(CONTINUATION), last("x")], ["x"])
    many = [part(TEXT, "0"), *(part(CONTINUATION, str(number)) for number in range(1, 200)), last("end")]
    yield Case("201 fragments", many, ["".join(str(number) for number in range(200)) + "end"])
    long = [part(TEXT, "a" * 70_000), part(CONTINUATION, "b" * 126), last("c" * 125)]
    yield Case("fragments of all lengths", long, ["a" * 70_000 + "b" * 126 + "c" * 125])
    between = [part(TEXT, "a"), ping(b"1"), part(CONTINUATION, "b"), pong(b"2"), ping(), last("c"), text("next")]
    yield Case("control frames between fragments", between, [Ping(b"1"), Pong(b"2"), Ping(b""), "abc", "next"])
    yield Case("close between fragments", [part(TEXT, "a"), close(1000), last("b")], [CloseFrame(1000, "")])
    two = [part(TEXT, "a"), last("b"), part(BINARY, b"c"), last(b"d")]
    yield Case("two fragmented messages", two, ["ab", b"cd"])
    yield Case("last fragment alone", [last("x"), text("late")], [], PROTOCOL_ERROR)
    yield Case("middle fragment alone", [part(CONTINUATION, "x"), last("y")], [], PROTOCOL_ERROR)
    yield Case("continuation after a whole message", [text("ok"), last("x")], ["ok"], PROTOCOL_ERROR)
    yield Case("continuation after the last fragment", [part(TEXT, "a"), last("b"), last("c")], ["ab"], PROTOCOL_ERROR)
    for opcode in (TEXT, BINARY):
        yield Case(
            f"message {opcode} within another", [part(TEXT, "a"), RawFrame(FIN | opcode, b"b")], [], PROTOCOL_ERROR
        )
        full = [part(TEXT, "a"), RawFrame(FIN | opcode, b"b" * 200)]
        yield Case(f"message {opcode} of 200 bytes within another", full, [], PROTOCOL_ERROR)
        yield Case(
            f"fragmented {opcode} within another", [part(BINARY), part(opcode, b"b"), last()], [], PROTOCOL_ERROR
        )


def closing() -> Iterator[Case]:
    yield Case("close without a code", [RawFrame(FIN | CLOSE), text("late")], [CloseFrame(None, "")])
    yield Case("close of one byte", [RawFrame(FIN | CLOSE, b"\x03"), text("late")], [], PROTOCOL_ERROR)
    yield Case("close with a reason", [close(1000, "tschüß".encode())], [CloseFrame(1000, "tschüß")])
    yield Case("the longest reason", [close(1000, b"x" * 123)], [CloseFrame(1000, "x" * 123)])
    yield Case("a reason that is too long", [close(1000, b"x" * 124)], [], PROTOCOL_ERROR)
    yield Case("a reason that is not UTF-8", [close(1000, b"caf\xe9")], [], INVALID_TEXT)
    yield Case("a reason that ends within a character", [close(1000, "é".encode()[:1])], [], INVALID_TEXT)
    yield Case("two close frames", [close(1001), close(1000)], [CloseFrame(1001, "")])
    yield Case("ping after close", [close(1000), ping(b"?")], [CloseFrame(1000, "")])
    yield Case("garbage after close", [close(1000), RawFrame(0xFF, b"?" * 100)], [CloseFrame(1000, "")])
    for code in (1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999):
        yield Case(f"code {code}", [close(code)], [CloseFrame(code, "")])
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535):
        yield Case(f"code {code}", [close(code, b"why"), text("late")], [], PROTOCOL_ERROR)


def limits() -> Iterator[Case]:
    full = "x" * MESSAGE_BYTES_MAX
    yield Case("the largest message", [text(full), text(full)], [full, full])
    yield Case("one byte more", [RawFrame(FIN | TEXT, full.encode() + b"x")], [], TOO_BIG)
    yield Case("the largest message in fragments", [part(TEXT, full[1:]), last("x"), text("ok")], [full, "ok"])
    yield Case("one byte more in fragments", [part(TEXT, full), ping(), part(CONTINUATION, "x")], [Ping(b"")], TOO_BIG)
    announced = RawFrame(FIN | BINARY, announced=(1 << 63) - 1)
    yield Case("the largest length there is", [text("ok"), announced], ["ok"], TOO_BIG)
    yield Case("a thousand small messages", [text(str(n)) for n in range(1000)], [str(n) for n in range(1000)])


CASES = [
    pytest.param(case, id=f"{category.__name__}: {case.name}")
    for category in (framing, pings_and_pongs, reserved_bits, opcodes, fragmentation, closing, limits)
    for case in category()
]


def outcome(pieces: list[bytes], *, is_client: bool) -> Received:
    end = protocol(is_client=is_client, message_bytes_max=MESSAGE_BYTES_MAX)
    received = receive(end, pieces)
    assert end.buffered_bytes == 0
    return received


@SIDES
@pytest.mark.parametrize("case", CASES)
def test_in_one_piece_and_byte_by_byte(case: Case, is_client: bool) -> None:
    stream = encode(case.frames, is_client=is_client)
    assert outcome([stream], is_client=is_client) == Received(case.events, case.fault)
    if len(stream) < 5000:
        assert outcome(bytewise(stream), is_client=is_client) == Received(case.events, case.fault)


@SIDES
@settings(max_examples=400, deadline=None)
@given(case=st.sampled_from([case.values[0] for case in CASES]), data=st.data())
def test_in_random_pieces(case: Case, is_client: bool, data: st.DataObject) -> None:
    stream = encode(case.frames, is_client=is_client)
    place = st.integers(0, min(len(stream), 40)) | st.integers(0, len(stream))
    pieces = cut(stream, data.draw(st.lists(place, min_size=1, max_size=8)))
    assert outcome(pieces, is_client=is_client) == Received(case.events, case.fault)


@SIDES
@pytest.mark.parametrize("at", range(2, 15))
def test_a_large_frame_cut_at_each_byte_of_its_header(at: int, is_client: bool) -> None:
    stream = encode([text("é" * 35_000)], is_client=is_client)
    assert outcome(cut(stream, [at, 40_000]), is_client=is_client) == Received(["é" * 35_000])


@SIDES
def test_too_big_is_known_before_the_mask_and_the_payload(is_client: bool) -> None:
    header = encode([RawFrame(FIN | BINARY, announced=MESSAGE_BYTES_MAX + 1)], is_client=is_client)[:10]
    assert outcome([header], is_client=is_client).fault == TOO_BIG
