"""The WebSocket protocol after the handshake (RFC 6455), for both ends: bytes to events, and messages to bytes.

It knows no socket, no clock and no scheduler. No extension is ever negotiated, so a reserved bit is a protocol error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from voice_trio import limits
from voice_trio.net.frame_format import (
    BINARY,
    CONTROL,
    FIN,
    LENGTH_16,
    MASKED,
    OPCODE,
    PING,
    POLICY_VIOLATION,
    PONG,
    TEXT,
    TOO_BIG,
    ProtocolFault,
    apply_mask,
    check_text,
    decode_text,
    parse_close,
    parse_header,
)
from voice_trio.net.frame_writer import FrameWriter

__all__ = ["CloseFrame", "Event", "Ping", "Pong", "ProtocolFault", "WebSocketProtocol"]


@dataclass(frozen=True, slots=True)
class Ping:
    """The peer expects a pong with the same payload, of at most 125 bytes."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """The response to a ping of ours, or an unsolicited one (§5.5.3)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class CloseFrame:
    """The peer closes the connection; `code` is None if its frame had none."""

    code: int | None
    reason: str


Event: TypeAlias = str | bytes | Ping | Pong | CloseFrame
"""`str` is a text message, `bytes` a binary one."""

_WHOLE_TEXT = FIN | TEXT
_WHOLE_BINARY = FIN | BINARY
_BETWEEN_FRAMES = -1

# How frames are read. Nearly every read from the socket is one whole text frame of 2 to 10 KiB. `_whole_message` tests
# for just that, and slices the payload out of the bytes as they came; nothing is buffered. Every other frame takes the
# general way, `_parse`. There a control frame waits until all of it has come, 131 bytes at most. The payload of a data
# frame moves to `_message` piece by piece, unmasked, and its text is validated at once. So each byte is copied a fixed
# number of times, and an invalid sequence ends the connection as soon as it is there. `_message` holds what the peer
# has sent, byte for byte: any number of tiny fragments takes no more memory than their bytes.


