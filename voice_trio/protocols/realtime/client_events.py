"""Client events as a Realtime server reads them: all of the GA interface, by OpenAI's Realtime reference.

Unknown fields are ignored. Unknown types and wrong values raise `InvalidEvent`, which names the field.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeAlias, assert_never, get_args

import msgspec
from msgspec import Meta

from voice_trio.errors import BadMessage, InvalidEvent
from voice_trio.protocols import json_text
from voice_trio.protocols.audio import decode_audio
from voice_trio.protocols.realtime.items import Item, fault
from voice_trio.protocols.realtime.sessions import (
    AudioFormat,
    Modalities,
    OutputTokens,
    RealtimeShape,
    Reasoning,
    TranscriptionShape,
    VoiceId,
)

DEPTH_MAX = 100
"""Of JSON values that are forwarded as they are; schemas of functions need a few dozen levels at most."""


class _Event(msgspec.Struct, tag_field="type", kw_only=True):
    event_id: str | None = None


class UpdateSession(_Event, tag="session.update"):
    """`session` has been checked against the API's shape and is kept as JSON values, for `sessions.merged`."""

    session: dict[str, Any]


class AppendAudio(_Event, tag="input_audio_buffer.append"):
    """`audio` is valid base64."""

    audio: str


class CommitAudio(_Event, tag="input_audio_buffer.commit"):
    pass


class ClearAudio(_Event, tag="input_audio_buffer.clear"):
    pass


class ClearOutput(_Event, tag="output_audio_buffer.clear"):
    """For WebRTC and SIP; on a WebSocket the client holds the buffer itself."""


class CreateItem(_Event, tag="conversation.item.create"):
    """`previous_item_id` of `root` means the front, none means the end."""

    item: Item
    previous_item_id: str | None = None


class RetrieveItem(_Event, tag="conversation.item.retrieve"):
    item_id: str


class DeleteItem(_Event, tag="conversation.item.delete"):
    item_id: str


class TruncateItem(_Event, tag="conversation.item.truncate"):
    item_id: str
    content_index: Annotated[int, Meta(ge=0)]
    audio_end_ms: Annotated[int, Meta(ge=0)]


class ResponseVoice(msgspec.Struct):
    format: AudioFormat | None = None
    voice: str | VoiceId | None = None


class ResponseAudio(msgspec.Struct):
    output: ResponseVoice | None = None


_Key: TypeAlias = Annotated[str, Meta(max_length=64)]
_Value: TypeAlias = Annotated[str, Meta(max_length=512)]


class ResponseParams(msgspec.Struct):
    """How one response differs from the session; `None` means as in the session."""

    instructions: str | None = None
    input: list[Item] | None = None
    conversation: str | None = None
    metadata: Annotated[dict[_Key, _Value], Meta(max_length=16)] | None = None
    output_modalities: Modalities | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    max_output_tokens: OutputTokens | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    audio: ResponseAudio | None = None


class CreateResponse(_Event, tag="response.create"):
    response: ResponseParams | None = None


class CancelResponse(_Event, tag="response.cancel"):
    """Without `response_id`: the one active in the default conversation."""

    response_id: str | None = None


ClientEvent: TypeAlias = (
    UpdateSession
    | AppendAudio
    | CommitAudio
    | ClearAudio
    | ClearOutput
    | CreateItem
    | RetrieveItem
    | DeleteItem
    | TruncateItem
    | CreateResponse
    | CancelResponse
)


def read_client_event(frame: str | bytes) -> ClientEvent:
    """One client event; raises `InvalidEvent` with what an `error` event needs: message, code, param, event_id."""
    try:
        event = _decoder.decode(frame)
    except json_text.UNREADABLE:
        event = _decode_again(json_text.well_formed(frame))
    _check(event)
    return event


def _decode_again(frame: str) -> ClientEvent:
    try:
        return _decoder.decode(frame)
    except msgspec.ValidationError as error:
        raise _invalid_event(frame, error) from error
    except json_text.UNREADABLE as error:
        raise InvalidEvent("The message is not valid JSON.", code="invalid_json") from error


