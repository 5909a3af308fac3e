"""Our WebSocket protocol against two others, `websockets` and wsproto, over generated streams, valid and not.

The same messages must come out, and the same verdict: all accepted, closed, or a fault with the same code. Where one of
the others is known to differ, `expect_…` says so; there RFC 6455 is on our side, or leaves the choice open.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame
from websockets.frames import Opcode as WebsocketsOpcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from wsproto import frame_protocol

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
    cut,
    encode,
    protocol,
    receive,
    text,
)
from voice_trio.net.frames import CloseFrame, Event, Ping, Pong

if TYPE_CHECKING:
    from collections.abc import Callable

MESSAGE_BYTES_MAX = 400
NO_CODE = 1005
PROTOCOL_ERROR, INVALID_TEXT, TOO_BIG = 1002, 1007, 1009

# Eight messages follow each stream. They complete a frame whose header announces more bytes than it has. An end that
# has not received the last of them, and reports neither a fault nor a close, is still waiting for the rest of a frame.
TAIL = [text(f"tail {number}" * 40) for number in range(8)]
TAIL_EVENT: Event = "tail 7" * 40


def by_wsproto(pieces: list[bytes], message_bytes_max: int, *, is_client: bool) -> Received:
    """`message_bytes_max` has no effect: it has no such bound."""
    end = frame_protocol.FrameProtocol(client=is_client, extensions=[])
    events: list[Event] = []
    message: list[str | bytes] = []
    try:
        for piece in pieces:
            end.receive_bytes(piece)
            for frame in end.received_frames():
                match frame.opcode, frame.payload:
                    case frame_protocol.Opcode.CLOSE, (int(code), str(reason)):
                        events.append(CloseFrame(None if code == NO_CODE else int(code), reason))
                        return Received(events)
                    case frame_protocol.Opcode.PING, bytes(payload):
                        events.append(Ping(payload))
                    case frame_protocol.Opcode.PONG, bytes(payload):
                        events.append(Pong(payload))
                    case _, str() | bytes() as payload:
                        message.append(payload)
                        if frame.message_finished:
                            events.append(joined(message))
                            message = []
    except frame_protocol.ParseFailed as error:
        return Received(events, int(error.code), str(error))
    return Received(events)


def joined(message: list[str | bytes]) -> str | bytes:
    texts = [part for part in message if isinstance(part, str)]
    return "".join(texts) if texts else b"".join(part for part in message if isinstance(part, bytes))


def by_websockets(pieces: list[bytes], message_bytes_max: int, *, is_client: bool) -> Received:
    end: ClientProtocol | ServerProtocol
    if is_client:
        end = ClientProtocol(parse_uri("ws://upstream/"), state=State.OPEN, max_size=message_bytes_max)
    else:
        end = ServerProtocol(state=State.OPEN, max_size=message_bytes_max)
    events: list[Event] = []
    message: list[Frame] = []
    for piece in pieces:
        end.receive_data(piece)
        for frame in end.events_received():
            assert isinstance(frame, Frame)
            payload = bytes(frame.data)
            match frame.opcode:
                case WebsocketsOpcode.CLOSE:
                    closing = Close.parse(payload)
                    events.append(CloseFrame(closing.code if payload else None, closing.reason))
                    return Received(events)
                case WebsocketsOpcode.PING:
                    events.append(Ping(payload))
                case WebsocketsOpcode.PONG:
                    events.append(Pong(payload))
                case _:
                    message.append(frame)
                    if frame.fin:
                        whole = b"".join(part.data for part in message)
                        is_text = message[0].opcode is WebsocketsOpcode.TEXT
                        message = []
                        try:
                            events.append(whole.decode() if is_text else whole)
                        except UnicodeDecodeError:  # this layer leaves the decoding to its users
                            return Received(events, INVALID_TEXT)
        if end.parser_exc is not None:
            assert end.close_sent is not None
            return Received(events, end.close_sent.code, str(end.parser_exc))
    return Received(events)


LENGTH_FAULTS = ("length not in its shortest encoding", "length over 63 bits", "control frame over 125 bytes")


def is_waiting(received: Received) -> bool:
    last = received.events[-1] if received.events else None
    return received.fault is None and last != TAIL_EVENT and not isinstance(last, CloseFrame)


def expect_wsproto(ours: Received, theirs: Received) -> None:
    last = ours.events[-1] if ours.events else None
    if ours.fault == TOO_BIG:
        # It has no bound on a message.
        assert theirs.events[: len(ours.events)] == ours.events
    elif theirs.fault == PROTOCOL_ERROR and isinstance(last, CloseFrame) and last.code == 1014:
        # It does not know this code, which IANA has registered since (bad gateway).
        assert theirs.events == ours.events[:-1]
    elif ours.fault == INVALID_TEXT and theirs.fault != INVALID_TEXT:
        # It reports half a surrogate only with its third byte, which may never come.
        assert theirs.events[: len(ours.events)] == ours.events
        assert theirs.fault is not None or is_waiting(theirs)
    else:
        assert theirs == ours


def expect_websockets(ours: Received, theirs: Received) -> None:
    if ours.reason in LENGTH_FAULTS:
        # It accepts a length in 2 or 8 bytes that one byte could tell, also in a control frame, and 64 bits (§5.2).
        assert theirs.events[: len(ours.events)] == ours.events
    elif ours.fault == INVALID_TEXT:
        # Its users find an invalid text only at the end of the message (§8.1 does not say when).
        assert theirs.events[: len(ours.events)] == ours.events
        assert theirs.fault is not None or is_waiting(theirs)
    elif theirs.reason == "incomplete fragmented message":
        # It rejects a close frame between two fragments; a control frame may stand there (§5.4).
        assert theirs.events == ours.events[:-1]
        assert isinstance(ours.events[-1], CloseFrame)
    elif theirs.fault == TOO_BIG and len(ours.events) > len(theirs.events):
        # It counts a control frame as bytes of the message that it stands in (§5.4: it is not part of it).
        assert theirs.events == ours.events[: len(theirs.events)]
        assert isinstance(ours.events[len(theirs.events)], Ping | Pong | CloseFrame)
    elif ours.fault == PROTOCOL_ERROR and theirs.fault != PROTOCOL_ERROR:
        # It checks most of a header only when the payload is there, and its length and the reason of a close before.
        assert theirs.events == ours.events
        assert theirs.fault in (TOO_BIG, INVALID_TEXT) or is_waiting(theirs)
    else:
        assert theirs == ours


@dataclasses.dataclass(frozen=True)
class Other:
    receive: Callable[..., Received]
    expect: Callable[[Received, Received], None]


OTHERS = pytest.mark.parametrize(
    "other",
    [Other(by_wsproto, expect_wsproto), Other(by_websockets, expect_websockets)],
    ids=["wsproto", "websockets"],
)

SMALL = st.binary(max_size=125)
PAYLOADS = st.binary(max_size=300) | st.text(max_size=100).map(str.encode)
INVALID = [b"\xff", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"ok\x80"]
CODES = st.sampled_from([1000, 1001, 1014, 3000, 4999]) | st.integers(0, 5100)
CONTROL_FRAMES = (
    SMALL.map(lambda payload: RawFrame(FIN | PING, payload))
    | SMALL.map(lambda payload: RawFrame(FIN | PONG, payload))
)  # fmt: skip
CLOSE_FRAMES = st.builds(
    lambda code, reason: RawFrame(FIN | CLOSE, code.to_bytes(2) + reason),
    CODES,
    st.text(max_size=30).map(str.encode) | st.sampled_from(INVALID),
) | st.sampled_from([RawFrame(FIN | CLOSE), RawFrame(FIN | CLOSE, b"\x03")])


@st.composite
def messages(draw: st.DrawFn) -> list[RawFrame]:
    """A text or binary message in fragments, control frames between them."""
    is_text = draw(st.booleans())
    payload = draw(st.text(max_size=200)).encode() if is_text else draw(PAYLOADS)
    parts = cut(payload, draw(st.lists(st.integers(0, 300), max_size=3)))
    frames = []
    for number, part in enumerate(parts):
        opcode = CONTINUATION if number else TEXT if is_text else BINARY
        is_last = number == len(parts) - 1
        frames += [RawFrame((FIN if is_last else 0) | opcode, part), *draw(st.lists(CONTROL_FRAMES, max_size=1))]
    return frames


STREAMS = st.lists(messages() | CONTROL_FRAMES.map(lambda frame: [frame]), min_size=1, max_size=5).map(
    lambda groups: [frame for group in groups for frame in group]
)
CHANGES = st.one_of(
    st.fixed_dictionaries({"first": st.integers(0, 255)}),
    st.fixed_dictionaries({"payload": PAYLOADS | st.sampled_from(INVALID)}),
    st.fixed_dictionaries({"has_wrong_mask_bit": st.just(True)}),
    st.fixed_dictionaries({"length_bytes": st.just(8)}),
    st.fixed_dictionaries(
        {
            "announced": st.integers(0, 400)
            | st.integers(0, (1 << 64) - 1)
            | st.sampled_from([1 << 63, 65_536, 400, 401])
        }
    ),
)


@st.composite
def mutated_streams(draw: st.DrawFn) -> list[RawFrame]:
    """A stream with one or two frames changed in a field, left out, doubled, or a close frame put between."""
    frames = list(draw(STREAMS))
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(frames) - 1))
        change = draw(st.sampled_from(["field", "field", "field", "leave out", "double", "close"]))
        if change == "field":
            frames[at] = dataclasses.replace(frames[at], **draw(CHANGES))
        else:
            frames[at : at + 1] = {
                "leave out": [] if len(frames) > 1 else [frames[at]],
                "double": [frames[at]] * 2,
                "close": [draw(CLOSE_FRAMES), frames[at]],
            }[change]
    return frames


PLACES = st.lists(st.integers(0, 60) | st.integers(0, 2000), max_size=6)
FLIPS = st.lists(st.tuples(st.integers(0, 40) | st.integers(0, 1000), st.integers(1, 255)), min_size=1, max_size=3)


def compare(stream: bytes, places: list[int], other: Other, *, is_client: bool) -> None:
    pieces = cut(stream + encode(TAIL, is_client=is_client), places)
    ours = receive(protocol(is_client=is_client, message_bytes_max=MESSAGE_BYTES_MAX), pieces)
    other.expect(ours, other.receive(pieces, MESSAGE_BYTES_MAX, is_client=is_client))


def flipped(stream: bytes, flips: list[tuple[int, int]]) -> bytes:
    changed = bytearray(stream)
    for place, bits in flips:
        changed[place % len(changed)] ^= bits
    return bytes(changed)


@SIDES
@OTHERS
@settings(deadline=None)
@given(frames=STREAMS, places=PLACES)
def test_valid_streams(frames: list[RawFrame], places: list[int], is_client: bool, other: Other) -> None:
    compare(encode(frames, is_client=is_client), places, other, is_client=is_client)


@SIDES
@OTHERS
@pytest.mark.parametrize("size", [65_535, 65_536, 100_000])
def test_large_messages(size: int, is_client: bool, other: Other) -> None:
    frames = [RawFrame(BINARY, bytes(size)), RawFrame(FIN | PING), RawFrame(FIN | CONTINUATION, b"x"), text("é" * size)]
    pieces = cut(encode(frames, is_client=is_client), range(0, 4 * size, 4093))
    ours = receive(protocol(is_client=is_client), pieces)
    assert ours.events == [Ping(b""), bytes(size) + b"x", "é" * size]
    assert other.receive(pieces, 1 << 24, is_client=is_client) == ours


@SIDES
@OTHERS
@settings(max_examples=200, deadline=None)
@given(frames=mutated_streams(), places=PLACES)
def test_streams_with_a_field_changed(frames: list[RawFrame], places: list[int], is_client: bool, other: Other) -> None:
    compare(encode(frames, is_client=is_client), places, other, is_client=is_client)


@SIDES
@OTHERS
@settings(deadline=None)
@given(frames=STREAMS, places=PLACES, flips=FLIPS)
def test_streams_with_bits_flipped(
    frames: list[RawFrame], places: list[int], flips: list[tuple[int, int]], is_client: bool, other: Other
) -> None:
    compare(flipped(encode(frames, is_client=is_client), flips), places, other, is_client=is_client)


@pytest.mark.slow
@pytest.mark.timeout(900)
@SIDES
@OTHERS
@settings(max_examples=15_000, deadline=None)
@given(frames=STREAMS | mutated_streams(), places=PLACES, flips=st.just([]) | FLIPS)
def test_many_more_streams(
    frames: list[RawFrame], places: list[int], flips: list[tuple[int, int]], is_client: bool, other: Other
) -> None:
    compare(flipped(encode(frames, is_client=is_client), flips), places, other, is_client=is_client)
