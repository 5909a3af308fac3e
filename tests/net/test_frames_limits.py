"""Time and memory of reading frames grow with their bytes only, however a peer cuts them."""

from __future__ import annotations

import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from tests.support.websocket_frames import (
    BINARY,
    CONTINUATION,
    FIN,
    PING,
    SIDES,
    TEXT,
    RawFrame,
    Received,
    cut,
    encode,
    protocol,
    receive,
    text,
)
from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
READ_BYTES = 65_536


def seconds(work: Callable[[], object]) -> float:
    """CPU time, the best of five: other work on the machine only adds to it."""
    times = []
    for _ in range(5):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def reads(stream: bytes, size: int = READ_BYTES) -> list[bytes]:
    return cut(stream, range(0, len(stream), size))


def tiny_frames(count: int) -> list[RawFrame]:
    return [text("x")] * count


def tiny_fragments(count: int) -> list[RawFrame]:
    return [RawFrame(TEXT, b"x"), *[RawFrame(CONTINUATION, b"x")] * count, RawFrame(FIN | CONTINUATION, b"x")]


def pings_within_a_message(count: int) -> list[RawFrame]:
    return [RawFrame(BINARY, bytes(1000)), *[RawFrame(FIN | PING)] * count, RawFrame(FIN | CONTINUATION)]


@SIDES
@pytest.mark.parametrize("frames", [tiny_frames, tiny_fragments, pings_within_a_message])
def test_eight_times_as_many_tiny_frames_in_one_read_take_about_eight_times_as_long(
    frames: Callable[[int], list[RawFrame]], is_client: bool
) -> None:
    few, many = (encode(frames(count), is_client=is_client) for count in (4_000, 32_000))
    seconds_for_few = seconds(lambda: receive(protocol(is_client=is_client), [few]))
    seconds_for_many = seconds(lambda: receive(protocol(is_client=is_client), [many]))
    assert seconds_for_many < 32 * seconds_for_few  # quadratic: 64 times


@SIDES
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_message_eight_times_as_large_takes_about_eight_times_as_long(opcode: int, is_client: bool) -> None:
    small, large = (
        reads(encode([RawFrame(FIN | opcode, b"x" * size)], is_client=is_client), 4096) for size in (MIB, 8 * MIB)
    )
    seconds_for_small = seconds(lambda: receive(protocol(is_client=is_client), small))
    seconds_for_large = seconds(lambda: receive(protocol(is_client=is_client), large))
    assert seconds_for_large < 32 * seconds_for_small


@SIDES
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_the_largest_message_of_the_gateway_takes_about_twice_its_size(opcode: int, is_client: bool) -> None:
    pieces = reads(encode([RawFrame(FIN | opcode, b"x" * 16 * MIB)], is_client=is_client))
    tracemalloc.start()
    try:
        received = receive(protocol(is_client=is_client), pieces)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [len(event) for event in received.events if isinstance(event, str | bytes)] == [16 * MIB]
    assert peak < 36 * MIB  # the bytearray grows by an eighth more than it needs


@SIDES
def test_tiny_fragments_take_no_more_memory_than_their_bytes(is_client: bool) -> None:
    pieces = reads(encode(tiny_fragments(20_000)[:-1], is_client=is_client))
    end = protocol(is_client=is_client)
    tracemalloc.start()
    try:
        assert receive(end, pieces).events == []
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert end.buffered_bytes == 20_001
    assert kept < 40_000
    assert peak < 200_000


@SIDES
def test_an_incomplete_header_does_not_keep_the_read_that_it_came_with(is_client: bool) -> None:
    stream = encode([text("x" * 60_000), text("y" * 200)], is_client=is_client)
    end = protocol(is_client=is_client)
    tracemalloc.start()
    try:
        piece = bytes(bytearray(stream[:-201]))
        assert receive(end, [piece]).events == ["x" * 60_000]
        del piece
        assert tracemalloc.get_traced_memory()[0] < 10_000
    finally:
        tracemalloc.stop()
    assert 0 < end.buffered_bytes < 10


@SIDES
def test_empty_fragments_are_bounded_as_they_add_nothing_to_the_size(is_client: bool) -> None:
    allowed = [RawFrame(TEXT), *[RawFrame(CONTINUATION)] * (limits.EMPTY_FRAGMENTS_MAX - 1), RawFrame(FIN, b"x")]
    stream = encode(allowed * 2, is_client=is_client)
    assert receive(protocol(is_client=is_client), [stream]) == Received(["x", "x"])
    stream = encode([RawFrame(BINARY), *[RawFrame(CONTINUATION)] * 10_000], is_client=is_client)
    assert receive(protocol(is_client=is_client), [stream]) == Received([], 1008)
