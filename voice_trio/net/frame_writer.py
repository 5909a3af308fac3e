"""WebSocket frames, written: one frame for a message. Of the connection it knows its side only: a client masks."""

from __future__ import annotations

import os
import re
from struct import Struct

from voice_trio import limits
from voice_trio.net.frame_format import (
    BINARY,
    CLOSE,
    CONTROL_BYTES_MAX,
    FIN,
    LENGTH_16,
    LENGTH_64,
    MASKED,
    PING,
    PONG,
    TEXT,
    apply_mask,
    is_close_code,
)

_HEAD_16 = Struct("!BBH").pack
_HEAD_64 = Struct("!BBQ").pack
_KEY_BLOCK_BYTES = 128  # 32 mask keys from one system call
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class FrameWriter:
    """Encodes frames, each in one `bytes` that is ready to be sent; it keeps nothing of them."""

    __slots__ = ("_key_at", "_keys", "_mask_bit_out")

    def __init__(self, *, is_client: bool) -> None:
        self._mask_bit_out = MASKED if is_client else 0
        self._keys = b""
        self._key_at = 0

    def message(self, payload: str | bytes) -> bytes:
        """One unfragmented text (`str`) or binary message. A lone surrogate, which UTF-8 has not, becomes U+FFFD."""
        if not isinstance(payload, str):
            return self._frame(FIN | BINARY, payload)
        try:
            encoded = payload.encode()
        except UnicodeEncodeError:
            encoded = _LONE_SURROGATE.sub("\ufffd", payload).encode()
        return self._frame(FIN | TEXT, encoded)

    def ping(self, payload: bytes = b"") -> bytes:
        """A ping; raises `ValueError` for a payload over 125 bytes."""
        return self._control_frame(PING, payload)

    def pong(self, payload: bytes = b"") -> bytes:
        """A pong; raises `ValueError` for a payload over 125 bytes."""
        return self._control_frame(PONG, payload)

    def close(self, code: int | None = None, reason: str = "") -> bytes:
        """A close frame; without a code it has no reason either.

        A reason over 123 bytes is cut between two characters. Raises `ValueError` for a code that the wire must not
        carry, as 1005 and 1006.
        """
        if code is None:
            return self._frame(FIN | CLOSE, b"")
        if not is_close_code(code):
            raise ValueError(f"a close frame cannot carry the code {code}")
        encoded = _LONE_SURROGATE.sub("\ufffd", reason).encode()
        if len(encoded) > limits.CLOSE_REASON_BYTES_MAX:
            encoded = encoded[: limits.CLOSE_REASON_BYTES_MAX].decode(errors="ignore").encode()
        return self._frame(FIN | CLOSE, code.to_bytes(2) + encoded)

    def _control_frame(self, opcode: int, payload: bytes) -> bytes:
        if len(payload) > CONTROL_BYTES_MAX:
            raise ValueError(f"a control frame has at most {CONTROL_BYTES_MAX} bytes, not {len(payload)}")
        return self._frame(FIN | opcode, payload)

    def _frame(self, first: int, payload: bytes) -> bytes:
        size = len(payload)
        if size < LENGTH_16:
            head = bytes((first, self._mask_bit_out | size))
        elif size < 1 << 16:
            head = _HEAD_16(first, self._mask_bit_out | LENGTH_16, size)
        else:
            head = _HEAD_64(first, self._mask_bit_out | LENGTH_64, size)
        if not self._mask_bit_out:
            return head + payload
        at = self._key_at
        if at == len(self._keys):
            self._keys = os.urandom(_KEY_BLOCK_BYTES)
            at = 0
        self._key_at = at + 4
        key = self._keys[at : at + 4]
        return b"".join((head, key, apply_mask(payload, key)))
