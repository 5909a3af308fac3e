"""Server events of a session, its input audio, its items and its errors: one struct each, read and written.

Source of names, fields and their order: OpenAI's reference of Realtime server events (GA interface).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import msgspec

from voice_trio.conversation import events
from voice_trio.protocols.realtime.items import Item
from voice_trio.protocols.realtime.sessions import Session, SessionState, read_session

# One struct serves both directions. A server fills in every field. The gateway must read any server that says what a
# conversation needs, whatever else it sends: the fields it acts upon have their real types, every other field is
# `WriteOnly`. To the type checker `WriteOnly[T]` is T; the decoder accepts anything there, and its absence.
if TYPE_CHECKING:
    T = TypeVar("T")
    WriteOnly: TypeAlias = Annotated[T, "not checked by the decoder"]
else:

    class WriteOnly:
        def __class_getitem__(cls, item: object) -> object:
            return Any


class ServerEvent(msgspec.Struct, tag_field="type", omit_defaults=True, kw_only=True):
    """One event of a Realtime server, without its `event_id`. Fields that are `None` by default are left out."""


def read_usage(usage: Any) -> dict[str, Any] | None:
    """The usage of an event; None if it is no object, so that it is estimated."""
    return usage if isinstance(usage, dict) else None


class SessionCreated(ServerEvent, tag="session.created"):
    session: Session

    def to_event(self, wire: str) -> SessionState:
        return read_session("session.created", self.session, wire)


class SessionUpdated(ServerEvent, tag="session.updated"):
    session: Session

    def to_event(self, wire: str) -> SessionState:
        return read_session("session.updated", self.session, wire)


class ErrorDetails(msgspec.Struct, kw_only=True):
    """What went wrong; `event_id` is that of the client's event, where one is to blame. Unset fields are left out."""

    type: str | msgspec.UnsetType | None = msgspec.UNSET
    code: str | msgspec.UnsetType | None = msgspec.UNSET
    message: str | msgspec.UnsetType | None = msgspec.UNSET
    param: str | msgspec.UnsetType | None = msgspec.UNSET
    event_id: str | msgspec.UnsetType | None = msgspec.UNSET

    @property
    def code_or_type(self) -> str:
        return self.code or self.type or "unknown"


class Error(ServerEvent, tag="error"):
    error: ErrorDetails

    def to_event(self, wire: str) -> events.UpstreamError:
        error = self.error
        event_id = None if error.event_id is msgspec.UNSET else error.event_id
        return events.UpstreamError(error.code_or_type, error.message or "", event_id, error.param or "", wire=wire)


def error_event(details: ErrorDetails) -> Error:
    """An `error` event with all five fields, null or not, as the API sends them."""
    return Error(
        error=ErrorDetails(
            type=details.type or "invalid_request_error",
            code=details.code or None,
            message=details.message or "",
            param=details.param or None,
            event_id=details.event_id or None,
        )
    )


class SpeechStarted(ServerEvent, tag="input_audio_buffer.speech_started"):
    item_id: str
    audio_start_ms: float | msgspec.UnsetType = msgspec.UNSET

    def to_event(self, wire: str) -> events.SpeechStarted:
        return events.SpeechStarted(self.item_id, int(self.audio_start_ms or 0), wire=wire)


class SpeechStopped(ServerEvent, tag="input_audio_buffer.speech_stopped"):
    item_id: str
    audio_end_ms: float | msgspec.UnsetType = msgspec.UNSET

    def to_event(self, wire: str) -> events.SpeechStopped:
        return events.SpeechStopped(self.item_id, int(self.audio_end_ms or 0), wire=wire)


class BufferCommitted(ServerEvent, tag="input_audio_buffer.committed"):
    item_id: str
    previous_item_id: str | msgspec.UnsetType | None = msgspec.UNSET

    def to_event(self, wire: str) -> events.SpeechCommitted:
        previous = None if self.previous_item_id is msgspec.UNSET else self.previous_item_id
        return events.SpeechCommitted(self.item_id, previous, wire=wire)


class BufferCleared(ServerEvent, tag="input_audio_buffer.cleared"):
    def to_event(self, wire: str) -> events.AudioCleared:
        return events.AudioCleared(wire=wire)


class ItemAdded(ServerEvent, tag="conversation.item.added"):
    item: Item
    previous_item_id: str | None


class ItemDone(ServerEvent, tag="conversation.item.done"):
    item: Item
    previous_item_id: str | None


class ItemRetrieved(ServerEvent, tag="conversation.item.retrieved"):
    item: Item


class ItemDeleted(ServerEvent, tag="conversation.item.deleted"):
    item_id: str

    def to_event(self, wire: str) -> events.ItemDeleted:
        return events.ItemDeleted(self.item_id, wire=wire)


class ItemTruncated(ServerEvent, tag="conversation.item.truncated"):
    item_id: str
    content_index: WriteOnly[int | None] = None
    audio_end_ms: WriteOnly[int | None] = None

    def to_event(self, wire: str) -> events.ItemTruncated:
        return events.ItemTruncated(self.item_id, wire=wire)


class TranscriptionDelta(ServerEvent, tag="conversation.item.input_audio_transcription.delta"):
    item_id: str
    content_index: int | None = None
    delta: str | None = None

    def to_event(self, wire: str) -> events.TranscriptDelta:
        return events.TranscriptDelta(self.item_id, self.delta or "", self.content_index or 0, wire=wire)


class TranscriptionCompleted(ServerEvent, tag="conversation.item.input_audio_transcription.completed", kw_only=True):
    item_id: str
    content_index: int | None = None
    transcript: str
    usage: Any = None
    """An object; anything else is no usage, and must not cost the event."""

    def to_event(self, wire: str) -> events.TranscriptCompleted:
        usage = read_usage(self.usage)
        return events.TranscriptCompleted(self.item_id, self.transcript, usage, self.content_index or 0, wire=wire)


class TranscriptionFailed(ServerEvent, tag="conversation.item.input_audio_transcription.failed"):
    item_id: str
    content_index: WriteOnly[int | None] = None
    error: ErrorDetails | None = None

    def to_event(self, wire: str) -> events.TranscriptFailed:
        error = self.error or ErrorDetails()
        return events.TranscriptFailed(self.item_id, error.code_or_type, error.message or "", wire=wire)


InputEvent: TypeAlias = (
    SessionCreated
    | SessionUpdated
    | Error
    | SpeechStarted
    | SpeechStopped
    | BufferCommitted
    | BufferCleared
    | ItemDeleted
    | ItemTruncated
    | TranscriptionDelta
    | TranscriptionCompleted
    | TranscriptionFailed
)
"""Those with a meaning to a conversation."""
