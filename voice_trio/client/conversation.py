"""A recording played to a gateway in real time, as a microphone would be, and what came back when."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pybase64
import trio

from voice_trio.client.sounds import BYTES_PER_MS, end_of_sound_ms
from voice_trio.errors import LinkClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.client.connection import VoiceConnection

FRAME_MS = 40
SILENCE = bytes(FRAME_MS * BYTES_PER_MS)
ANSWER_SECONDS_MAX = 30.0  # from the end of the recording to the first sound of an answer
ANSWER_ENDS_SECONDS_MAX = 300.0
TRANSCRIPT_SECONDS_MAX = 2.0  # for the full text of what was said, which may come after a short answer

MOMENTS = {
    "input_audio_buffer.speech_started": "speech_started",
    "conversation.item.input_audio_transcription.delta": "first_word",
    "input_audio_buffer.speech_stopped": "speech_stopped",
    "input_audio_buffer.committed": "committed",
    "context.injected": "context",
    "response.created": "response_created",
    "response.audio.delta": "first_audio",
    "response.done": "response_done",
}
"""The events that mark a moment of a turn, in their usual order, and the moment's name."""

LATENCIES = {
    "speech_started_to_first_word": ("speech_started", "first_word"),
    "sound_ended_to_committed": ("sound_ended", "committed"),
    "committed_to_context": ("committed", "context"),
    "committed_to_response_created": ("committed", "response_created"),
    "committed_to_first_audio": ("committed", "first_audio"),
    "sound_ended_to_first_audio": ("sound_ended", "first_audio"),
}


@dataclass(slots=True)
class Report:
    """What a conversation came to. `moments` are the last turn's, in seconds since the recording began to play."""

    transcript: str = ""
    answer: str = ""
    audio: bytes = field(default=b"", repr=False)
    context: dict[str, Any] = field(default_factory=dict)
    moments: dict[str, float] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    status: str = ""
    """Of the last response: completed, cancelled, failed, incomplete; empty without one."""
    closed: str = ""
    """How the gateway ended the connection, where it did before we had what we wanted."""

    @property
    def was_answered(self) -> bool:
        """Whether an answer came whole: words or sound, and `completed`."""
        return self.status == "completed" and bool(self.answer or self.audio)

    def latency_ms(self) -> dict[str, float]:
        """Each latency whose two moments came."""
        return {
            name: round((self.moments[last] - self.moments[first]) * 1000, 1)
            for name, (first, last) in LATENCIES.items()
            if first in self.moments and last in self.moments
        }

    def as_json(self) -> dict[str, Any]:
        """What `voice-trio call --json` prints."""
        context = {name: self.context.get(name) for name in ("outcome", "waited_ms", "passages")}
        return {
            "transcript": self.transcript.strip(),
            "answer": self.answer.strip(),
            "context": context,
            "latency_ms": self.latency_ms(),
            "status": self.status,
            "errors": self.errors,
        }


async def talk(voice: VoiceConnection, pcm: bytes, *, on_event: Callable[[Report], None] | None = None) -> Report:
    """Play `pcm`, then silence, until the answer is whole; `on_event` sees the report grow.

    Ends without an answer when none began within 30 s of the recording's end, or when the gateway closes. Where the
    recording makes several turns, the report is of the last.
    """
    listener = _Listener(voice, on_event or (lambda report: None))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_speak, voice, pcm, listener)
        await listener.listen()
        nursery.cancel_scope.cancel(reason="answered")
    return listener.report


