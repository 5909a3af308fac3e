"""Events of the voice protocol from clients: these structs are decoded, and the JSON Schema is made from them.

For any input the only exception is `BadMessage`. Its text is sent to the client: it repeats at most the event's type.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias, assert_never, get_args

import msgspec
from msgspec import Meta

from voice_trio.conversation import events
from voice_trio.errors import BadMessage, NotJson
from voice_trio.protocols import json_text
from voice_trio.protocols.audio import BYTES_PER_MS, AudioAppended, check_audio, encode_audio

TEXT_CHARACTERS_MAX = 4_000
TOKEN_CHARACTERS_MAX = 16_384
ID_CHARACTERS_MAX = 128
LANGUAGE_CHARACTERS_MAX = 35  # BCP 47 (RFC 5646, 4.4.1) advises to allow for as many
PLAYED_MS_MAX = 24 * 3600 * 1000
PING_NUMBER_MAX = 2**53  # JavaScript holds integers up to it exactly

_Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=ID_CHARACTERS_MAX)]
_PlayedMs: TypeAlias = Annotated[float, Meta(ge=0, le=PLAYED_MS_MAX)]
_PingText: TypeAlias = Annotated[str, Meta(max_length=ID_CHARACTERS_MAX)]
_PingNumber: TypeAlias = Annotated[int, Meta(ge=-PING_NUMBER_MAX, le=PING_NUMBER_MAX)]


class _ClientEvent(msgspec.Struct, tag_field="type"):
    pass


class AudioInput(_ClientEvent, tag="audio.input"):
    audio: str


class AudioAppend(_ClientEvent, tag="input_audio_buffer.append"):
    audio: str


class TextInput(_ClientEvent, tag="text.input"):
    text: Annotated[str, Meta(max_length=TEXT_CHARACTERS_MAX)]


class Interrupt(_ClientEvent, tag="interrupt"):
    item_id: _Id | None = None
    played_ms: _PlayedMs | None = None


class PlaybackPosition(_ClientEvent, tag="playback.position"):
    item_id: _Id
    played_ms: _PlayedMs
    flushed: bool = False


class LanguageDetected(_ClientEvent, tag="language.detected"):
    language: Annotated[str, Meta(min_length=1, max_length=LANGUAGE_CHARACTERS_MAX)]


class Auth(_ClientEvent, tag="auth"):
    token: Annotated[str, Meta(max_length=TOKEN_CHARACTERS_MAX)]

    def __repr__(self) -> str:
        return "Auth(…)"


class Ping(_ClientEvent, tag="ping"):
    id: _PingText | _PingNumber | None = None


class PassageGet(_ClientEvent, tag="passage.get"):
    """Opens a passage of this session, by the id that `context.injected` gave it."""

    id: _Id


class SessionEnd(_ClientEvent, tag="session.end"):
    """Ends the session for good; a lost connection can be resumed."""


ClientEvent: TypeAlias = (
    AudioInput
    | AudioAppend
    | TextInput
    | Interrupt
    | PlaybackPosition
    | LanguageDetected
    | Auth
    | Ping
    | PassageGet
    | SessionEnd
)

ForSession: TypeAlias = Auth | Ping | PassageGet | SessionEnd
"""Events that concern the connection or the session; no conversation sees them."""

FromClient: TypeAlias = events.ClientEvent | AudioAppended | ForSession


def read_client(frame: str | bytes) -> FromClient:
    """One frame of a client; raises `BadMessage` with code `bad_message` or `not_allowed`, `NotJson` for non-JSON."""
    if isinstance(frame, bytes):
        return AudioAppended(encode_audio(frame), len(frame) / BYTES_PER_MS)
    try:
        return _read(frame)
    except BadMessage:
        well_formed = json_text.well_formed(frame)
        if well_formed == frame:
            raise
        return _read(well_formed)


def _read(frame: str) -> FromClient:
    try:
        return _to_event(_decoder.decode(frame))
    except msgspec.ValidationError as error:
        raise _bad_message(frame, error) from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise NotJson("the message is not valid JSON") from error
    except RecursionError as error:
        raise BadMessage("the message is nested too deeply") from error


def _to_event(event: ClientEvent) -> FromClient:
    match event:
        case AudioInput(audio=audio) | AudioAppend(audio=audio):
            return AudioAppended(audio, check_audio(audio))
        case TextInput(text=text):
            if not text.strip():
                raise BadMessage("`text` is empty")
            return events.TextInput(text)
        case Interrupt():
            return events.Interrupt(event.item_id, event.played_ms)
        case PlaybackPosition():
            return events.PlaybackPosition(event.item_id, event.played_ms, event.flushed)
        case LanguageDetected(language=language):
            return events.LanguageDetected(language)
        case Auth() | Ping() | PassageGet() | SessionEnd():
            return event
        case _:
            assert_never(event)


def _bad_message(frame: str, error: msgspec.ValidationError) -> BadMessage:
    """The error for JSON that is no event: no type, a type that is unknown or reserved, or a wrong field."""
    try:
        kind = _envelope_decoder.decode(frame).type
    except msgspec.ValidationError:
        return BadMessage("the message must be a JSON object with a text `type`")
    except json_text.UNREADABLE:
        return NotJson("the message is not valid JSON")
    if kind in CLIENT_EVENT_TYPES:
        return BadMessage(f"{kind}: {error}")
    shown = ascii(kind[:64])
    if kind.startswith(_UPSTREAM_FAMILIES):
        return BadMessage(f"{shown} is not for clients to send", code="not_allowed")
    return BadMessage(f"{shown} is no event of this protocol")


# The families of events that a Realtime server takes; of them a client may send input_audio_buffer.append only.
_UPSTREAM_FAMILIES = (
    "session.",
    "response.",
    "conversation.",
    "input_audio_buffer.",
    "output_audio_buffer.",
    "transcription_session.",
)


class _Envelope(msgspec.Struct):
    type: str


_decoder: msgspec.json.Decoder[ClientEvent] = msgspec.json.Decoder(ClientEvent)
_envelope_decoder = msgspec.json.Decoder(_Envelope)
CLIENT_EVENT_TYPES = frozenset(str(shape.__struct_config__.tag) for shape in get_args(ClientEvent))
