"""A client of the voice protocol with verbs: it speaks, types, interrupts, reports, and leaves in every way.

It keeps every event with its time, and plays the audio: it knows how much of each item has been played by now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from voice_trio.errors import LinkClosed
from voice_trio.protocols.audio import audio_ms, decode_audio, silence
from voice_trio.testing.links import Losable, MemoryLink
from voice_trio.testing.recorder import Received, Recorder
from voice_trio.testing.sounds import tone

if TYPE_CHECKING:
    from voice_trio.net.link import Link

FRAME_MS = 40


class FakeClient:
    """A client of the voice protocol over `link`; start `run` in a nursery, then call the verbs.

    With `reports_flush` it answers each `playback.flush` with a `playback.position`. `closed_with` is how the
    connection ended, `audio_after_flush` the audio that came for items that were flushed.
    """

    def __init__(self, link: Link, *, reports_flush: bool = False) -> None:
        self.link = link
        self.closed_with: LinkClosed | None = None
        self.audio_after_flush: list[Received] = []
        self._heard = Recorder()
        self._speaker = FakeSpeaker()
        self._flushed_items: set[str] = set()
        self._flushed_responses: set[str] = set()
        self._response_of: dict[str, str] = {}
        self._reports_flush = reports_flush
        self._sending = trio.Lock()
        self._gone = trio.Event()
        self._vanished = False

    async def run(self) -> None:
        """Read until the connection ends; `closed_with` then says how."""
        try:
            while True:
                await self._listen(await self.link.receive())
        except LinkClosed as closed:
            self.closed_with = closed
        self._gone.set()

    async def is_closed(self) -> LinkClosed:
        """Wait until the connection has ended; returns its close code and reason."""
        await self._gone.wait()
        assert self.closed_with is not None
        return self.closed_with

    # What it received

    @property
    def heard(self) -> list[Received]:
        """Every event, in order, with its time since the client was made."""
        return self._heard.entries

    @property
    def now(self) -> float:
        return self._heard.now

    async def hears(self, event_type: str) -> Received:
        """The next event of a type that no earlier call returned; waits for it. Cancelling loses none."""
        return await self._heard.hears(event_type)

    def heard_of(self, event_type: str) -> list[Received]:
        """Every event of a type so far."""
        return self._heard.heard(event_type)

    def forget(self) -> None:
        """Empty the log of events; flushed items stay known."""
        self._heard.forget()

    def types(self) -> list[str]:
        """The types of all events so far, in order."""
        return self._heard.types()

    def audio_received_ms(self, item_id: str) -> float:
        """How much audio of an item has arrived, in ms."""
        return self._speaker.received_ms(item_id)

    def audio_heard_ms(self, item_id: str) -> float:
        """How much audio of an item has been played by now, in real time and up to the last flush, in ms."""
        return self._speaker.played_ms(item_id, trio.current_time())

    # What it sends

    async def send(self, event: dict[str, Any] | str | bytes) -> None:
        """Send an event, or a frame as it is."""
        async with self._sending:
            frame = msgspec.json.encode(event).decode() if isinstance(event, dict) else event
            await self.link.send(frame)

    async def speak(self, seconds: float, *, binary: bool = False, loud: bool = False) -> None:
        """Send microphone audio in real time, a frame each 40 ms; a tone if `loud`, else digital silence."""
        start = trio.current_time()
        for index in range(round(seconds * 1000 / FRAME_MS)):
            await trio.sleep_until(start + index * FRAME_MS / 1000)
            if self._vanished:
                return
            audio = tone(index * FRAME_MS, FRAME_MS) if loud else silence(FRAME_MS)
            await self.send(decode_audio(audio) if binary else {"type": "audio.input", "audio": audio})
        await trio.sleep_until(start + seconds)

    async def type(self, text: str) -> None:
        """Send typed text of the user."""
        await self.send({"type": "text.input", "text": text})

    async def interrupt(self, item_id: str | None = None, played_ms: float | None = None) -> None:
        """Interrupt the answer; `played_ms` is how much of `item_id` was played."""
        where = {} if item_id is None else {"item_id": item_id}
        heard = {} if played_ms is None else {"played_ms": played_ms}
        await self.send({"type": "interrupt", **where, **heard})

    async def report(self, item_id: str, ms: float, *, flushed: bool = False) -> None:
        """Report the playback position of an item."""
        event = {"type": "playback.position", "item_id": item_id, "played_ms": ms}
        await self.send({**event, "flushed": True} if flushed else event)

    async def authenticate(self, token: str) -> None:
        """Send the token as the first event."""
        await self.send({"type": "auth", "token": token})

    async def detect_language(self, language: str) -> None:
        await self.send({"type": "language.detected", "language": language})

    async def ping(self, ping_id: str | int | None = None) -> None:
        await self.send({"type": "ping"} if ping_id is None else {"type": "ping", "id": ping_id})

    async def end_session(self) -> None:
        await self.send({"type": "session.end"})

    # How it leaves

    async def hang_up(self, code: int = 1000, reason: str = "") -> None:
        """Close with a close frame."""
        await self.link.aclose(code, reason)

    def lose_connection(self) -> None:
        """Reset the connection: the gateway notices at once. Raises `TypeError` on other than test links."""
        if not isinstance(self.link, Losable):
            raise TypeError("only links made for tests can be lost on purpose")
        self.link.reset()

    def vanish(self) -> None:
        """Neither read nor send anything any more; the connection stays open."""
        self._vanished = True
        self.stop_reading()

    def stop_reading(self) -> None:
        """Read nothing more: the gateway's sends wait. Raises `TypeError` on other than memory links."""
        self._memory_link().stall()

    def read_again(self) -> None:
        self._memory_link().resume()

    def _memory_link(self) -> MemoryLink:
        if not isinstance(self.link, MemoryLink):
            raise TypeError("only links in memory can be stalled on purpose")
        return self.link

    # Reading

    async def _listen(self, frame: str | bytes) -> None:
        entry = self._heard.record(msgspec.json.decode(frame))
        event = entry.event
        if entry.type == "response.audio.delta":
            self._hear(entry)
        elif entry.type == "playback.flush":
            item_id = str(event["item_id"])
            self._speaker.flush(trio.current_time())
            self._flushed_items.add(item_id)
            self._flushed_responses.update({self._response_of[item_id]} if item_id in self._response_of else ())
            if self._reports_flush:
                await self.report(item_id, self.audio_heard_ms(item_id), flushed=True)

    def _hear(self, entry: Received) -> None:
        item_id, response_id = str(entry.event["item_id"]), str(entry.event["response_id"])
        self._response_of[item_id] = response_id
        if item_id in self._flushed_items or response_id in self._flushed_responses:
            self.audio_after_flush.append(entry)
        self._speaker.play(item_id, audio_ms(entry.event["delta"]), trio.current_time())


