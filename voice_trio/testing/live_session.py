"""One connection of the scripted GPT-Live server: its rules, its endless output, and its counting of time.

The timeline of a session is the sound that it has heard: words, acknowledgements and `usage.seconds` are stamped by it,
as recorded. Sound that comes faster than real time moves it ahead of the clock.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pybase64
import trio

from voice_trio.errors import LinkClosed
from voice_trio.protocols import json_text
from voice_trio.protocols.audio import encode_audio, silence
from voice_trio.testing import live_rules
from voice_trio.testing.live_rules import CommandRefusal
from voice_trio.testing.live_speech import LiveSpeech

if TYPE_CHECKING:
    from voice_trio.net.link import Link
    from voice_trio.testing.model_session import Latch

FRAME_MS = 100
SLOT_MS = 200
"""Words are stamped in steps of 200 ms."""
STARTED_AFTER = 0.25
"""0.25 to 0.83 s were recorded, as for the next ones."""
OUTPUT_AFTER = 0.35
"""Seconds from the first sound to the first output."""
APPENDED_AFTER = 0.4
"""Seconds from an append to its acknowledgement."""
CLOSED_AFTER = 0.3
IN_FLIGHT_SECONDS = 0.5
"""Without sound for so long, appends are neither acknowledged nor refused, and the model does not learn them."""
USAGE_EVERY = 15.0
SESSION_SECONDS = 7200
QUEUED_FRAMES_MAX = 20_000

_DITHER = encode_audio(b"\x0f\0\xf1\xff" * (FRAME_MS * 12))  # samples of 15 and -15
LOUD = encode_audio(b"\0\x10\0\xf0" * (FRAME_MS * 12))


class LiveModelPort(Protocol):
    """What a session needs of the model that it belongs to."""

    stored: dict[str, dict[str, Any]]
    losses: list[LinkClosed]
    send_latch: Latch

    def note_heard(self, event: dict[str, Any], session: int) -> None: ...

    def note_said(self, event: dict[str, Any], session: int) -> None: ...


class LiveModelSession:
    """A conversation over one link; `number` counts connections from 0.

    `settings` are those it was started with, `told` are the appends that the model has learned, in order.
    """

    def __init__(self, link: Link, model: LiveModelPort, number: int, fork_of: str) -> None:
        self.link = link
        self.number = number
        self.id = f"live_{number}"
        self.settings: dict[str, Any] = {}
        self.told: list[str] = []
        self.started = trio.Event()
        self.over = trio.Event()
        self.heard_ms = 0.0
        self.is_muted = False
        self.speech: LiveSpeech
        self._model = model
        self._fork_of = fork_of
        self._heard_until = -math.inf
        self._delegations: set[str] = set()
        self._events = 0
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery
        self._frames, self._outgoing = trio.open_memory_channel[str | tuple[int, str]](QUEUED_FRAMES_MAX)

    async def run(self) -> None:
        """Serve until either side ends it; a lost link is an expected end."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self.speech = LiveSpeech(self._say_word, nursery)
                nursery.start_soon(self._write)
                await self._read()
                nursery.cancel_scope.cancel()
        self.over.set()

    def end(self) -> None:
        """Stop serving, without a close frame."""
        self._scope.cancel()

    async def close(self, code: int, reason: str) -> None:
        """Close the connection after the events that are queued."""
        self._frames.send_nowait((code, reason))
        await self.over.wait()

    # What the model says

    def transcribe(self, delta: str, start_at: float, end_at: float) -> None:
        """The transcript of what the user said between two times, which have passed."""
        self._emit_words("session.input_transcript.delta", delta, start_at, end_at)

    def delegate(self, delegation_id: str) -> None:
        """Ask whatever the session was started to delegate to; the task is in no event."""
        target = (self.settings.get("delegation") or {"type": "client"})["type"]
        delegation = {"id": delegation_id, "type": "delegation", "target": target}
        if target == "client":
            self._delegations.add(delegation_id)
        self.emit({"type": "session.delegation.created", "delegation": delegation, "offset_ms": self._position()})

    def send_error(self, code: str | None, message: str, event_id: str | None = None, param: str | None = None) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message, "param": param}
        self.emit({"type": "error", "error": {**error, "client_event_id": event_id}})

    def say_closed(self, reason: str) -> None:
        self.emit(
            {"type": "session.closed", "reason": reason, "session": self._shown(), "usage": {"seconds": self.seconds}}
        )

    def emit(self, event: dict[str, Any]) -> None:
        """Queue an event; it is sent in its turn."""
        self._events += 1
        if event["type"] != "session.output_audio.delta":
            event["event_id"] = f"event_{self.number}_{self._events}"
        self._model.note_said(event, self.number)
        try:
            self._frames.send_nowait(json_text.encode(event))
        except trio.WouldBlock:
            self.end()

    @property
    def seconds(self) -> float:
        """What is billed: the whole seconds of sound that the session has heard."""
        return float(int(self.heard_ms / 1000))

    def _position(self, at: float | None = None) -> int:
        ago_ms = 0.0 if at is None else (trio.current_time() - at) * 1000
        return max(0, int((self.heard_ms - ago_ms) // SLOT_MS) * SLOT_MS)

    def _say_word(self, delta: str, start_at: float, end_at: float) -> None:
        self._emit_words("session.output_transcript.delta", delta, start_at, end_at)

    def _emit_words(self, kind: str, delta: str, start_at: float, end_at: float) -> None:
        start_ms = self._position(start_at)
        end_ms = max(start_ms + SLOT_MS, self._position(end_at))
        self.emit({"type": kind, "delta": delta, "start_ms": start_ms, "end_ms": end_ms})

    async def _output(self) -> None:
        """A piece each 100 ms, whatever is said: most are silence, some of it not quite zero."""
        await trio.sleep(OUTPUT_AFTER)
        number = 0
        while True:
            quiet = _DITHER if number % 7 == 0 else silence(FRAME_MS)
            self.emit({"type": "session.output_audio.delta", "delta": LOUD if self.speech.is_loud else quiet})
            number += 1
            await trio.sleep(FRAME_MS / 1000)

    async def _count(self) -> None:
        """The time that is billed, now and then, until the session reaches its longest duration."""
        for _ in range(int(SESSION_SECONDS / USAGE_EVERY)):
            await trio.sleep(USAGE_EVERY)
            window = {"usage_ratio": round(self.seconds / SESSION_SECONDS, 6)}
            self.emit({"type": "session.usage.updated", "usage": {"seconds": self.seconds}, "context_window": window})
        self.say_closed("expired")
        await self.close(1000, "")

    # What the client says

    async def _read(self) -> None:
        try:
            while True:
                frame = await self.link.receive()
                event = msgspec.json.decode(frame)
                self._model.note_heard(event, self.number)
                await self._handle(event)
        except LinkClosed as closed:
            self._model.losses.append(closed)

    async def _handle(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "session.start":
                await self._start(event)
            case _ if not self.started.is_set():
                self._refuse(event, CommandRefusal("session_not_started", "The first event must be session.start."))
            case "session.input_audio.append":
                self._hear(event.get("audio"))
            case kind if kind in live_rules.APPENDS:
                self._append(event)
            case "session.input_audio.mute" | "session.input_audio.unmute" as kind:
                self.is_muted = kind.endswith(".mute")
                self.emit({"type": f"{kind}d", "client_event_id": event.get("event_id")})
            case "session.close":
                self._nursery.start_soon(self._close_as_asked)
            case "response.create" | "response.item.create" as kind:
                self._refuse(event, CommandRefusal("invalid_value", f"{kind} requires Responses delegation."))
            case kind if kind not in live_rules.SUPPORTED:
                supported = ", ".join(f"'{name}'" for name in live_rules.SUPPORTED)
                message = f"Invalid value: '{kind}'. Supported values are: {supported}."
                self._refuse(event, CommandRefusal("invalid_value", message, "type"))

    async def _close_as_asked(self) -> None:
        await trio.sleep(CLOSED_AFTER)
        self.say_closed("close_requested")
        await self.close(1000, "")

    async def _start(self, event: dict[str, Any]) -> None:
        kept = self._model.stored.get(self._fork_of)
        given = event.get("session")
        refusal = live_rules.refusal_of_fork(given) if self._fork_of else live_rules.refusal_of_start(given)
        if self.started.is_set():
            refusal = CommandRefusal("session_already_started", "The session has started.")
        elif self._fork_of and kept is None:
            refusal = CommandRefusal("session_not_found", "No stored session has this id.")
        if refusal is not None or not isinstance(given, dict):
            self._refuse(event, refusal or CommandRefusal("invalid_type", "Invalid type for 'session'."))
            return
        self.settings = {**(kept or {}), **given}
        await trio.sleep(STARTED_AFTER)
        if self.settings.get("store"):
            self._model.stored[self.id] = {name: value for name, value in self.settings.items() if name != "input"}
        self.emit({"type": "session.started", "session": self._shown()})
        self.started.set()
        self._nursery.start_soon(self._count)

    def _shown(self) -> dict[str, Any]:
        """The session as the API describes it."""
        defaults = {"input": [], "store": False, "delegation": {"type": "client"}}
        return {"id": self.id, "expires_at": SESSION_SECONDS, "status": "active", **defaults, **self.settings}

    def _hear(self, audio: object) -> None:
        size = len(pybase64.b64decode(audio)) if isinstance(audio, str) else 0
        form = (self.settings.get("audio") or {}).get("format") or {}
        per_ms = live_rules.BYTES_PER_MS[form.get("type", "audio/pcm")] * form.get("rate", 24_000) / 24_000
        if not self.heard_ms and size:
            self._nursery.start_soon(self._output)
        self.heard_ms += size / per_ms
        self._heard_until = max(self._heard_until, trio.current_time()) + size / per_ms / 1000

    def _append(self, event: dict[str, Any]) -> None:
        refusal = live_rules.refusal_of_append(event, frozenset(self._delegations))
        if refusal is not None:
            self._refuse(event, refusal)
        elif trio.current_time() - self._heard_until <= IN_FLIGHT_SECONDS:
            self.told.append(event["content"])
            self._nursery.start_soon(self._acknowledge, event)

    async def _acknowledge(self, event: dict[str, Any]) -> None:
        await trio.sleep(APPENDED_AFTER)
        times = {"start_ms": self._position(), "end_ms": self._position() + SLOT_MS}
        self.emit({"type": f"{event['type']}ed", **times, "client_event_id": event.get("event_id")})

    def _refuse(self, event: dict[str, Any], refusal: CommandRefusal) -> None:
        self.send_error(refusal.code, refusal.message, event.get("event_id"), refusal.param)

    async def _write(self) -> None:
        try:
            async for frame in self._outgoing:
                await self._model.send_latch.wait()
                if isinstance(frame, tuple):
                    await self.link.aclose(*frame)
                    self.end()
                    return
                await self.link.send(frame)
        except LinkClosed:
            self.end()
