"""The format of a WebSocket frame (RFC 6455 §5.2), and the checks of one header, one text and one close frame."""

from __future__ import annotations

import codecs

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the compiled module
    from websockets.utils import apply_mask

__all__ = [
    "ProtocolFault",
    "apply_mask",
    "check_text",
    "decode_text",
    "is_close_code",
    "parse_close",
    "parse_header",
]

# The first byte: FIN, three reserved bits, four bits of opcode.
FIN = 0x80
RESERVED = 0x70
OPCODE = 0x0F
CONTINUATION, TEXT, BINARY = 0x0, 0x1, 0x2
CLOSE, PING, PONG = 0x8, 0x9, 0xA
CONTROL = 0x8  # the bit of an opcode that tells control frames from data frames
# The second byte: MASK, and a length of up to 125 or one of two numbers, after which the length has 2 or 8 bytes.
MASKED = 0x80
LENGTH_16 = 126
LENGTH_64 = 127
CONTROL_BYTES_MAX = 125

PROTOCOL_ERROR = 1002
INVALID_TEXT = 1007
POLICY_VIOLATION = 1008
TOO_BIG = 1009

_NOT_UTF8 = "text is not valid UTF-8"
_OPCODES = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})


class ProtocolFault(Exception):
    """The peer broke the protocol, or a bound of ours; code and reason belong into our close frame.

    1002: a rule of the RFC; 1007: text that is not UTF-8; 1008: too many empty fragments; 1009: a message too big.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


def parse_header(data: bytes, start: int, mask_bit: int, is_within_message: bool) -> tuple[int, int, int] | None:
    """First byte, length of the payload, and where the mask key is or would be; None when bytes are missing.

    `mask_bit` is the one that the peer must set; `is_within_message` tells that its last data frame was not the last of
    its message. Raises `ProtocolFault`, as soon as the bytes that show it are there.
    """
    at = start + 2
    if len(data) < at:
        return None
    first = data[start]
    length = data[start + 1] ^ mask_bit
    _check_header(first, length, is_within_message)
    if length >= LENGTH_16:
        encoded_bytes = 2 if length == LENGTH_16 else 8
        at += encoded_bytes
        if len(data) < at:
            return None
        length = int.from_bytes(data[at - encoded_bytes : at])
        _check_length(length, encoded_bytes)
    return first, length, at


def _check_header(first: int, length: int, is_within_message: bool) -> None:
    """Check the first byte, and the second without the mask bit that is expected (`length`). Raises `ProtocolFault`."""
    opcode = first & OPCODE
    if first & RESERVED:
        raise ProtocolFault(PROTOCOL_ERROR, "reserved bit set")
    if opcode not in _OPCODES:
        raise ProtocolFault(PROTOCOL_ERROR, f"unknown opcode {opcode}")
    if length > LENGTH_64:
        raise ProtocolFault(PROTOCOL_ERROR, "wrong mask bit")
    if opcode & CONTROL:
        if first < FIN:
            raise ProtocolFault(PROTOCOL_ERROR, "fragmented control frame")
        if length > CONTROL_BYTES_MAX:
            raise ProtocolFault(PROTOCOL_ERROR, f"control frame over {CONTROL_BYTES_MAX} bytes")
    elif opcode == CONTINUATION and not is_within_message:
        raise ProtocolFault(PROTOCOL_ERROR, "continuation without a message")
    elif opcode != CONTINUATION and is_within_message:
        raise ProtocolFault(PROTOCOL_ERROR, "new message within a fragmented one")


def _check_length(length: int, encoded_bytes: int) -> None:
    """Check a length of 2 or 8 bytes: it must need them, and have its top bit clear. Raises `ProtocolFault`."""
    if length < (LENGTH_16 if encoded_bytes == 2 else 1 << 16):
        raise ProtocolFault(PROTOCOL_ERROR, "length not in its shortest encoding")
    if length >> 63:
        raise ProtocolFault(PROTOCOL_ERROR, "length over 63 bits")


def check_text(received: bytearray) -> int:
    """How many bytes of an incomplete text are certainly valid: all but a character that is not complete yet.

    Raises `ProtocolFault` as soon as no further bytes can make the text valid.
    """
    try:
        _, valid = codecs.utf_8_decode(received, "strict", False)
    except UnicodeDecodeError:
        raise ProtocolFault(INVALID_TEXT, _NOT_UTF8) from None
    # For its handler "surrogatepass" the decoder waits for a third byte where two are already a surrogate, U+D800–DFFF.
    if len(received) - valid == 2 and received[-2] == 0xED and received[-1] >= 0xA0:
        raise ProtocolFault(INVALID_TEXT, _NOT_UTF8)
    return valid


def decode_text(payload: bytes | bytearray) -> str:
    """The text of a whole message or reason. Raises `ProtocolFault`."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise ProtocolFault(INVALID_TEXT, _NOT_UTF8) from None


def parse_close(payload: bytes) -> tuple[int | None, str]:
    """Code and reason of a close frame; an empty one has neither. Raises `ProtocolFault`."""
    if not payload:
        return None, ""
    code = int.from_bytes(payload[:2])  # of one byte alone: at most 255, which is none
    if not is_close_code(code):
        raise ProtocolFault(PROTOCOL_ERROR, "invalid close code")
    return code, decode_text(payload[2:])


def is_close_code(code: int) -> bool:
    """Whether a close frame may carry `code`: registered at IANA for the wire, or 3000–4999 (§7.4)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
