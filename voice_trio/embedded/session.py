"""The server's side of one connection, without a network, a clock or speech engines. Pure.

    frames ──► EmbeddedSession ──► ServerSession (items, responses, refusals)
                   │
                   ├──► InputBuffer (where speech is) ──► Utterances (its transcripts) ──► commands
                   └──► Answers (what responses say) ──► frames, commands

Frames come in with their times; frames for the client and commands for the engines go out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_trio.embedded.answers import Answers
from voice_trio.embedded.commands import CloseConnection, OutputList
from voice_trio.embedded.input_buffer import InputBuffer
from voice_trio.embedded.utterances import Utterances
from voice_trio.errors import InvalidEvent
from voice_trio.protocols.audio import decode_audio
from voice_trio.protocols.realtime import input_events, server_events, sessions
from voice_trio.protocols.realtime_server.session import ServerSession
from voice_trio.protocols.realtime_server.session_object import DEFAULT_VOICE, SessionObject

if TYPE_CHECKING:
    from collections.abc import Collection

    from voice_trio.embedded.commands import Output
    from voice_trio.protocols.realtime.items import Item
    from voice_trio.protocols.realtime_server.response import ServerResponse
    from voice_trio.speech.detector import VoiceActivityDetector

SESSION_SECONDS_MAX = 3600


@dataclass(frozen=True, slots=True)
class EmbeddedConfig:
    """What a session starts with. `unix_time` in seconds; `missing` says why a server cannot recognise speech.

    `tag` is part of every id of the session, so that no other session has the same.
    """

    tag: str
    unix_time: int
    model: str = "voice-trio-embedded"
    transcription: bool = False
    missing: str = ""


class EmbeddedSession:
    """All methods return frames and commands, in order. Times are seconds on one monotonic clock."""

    def __init__(
        self, config: EmbeddedConfig, activity: VoiceActivityDetector | None, voices: Collection[str], now: float
    ) -> None:
        self._out = OutputList(config.tag)
        session = SessionObject(_new_session(config, self._out.new_id("sess")), voices)
        self._server = ServerSession(self._out, self, session, self._out.new_id("conv"))
        self._utterances = Utterances(self._out, self._server)
        self._answers = Answers(self._out, self._server, self._utterances)
        self._buffer = InputBuffer(self._out, self._server, self._utterances, activity, config.missing)
        self._ends_at = now + SESSION_SECONDS_MAX
        self._now = now

    @property
    def deadline(self) -> float:
        """When `on_time` must be called, at the latest."""
        due = self._answers.deadline
        return self._ends_at if due is None else min(due, self._ends_at)

    def begin(self) -> list[Output]:
        self._server.begin()
        return self._out.take()

    @property
    def is_behind(self) -> bool:
        """Whether the last frame brought more audio than was processed: call `catch_up` before the next frame."""
        return self._buffer.is_behind

    def catch_up(self, now: float) -> list[Output]:
        """Process the next stretch of the audio that the last frame brought."""
        self._now = now
        self._buffer.catch_up()
        return self._out.take()

    def receive(self, frame: str | bytes, now: float) -> list[Output]:
        """One frame from the client."""
        self._now = now
        while self._buffer.is_behind:
            self._buffer.catch_up()
        self._server.receive(frame)
        return self._out.take()

    def on_time(self, now: float) -> list[Output]:
        """The deadline has come."""
        self._now = now
        self._answers.on_time(now)
        if now >= self._ends_at:
            minutes = SESSION_SECONDS_MAX // 60
            why = f"Your session hit the maximum duration of {minutes} minutes."
            self._server.send_error(InvalidEvent(why, code="session_expired"))
            self._out.add(CloseConnection(1001, why))
            self._ends_at = math.inf
        return self._out.take()

    # What the engines report

    def words_recognized(self, recognition_id: int, delta: str) -> list[Output]:
        """Words became stable while the user may still be speaking."""
        self._utterances.words_recognized(recognition_id, delta)
        return self._out.take()

    def speech_recognized(self, recognition_id: int, text: str) -> list[Output]:
        """A stretch of speech was recognised to its end."""
        return self._after_recognition(self._utterances.speech_recognized(recognition_id, text))

    def recognition_failed(self, recognition_id: int, message: str) -> list[Output]:
        """No recognizer was free, or recognition failed."""
        trouble = input_events.ErrorDetails(message=message, type="server_error", code="ears_unavailable")
        return self._after_recognition(self._utterances.recognition_failed(recognition_id, trouble))

    def _after_recognition(self, item_id: str | None) -> list[Output]:
        if item_id is not None:
            self._answers.transcript_final(item_id)
        return self._out.take()

    def chunk_synthesized(self, response_id: str, text: str, pcm: bytes) -> list[Output]:
        """The next piece of a response's speech is there."""
        self._answers.chunk_synthesized(response_id, text, pcm)
        return self._out.take()

    def synthesis_finished(self, response_id: str) -> list[Output]:
        """A response was synthesised to its end."""
        if response := self._server.responses.get(response_id):
            self._server.responses.end(response)
        return self._out.take()

    def synthesis_failed(self, response_id: str, message: str) -> list[Output]:
        """A response cannot be synthesised, or not to its end."""
        if response := self._server.responses.get(response_id):
            error = input_events.ErrorDetails(type="server_error", code="speech_failed", message=message)
            details = server_events.StatusDetails(type="failed", error=error)
            self._server.responses.end(response, "failed", details)
        return self._out.take()

    # What the shared session asks of its host

    @property
    def uncommitted_ms(self) -> float:
        return self._buffer.uncommitted_ms

    def audio_appended(self, audio: str) -> None:
        self._buffer.append(decode_audio(audio))

    def audio_committed(self) -> None:
        self._buffer.commit_by_client()

    def audio_cleared(self) -> None:
        self._buffer.clear()

    def session_changing(self, changed: sessions.Session) -> None:
        self._buffer.tune(sessions.turn_detection_of(changed))

    def item_created(self, item: Item, pcm: bytes) -> None:
        if pcm and item.role == "user" and not item.text and self._buffer.can_hear:
            # Recognised for the answer only: the API transcribes what comes through the buffer, not what is created.
            self._utterances.recognize_item(item, pcm)

    def item_deleted(self, item_id: str) -> None:
        self._utterances.forget(item_id)

    def generate(self, response: ServerResponse) -> None:
        self._answers.generate(response, self._now)

    def cut(self, response: ServerResponse, reason: str) -> None:
        self._answers.cut(response, reason)


def _new_session(config: EmbeddedConfig, session_id: str) -> sessions.Session:
    expires_at = config.unix_time + SESSION_SECONDS_MAX
    if config.transcription:
        return sessions.new_transcription_session(session_id, expires_at)
    return sessions.new_session(session_id, config.model, expires_at, voice=DEFAULT_VOICE)
