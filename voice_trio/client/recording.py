"""Plays a recording to a gateway in real time, as a microphone would, and reports the events with their times."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pybase64
import trio

from voice_trio.client.sounds import BYTES_PER_MS, end_of_sound_ms
from voice_trio.client.turns import Turns
from voice_trio.errors import LinkClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.client.connection import VoiceConnection
    from voice_trio.client.turns import Report

FRAME_MS = 40
SILENCE = bytes(FRAME_MS * BYTES_PER_MS)
ANSWER_SECONDS_MAX = 30.0  # from the end of the recording to the first sound of an answer
ANSWER_ENDS_SECONDS_MAX = 300.0
TRANSCRIPT_SECONDS_MAX = 2.0  # for the full text of what was said, which may come after a short answer


async def talk(voice: VoiceConnection, pcm: bytes, *, on_event: Callable[[Report], None] | None = None) -> Report:
    """Send a recording in real time, then silence until the response is complete. Returns the report of the last turn.

    `pcm` is 16-bit little-endian mono at 24 kHz. `on_event` is called after every event with the report so far; it must
    not block.

    Returns without a response if none has begun 30 s after the end of the recording, or if the gateway closes the
    connection; see `Report.was_answered` and `Report.closed`. Raises nothing of its own. If it is cancelled in the
    middle of a send, the connection cannot be used afterwards.
    """
    listener = _Listener(voice, on_event or (lambda report: None))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_speak, voice, pcm, listener)
        await listener.listen()
        nursery.cancel_scope.cancel(reason="answered")
    return listener.report


class _Listener:
    def __init__(self, voice: VoiceConnection, on_event: Callable[[Report], None]) -> None:
        self.began_at = trio.current_time()
        self.has_spoken = False
        self.scope = trio.CancelScope()
        self._voice = voice
        self._on_event = on_event
        self._audio = bytearray()
        self._sound_ended: float | None = None
        self._turns = Turns()
        self._has_reported = False

    @property
    def report(self) -> Report:
        return self._turns.report

    def sound_ended(self, seconds: float) -> None:
        """Where the recording's last loud sample is, on the report's clock."""
        self._sound_ended = seconds

    async def listen(self) -> None:
        with self.scope:
            async for event in self._voice:
                self._take(event)
                self._on_event(self.report)
                await self._report_playback(event)
                if self.has_spoken and self.is_complete:
                    if self._turns.is_transcribed:
                        break
                    self.scope.deadline = min(self.scope.deadline, trio.current_time() + TRANSCRIPT_SECONDS_MAX)
            else:
                self.report.closed = str(self._voice.closed or "")
        self.report.audio = bytes(self._audio)
        if self._sound_ended is not None:
            self.report.timestamps["sound_ended"] = self._sound_ended

    def _take(self, event: dict[str, Any]) -> None:
        kind, errors = event.get("type"), self.report.errors
        self._turns.take(event, trio.current_time() - self.began_at)
        match kind:
            case "input_audio_buffer.speech_started":
                self._turns.report.errors = errors  # the report lists the errors of the whole recording
                self._audio.clear()
            case "response.audio.delta":
                self._audio += pybase64.b64decode(event.get("delta", ""))
                self.scope.deadline = trio.current_time() + ANSWER_ENDS_SECONDS_MAX
            case "playback.flush":
                self._audio.clear()

    async def _report_playback(self, event: dict[str, Any]) -> None:
        """Report playback once: the response counts as played without a pause from now on.

        A client that never reports receives audio only as fast as it plays.
        """
        if event.get("type") == "response.audio.delta" and not self._has_reported:
            self._has_reported = True
            with suppress(LinkClosed):  # the iteration then ends
                await self._voice.report_position(str(event.get("item_id", "")), 0.0)

    @property
    def is_complete(self) -> bool:
        """Whether the turn has its answer. One that was cut short belongs to a turn that goes on."""
        return self.report.status not in ("", "cancelled") and not self._turns.goes_on


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
