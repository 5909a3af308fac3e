"""Server events of responses, one struct each, read and written; and how a server event of any kind is.

`read_event` is for a client of a Realtime server, which the gateway is; `write_event` for the embedded server and the
scripted model. Source: OpenAI's reference of Realtime server events (GA interface).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import msgspec

from voice_trio.conversation import events
from voice_trio.errors import BadMessage
from voice_trio.protocols import json_text
from voice_trio.protocols.audio import BYTES_PER_MS, decode_audio
from voice_trio.protocols.realtime.input_events import (
    ErrorDetails,
    InputEvent,
    ServerEvent,
    WriteOnly,
    read_usage,
)
from voice_trio.protocols.realtime.items import Item
from voice_trio.protocols.realtime.second_reading import SecondReader

if TYPE_CHECKING:
    from voice_trio.protocols.realtime.sessions import SessionState

ResponseStatus: TypeAlias = Literal["in_progress", "completed", "cancelled", "failed", "incomplete"]


def write_event(event: ServerEvent, event_id: str) -> str:
    """The frame of `event`; `event_id` is the server's own number for it."""
    return f'{{"event_id":"{event_id}",{msgspec.json.encode(event)[1:].decode()}'


def read_event(frame: str | bytes) -> events.UpstreamEvent | SessionState:
    """One frame of an upstream, kept with the event as its `wire`. A type without meaning to a conversation becomes
    `OtherUpstreamEvent`. What ends something is understood from whatever of it can be read; its `wire` is "" if there
    is nothing to pass on. Raises `BadMessage` for what is no event, or lacks a field that its type promises."""
    try:
        wire = frame if isinstance(frame, str) else frame.decode()
        return _decoder.decode(wire).to_event(wire)
    except json_text.UNREADABLE:
        return _read_again(frame)


class _OfContent(ServerEvent):
    response_id: str
    item_id: str
    output_index: WriteOnly[int | None] = None
    content_index: WriteOnly[int | None] = None


class AudioDelta(_OfContent, tag="response.output_audio.delta", kw_only=True):
    delta: str

    def to_event(self, wire: str) -> events.ResponseAudioDelta:
        # Decoded to check it: the voice protocol's writer splices this text into a frame without escaping.
        duration_ms = len(decode_audio(self.delta)) / BYTES_PER_MS
        return events.ResponseAudioDelta(self.response_id, self.item_id, self.delta, duration_ms, wire=wire)


class AudioDone(_OfContent, tag="response.output_audio.done"):
    def to_event(self, wire: str) -> events.ResponseAudioDone:
        return events.ResponseAudioDone(self.response_id, self.item_id, wire=wire)


class _WordsDelta(_OfContent, kw_only=True):
    delta: str

    def to_event(self, wire: str) -> events.ResponseTranscriptDelta:
        return events.ResponseTranscriptDelta(self.response_id, self.item_id, self.delta, wire=wire)


class AudioTranscriptDelta(_WordsDelta, tag="response.output_audio_transcript.delta", kw_only=True):
    pass


class TextDelta(_WordsDelta, tag="response.output_text.delta", kw_only=True):
    pass


class AudioTranscriptDone(_OfContent, tag="response.output_audio_transcript.done", kw_only=True):
    transcript: str

    def to_event(self, wire: str) -> events.ResponseTranscriptDone:
        return events.ResponseTranscriptDone(self.response_id, self.item_id, self.transcript, wire=wire)


class TextDone(_OfContent, tag="response.output_text.done", kw_only=True):
    text: str

    def to_event(self, wire: str) -> events.ResponseTranscriptDone:
        return events.ResponseTranscriptDone(self.response_id, self.item_id, self.text, wire=wire)


class ContentPart(msgspec.Struct, omit_defaults=True, kw_only=True):
    type: Literal["text", "audio"]
    text: str | None = None
    transcript: str | None = None


class ContentPartAdded(_OfContent, tag="response.content_part.added", kw_only=True):
    part: ContentPart


class ContentPartDone(_OfContent, tag="response.content_part.done", kw_only=True):
    part: ContentPart


class StatusDetails(msgspec.Struct, omit_defaults=True, kw_only=True):
    """Why a response is not `completed`."""

    type: WriteOnly[str | None] = None
    reason: str | None = None
    error: ErrorDetails | None = None


