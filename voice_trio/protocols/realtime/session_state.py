"""What a Realtime server says of its session, as far as the gateway must know before it lets audio through."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """`session.created` or `session.updated`: what the server says it will do.

    `create_response` is `None` where there is no turn detection at all, and true, the default, where nothing is said.
    `session_json` is the whole session as it stood on the wire, instructions included.
    """

    type: str
    session_json: str = field(repr=False)
    session_id: str = ""
    model: str = ""
    voice: str = ""
    expires_at: float | None = None
    turn_detection: str | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None
    transcription_model: str | None = None
    wire: str = field(default="", repr=False, compare=False)


def read_session(event_type: str, session: msgspec.Raw, wire: str) -> SessionState:
    """The state in a session object; raises `msgspec.ValidationError` if it has another shape."""
    shape = msgspec.json.decode(session, type=_Session)
    audio = shape.audio or _Audio()
    heard, said = audio.input or _Input(), audio.output or _Output()
    detection = heard.turn_detection
    return SessionState(
        type=event_type,
        session_json=bytes(session).decode(),
        session_id=shape.id or "",
        model=shape.model or "",
        voice=said.voice.id if isinstance(said.voice, Named) else said.voice or "",
        expires_at=shape.expires_at,
        turn_detection=detection.type if detection else None,
        create_response=detection.create_response is not False if detection else None,
        interrupt_response=detection.interrupt_response is not False if detection else None,
        transcription_model=heard.transcription.model if heard.transcription else None,
        wire=wire,
    )


class Named(msgspec.Struct):
    id: str
    type: str | None = None


class _TurnDetection(msgspec.Struct):
    type: str
    create_response: bool | None = None
    interrupt_response: bool | None = None


class _Transcription(msgspec.Struct):
    model: str | None = None


class _Input(msgspec.Struct):
    turn_detection: _TurnDetection | None = None
    transcription: _Transcription | None = None


class _Output(msgspec.Struct):
    voice: str | Named | None = None


class _Audio(msgspec.Struct):
    input: _Input | None = None
    output: _Output | None = None


class _Session(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    expires_at: float | None = None
    audio: _Audio | None = None