@dataclass(slots=True)
class _PlayedSound:
    item_id: str
    begins: float
    ends: float


class FakeSpeaker:
    """Plays what arrives in order and in real time; `flush` drops what has not been played. Times in seconds."""

    def __init__(self) -> None:
        self._sounds: list[_PlayedSound] = []
        self._received: dict[str, float] = {}

    def play(self, item_id: str, duration_ms: float, now: float) -> None:
        """Queue a piece behind what is playing."""
        begins = max([now, *(sound.ends for sound in self._sounds[-1:])])
        self._sounds.append(_PlayedSound(item_id, begins, begins + duration_ms / 1000))
        self._received[item_id] = self._received.get(item_id, 0.0) + duration_ms

    def flush(self, now: float) -> None:
        """Silence: drop the rest of the queue."""
        for sound in self._sounds:
            sound.begins, sound.ends = min(sound.begins, now), min(sound.ends, now)

    def received_ms(self, item_id: str) -> float:
        return self._received.get(item_id, 0.0)

    def played_ms(self, item_id: str, now: float) -> float:
        """How much of an item has come out by `now`."""
        mine = [sound for sound in self._sounds if sound.item_id == item_id]
        return sum(max(0.0, min(sound.ends, now) - sound.begins) for sound in mine) * 1000
