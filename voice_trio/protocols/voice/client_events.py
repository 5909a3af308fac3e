"""The voice protocol, from our clients: their frames as events, everything else refused by name.

Whatever arrives, the only exception is `BadMessage`, whose text is fit for the client's eyes: it repeats nothing of the
frame but a type. What leaves for clients is in `voice_trio.protocols.voice.server_events`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, TypeAlias, assert_never, get_args

import msgspec
from msgspec import Meta

from voice_trio.conversation.events import ClientEvent, Interrupt, LanguageDetected, PlaybackPosition, TextInput
from voice_trio.errors import BadMessage, NotJson
from voice_trio.protocols.audio import check_audio, encode_audio
from voice_trio.protocols.voice.server_events import refusal, write

__all__ = [
    "TEXT_CHARACTERS_MAX",
    "Audio",
    "Auth",
    "FromClient",
    "Ping",
    "SessionEnd",
    "read_client",
    "refusal",
    "write",
]

TEXT_CHARACTERS_MAX = 4_000
TOKEN_CHARACTERS_MAX = 16_384
ID_CHARACTERS_MAX = 128
LANGUAGE_CHARACTERS_MAX = 35  # what BCP 47 advises to have room for
PLAYED_MS_MAX = 24 * 3600 * 1000
PING_NUMBER_MAX = 2**53  # what JavaScript holds exactly


@dataclass(frozen=True, slots=True)
class Audio:
    """Sound from the microphone: base64 that has been checked, and its length."""

    audio: str = field(repr=False)
    duration_ms: float


@dataclass(frozen=True, slots=True)
class Auth:
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Ping:
    id: str | int | None = None


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """The user is done; unlike a lost connection, not to be resumed."""


FromClient: TypeAlias = ClientEvent | Audio | Auth | Ping | SessionEnd


def read_client(frame: str | bytes) -> FromClient:
    """One frame of a client; raises `BadMessage` with code `bad_message` or `not_allowed`, `NotJson` for non-JSON."""
    if isinstance(frame, bytes):
        return Audio(encode_audio(frame), len(frame) / 48)
    try:
        return _meaning(_known.decode(frame))
    except msgspec.ValidationError as error:
        raise _explained(frame, error) from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise NotJson("the message is not valid JSON") from error
    except RecursionError as error:
        raise BadMessage("the message is nested too deeply") from error


def _meaning(event: _Known) -> FromClient:
    match event:
        case _AudioInput(audio=audio) | _AudioAppend(audio=audio):
            return Audio(audio, check_audio(audio))
        case _TextInput(text=text):
            if not text.strip():
                raise BadMessage("`text` is empty")
            return TextInput(text)
        case _Interrupt():
            return Interrupt(event.item_id, event.played_ms)
        case _PlaybackPosition():
            return PlaybackPosition(event.item_id, event.played_ms, event.flushed)
        case _LanguageDetected(language=language):
            return LanguageDetected(language)
        case _Auth(token=token):
            return Auth(token)
        case _Ping(id=ping_id):
            return Ping(ping_id)
        case _SessionEnd():
            return SessionEnd()
        case _:
            assert_never(event)


def _explained(frame: str, error: msgspec.ValidationError) -> BadMessage:
    """Why a JSON text was no event: it has no type, a type we do not know or may not pass on, or a wrong field."""
    try:
        kind = _any.decode(frame).type
    except msgspec.ValidationError:
        return BadMessage("the message must be a JSON object with a text `type`")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return NotJson("the message is not valid JSON")
    if kind in _KNOWN_TYPES:
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

_Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=ID_CHARACTERS_MAX)]
_PlayedMs: TypeAlias = Annotated[float, Meta(ge=0, le=PLAYED_MS_MAX)]
_PingText: TypeAlias = Annotated[str, Meta(max_length=ID_CHARACTERS_MAX)]
_PingNumber: TypeAlias = Annotated[int, Meta(ge=-PING_NUMBER_MAX, le=PING_NUMBER_MAX)]


class _Envelope(msgspec.Struct):
    type: str


class _Message(msgspec.Struct, tag_field="type"):
    pass


class _AudioInput(_Message, tag="audio.input"):
    audio: str


class _AudioAppend(_Message, tag="input_audio_buffer.append"):
    audio: str


class _TextInput(_Message, tag="text.input"):
    text: Annotated[str, Meta(max_length=TEXT_CHARACTERS_MAX)]


class _Interrupt(_Message, tag="interrupt"):
    item_id: _Id | None = None
    played_ms: _PlayedMs | None = None


class _PlaybackPosition(_Message, tag="playback.position"):
    item_id: _Id
    played_ms: _PlayedMs
    flushed: bool = False


class _LanguageDetected(_Message, tag="language.detected"):
    language: Annotated[str, Meta(min_length=1, max_length=LANGUAGE_CHARACTERS_MAX)]


class _Auth(_Message, tag="auth"):
    token: Annotated[str, Meta(max_length=TOKEN_CHARACTERS_MAX)]


class _Ping(_Message, tag="ping"):
    id: _PingText | _PingNumber | None = None


class _SessionEnd(_Message, tag="session.end"):
    pass


_Known: TypeAlias = (
    _AudioInput
    | _AudioAppend
    | _TextInput
    | _Interrupt
    | _PlaybackPosition
    | _LanguageDetected
    | _Auth
    | _Ping
    | _SessionEnd
)

_known: msgspec.json.Decoder[_Known] = msgspec.json.Decoder(_Known)
_any = msgspec.json.Decoder(_Envelope)
_KNOWN_TYPES = frozenset(str(shape.__struct_config__.tag) for shape in get_args(_Known))
