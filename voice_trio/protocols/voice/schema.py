"""The voice protocol as a JSON Schema, both directions, from types.

What clients send is described by the very types that `voice` reads it with. What they are told is written by
`voice_out` field by field, and described here a second time; a test holds the two together.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from voice_trio.protocols.voice.client_events import _Known

_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"

ClientMessage: TypeAlias = _Known
"""What a client may say, as the types that read it."""

Outcome: TypeAlias = Literal["hidden", "waited", "local", "late", "none"]
ResponseStatus: TypeAlias = Literal["completed", "cancelled", "failed", "incomplete"]


class _Told(msgspec.Struct, tag_field="type", omit_defaults=True):
    pass


class ConnectionReady(_Told, tag="connection.ready"):
    session_id: str
    resume_token: str
    expires_at: float
    protocol: Literal[1]


class SessionCreated(_Told, tag="session.created"):
    session: dict[str, Any]


class SessionUpdated(_Told, tag="session.updated"):
    session: dict[str, Any]


class SpeechStarted(_Told, tag="input_audio_buffer.speech_started"):
    item_id: str
    audio_start_ms: int


class SpeechStopped(_Told, tag="input_audio_buffer.speech_stopped"):
    item_id: str
    audio_end_ms: int


class SpeechCommitted(_Told, tag="input_audio_buffer.committed"):
    item_id: str
    previous_item_id: str | None


class TranscriptDelta(_Told, tag="conversation.item.input_audio_transcription.delta"):
    item_id: str
    content_index: int
    delta: str


class TranscriptCompleted(_Told, tag="conversation.item.input_audio_transcription.completed"):
    item_id: str
    content_index: int
    transcript: str


class Source(msgspec.Struct):
    title: str
    source: str


class ContextInjected(_Told, tag="context.injected"):
    outcome: Outcome
    waited_ms: int
    passages: list[Source]
    stale: bool = False


class Response(msgspec.Struct):
    id: str
    status: str


class ResponseCreated(_Told, tag="response.created"):
    response_id: str
    response: Response


class AudioDelta(_Told, tag="response.audio.delta"):
    delta: str
    item_id: str
    response_id: str


class AudioDone(_Told, tag="response.audio.done"):
    item_id: str
    response_id: str


class AnswerDelta(_Told, tag="response.audio_transcript.delta"):
    delta: str
    item_id: str
    response_id: str


class AnswerDone(_Told, tag="response.audio_transcript.done"):
    transcript: str
    item_id: str
    response_id: str


class ResponseDone(_Told, tag="response.done"):
    response_id: str
    status: ResponseStatus
    response: Response
    reason: str = ""


class PlaybackFlush(_Told, tag="playback.flush"):
    item_id: str
    played_ms: int


class SessionExpiring(_Told, tag="session.expiring"):
    seconds_left: int


class SessionTimeout(_Told, tag="session.timeout"):
    message: str


class SessionEnding(_Told, tag="session.ending"):
    reason: str


class SessionDraining(_Told, tag="session.draining"):
    resume_token: str


class SessionRecovering(_Told, tag="session.recovering"):
    pass


class SessionRecovered(_Told, tag="session.recovered"):
    pass


class BudgetWarning(_Told, tag="budget.warning"):
    scope: str
    spent_usd: float
    limit_usd: float


class Query(msgspec.Struct):
    at_ms: int
    took_ms: int | None
    outcome: Literal["found", "nothing", "failed", "unfinished"]
    local: bool


class TurnMetrics(_Told, tag="turn.metrics"):
    turn: int
    status: str
    user_items: list[str]
    answer_items: list[str]
    stages_ms: dict[str, int]
    queries: list[Query]
    cost_usd: float
    session_cost_usd: float
    cost_is_estimate: bool


class Pong(_Told, tag="pong"):
    id: str | int | None = None


class Problem(msgspec.Struct, omit_defaults=True):
    code: str
    message: str
    retry_after: float | None = None


class Error(_Told, tag="error"):
    error: Problem


GatewayMessage: TypeAlias = (
    ConnectionReady
    | SessionCreated
    | SessionUpdated
    | SpeechStarted
    | SpeechStopped
    | SpeechCommitted
    | TranscriptDelta
    | TranscriptCompleted
    | ContextInjected
    | ResponseCreated
    | AudioDelta
    | AudioDone
    | AnswerDelta
    | AnswerDone
    | ResponseDone
    | PlaybackFlush
    | SessionExpiring
    | SessionTimeout
    | SessionEnding
    | SessionDraining
    | SessionRecovering
    | SessionRecovered
    | BudgetWarning
    | TurnMetrics
    | Pong
    | Error
)


def voice_schema() -> bytes:
    """JSON Schema of every text frame; `$defs/ClientMessage` and `$defs/GatewayMessage` are the two directions."""
    (client, gateway), parts = msgspec.json.schema_components(
        (ClientMessage, GatewayMessage), ref_template="#/$defs/{name}"
    )
    whole = {
        "$schema": _SCHEMA_DIALECT,
        "title": "voice_trio voice protocol, version 1",
        "description": "Text frames of /v1/ws/voice. Binary frames from clients are raw PCM16, mono, 24 kHz.",
        "anyOf": [{"$ref": "#/$defs/ClientMessage"}, {"$ref": "#/$defs/GatewayMessage"}],
        "$defs": {
            "ClientMessage": {"description": "What a client may send.", **client},
            "GatewayMessage": {"description": "What the gateway sends; fields may be added.", **gateway},
            **parts,
        },
    }
    return msgspec.json.format(msgspec.json.encode(_plainly_named(whole)), indent=2)


def _plainly_named(part: Any) -> Any:
    """Without the underscores that our private types begin with."""
    if isinstance(part, dict):
        return {name.removeprefix("_"): _plainly_named(inner) for name, inner in part.items()}
    if isinstance(part, list):
        return [_plainly_named(inner) for inner in part]
    return part.replace("#/$defs/_", "#/$defs/").removeprefix("_") if isinstance(part, str) else part