def _check(event: ClientEvent) -> None:
    match event:
        case AppendAudio():
            try:
                decode_audio(event.audio)
            except BadMessage as error:
                raise _refusal(event, "audio", "Expected base64-encoded audio bytes.") from error
        case UpdateSession(session=session):
            _check_depth(event, session, "session")
            _check_session(event)
        case CreateItem():
            _check_item(event, event.item, "item")
            if event.item.type == "item_reference":
                raise _refusal(event, "item.type", "An item_reference cannot be created.")
        case CreateResponse(response=ResponseParams(input=items, tools=tools, tool_choice=choice)):
            _check_depth(event, [tools, choice], "response.tools")
            for index, item in enumerate(items or ()):
                _check_item(event, item, f"response.input[{index}]")
        case (
            CreateResponse()
            | CommitAudio()
            | ClearAudio()
            | ClearOutput()
            | RetrieveItem()
            | DeleteItem()
            | TruncateItem()
            | CancelResponse()
        ):
            pass
        case _:
            assert_never(event)


def _check_depth(event: ClientEvent, values: Any, param: str) -> None:
    """Raises `InvalidEvent` for values that could be decoded, but are nested too deeply to be encoded again."""
    level = [values]
    for _ in range(DEPTH_MAX):
        inner = [part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list)]
        level = [value for part in inner for value in part]
        if not level:
            return
    raise _refusal(event, param, f"Nested more than {DEPTH_MAX} levels deep.")


def _check_session(event: UpdateSession) -> None:
    try:
        msgspec.convert(event.session, RealtimeShape | TranscriptionShape)
    except msgspec.ValidationError as error:
        raise _invalid_field(error, event.event_id, within="session") from error


def _check_item(event: ClientEvent, item: Item, path: str) -> None:
    if (wrong := fault(item)) is not None:
        where, why = wrong
        raise _refusal(event, f"{path}.{where}", why)


def _refusal(event: ClientEvent, param: str, message: str) -> InvalidEvent:
    return InvalidEvent(message, param=param, event_id=event.event_id)


def _invalid_event(frame: str, error: msgspec.ValidationError) -> InvalidEvent:
    try:
        envelope = _envelope_decoder.decode(frame)
    except json_text.UNREADABLE:
        return InvalidEvent("The message must be a JSON object.", code="invalid_json")
    event_id = envelope.event_id if isinstance(envelope.event_id, str) else None
    if not isinstance(envelope.type, str):
        code = "missing_required_parameter" if envelope.type is None else "invalid_type"
        return InvalidEvent("Each event needs a text 'type'.", code=code, param="type", event_id=event_id)
    if envelope.type not in CLIENT_EVENT_TYPES:
        supported = ", ".join(f"'{kind}'" for kind in sorted(CLIENT_EVENT_TYPES))
        message = f"Invalid value: {envelope.type[:64]!a}. Supported values are: {supported}."
        return InvalidEvent(message, param="type", event_id=event_id)
    return _invalid_field(error, event_id)


_AT = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]+)`")


def _invalid_field(error: msgspec.ValidationError, event_id: str | None, within: str = "") -> InvalidEvent:
    """The decoder's error with its path as the `param`: `$.item.content[0]` becomes `item.content[0]`."""
    text = str(error)
    place = _AT.search(text)
    steps = [within, place["path"] if place else ""]
    code = "invalid_type" if text.startswith("Expected `") and ", got `" in text else "invalid_value"
    if missing := _MISSING.match(text):
        steps.append(missing["name"])
        code = "missing_required_parameter"
    param = ".".join(step for step in steps if step) or None
    message = _AT.sub("", text)
    return InvalidEvent(f"{message} ('{param}')." if param else message, code=code, param=param, event_id=event_id)


class _Envelope(msgspec.Struct):
    type: Any = None
    event_id: Any = None


_decoder: msgspec.json.Decoder[ClientEvent] = msgspec.json.Decoder(ClientEvent)
_envelope_decoder = msgspec.json.Decoder(_Envelope)
CLIENT_EVENT_TYPES = frozenset(str(shape.__struct_config__.tag) for shape in get_args(ClientEvent))
