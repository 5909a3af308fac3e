"""Packets without a token that have ended the process, or could, each as one string of bytes (F1, F2)."""

from __future__ import annotations

from h2.config import H2Configuration
from h2.connection import H2Connection

UPGRADE_LINES = (
    b"Host: x",
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
FRAME = b"\x81\x80\0\0\0\0"
VOICE, REALTIME = b"/v1/ws/voice", b"/v1/realtime"


def upgrade(path: bytes, *lines: bytes, without: bytes | None = None) -> bytes:
    """An upgrade with further header lines; `without` is the name of a usual one that is left out."""
    usual = [line for line in UPGRADE_LINES if without is None or not line.startswith(without)]
    return b"\r\n".join([b"GET " + path + b" HTTP/1.1", *usual, *lines, b"", b""])


def first_message(length: int) -> bytes:
    """A client's text frame of zeros, masked with zeros."""
    return b"\x81\xff" + length.to_bytes(8, "big") + bytes(4) + b"0" * length


def h2_packet(*headers: tuple[bytes, bytes]) -> bytes:
    """The preface of HTTP/2 and one request with `headers`."""
    client = H2Connection(H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False))
    client.initiate_connection()
    client.send_headers(1, list(headers), end_stream=True)
    return client.data_to_send()


HOSTILE_PACKETS: dict[str, bytes] = {
    "a byte above 127 in Sec-WebSocket-Protocol": upgrade(VOICE, b"Sec-WebSocket-Protocol: \xff"),
    "a byte above 127 in Sec-WebSocket-Extensions": upgrade(VOICE, b"Sec-WebSocket-Extensions: \xff"),
    "a byte above 127 in Connection": upgrade(VOICE, b"Connection: Upgrade, \xff", without=b"Connection"),
    "a byte above 127 in Upgrade": upgrade(VOICE, b"Upgrade: websocket, \xff", without=b"Upgrade"),
    "a byte above 127 in the key": upgrade(VOICE, b"Sec-WebSocket-Key: \xff", without=b"Sec-WebSocket-Key"),
    "a frame behind an upgrade to nowhere": upgrade(b"/nope") + FRAME,
    "a frame behind an upgrade without a token": upgrade(REALTIME) + FRAME,
    "a frame behind an upgrade that is accepted": upgrade(VOICE) + FRAME,
    "a body on an upgrade": upgrade(VOICE, b"Content-Length: 6") + b"\0" * 6,
    "a chunked body on an upgrade": upgrade(VOICE, b"Transfer-Encoding: chunked") + b"1\r\na\r\n0\r\n\r\n",
    "a first message of 1 MB before the 101": upgrade(VOICE) + first_message(2**20),
    "HTTP/2 with CONNECT and no path": h2_packet((b":method", b"CONNECT"), (b":authority", b"x")),
    "HTTP/2 with a path above 127": h2_packet(
        (b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"x"), (b":path", b"/\xff")
    ),
    "an h2c upgrade": b"\r\n".join(
        [
            b"GET /v1/voice/health HTTP/1.1",
            b"Host: x",
            b"Connection: Upgrade, HTTP2-Settings",
            b"Upgrade: h2c",
            b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
            b"",
            b"",
        ]
    ),
}