class WebSocketProtocol(FrameWriter):
    """One end of a connection. After a `CloseFrame` or a `ProtocolFault` nothing more is read, and nothing is kept."""

    __slots__ = (
        "_checked",
        "_empty_fragments",
        "_first",
        "_is_over",
        "_key",
        "_key_bytes",
        "_mask_bit",
        "_message",
        "_missing",
        "_opcode",
        "_start",
        "fragments",
        "message_bytes_max",
        "unparsed",
    )

    def __init__(self, *, is_client: bool, message_bytes_max: int) -> None:
        super().__init__(is_client=is_client)
        self.message_bytes_max = message_bytes_max
        """Of one message, over all its fragments. It may be raised at any time, and then holds for the next frame."""
        self._mask_bit = 0 if is_client else MASKED
        self._key_bytes = 0 if is_client else 4
        self.unparsed = b""
        """What came and is not parsed yet, from `_start` on; while it is empty, `next_event` has nothing to return."""
        self._start = 0
        self._first = 0  # first byte of the current frame
        self._missing = _BETWEEN_FRAMES  # bytes of its payload that are not parsed yet
        self._key = b""  # turned, so that its first byte is for the next byte of the payload
        self._opcode = 0  # of the current message; 0 between two messages
        self._message = bytearray()
        self._checked = 0  # bytes of a text message that are known to be valid
        self._empty_fragments = 0  # of the current message
        self._is_over = False
        self.fragments = 0
        """Frames received so far after which their message went on."""

    @property
    def is_within_message(self) -> bool:
        """Whether a message has begun and is incomplete."""
        return self._opcode != 0

    @property
    def message_bytes_due(self) -> int:
        """The size of the incomplete message, up to the end of its current frame; 0 between two messages."""
        return len(self._message) + max(0, self._missing)

    @property
    def is_last_frame(self) -> bool:
        """Whether the incomplete message ends with its current frame."""
        return self._missing > 0 and self._first >= FIN

    @property
    def buffered_bytes(self) -> int:
        """Bytes kept here: those of an incomplete message, and those not yet parsed."""
        return len(self._message) + len(self.unparsed) - self._start

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the peer. Call it after `next_event` has returned None; else what is left is copied."""
        if self._is_over:
            return
        if self.unparsed:
            data = self.unparsed[self._start :] + data
        self.unparsed = data
        self._start = 0

    def next_event(self) -> Event | None:
        """Parse up to the next event; None when more data is needed. Raises `ProtocolFault`, once."""
        try:
            message = self._whole_message()
            return self._parse() if message is None else message
        except ProtocolFault:
            self._end()
            raise

    def _whole_message(self) -> str | bytes | None:
        """The quick way: the message of one frame with a 16-bit length, if all of it is there."""
        data, start = self.unparsed, self._start
        if self._opcode or len(data) - start < 8 or data[start + 1] ^ self._mask_bit != LENGTH_16:
            return None
        first = data[start]
        length = data[start + 2] << 8 | data[start + 3]
        at = start + 4 + self._key_bytes
        end = at + length
        is_message = _WHOLE_TEXT <= first <= _WHOLE_BINARY
        if not is_message or end > len(data) or not LENGTH_16 <= length <= self.message_bytes_max:
            return None
        payload = data[at:end]
        if self._mask_bit:
            payload = apply_mask(payload, data[at - 4 : at])
        self._skip_to(end)
        return decode_text(payload) if first == _WHOLE_TEXT else payload

    def _parse(self) -> Event | None:
        """The general way: every frame, also in pieces."""
        while self._missing >= 0 or self._begin_frame():
            payload = self._take_payload()
            if self._first & CONTROL:
                self._missing = _BETWEEN_FRAMES
                return self._control_event(payload)
            is_end = not self._missing and self._first >= FIN
            if self._message or not is_end:
                self._add(payload)
            if self._missing:
                return None
            self._missing = _BETWEEN_FRAMES
            self.fragments += not is_end
            if is_end:
                return self._end_message(payload)
        self.unparsed = self.unparsed[self._start :]
        self._start = 0
        return None

    def _begin_frame(self) -> bool:
        """Parse a header if all of it is there, and in a control frame the payload too."""
        header = parse_header(self.unparsed, self._start, self._mask_bit, self._opcode != 0)
        if header is None:
            return False
        first, length, key_at = header
        payload_at = needed = key_at + self._key_bytes
        if first & CONTROL:
            needed += length
        elif len(self._message) + length > self.message_bytes_max:
            raise ProtocolFault(TOO_BIG, f"message over {self.message_bytes_max} bytes")
        if len(self.unparsed) < needed:
            return False
        self._key = self.unparsed[key_at:payload_at]
        self._start = payload_at
        self._first = first
        self._missing = length
        if not first & CONTROL:
            self._opcode = self._opcode or first & OPCODE
            self._count_if_empty(length)
        return True

    def _count_if_empty(self, length: int) -> None:
        """Empty fragments add nothing to the size of their message, so their number has a bound of its own."""
        self._empty_fragments += not length
        if self._empty_fragments > limits.EMPTY_FRAGMENTS_MAX:
            raise ProtocolFault(POLICY_VIOLATION, "too many empty fragments")

    def _take_payload(self) -> bytes:
        """What is there of the current frame's payload, unmasked."""
        end = min(self._start + self._missing, len(self.unparsed))
        payload = self.unparsed[self._start : end]
        self._missing -= len(payload)
        self._skip_to(end)
        if self._mask_bit:
            payload = apply_mask(payload, self._key)
            turn = len(payload) % 4
            self._key = self._key[turn:] + self._key[:turn]
        return payload

    def _skip_to(self, end: int) -> None:
        """Go on at `end`; bytes that are parsed to the last one are not kept."""
        if end == len(self.unparsed):
            self.unparsed = b""
            self._start = 0
        else:
            self._start = end

    def _add(self, payload: bytes) -> None:
        self._message += payload
        if self._opcode == TEXT:
            self._checked += check_text(self._message[self._checked :])

    def _end_message(self, payload: bytes) -> str | bytes:
        """The message; it is the last frame's payload unless something was buffered."""
        opcode, message = self._opcode, self._message or payload
        if self._message:
            self._message = bytearray()
            self._checked = 0
        self._opcode = self._empty_fragments = 0
        return bytes(message) if opcode == BINARY else decode_text(message)

    def _control_event(self, payload: bytes) -> Ping | Pong | CloseFrame:
        opcode = self._first & OPCODE
        if opcode == PING:
            return Ping(payload)
        if opcode == PONG:
            return Pong(payload)
        code, reason = parse_close(payload)
        self._end()
        return CloseFrame(code, reason)

    def _end(self) -> None:
        self._is_over = True
        self.unparsed = b""
        self._start = 0
        self._message = bytearray()
        self._missing = _BETWEEN_FRAMES
