"""An embedded session without trio: the test plays the client and the engines, and reads what comes of it.

Every frame is checked against the types that OpenAI publishes, by the way.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from openai.types.realtime import RealtimeServerEvent
from openai.types.realtime.realtime_session_create_request import RealtimeSessionCreateRequest
from openai.types.realtime.realtime_transcription_session_create_response import (
    RealtimeTranscriptionSessionCreateResponse,
)
from pydantic import TypeAdapter

from tests.support.fake_engines import FakeVoiceActivity
from voice_trio.embedded.commands import Output, RecognizeAudio, StartRecognition, Synthesize
from voice_trio.embedded.session import EmbeddedConfig, EmbeddedSession
from voice_trio.protocols.audio import encode_audio

if TYPE_CHECKING:
    from voice_trio.embedded.commands import Command

PUBLISHED: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
AnyCommand = TypeVar("AnyCommand", bound="Command")

CONTEXT = (
    '<context>\n<passage title="Brooding chicks: warmth" source="handbook 1">The brooder should be 32 to 35 degrees '
    "Celsius in the first week. Chicks that are cold huddle.</passage>\n</context>"
)


def check(frame: str) -> dict[str, Any]:
    """The event, which the published types must accept; sessions strictly, field by field."""
    event = PUBLISHED.validate_json(frame)
    assert event.event_id
    if "session" in (shown := json.loads(frame)):
        kind: Any = RealtimeSessionCreateRequest
        if shown["session"]["type"] == "transcription":
            kind = RealtimeTranscriptionSessionCreateResponse
        kind.model_validate(shown["session"])
    return dict(shown)


class SessionDriver:
    def __init__(self, *, transcription: bool = False, deaf: bool = False, session: Any = None) -> None:
        config = EmbeddedConfig("t", 1_800_000_000, transcription=transcription, missing="Install voice-trio[local].")
        activity = None if deaf else FakeVoiceActivity()
        self.now = 0.0
        self.events: list[dict[str, Any]] = []
        self.commands: list[Command] = []
        self.session = EmbeddedSession(config, activity, ("alloy", "marin", "cedar"), self.now)
        self.take(self.session.begin())
        if session is not None:
            self.send("session.update", session={"type": "realtime", **session})
        self.fresh()

    # The client

    def send(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """One event from the client; returns what it led to."""
        return self.take(self.session.receive(json.dumps({"type": kind, **fields}), self.now))

    def append(self, pcm: bytes, piece_ms: int = 100) -> list[dict[str, Any]]:
        pieces = [pcm[at : at + piece_ms * 48] for at in range(0, len(pcm), piece_ms * 48)]
        return [
            event for piece in pieces for event in self.send("input_audio_buffer.append", audio=encode_audio(piece))
        ]

    def say_in_text(self, text: str, role: str = "user", **place: Any) -> str:
        content = [{"type": "output_text" if role == "assistant" else "input_text", "text": text}]
        item = {"type": "message", "role": role, "content": content}
        return str(self.send("conversation.item.create", item=item, **place)[0]["item"]["id"])

    # The engines and time

    def words(self, delta: str, recognition_id: int | None = None) -> list[dict[str, Any]]:
        return self.take(
            self.session.words_recognized(recognition_id or self.last(StartRecognition).recognition_id, delta)
        )

    def heard(self, text: str, recognition_id: int | None = None) -> list[dict[str, Any]]:
        return self.take(
            self.session.speech_recognized(recognition_id or self.last(StartRecognition).recognition_id, text)
        )

    def unheard(self, message: str) -> list[dict[str, Any]]:
        return self.take(self.session.recognition_failed(self.last(StartRecognition).recognition_id, message))

    def say(self, text: str, duration_ms: int = 100) -> list[dict[str, Any]]:
        speak = self.last(Synthesize)
        return self.take(self.session.chunk_synthesized(speak.response_id, text, bytes(48 * duration_ms)))

    def finish(self) -> list[dict[str, Any]]:
        return self.take(self.session.synthesis_finished(self.last(Synthesize).response_id))

    def wait(self, seconds: float) -> list[dict[str, Any]]:
        self.now += seconds
        return self.take(self.session.on_time(self.now))

    # What came of it

    def take(self, outputs: list[Output]) -> list[dict[str, Any]]:
        events = [check(output) for output in outputs if isinstance(output, str)]
        self.events += events
        self.commands += [output for output in outputs if not isinstance(output, str)]
        return events

    def fresh(self) -> list[str]:
        """The types of all events since the last time, in order."""
        kinds = [str(event["type"]) for event in self.events]
        self.events.clear()
        return kinds

    def last(self, kind: type[AnyCommand]) -> AnyCommand:
        return next(command for command in reversed(self.commands) if isinstance(command, kind))

    def heard_bytes(self) -> int:
        return sum(len(command.pcm) for command in self.commands if isinstance(command, RecognizeAudio))


def only(events: list[dict[str, Any]]) -> dict[str, Any]:
    assert len(events) == 1, [event["type"] for event in events]
    return events[0]


def error_in(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The one event there is, which must be an error."""
    event = only(events)
    assert event["type"] == "error", event
    return dict(event["error"])
