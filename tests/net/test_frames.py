"""The WebSocket protocol of both ends: what its user sees, round trips, and what it keeps in memory."""

from __future__ import annotations

import sys

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
    bytewise,
    close,
    cut,
    encode,
    protocol,
    receive,
    text,
)
from voice_trio.net.frames import CloseFrame, Event, Ping, Pong, ProtocolFault, WebSocketProtocol

TEXTS = st.text(max_size=20) | st.builds(lambda part, times: part * times, st.text(max_size=9), st.integers(0, 9000))
BINARIES = st.binary(max_size=20) | st.builds(
    lambda part, times: part * times, st.binary(max_size=9), st.integers(0, 9000)
)
SMALL = st.binary(max_size=125)
REASONS = st.text(max_size=30)
CODES = st.integers(1000, 1003) | st.integers(1007, 1014) | st.integers(3000, 4999)
EVENTS = st.lists(TEXTS | BINARIES | SMALL.map(Ping) | SMALL.map(Pong), max_size=8)


def written(end: WebSocketProtocol, event: Event) -> bytes:
    match event:
        case Ping(payload):
            return end.ping(payload)
        case Pong(payload):
            return end.pong(payload)
        case CloseFrame(code, reason):
            return end.close(code, reason)
        case message:
            return end.message(message)


@SIDES
@settings(deadline=None)
@given(events=EVENTS, places=st.lists(st.integers(0, 200_000), max_size=12))
def test_what_one_end_writes_the_other_reads_however_it_is_cut(
    is_client: bool, events: list[Event], places: list[int]
) -> None:
    stream = b"".join(written(protocol(is_client=not is_client), event) for event in events)
    reader = protocol(is_client=is_client)
    assert receive(reader, cut(stream, places)).events == events
    assert reader.buffered_bytes == 0


@SIDES
@settings(deadline=None)
@given(code=CODES, reason=REASONS)
def test_a_close_frame_ends_the_reading(is_client: bool, code: int, reason: str) -> None:
    writer, reader = protocol(is_client=not is_client), protocol(is_client=is_client)
    stream = writer.close(code, reason) + writer.message("too late")
    assert receive(reader, [stream, writer.message("later")]).events == [CloseFrame(code, reason)]
    assert reader.buffered_bytes == 0


@SIDES
def test_a_close_frame_may_have_no_code(is_client: bool) -> None:
    stream = protocol(is_client=not is_client).close()
    assert receive(protocol(is_client=is_client), [stream]).events == [CloseFrame(None, "")]


@SIDES
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 65_537])
def test_a_length_is_written_in_its_shortest_form(is_client: bool, size: int) -> None:
    frame = protocol(is_client=is_client).message(bytes(size))
    header_bytes = 2 + (0 if size < 126 else 2 if size < 65_536 else 8) + (4 if is_client else 0)
    assert len(frame) == header_bytes + size
    assert frame[0] == FIN | BINARY
    assert receive(protocol(is_client=not is_client), [frame]).events == [bytes(size)]


def test_a_client_masks_each_frame_with_another_key() -> None:
    end = protocol(is_client=True)
    keys = {end.message(b"")[2:6] for _ in range(1000)}
    assert len(keys) > 990  # two equal ones among 1000 have a chance of 1 to 8600


def test_a_server_does_not_mask() -> None:
    assert protocol(is_client=False).message("Hello") == b"\x81\x05Hello"


def test_a_lone_surrogate_is_written_as_a_replacement_character() -> None:
    frame = protocol(is_client=False).message("a\ud800b\udfffc")
    assert receive(protocol(is_client=True), [frame]).events == ["a\ufffdb\ufffdc"]


def test_a_long_reason_is_cut_between_two_characters() -> None:
    frame = protocol(is_client=False).close(1011, "é" * 100)
    assert receive(protocol(is_client=True), [frame]).events == [CloseFrame(1011, "é" * 61)]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000])
def test_a_code_that_the_wire_must_not_carry_is_not_written(code: int) -> None:
    with pytest.raises(ValueError, match=str(code)):
        protocol(is_client=False).close(code)


