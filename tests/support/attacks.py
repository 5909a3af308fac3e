"""Random connections to the gateway's port, each made from a seed and its number: the one that failed can be repeated.

An attack is a packet, the places where it is cut, and the way its connection ends. Half of the packets are a valid one
with up to three of its fields changed: each part of a request line, of a header and of a frame is a field.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from typing import TYPE_CHECKING

from tests.support import websocket_frames as frames
from tests.support.deployment import token
from tests.support.hostile_packets import HOSTILE_PACKETS, REALTIME, VOICE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Fields = list[bytes]

USERS = 500
"""With tokens of their own. Each may attempt twenty sessions a minute, and start five an hour."""
LARGE_BYTES_MAX = 300_000
ODD_BYTES = (
    b"\0",
    b"\r",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b",",
    b";",
    b":",
    b"%",
    b"%00",
    b"/",
    b"?",
    b"\x7f",
    b"\x80",
    b"\xff",
)
ODD_NUMBERS = (b"-1", b"0", b"00", b"+1", b"1.5", b"0x10", b"65536", b"4294967296", b"18446744073709551616", b"9" * 400)


class Ending(Enum):
    """How the client ends a connection."""

    CLOSE = auto()
    """At once after the last segment."""
    RESET = auto()
    HALF_CLOSE = auto()
    """It sends no more, and reads until the gateway closes."""
    READ_ONCE = auto()
    """It reads one piece of the response, then closes."""
    LINGER = auto()
    """It reads nothing for a moment, then closes."""


@dataclass(frozen=True, slots=True)
class Attack:
    """What one connection sends, and how it ends."""

    seed: int
    number: int
    is_mutation: bool
    segments: Sequence[bytes]
    ending: Ending

    def __str__(self) -> str:
        packet = b"".join(self.segments)
        shown = repr(packet[:300]) + (f" … {len(packet)} bytes" if len(packet) > 300 else "")
        lengths = [len(segment) for segment in self.segments]
        return f"attack({self.seed}, {self.number}): {self.ending.name}, segments of {lengths[:20]}: {shown}"


def attack(seed: int, number: int) -> Attack:
    """The attack with this number; every second one is a mutation."""
    chance = random.Random(f"{seed}-{number}")
    is_mutation = number % 2 == 1
    if is_mutation:
        packet = b"".join(_mutated(chance, _valid_fields(chance)))
    elif chance.random() < 0.3:
        packet = chance.choice(list(HOSTILE_PACKETS.values()))
    else:
        packet = b"".join(_valid_fields(chance))
    return Attack(seed, number, is_mutation, _cut(chance, packet), chance.choice(list(Ending)))


def _cut(chance: random.Random, packet: bytes) -> list[bytes]:
    """Random segments; of one packet in five only the beginning."""
    if chance.random() < 0.2:
        packet = packet[: chance.randrange(len(packet) + 1)]
    if chance.random() < 0.1:
        packet, rest = packet[:60], packet[60:]
        return [*frames.bytewise(packet), rest]
    return frames.cut(packet, [chance.randrange(len(packet) + 1) for _ in range(chance.randrange(6))])


# Valid packets, as lists of fields.


def _valid_fields(chance: random.Random) -> Fields:
    return chance.choice(_PACKETS)(chance)


def _get(chance: random.Random) -> Fields:
    path = chance.choice([b"/livez", b"/readyz", b"/metrics", b"/v1/voice/health", b"/client/voice.js", b"/nope", b"/"])
    return _head(chance.choice([b"GET", b"HEAD", b"OPTIONS"]), path, [(b"Connection", b"keep-alive")])


def _post(chance: random.Random) -> Fields:
    body = b'{"session": {"type": "realtime"}, "expires_after": {"seconds": 600}}'
    headers = [_bearer(chance), (b"Content-Type", b"application/json")]
    target = b"/v1/realtime/client_secrets"
    if chance.random() < 0.5:
        size = f"{len(body):x}".encode()
        chunks = [size, b"\r\n", body, b"\r\n", b"0", b"\r\n", b"\r\n"]
        return [*_head(b"POST", target, [*headers, (b"Transfer-Encoding", b"chunked")]), *chunks]
    return [*_head(b"POST", target, [*headers, (b"Content-Length", str(len(body)).encode())]), body]


def _websocket(chance: random.Random) -> Fields:
    """An upgrade, sometimes behind another request, with frames that do not wait for the answer."""
    before = _get(chance) if chance.random() < 0.2 else []
    path = chance.choice([VOICE, VOICE, REALTIME, b"/nope"])
    headers = [
        (b"Connection", b"Upgrade"),
        (b"Upgrade", b"websocket"),
        (b"Sec-WebSocket-Version", b"13"),
        (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        (b"Sec-WebSocket-Extensions", b"permessage-deflate; client_max_window_bits"),
        (b"Origin", b"https://example.org"),
    ]
    if path == REALTIME:
        headers.append((b"Sec-WebSocket-Protocol", b"realtime, openai-insecure-api-key.abc"))
    first: Fields = []
    if chance.random() < 0.1:  # a session; the others are refused, or never show a token
        if path == VOICE and chance.random() < 0.5:
            first = _frame(frames.FIN | frames.TEXT, b'{"type": "auth", "token": "' + _token(chance) + b'"}')
        else:
            headers.append(_bearer(chance))
    sent = [field for _ in range(chance.randrange(5)) for field in chance.choice(_FRAMES)(chance)]
    return [*before, *_head(b"GET", path, headers), *first, *sent]


_PACKETS: Sequence[Callable[[random.Random], Fields]] = (_get, _post, _websocket, _websocket, _websocket)


def _head(method: bytes, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Fields:
    fields = [method, b" ", target, b" ", b"HTTP/1.1", b"\r\n"]
    for name, value in [(b"Host", b"localhost"), (b"User-Agent", b"attack"), *headers]:
        fields += [name, b":", b" ", value, b"\r\n"]
    return [*fields, b"\r\n"]


def _bearer(chance: random.Random) -> tuple[bytes, bytes]:
    return b"Authorization", b"Bearer " + _token(chance)


def _token(chance: random.Random) -> bytes:
    return _token_of(chance.randrange(USERS))


@cache
def _token_of(user: int) -> bytes:
    return token(f"attacker{user}").encode()


def _frame(first: int, payload: bytes) -> Fields:
    """The fields of a client's frame: first byte, length, mask, payload."""
    encoded = frames.RawFrame(first, payload).encode(is_masked=True)
    mask_at = 2 + {126: 2, 127: 8}.get(encoded[1] & 0x7F, 0)
    return [encoded[:1], encoded[1:mask_at], encoded[mask_at : mask_at + 4], encoded[mask_at + 4 :]]