class _Listener:
    def __init__(self, voice: VoiceConnection, on_event: Callable[[Report], None]) -> None:
        self.report = Report()
        self.began_at = trio.current_time()
        self.has_spoken = False
        self.scope = trio.CancelScope()
        self._voice = voice
        self._on_event = on_event
        self._audio = bytearray()
        self._sound_ended: float | None = None
        self._is_transcribed = False
        self._has_said_so = False

    def sound_ended(self, seconds: float) -> None:
        """Where the recording's last loud sample is, on the report's clock."""
        self._sound_ended = seconds

    async def listen(self) -> None:
        with self.scope:
            async for event in self._voice:
                self._take(event)
                self._on_event(self.report)
                await self._say_that_it_plays(event)
                if self.has_spoken and self.is_complete:
                    if self._is_transcribed:
                        break
                    self.scope.deadline = min(self.scope.deadline, trio.current_time() + TRANSCRIPT_SECONDS_MAX)
            else:
                self.report.closed = str(self._voice.closed or "")
        self.report.audio = bytes(self._audio)
        if self._sound_ended is not None:
            self.report.moments["sound_ended"] = self._sound_ended

    def _take(self, event: dict[str, Any]) -> None:
        kind = str(event.get("type", ""))
        if kind == "input_audio_buffer.speech_started":
            self._begin_turn()
        if kind in MOMENTS:
            self.report.moments.setdefault(MOMENTS[kind], trio.current_time() - self.began_at)
        match kind:
            case "conversation.item.input_audio_transcription.delta":
                self.report.transcript += event.get("delta", "")
            case "conversation.item.input_audio_transcription.completed":
                self.report.transcript = event.get("transcript", "")
                self._is_transcribed = True
            case "context.injected":
                self.report.context = event
            case "response.audio_transcript.delta":
                self.report.answer += event.get("delta", "")
            case "response.audio_transcript.done":
                self.report.answer = event.get("transcript", "") or self.report.answer
            case "response.audio.delta":
                self._audio += pybase64.b64decode(event.get("delta", ""))
                self.scope.deadline = trio.current_time() + ANSWER_ENDS_SECONDS_MAX
            case "response.done":
                self.report.status = str(event.get("status", ""))
            case "playback.flush":
                self._audio.clear()
            case "error":
                self.report.errors.append(event.get("error") or {})

    async def _say_that_it_plays(self, event: dict[str, Any]) -> None:
        """Nobody listens here: it plays without a pause from now, as the gateway's clock has it. Once is enough.

        Who never says so is sent the answer no faster than it would play.
        """
        if event.get("type") == "response.audio.delta" and not self._has_said_so:
            self._has_said_so = True
            with suppress(LinkClosed):  # the next event tells
                await self._voice.report_position(str(event.get("item_id", "")), 0.0)

    def _begin_turn(self) -> None:
        errors = self.report.errors
        self.report = Report(errors=errors)
        self._audio.clear()
        self._is_transcribed = False

    @property
    def is_complete(self) -> bool:
        """Whether the turn has its answer. One that was cut short belongs to a turn that goes on."""
        return self.report.status not in ("", "cancelled")


async def _speak(voice: VoiceConnection, pcm: bytes, listener: _Listener) -> None:
    with suppress(LinkClosed):  # the listener sees it too, and says so
        await _play(voice, pcm, listener)


async def _play(voice: VoiceConnection, pcm: bytes, listener: _Listener) -> None:
    size = FRAME_MS * BYTES_PER_MS
    began_at = listener.began_at = trio.current_time()
    listener.sound_ended(end_of_sound_ms(pcm) / 1000)
    number = 0
    for start in range(0, len(pcm), size):
        # As a microphone: a frame is complete when its last sample was.
        number += 1
        await trio.sleep_until(began_at + number * FRAME_MS / 1000)
        await voice.send_audio(pcm[start : start + size].ljust(size, b"\0"))
    listener.has_spoken = True
    # Where the recording ends in silence, the answer may have been quicker.
    patience = 0.0 if listener.is_complete else ANSWER_SECONDS_MAX
    listener.scope.deadline = trio.current_time() + patience
    while True:
        number += 1
        await trio.sleep_until(began_at + number * FRAME_MS / 1000)
        await voice.send_audio(SILENCE)
