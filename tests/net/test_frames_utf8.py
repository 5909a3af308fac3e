"""Text messages are UTF-8 over all their fragments; an invalid sequence is reported as soon as it is certain."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.websocket_frames import (
    BINARY,
    CONTINUATION,
    FIN,
    PING,
    SIDES,
    TEXT,
    RawFrame,
    Received,
    bytewise,
    cut,
    encode,
    protocol,
    receive,
    text,
)
from voice_trio.net.frames import Ping

INVALID_TEXT = 1007

# The well-formed sequences of the Unicode standard (table 3-7): first byte, then the range of each byte after it.
WELL_FORMED = [
    (range(0xC2, 0xE0), [(0x80, 0xBF)]),
    (range(0xE0, 0xE1), [(0xA0, 0xBF), (0x80, 0xBF)]),
    (range(0xE1, 0xED), [(0x80, 0xBF), (0x80, 0xBF)]),
    (range(0xED, 0xEE), [(0x80, 0x9F), (0x80, 0xBF)]),
    (range(0xEE, 0xF0), [(0x80, 0xBF), (0x80, 0xBF)]),
    (range(0xF0, 0xF1), [(0x90, 0xBF), (0x80, 0xBF), (0x80, 0xBF)]),
    (range(0xF1, 0xF4), [(0x80, 0xBF), (0x80, 0xBF), (0x80, 0xBF)]),
    (range(0xF4, 0xF5), [(0x80, 0x8F), (0x80, 0xBF), (0x80, 0xBF)]),
]
FOLLOWING = {first: ranges for firsts, ranges in WELL_FORMED for first in firsts}


def certain_after(payload: bytes) -> int | None:
    """After how many bytes it is certain that no continuation makes the payload valid; None if one could."""
    expected: list[tuple[int, int]] = []
    for count, byte in enumerate(payload, 1):
        if expected:
            low, high = expected.pop(0)
            if not low <= byte <= high:
                return count
        elif byte >= 0x80:
            if byte not in FOLLOWING:
                return count
            expected = list(FOLLOWING[byte])
    return None


def faults_after(payload: bytes, *, is_client: bool) -> int | None:
    """After how many bytes of a frame that is still incomplete our end reports 1007."""
    end = protocol(is_client=is_client)
    stream = encode([RawFrame(FIN | TEXT, payload + b"?")], is_client=is_client)[:-1]
    header_bytes = len(stream) - len(payload)
    assert receive(end, [stream[:header_bytes]]) == Received([])
    for count, byte in enumerate(bytewise(stream[header_bytes:]), 1):
        received = receive(end, [byte])
        if received.fault is not None:
            assert received == Received([], INVALID_TEXT)
            return count
    return None


SAMPLES = [
    "κόσμε".encode(),
    "\u00a0\u07ff\u0800\ud7ff\ue000\ufffd\uffff".encode(),
    "\U00010000\U0010ffff".encode(),
    b"\x00\x7f",
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",  # a surrogate
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xf4\x90\x80\x80edited",  # above U+10FFFF
    b"\x80",
    b"\xbf\xbf",
    b"\xc0\xaf",  # the slash, too long: in two, three and four bytes
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xc1\xbf",
    b"\xed\xae\x80\xed\xb0\x80",  # a pair of surrogates
    b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xc3(",
    b"\xe2\x82(",
    b"\xf0\x9f\x98(",
]


@SIDES
@pytest.mark.parametrize("payload", SAMPLES, ids=[sample.hex() for sample in SAMPLES])
def test_an_invalid_byte_is_reported_at_once(payload: bytes, is_client: bool) -> None:
    assert faults_after(b"ok " + payload, is_client=is_client) == certain_after(b"ok " + payload)


def test_every_first_two_bytes_are_judged_as_the_standard_does() -> None:
    for pair in itertools.product(range(0x80, 0x100), range(0x00, 0x100)):
        assert faults_after(bytes(pair), is_client=True) == certain_after(bytes(pair)), bytes(pair).hex()


@SIDES
@settings(deadline=None)
@given(payload=st.binary(max_size=12) | st.lists(st.sampled_from(SAMPLES), max_size=4).map(b"".join))
def test_any_bytes_are_judged_as_the_standard_does(payload: bytes, is_client: bool) -> None:
    assert faults_after(payload, is_client=is_client) == certain_after(payload)


def is_valid(payload: bytes) -> bool:
    # A sequence that is complete at the end bears a byte after it that only the beginning of a sequence may be.
    return certain_after(payload + b"a") is None


@SIDES
@settings(max_examples=300, deadline=None)
@given(
    payload=st.text(max_size=30).map(str.encode) | st.lists(st.sampled_from(SAMPLES), max_size=3).map(b"".join),
    fragments=st.lists(st.integers(0, 60), max_size=5),
    places=st.lists(st.integers(0, 120), max_size=6),
)
def test_fragments_may_end_within_a_character(
    payload: bytes, fragments: list[int], places: list[int], is_client: bool
) -> None:
    parts = cut(payload, fragments) or [b""]
    frames = [
        RawFrame((FIN if number == len(parts) else 0) | (CONTINUATION if number > 1 else TEXT), part)
        for number, part in enumerate(parts, 1)
    ]
    stream = encode(frames, is_client=is_client)
    expected = Received([payload.decode()]) if is_valid(payload) else Received([], INVALID_TEXT)
    assert receive(protocol(is_client=is_client), cut(stream, places)) == expected


@SIDES
@pytest.mark.parametrize("cut_character", ["é".encode()[:1], "€".encode()[:2], "😀".encode()[:3]])
def test_a_message_must_not_end_within_a_character(cut_character: bytes, is_client: bool) -> None:
    for frames in (
        [text(cut_character)],
        [text(b"x" * 200 + cut_character)],
        [RawFrame(TEXT, cut_character), RawFrame(FIN | CONTINUATION)],
        [RawFrame(TEXT), RawFrame(FIN | CONTINUATION, cut_character)],
    ):
        stream = encode([*frames, text("late")], is_client=is_client)
        for pieces in ([stream], bytewise(stream)):
            assert receive(protocol(is_client=is_client), pieces) == Received([], INVALID_TEXT)


@SIDES
def test_an_invalid_fragment_ends_the_message_before_its_last_one(is_client: bool) -> None:
    frames = [RawFrame(TEXT, b"fine"), RawFrame(FIN | PING), RawFrame(CONTINUATION, b"\xed\xa0\x80")]
    stream = encode(frames, is_client=is_client)
    assert receive(protocol(is_client=is_client), [stream]) == Received([Ping(b"")], INVALID_TEXT)


@SIDES
def test_binary_messages_and_pings_may_have_any_bytes(is_client: bool) -> None:
    payload = b"\xff\xed\xa0\x80"
    frames = [RawFrame(BINARY, payload), RawFrame(FIN | PING, payload), RawFrame(FIN | CONTINUATION, payload)]
    stream = encode(frames, is_client=is_client)
    assert receive(protocol(is_client=is_client), [stream]) == Received([Ping(payload), payload * 2])