def _event(chance: random.Random) -> Fields:
    event = chance.choice(
        [
            b'{"type": "ping", "id": 1}',
            b'{"type": "text.input", "text": "what is it?"}',
            b'{"type": "audio.input", "audio": "' + b"AAAA" * 480 + b'"}',
            b'{"type": "input_audio_buffer.append", "audio": "' + b"AAAA" * 480 + b'"}',
            b'{"type": "session.update", "session": {"type": "realtime"}}',
            b'{"type": "interrupt"}',
        ]
    )
    return _frame(frames.FIN | frames.TEXT, event)


def _control(chance: random.Random) -> Fields:
    opcode = chance.choice([frames.PING, frames.PONG, frames.CLOSE])
    return _frame(frames.FIN | opcode, b"\x03\xe8" + chance.randbytes(chance.randrange(124)))


def _fragments(chance: random.Random) -> Fields:
    """A text in two parts, with a ping between them."""
    ping = _frame(frames.FIN | frames.PING, b"between")
    return [*_frame(frames.TEXT, b'{"type": "pi'), *ping, *_frame(frames.FIN, b'ng", "id": 2}')]


def _binary(chance: random.Random) -> Fields:
    length = chance.randrange(LARGE_BYTES_MAX) if chance.random() < 0.03 else chance.randrange(2000)
    return _frame(frames.FIN | frames.BINARY, bytes(length))


_FRAMES: Sequence[Callable[[random.Random], Fields]] = (_event, _control, _fragments, _binary)


# Mutations of one field.


def _mutated(chance: random.Random, fields: Fields) -> Fields:
    fields = list(fields)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(fields))
        fields[at] = chance.choice(_MUTATIONS)(chance, fields[at], fields)
    return fields


def _flip_a_bit(chance: random.Random, field: bytes, fields: Fields) -> bytes:
    changed = bytearray(field or b"\0")
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _insert(chance: random.Random, field: bytes, fields: Fields) -> bytes:
    at = chance.randrange(len(field) + 1)
    return field[:at] + chance.choice(ODD_BYTES) + field[at:]


def _repeat(chance: random.Random, field: bytes, fields: Fields) -> bytes:
    return field * chance.choice([0, 2, 100, 10_000]) if len(field) < 50 else field * 2


_MUTATIONS: Sequence[Callable[[random.Random, bytes, Fields], bytes]] = (
    _flip_a_bit,
    _insert,
    _repeat,
    lambda chance, field, fields: chance.randbytes(len(field)),
    lambda chance, field, fields: field[: chance.randrange(len(field) + 1)],
    lambda chance, field, fields: chance.choice(fields),
    lambda chance, field, fields: chance.choice(ODD_NUMBERS),
    lambda chance, field, fields: field.swapcase(),
)