def test_a_control_frame_over_125_bytes_is_not_written() -> None:
    end = protocol(is_client=False)
    with pytest.raises(ValueError, match="126"):
        end.ping(bytes(126))
    with pytest.raises(ValueError, match="126"):
        end.pong(bytes(126))


@SIDES
def test_a_ping_between_two_fragments_comes_first(is_client: bool) -> None:
    frames = [RawFrame(TEXT, b"Hel"), RawFrame(FIN | PING, b"?"), RawFrame(FIN | CONTINUATION, b"lo")]
    received = receive(protocol(is_client=is_client), bytewise(encode(frames, is_client=is_client)))
    assert received.events == [Ping(b"?"), "Hello"]


@SIDES
def test_after_a_fault_nothing_is_read_or_kept(is_client: bool) -> None:
    end = protocol(is_client=is_client)
    frames = [RawFrame(TEXT, b"part"), RawFrame(0x83), text("later")]
    end.receive_data(encode(frames, is_client=is_client))
    with pytest.raises(ProtocolFault) as caught:
        end.next_event()
    assert (caught.value.code, caught.value.reason) == (1002, "unknown opcode 3")
    assert end.next_event() is None
    end.receive_data(encode([text("again")], is_client=is_client))
    assert end.next_event() is None
    assert end.buffered_bytes == 0


@SIDES
def test_too_big_is_known_from_the_header(is_client: bool) -> None:
    header = RawFrame(FIN | TEXT, announced=1001).encode(is_masked=not is_client)[:4]
    assert receive(protocol(is_client=is_client, message_bytes_max=1000), [header]).fault == 1009


@SIDES
def test_the_bound_can_be_raised_between_two_messages(is_client: bool) -> None:
    end = protocol(is_client=is_client, message_bytes_max=10)
    assert receive(end, [encode([text("x" * 10)], is_client=is_client)]).events == ["x" * 10]
    end.message_bytes_max = 200
    assert receive(end, [encode([text("x" * 200)], is_client=is_client)]).events == ["x" * 200]
    assert receive(end, [encode([text("x" * 201)], is_client=is_client)]).fault == 1009


@SIDES
def test_data_that_comes_before_all_events_were_fetched_is_appended(is_client: bool) -> None:
    end = protocol(is_client=is_client)
    stream = encode([text("one"), text("two" * 100), text("three")], is_client=is_client)
    end.receive_data(stream[:20])
    assert end.next_event() == "one"
    for piece in bytewise(stream[20:]):
        end.receive_data(piece)
    assert [end.next_event(), end.next_event(), end.next_event()] == ["two" * 100, "three", None]


@SIDES
def test_what_is_buffered_is_counted(is_client: bool) -> None:
    end = protocol(is_client=is_client)
    stream = encode([RawFrame(TEXT, bytes(300)), RawFrame(FIN | CONTINUATION, bytes(300))], is_client=is_client)
    end.receive_data(stream[:-100])
    assert end.buffered_bytes == len(stream) - 100
    assert end.next_event() is None
    assert end.buffered_bytes == 500
    end.receive_data(stream[-100:] + encode([close(1000)], is_client=is_client)[:1])
    assert end.next_event() == "\0" * 600
    assert end.buffered_bytes == 1


@SIDES
def test_an_idle_end_is_a_few_hundred_bytes(is_client: bool) -> None:
    end = protocol(is_client=is_client)
    stream = encode([RawFrame(TEXT, bytes(300_000)), RawFrame(FIN | CONTINUATION, b"x")], is_client=is_client)
    assert len(receive(end, cut(stream, range(0, len(stream), 65_536))).events) == 1
    assert receive(end, [encode([text("x" * 5000)], is_client=is_client)]).events == ["x" * 5000]
    end.message("ok")
    kept = [getattr(end, name) for kind in type(end).__mro__ for name in getattr(kind, "__slots__", ())]
    assert sys.getsizeof(end) + sum(sys.getsizeof(value) for value in kept if not isinstance(value, int)) < 700
    assert not hasattr(end, "__dict__")
