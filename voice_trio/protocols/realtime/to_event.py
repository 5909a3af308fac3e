"""Server events by type, each with what it means to a conversation. Fields nobody acts upon are not decoded.

Optional here is whatever some server leaves out or sends as null; what a conversation cannot do without is required.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from voice_trio.conversation import events
from voice_trio.protocols.audio import BYTES_PER_MS, decode_audio
from voice_trio.protocols.realtime.session_state import Named, SessionState, read_session


class Wire(msgspec.Struct, tag_field="type"):
    def meaning(self, wire: str) -> events.UpstreamEvent | SessionState:
        raise NotImplementedError


class SpeechStarted(Wire, tag="input_audio_buffer.speech_started"):
    item_id: str
    audio_start_ms: float = 0

    def meaning(self, wire: str) -> events.SpeechStarted:
        return events.SpeechStarted(self.item_id, int(self.audio_start_ms), wire=wire)


class SpeechStopped(Wire, tag="input_audio_buffer.speech_stopped"):
    item_id: str
    audio_end_ms: float = 0

    def meaning(self, wire: str) -> events.SpeechStopped:
        return events.SpeechStopped(self.item_id, int(self.audio_end_ms), wire=wire)


class Committed(Wire, tag="input_audio_buffer.committed"):
    item_id: str
    previous_item_id: str | None = None

    def meaning(self, wire: str) -> events.SpeechCommitted:
        return events.SpeechCommitted(self.item_id, self.previous_item_id, wire=wire)


class TranscriptDelta(Wire, tag="conversation.item.input_audio_transcription.delta"):
    item_id: str
    delta: str | None = None
    content_index: int | None = None

    def meaning(self, wire: str) -> events.TranscriptDelta:
        return events.TranscriptDelta(self.item_id, self.delta or "", self.content_index or 0, wire=wire)


class TranscriptCompleted(Wire, tag="conversation.item.input_audio_transcription.completed"):
    item_id: str
    transcript: str
    usage: dict[str, Any] | None = None
    content_index: int | None = None

    def meaning(self, wire: str) -> events.TranscriptCompleted:
        return events.TranscriptCompleted(self.item_id, self.transcript, self.usage, self.content_index or 0, wire=wire)


class Trouble(msgspec.Struct):
    type: str | None = None
    code: str | None = None
    message: str | None = None
    event_id: str | None = None
    param: str | None = None

    @property
    def name(self) -> str:
        return self.code or self.type or "unknown"


class TranscriptFailed(Wire, tag="conversation.item.input_audio_transcription.failed"):
    item_id: str
    error: Trouble | None = None

    def meaning(self, wire: str) -> events.TranscriptFailed:
        error = self.error or Trouble()
        return events.TranscriptFailed(self.item_id, error.name, error.message or "", wire=wire)


class StatusDetails(msgspec.Struct):
    reason: str | None = None
    error: Trouble | None = None


class Response(msgspec.Struct):
    id: str
    status: str | None = None
    status_details: StatusDetails | None = None
    metadata: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None


class ResponseCreated(Wire, tag="response.created"):
    response: Response

    def meaning(self, wire: str) -> events.ResponseCreated:
        return events.ResponseCreated(self.response.id, self.response.metadata or {}, wire=wire)


class ResponseDone(Wire, tag="response.done"):
    response: Response

    def meaning(self, wire: str) -> events.ResponseDone:
        details = self.response.status_details or StatusDetails()
        return events.ResponseDone(
            self.response.id,
            self.response.status or "completed",
            details.reason or "",
            details.error.name if details.error else "",
            self.response.usage,
            wire=wire,
        )


class OutputItemAdded(Wire, tag="response.output_item.added"):
    response_id: str
    item: Named

    def meaning(self, wire: str) -> events.OutputItemAdded:
        return events.OutputItemAdded(self.response_id, self.item.id, self.item.type or "message", wire=wire)


class AudioDelta(Wire, tag="response.output_audio.delta"):
    response_id: str
    item_id: str
    delta: str

    def meaning(self, wire: str) -> events.ResponseAudioDelta:
        # Checked here because it will be written into another frame without being escaped.
        duration_ms = len(decode_audio(self.delta)) / BYTES_PER_MS
        return events.ResponseAudioDelta(self.response_id, self.item_id, self.delta, duration_ms, wire=wire)


class AudioDone(Wire, tag="response.output_audio.done"):
    response_id: str
    item_id: str

    def meaning(self, wire: str) -> events.ResponseAudioDone:
        return events.ResponseAudioDone(self.response_id, self.item_id, wire=wire)


class SaidDelta(Wire, tag="response.output_audio_transcript.delta"):
    response_id: str
    item_id: str
    delta: str

    def meaning(self, wire: str) -> events.ResponseTranscriptDelta:
        return events.ResponseTranscriptDelta(self.response_id, self.item_id, self.delta, wire=wire)


class WrittenDelta(SaidDelta, tag="response.output_text.delta"):
    pass


class SaidDone(Wire, tag="response.output_audio_transcript.done"):
    response_id: str
    item_id: str
    transcript: str

    def meaning(self, wire: str) -> events.ResponseTranscriptDone:
        return events.ResponseTranscriptDone(self.response_id, self.item_id, self.transcript, wire=wire)


class WrittenDone(Wire, tag="response.output_text.done"):
    response_id: str
    item_id: str
    text: str

    def meaning(self, wire: str) -> events.ResponseTranscriptDone:
        return events.ResponseTranscriptDone(self.response_id, self.item_id, self.text, wire=wire)


class FunctionCalled(Wire, tag="response.function_call_arguments.done"):
    response_id: str
    item_id: str
    call_id: str
    arguments: str
    name: str = ""

    def meaning(self, wire: str) -> events.FunctionCalled:
        return events.FunctionCalled(self.response_id, self.item_id, self.call_id, self.name, self.arguments, wire=wire)


class Error(Wire, tag="error"):
    error: Trouble

    def meaning(self, wire: str) -> events.UpstreamError:
        error = self.error
        return events.UpstreamError(error.name, error.message or "", error.event_id, error.param or "", wire=wire)


class Cleared(Wire, tag="input_audio_buffer.cleared"):
    def meaning(self, wire: str) -> events.AudioCleared:
        return events.AudioCleared(wire=wire)


class ItemTruncated(Wire, tag="conversation.item.truncated"):
    item_id: str

    def meaning(self, wire: str) -> events.ItemTruncated:
        return events.ItemTruncated(self.item_id, wire=wire)


class ItemDeleted(Wire, tag="conversation.item.deleted"):
    item_id: str

    def meaning(self, wire: str) -> events.ItemDeleted:
        return events.ItemDeleted(self.item_id, wire=wire)


class SessionCreated(Wire, tag="session.created"):
    session: msgspec.Raw

    def meaning(self, wire: str) -> SessionState:
        return read_session("session.created", self.session, wire)


class SessionUpdated(Wire, tag="session.updated"):
    session: msgspec.Raw

    def meaning(self, wire: str) -> SessionState:
        return read_session("session.updated", self.session, wire)


KnownEvent: TypeAlias = (
    SpeechStarted
    | SpeechStopped
    | Committed
    | TranscriptDelta
    | TranscriptCompleted
    | TranscriptFailed
    | ResponseCreated
    | ResponseDone
    | OutputItemAdded
    | AudioDelta
    | AudioDone
    | SaidDelta
    | WrittenDelta
    | SaidDone
    | WrittenDone
    | FunctionCalled
    | Error
    | Cleared
    | ItemTruncated
    | ItemDeleted
    | SessionCreated
    | SessionUpdated
)
