"""Server events as a Realtime server writes them: all of the GA interface that concerns speech, text and functions.

`write_event` adds the `event_id`. Fields that the API shows as null are required here, the others left out when `None`.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from voice_trio.protocols.realtime.items import Item
from voice_trio.protocols.realtime.sessions import Session

ResponseStatus: TypeAlias = Literal["in_progress", "completed", "cancelled", "failed", "incomplete"]


class ServerEvent(msgspec.Struct, tag_field="type", omit_defaults=True, kw_only=True):
    """One thing a server says."""


def write_event(event: ServerEvent, event_id: str) -> str:
    """The frame; `event_id` is the server's own count of its events."""
    # Pasted in front: each event is encoded once, whoever counts them.
    return f'{{"event_id":"{event_id}",{msgspec.json.encode(event)[1:].decode()}'


class SessionCreated(ServerEvent, tag="session.created"):
    session: Session


class SessionUpdated(ServerEvent, tag="session.updated"):
    session: Session


class Trouble(msgspec.Struct, omit_defaults=True, kw_only=True):
    """`code`, `param` and the client's `event_id` say what an error is about, as far as that is known."""

    message: str
    type: str = "invalid_request_error"
    code: str | None = None
    param: str | None = None
    event_id: str | None = None


class Error(ServerEvent, tag="error"):
    error: dict[str, Any]


def error_event(trouble: Trouble) -> Error:
    """An `error` event with all five fields, as the API sends them."""
    return Error(error={name: getattr(trouble, name) for name in ("type", "code", "message", "param", "event_id")})


class SpeechStarted(ServerEvent, tag="input_audio_buffer.speech_started"):
    item_id: str
    audio_start_ms: int


class SpeechStopped(ServerEvent, tag="input_audio_buffer.speech_stopped"):
    item_id: str
    audio_end_ms: int


class BufferCommitted(ServerEvent, tag="input_audio_buffer.committed"):
    item_id: str
    previous_item_id: str | None


class BufferCleared(ServerEvent, tag="input_audio_buffer.cleared"):
    pass


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


class ItemTruncated(ServerEvent, tag="conversation.item.truncated"):
    item_id: str
    content_index: int
    audio_end_ms: int


class TranscriptionDelta(ServerEvent, tag="conversation.item.input_audio_transcription.delta"):
    item_id: str
    content_index: int
    delta: str


class TranscriptionCompleted(ServerEvent, tag="conversation.item.input_audio_transcription.completed"):
    item_id: str
    content_index: int
    transcript: str
    usage: dict[str, Any]


class TranscriptionFailed(ServerEvent, tag="conversation.item.input_audio_transcription.failed"):
    item_id: str
    content_index: int
    error: Trouble


class Response(msgspec.Struct, kw_only=True):
    """A response as `response.created` and `response.done` show it."""

    id: str
    object: Literal["realtime.response"] = "realtime.response"
    status: ResponseStatus = "in_progress"
    status_details: dict[str, Any] | None = None
    output: list[Item] = msgspec.field(default_factory=list)
    conversation_id: str | None = None
    output_modalities: list[str] = msgspec.field(default_factory=lambda: ["audio"])
    max_output_tokens: int | str = "inf"
    audio: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None


class ResponseCreated(ServerEvent, tag="response.created"):
    response: Response


class ResponseDone(ServerEvent, tag="response.done"):
    response: Response


class OutputItemAdded(ServerEvent, tag="response.output_item.added"):
    response_id: str
    output_index: int
    item: Item


class OutputItemDone(ServerEvent, tag="response.output_item.done"):
    response_id: str
    output_index: int
    item: Item


class ContentPart(msgspec.Struct, omit_defaults=True, kw_only=True):
    type: Literal["text", "audio"]
    text: str | None = None
    transcript: str | None = None


class _OfContent(ServerEvent):
    response_id: str
    item_id: str
    output_index: int
    content_index: int


class ContentPartAdded(_OfContent, tag="response.content_part.added"):
    part: ContentPart


class ContentPartDone(_OfContent, tag="response.content_part.done"):
    part: ContentPart


class AudioDelta(_OfContent, tag="response.output_audio.delta"):
    delta: str


class AudioDone(_OfContent, tag="response.output_audio.done"):
    pass


class AudioTranscriptDelta(_OfContent, tag="response.output_audio_transcript.delta"):
    delta: str


class AudioTranscriptDone(_OfContent, tag="response.output_audio_transcript.done"):
    transcript: str


class TextDelta(_OfContent, tag="response.output_text.delta"):
    delta: str


class TextDone(_OfContent, tag="response.output_text.done"):
    text: str


class _OfCall(ServerEvent):
    response_id: str
    item_id: str
    output_index: int
    call_id: str


class ArgumentsDelta(_OfCall, tag="response.function_call_arguments.delta"):
    delta: str


class ArgumentsDone(_OfCall, tag="response.function_call_arguments.done"):
    name: str
    arguments: str


class RateLimitsUpdated(ServerEvent, tag="rate_limits.updated"):
    rate_limits: list[dict[str, Any]]
