"""One connection of the scripted full-duplex model: its rules, its endless output, and its counting of time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import trio

from voice_trio.conversation.retrieval.text import token_estimate
from voice_trio.errors import LinkClosed
from voice_trio.protocols import json_text
from voice_trio.protocols.audio import BYTES_PER_MS, encode_audio

if TYPE_CHECKING:
    from voice_trio.net.link import Link

FRAME_MS = 100
STARTED_AFTER = 0.25
OUTPUT_AFTER = 0.35
"""Seconds from the first sound to the first output; 0.34 to 0.77 were recorded."""
APPENDED_AFTER = 0.4
USAGE_EVERY = 15.0
SESSION_SECONDS = 7200
CONTENT_TOKENS_MAX = 500
QUEUED_FRAMES_MAX = 20_000

_SILENCE = encode_audio(b"\0\0" * (FRAME_MS * BYTES_PER_MS // 2))
_DITHER = encode_audio(b"\x0f\0\xf1\xff" * (FRAME_MS * BYTES_PER_MS // 4))  # samples of 15 and -15
LOUD = encode_audio(b"\0\x10\0\xf0" * (FRAME_MS * BYTES_PER_MS // 4))

SESSION_FIELDS = frozenset(
    {"model", "instructions", "input", "audio", "delegation", "triggers", "store", "safety_identifier", "client"}
)
APPENDS = ("session.instructions.append", "session.thinking.append", "session.commentary.append")
SUPPORTED = (
    *("session.start", "session.update", "session.close", *APPENDS),
    *("session.input_audio.append", "session.input_audio.mute", "session.input_audio.unmute"),
    *("response.create", "response.item.create", "decision.create"),
)


class LiveModelPort(Protocol):
    """What a session needs of the model that it belongs to."""

    stored: dict[str, dict[str, Any]]
    losses: list[LinkClosed]

    def note_heard(self, event: dict[str, Any], session: int) -> None: ...

    def note_said(self, event: dict[str, Any], session: int) -> None: ...


class LiveModelSession:
    """A conversation over one link; `number` counts connections from 0."""

    def __init__(self, link: Link, model: LiveModelPort, number: int, fork_of: str) -> None:
        self.link = link
        self.number = number
        self.id = f"live_{number}"
        self.settings: dict[str, Any] = {}
        self.started = trio.Event()
        self.over = trio.Event()
        self.heard_ms = 0.0
        self._model = model
        self._fork_of = fork_of
        self._began_at = 0.0
        self._loud_until = float("-inf")
        self._events = 0
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery
        self._frames, self._outgoing = trio.open_memory_channel[str | tuple[int, str]](QUEUED_FRAMES_MAX)

    async def run(self) -> None:
        """Serve until either side ends it; a lost link is an expected end."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
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
        """The transcript of a word that the user said between two times."""
        self._emit_words("session.input_transcript.delta", delta, start_at, end_at)

    async def speak(self, text: str, word_every: float, loud_ms: float | None) -> None:
        """Say a text, word by word, with its sound."""
        words = text.split()
        now = trio.current_time()
        self._loud_until = now + (len(words) * word_every if loud_ms is None else loud_ms / 1000)
        for number, word in enumerate(words):
            at = trio.current_time()
            self._emit_words("session.output_transcript.delta", " " + word, at, at + word_every)
            if number < len(words) - 1:
                await trio.sleep(word_every)

    def answer_soon(self, text: str, after: float) -> None:
        """Speak `after` seconds, meanwhile others go on."""

        async def answer() -> None:
            await trio.sleep(after)
            await self.speak(text, 0.2, None)

        self._nursery.start_soon(answer)

    def stop_speaking(self) -> None:
        """Its output is silent from now on."""
        self._loud_until = trio.current_time()

    def delegate(self, delegation_id: str) -> None:
        delegation = {"id": delegation_id, "type": "delegation", "target": "client"}
        self.emit({"type": "session.delegation.created", "delegation": delegation, "offset_ms": self._clock_ms()})

    def send_error(self, code: str | None, message: str, event_id: str | None = None) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
        self.emit({"type": "error", "error": {**error, "client_event_id": event_id}})

    def say_closed(self, reason: str) -> None:
        self.emit({"type": "session.closed", "reason": reason, "usage": {"seconds": self.seconds}})

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
        """How long the session has lasted."""
        return round(trio.current_time() - self._began_at, 3)

    def _clock_ms(self, at: float | None = None) -> int:
        return round(((trio.current_time() if at is None else at) - self._began_at) * 1000)

    def _emit_words(self, kind: str, delta: str, start_at: float, end_at: float) -> None:
        times = {"start_ms": self._clock_ms(start_at), "end_ms": self._clock_ms(end_at)}
        self.emit({"type": kind, "delta": delta, **times})

    async def _output(self) -> None:
        """A piece each 100 ms, whatever is said: most are silence, some of it not quite zero."""
        await trio.sleep(OUTPUT_AFTER)
        number = 0
        while True:
            is_loud = trio.current_time() < self._loud_until
            quiet = _DITHER if number % 7 == 0 else _SILENCE
            self.emit({"type": "session.output_audio.delta", "delta": LOUD if is_loud else quiet})
            number += 1
            await trio.sleep(FRAME_MS / 1000)

    async def _count(self) -> None:
        while True:
            await trio.sleep(USAGE_EVERY)
            window = {"usage_ratio": round(self.seconds / SESSION_SECONDS, 6)}
            self.emit({"type": "session.usage.updated", "usage": {"seconds": self.seconds}, "context_window": window})

    # What the client says

    async def _read(self) -> None:
        try:
            while True:
                frame = await self.link.receive()
                event = msgspec.json.decode(frame)
                self._model.note_heard(event, self.number)
                if await self._handle(event):
                    await self.link.aclose()
                    return
        except LinkClosed as closed:
            self._model.losses.append(closed)

    async def _handle(self, event: dict[str, Any]) -> bool:
        """Whether the session is over."""
        kind = event.get("type")
        if kind == "session.start":
            await self._start(event)
        elif not self.started.is_set():
            self._refuse(event, "session_not_started", "The first event must be session.start.")
        elif kind == "session.input_audio.append":
            self._hear()
        elif kind in APPENDS:
            self._append(event)
        elif kind == "session.close":
            self.say_closed("close_requested")
            await trio.sleep(0.05)
            return True
        elif kind not in SUPPORTED:
            supported = ", ".join(SUPPORTED)
            self._refuse(event, "invalid_value", f"Invalid value: '{kind}'. Supported values are: {supported}.")
        return False

    async def _start(self, event: dict[str, Any]) -> None:
        given = event.get("session")
        kept = self._model.stored.get(self._fork_of)
        if self._fork_of and kept is None:
            self._refuse(event, "session_not_found", "No stored session has this id.")
        elif not isinstance(given, dict) or not given.keys() <= SESSION_FIELDS:
            self._refuse(event, "unknown_parameter", f"Unknown parameter in {given!r:.200}.")
        else:
            self.settings = {**(kept or {}), **given}
            await trio.sleep(STARTED_AFTER)
            self._began_at = trio.current_time()
            if self.settings.get("store"):
                self._model.stored[self.id] = self.settings
            self.emit(
                {"type": "session.started", "session": {"id": self.id, "expires_at": SESSION_SECONDS, **self.settings}}
            )
            self.started.set()
            self._nursery.start_soon(self._count)

    def _hear(self) -> None:
        if not self.heard_ms:
            self._nursery.start_soon(self._output)
        self.heard_ms += FRAME_MS

    def _append(self, event: dict[str, Any]) -> None:
        content = event.get("content")
        if "delegation_id" not in event:
            self._refuse(event, "missing_required_parameter", "Missing required parameter: 'delegation_id'.")
        elif not isinstance(content, str) or token_estimate(content) > CONTENT_TOKENS_MAX:
            self._refuse(event, "string_above_max_length", "content must have at most 500 tokens.")
        elif self.heard_ms:  # without sound on its way an append is neither acknowledged nor refused
            self._nursery.start_soon(self._acknowledge, event)

    async def _acknowledge(self, event: dict[str, Any]) -> None:
        await trio.sleep(APPENDED_AFTER)
        now = self._clock_ms()
        times = {"start_ms": now, "end_ms": now, "client_event_id": event.get("event_id")}
        self.emit({"type": f"{event['type']}ed", **times})

    def _refuse(self, event: dict[str, Any], code: str, message: str) -> None:
        self.send_error(code, message, event.get("event_id"))

    async def _write(self) -> None:
        try:
            async for frame in self._outgoing:
                if isinstance(frame, tuple):
                    await self.link.aclose(*frame)
                    self.end()
                    return
                await self.link.send(frame)
        except LinkClosed:
            self.end()
