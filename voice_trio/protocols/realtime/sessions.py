"""The session object of a Realtime server: its shape, what a client may set, how an update is merged, how it is read.

A server keeps it as plain JSON values, because it shows all fields, also those it does not act upon. The functions
`turn_detection_of` and `transcription_model_of` read those it does. Source: OpenAI's Realtime reference.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Mapping

Session: TypeAlias = dict[str, Any]
Modalities: TypeAlias = Annotated[list[Literal["text", "audio"]], Meta(min_length=1, max_length=1)]
OutputTokens: TypeAlias = Annotated[int, Meta(ge=1)] | Literal["inf"]
Milliseconds: TypeAlias = Annotated[int, Meta(ge=0, le=60_000)]


class AudioFormat(msgspec.Struct):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] | None = None
    rate: Literal[24000] | None = None


class Transcription(msgspec.Struct):
    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    keywords: list[str] | None = None
    languages: list[str] | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class NoiseReduction(msgspec.Struct):
    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class TurnDetection(msgspec.Struct):
    """`server_vad` or `semantic_vad`; the defaults are the API's documented ones."""

    type: Literal["server_vad", "semantic_vad"]
    threshold: Annotated[float, Meta(ge=0, le=1)] | None = None
    prefix_padding_ms: Milliseconds | None = None
    silence_duration_ms: Milliseconds | None = None
    idle_timeout_ms: Milliseconds | None = None
    eagerness: Literal["low", "medium", "high", "auto"] | None = None
    create_response: bool = True
    interrupt_response: bool = True


class AudioInput(msgspec.Struct):
    format: AudioFormat | None = None
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: TurnDetection | None = None


class VoiceId(msgspec.Struct):
    id: str


class AudioOutput(msgspec.Struct):
    format: AudioFormat | None = None
    voice: str | VoiceId | None = None
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] | None = None


class Audio(msgspec.Struct):
    input: AudioInput | None = None
    output: AudioOutput | None = None


class Reasoning(msgspec.Struct):
    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class RealtimeShape(msgspec.Struct, tag_field="type", tag="realtime"):
    """What a `session.update` of a conversation may hold; other fields are tolerated and ignored."""

    model: str | None = None
    output_modalities: Modalities | None = None
    instructions: str | None = None
    audio: Audio | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    max_output_tokens: OutputTokens | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    include: list[str] | None = None


class TranscriptionShape(msgspec.Struct, tag_field="type", tag="transcription"):
    audio: Audio | None = None
    include: list[str] | None = None


PCM_24K = {"type": "audio/pcm", "rate": 24000}
_SERVER_VAD = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 300,
    "silence_duration_ms": 500,
    "idle_timeout_ms": None,
    "create_response": True,
    "interrupt_response": True,
}
_SEMANTIC_VAD = {
    "type": "semantic_vad",
    "eagerness": "auto",
    "create_response": True,
    "interrupt_response": True,
}
_FIXED = frozenset({"id", "object", "type", "model", "expires_at"})


def new_session(session_id: str, model: str, expires_at: int, *, voice: str = "alloy") -> Session:
    """A conversation session with every field the API shows and its defaults; `expires_at` is Unix time in seconds."""
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": model,
        "output_modalities": ["audio"],
        "instructions": "",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": expires_at,
        "audio": {"input": _new_audio_input(), "output": {"format": PCM_24K, "voice": voice, "speed": 1.0}},
        "include": None,
    }


def new_transcription_session(session_id: str, expires_at: int) -> Session:
    """A session that only transcribes: no model, no voice, and turn detection as the client asks for."""
    return {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "id": session_id,
        "expires_at": expires_at,
        "audio": {"input": _new_audio_input()},
        "include": None,
    }


def _new_audio_input() -> dict[str, Any]:
    return {
        "format": PCM_24K,
        "transcription": None,
        "noise_reduction": None,
        "turn_detection": dict(_SERVER_VAD),
    }


def merged(session: Session, update: Mapping[str, Any]) -> Session:
    """The session after a valid `session.update`: named fields are replaced, also by null, and audio is merged by side.

    Fields that the API does not know are dropped, and so are those that no client may change.
    """
    changed = {name: value for name, value in update.items() if name in session or name == "reasoning"}
    result = session | {name: value for name, value in changed.items() if name not in _FIXED and name != "audio"}
    asked = update.get("audio") or {}
    result["audio"] = {side: {**kept, **(asked.get(side) or {})} for side, kept in session["audio"].items()}
    audio_input = result["audio"]["input"]
    if detection := audio_input.get("turn_detection"):
        defaults = _SERVER_VAD if detection["type"] == "server_vad" else _SEMANTIC_VAD
        audio_input["turn_detection"] = {**defaults, **detection}
    return result


def turn_detection_of(session: Session) -> TurnDetection | None:
    """How the session detects turns; `None` if the client commits by hand."""
    detection = session["audio"]["input"]["turn_detection"]
    return None if detection is None else msgspec.convert(detection, TurnDetection)


def transcription_model_of(session: Session) -> str | None:
    """The model that transcribes the user's speech; `None` if transcription is off."""
    transcription = session["audio"]["input"]["transcription"]
    return transcription.get("model") if transcription else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """What `session.created` or `session.updated` of an upstream says it will do, as far as the gateway depends on it.

    `create_response` is `None` where there is no turn detection at all, and true, the default, by default.
    `session_json` is the whole session object, instructions included. `expires_at` is Unix time in seconds.
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


def read_session(event_type: str, session: Session, wire: str) -> SessionState:
    """The state in an upstream's session object; raises `msgspec.ValidationError` if it has another shape."""
    shape = msgspec.convert(session, _Shown)
    audio = shape.audio or _ShownAudio()
    audio_input, audio_output = audio.input or _ShownInput(), audio.output or _ShownOutput()
    detection, voice = audio_input.turn_detection, audio_output.voice
    return SessionState(
        type=event_type,
        session_json=msgspec.json.encode(session).decode(),
        session_id=shape.id or "",
        model=shape.model or "",
        voice=voice.id if isinstance(voice, VoiceId) else voice or "",
        expires_at=shape.expires_at,
        turn_detection=detection.type if detection else None,
        create_response=detection.create_response is not False if detection else None,
        interrupt_response=detection.interrupt_response is not False if detection else None,
        transcription_model=audio_input.transcription.model if audio_input.transcription else None,
        wire=wire,
    )


# What an upstream shows is checked less strictly than what a client asks for: other servers have other kinds of turn
# detection, other fields, and nulls.
class _ShownDetection(msgspec.Struct):
    type: str
    create_response: bool | None = None
    interrupt_response: bool | None = None


class _ShownTranscription(msgspec.Struct):
    model: str | None = None


class _ShownInput(msgspec.Struct):
    turn_detection: _ShownDetection | None = None
    transcription: _ShownTranscription | None = None


class _ShownOutput(msgspec.Struct):
    voice: str | VoiceId | None = None


class _ShownAudio(msgspec.Struct):
    input: _ShownInput | None = None
    output: _ShownOutput | None = None


class _Shown(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    expires_at: float | None = None
    audio: _ShownAudio | None = None
