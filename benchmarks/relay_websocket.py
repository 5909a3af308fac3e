"""A WebSocket of the relay benchmark's two ends: cut down to what it needs, and cheap.

Frames are built beforehand, and payloads are looked at in place. Nothing here may import more than the standard
library.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def frame(payload: bytes, opcode: int = TEXT, *, is_masked: bool = False) -> bytes:
    """A whole message in one frame; masked with zeros."""
    size, mask_bit = len(payload), 0x80 if is_masked else 0
    if size < 126:
        head = bytes((0x80 | opcode, mask_bit | size))
    elif size < 65536:
        head = bytes((0x80 | opcode, mask_bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, mask_bit | 127)) + size.to_bytes(8, "big")
    return head + (bytes(4) if is_masked else b"") + payload


class Socket(asyncio.Protocol):
    """A WebSocket cut down to what the benchmark needs: unfragmented messages, pings and closes."""

    transport: asyncio.Transport
    is_client = False

    def __init__(self) -> None:
        self._rest = b""
        self._is_open = False
        self.close_reason = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # of a TCP connection

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        at = 0
        if not self._is_open:
            if (end := data.find(b"\r\n\r\n")) < 0:
                self._rest = data
                return
            at = end + 4
            self._is_open = True
            self.on_head(data[:at])
            if self.transport.is_closing():  # refused: what follows is no WebSocket
                return
        size = len(data)
        while size - at >= 2:
            length = data[at + 1] & 0x7F
            start = at + 2
            if length == 126:
                start, length = at + 4, int.from_bytes(data[at + 2 : at + 4], "big")
            elif length == 127:
                start, length = at + 10, int.from_bytes(data[at + 2 : at + 10], "big")
            if data[at + 1] & 0x80:
                start += 4
            if start + length > size:
                break
            opcode = data[at] & 0x0F
            if opcode == TEXT:
                self.on_text(data, start, length)
            elif opcode != PONG:
                self._on_control(opcode, data[start : start + length], data[start - 4 : start])
            at = start + length
        self._rest = data[at:]

    def send(self, event: dict[str, Any]) -> None:
        self.write(frame(json.dumps(event).encode(), is_masked=self.is_client))

    def write(self, data: bytes) -> None:
        """Write, unless the other side has closed the connection."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def _on_control(self, opcode: int, payload: bytes, key: bytes) -> None:
        if not self.is_client:
            payload = unmasked(payload, key)
        if opcode == PING:
            self.write(frame(payload, PONG, is_masked=self.is_client))
        else:
            self.close_reason = f"{int.from_bytes(payload[:2], 'big')} {payload[2:].decode()}"
            self.write(frame(payload, CLOSE, is_masked=self.is_client))
            self.transport.close()

    def on_head(self, head: bytes) -> None:
        raise NotImplementedError

    def on_text(self, data: bytes, start: int, length: int) -> None:
        raise NotImplementedError


def unmasked(payload: bytes, key: bytes, offset: int = 0) -> bytes:
    """`payload`, which began `offset` bytes into its message."""
    size, offset = len(payload), offset % 4
    mask = (key * (size // 4 + 2))[offset : offset + size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(size, "big")