class Response(msgspec.Struct, kw_only=True):
    """A response as `response.created` and `response.done` show it, with every field of the API, null or not."""

    id: str
    object: WriteOnly[Literal["realtime.response"]] = "realtime.response"
    status: str | None = None
    """A `ResponseStatus`; an upstream may say anything."""
    status_details: StatusDetails | None = None
    output: WriteOnly[list[Item]] = msgspec.field(default_factory=list)
    conversation_id: WriteOnly[str | None] = None
    output_modalities: WriteOnly[list[str]] = msgspec.field(default_factory=lambda: ["audio"])
    max_output_tokens: WriteOnly[int | str] = "inf"
    audio: WriteOnly[dict[str, Any] | None] = None
    usage: Any = None
    """An object; anything else is no usage, and must not cost the event."""
    metadata: dict[str, Any] | None = None


class ResponseCreated(ServerEvent, tag="response.created"):
    response: Response

    def to_event(self, wire: str) -> events.ResponseCreated:
        return events.ResponseCreated(self.response.id, self.response.metadata or {}, wire=wire)


class ResponseDone(ServerEvent, tag="response.done"):
    response: Response

    def to_event(self, wire: str) -> events.ResponseDone:
        response, details = self.response, self.response.status_details or StatusDetails()
        code = details.error.code_or_type if details.error else ""
        status, reason = response.status or "completed", details.reason or ""
        return events.ResponseDone(response.id, status, reason, code, read_usage(response.usage), wire=wire)


class _Id(msgspec.Struct):
    id: str


class _ItemHead(_Id):
    type: str | None = None


class OutputItemAdded(ServerEvent, tag="response.output_item.added", kw_only=True):
    response_id: str
    output_index: WriteOnly[int | None] = None
    item: WriteOnly[Item]

    def to_event(self, wire: str) -> events.OutputItemAdded:
        # Only what is needed of it is checked: an upstream may produce items of kinds that `Item` does not know.
        head = msgspec.convert(self.item, _ItemHead)
        return events.OutputItemAdded(self.response_id, head.id, head.type or "message", wire=wire)


class OutputItemDone(ServerEvent, tag="response.output_item.done"):
    response_id: str
    output_index: int
    item: Item


class _OfCall(ServerEvent, kw_only=True):
    response_id: str
    item_id: str
    output_index: WriteOnly[int | None] = None
    call_id: str


class ArgumentsDelta(_OfCall, tag="response.function_call_arguments.delta", kw_only=True):
    delta: str


class ArgumentsDone(_OfCall, tag="response.function_call_arguments.done", kw_only=True):
    name: str = ""
    arguments: str

    def to_event(self, wire: str) -> events.FunctionCalled:
        arguments = json_text.well_formed(self.arguments)  # JSON in a text, for a function to read
        return events.FunctionCalled(self.response_id, self.item_id, self.call_id, self.name, arguments, wire=wire)


class RateLimitsUpdated(ServerEvent, tag="rate_limits.updated"):
    rate_limits: list[dict[str, Any]]


_Meaningful: TypeAlias = (
    InputEvent
    | ResponseCreated
    | ResponseDone
    | OutputItemAdded
    | AudioDelta
    | AudioDone
    | AudioTranscriptDelta
    | AudioTranscriptDone
    | TextDelta
    | TextDone
    | ArgumentsDone
)


def _read_again(frame: str | bytes) -> events.UpstreamEvent | SessionState:
    """What the decoder refused: an event without meaning to a conversation, or a malformed one."""
    if isinstance(frame, str):
        try:
            envelope = _envelope_decoder.decode(frame)
        except json_text.UNREADABLE:
            pass
        else:
            if envelope.type not in _MEANINGFUL_TYPES:
                return _other_event(envelope.type, envelope.response_id, frame)
    event, wire = _second_reader.read(frame)
    if isinstance(event, dict):
        return _other_event(event["type"], event.get("response_id"), wire)
    try:
        return event.to_event(wire)
    except msgspec.ValidationError as error:
        raise BadMessage(f"the upstream's frame is malformed: {error}") from error


def _other_event(kind: str, response_id: object, wire: str) -> events.OtherUpstreamEvent:
    return events.OtherUpstreamEvent(kind, response_id if isinstance(response_id, str) else "", wire=wire)


class _Envelope(msgspec.Struct):
    type: str
    response_id: Any = None


_decoder: msgspec.json.Decoder[_Meaningful] = msgspec.json.Decoder(_Meaningful)
_envelope_decoder = msgspec.json.Decoder(_Envelope)
_MEANINGFUL_TYPES = frozenset(str(shape.__struct_config__.tag) for shape in get_args(_Meaningful))
_second_reader = SecondReader(_decoder, _Meaningful, _MEANINGFUL_TYPES)
