"""The clients of the load benchmark: cheap callers of the voice protocol, and the sound they send."""

from __future__ import annotations

import math
import random
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import Request, TextMessage

from benchmarks.support import user_token

if TYPE_CHECKING:
    from collections.abc import Sequence

FRAME_MS, FRAME_BYTES = 40, 1920
SPEECH_FRAMES, CYCLE_FRAMES = 62, 200
SPEECH_LOUDNESS, ROOM_LOUDNESS = 3000, 60


@dataclass(slots=True)
class Traffic:
    """What callers sent and received on the wire while `counts`."""

    counts: bool = False
    frames: int = 0
    bytes: int = 0

    def note(self, frames: int, size: int) -> None:
        if self.counts:
            self.frames, self.bytes = self.frames + frames, self.bytes + size


@dataclass(frozen=True, slots=True)
class Sounds:
    """Frames of a question, and of the room's noise after it."""

    question: Sequence[bytes]
    room: Sequence[bytes]


class Caller:
    """A client of the voice protocol.

    Callers must be cheap, because hundreds of them share one core. They send frames that were made beforehand, and
    count what they receive without parsing it. Each begins elsewhere in the cycle.
    """

    def __init__(self, port: int, number: int, begins_with: float, traffic: Traffic) -> None:
        self._begins_with = begins_with
        self._port, self._number, self._traffic = port, number, traffic
        self._ws = WSConnection(ConnectionType.CLIENT)

    async def run(self, sounds: Sounds, ready: trio.Semaphore) -> None:
        """Call and talk until cancelled; releases `ready` once the session has begun."""
        request = Request(
            host="127.0.0.1",
            target="/v1/ws/voice",
            extra_headers=[(b"Authorization", f"Bearer {user_token(f'u{self._number}')}".encode())],
        )
        stream = await trio.open_tcp_stream("127.0.0.1", self._port)
        async with stream, trio.open_nursery() as nursery:
            await stream.send_all(self._ws.send(request))
            await self._wait_ready(stream)
            ready.release()
            nursery.start_soon(self._listen, stream)
            await self._talk(stream, sounds)

    async def _wait_ready(self, stream: trio.SocketStream) -> None:
        text = ""
        while "connection.ready" not in text:
            data = await stream.receive_some(65536)
            if not data:
                raise SystemExit(f"a caller was refused: {text[-300:]}")
            self._ws.receive_data(data)
            text += "".join(event.data for event in self._ws.events() if isinstance(event, TextMessage))

    async def _listen(self, stream: trio.SocketStream) -> None:
        while data := await stream.receive_some(262_144):
            self._traffic.note(0, len(data))
        raise SystemExit("the gateway closed a caller's connection")

    async def _talk(self, stream: trio.SocketStream, sounds: Sounds) -> None:
        """Send the microphone's frames in real time."""
        began = trio.current_time() - self._begins_with * FRAME_MS / 1000
        index = math.ceil(self._begins_with)
        while True:
            await trio.sleep_until(began + index * FRAME_MS / 1000)
            place = index % CYCLE_FRAMES
            frame = sounds.question[place] if place < SPEECH_FRAMES else sounds.room[place % len(sounds.room)]
            self._traffic.note(1, len(frame))
            await stream.send_all(frame)
            index += 1


def make_sounds() -> Sounds:
    """What all callers send: whole WebSocket messages."""
    question, room = (noise(SPEECH_FRAMES * FRAME_MS, loudness) for loudness in (SPEECH_LOUDNESS, ROOM_LOUDNESS))
    return Sounds(frames_of(question), frames_of(room))


def noise(duration_ms: int, loudness: float) -> bytes:
    """PCM16 at 24 kHz, mostly of low frequencies, as speech is."""
    chance, level = random.Random(7), 0.0
    samples = array("h")
    for _ in range(duration_ms * 24):
        level = 0.9 * level + chance.gauss(0, loudness * 0.44)
        samples.append(int(max(-32767, min(32767, level))))
    return samples.tobytes()


def frames_of(pcm: bytes) -> list[bytes]:
    """Masked WebSocket messages of 40 ms each."""
    pieces = [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]
    key = bytes((0x37, 0xFA, 0x21, 0x3D))
    head = bytes((0x82, 0x80 | 126)) + FRAME_BYTES.to_bytes(2, "big") + key
    mask = int.from_bytes(key * (FRAME_BYTES // 4), "big")
    return [head + (int.from_bytes(piece, "big") ^ mask).to_bytes(FRAME_BYTES, "big") for piece in pieces]
