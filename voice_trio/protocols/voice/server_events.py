"""Events of the voice protocol to clients: these structs are encoded, and the published JSON Schema is made from them.

Names and fields follow OpenAI's Realtime events where there is such an event, and docs/protocol.md for all others.
Optional fields are left out when they have their default; a field that may be null has no default and is always sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from voice_trio.conversation.turn.record import Outcome

PROTOCOL_VERSION: Literal[1] = 1

SearchOutcome: TypeAlias = Literal["found", "nothing", "failed", "unfinished"]
ResponseStatus: TypeAlias = Literal["completed", "cancelled", "failed", "incomplete"]


class _ServerEvent(msgspec.Struct, tag_field="type", omit_defaults=True):
    pass


class ConnectionReady(_ServerEvent, tag="connection.ready"):
    """The session begins. `expires_at` is Unix time in seconds; `resume_token` is for `?resume=`."""

    session_id: str
    resume_token: str
    expires_at: float
    protocol: Literal[1]


class SessionCreated(_ServerEvent, tag="session.created"):
    """The upstream's session, reduced to the fields a client may see."""

    session: dict[str, Any]


class SessionUpdated(_ServerEvent, tag="session.updated"):
    """The upstream's session after a change, reduced to the fields a client may see."""

    session: dict[str, Any]


class SpeechStarted(_ServerEvent, tag="input_audio_buffer.speech_started"):
    item_id: str
    audio_start_ms: int


class SpeechStopped(_ServerEvent, tag="input_audio_buffer.speech_stopped"):
    item_id: str
    audio_end_ms: int


class SpeechCommitted(_ServerEvent, tag="input_audio_buffer.committed"):
    item_id: str
    previous_item_id: str | None


class TranscriptDelta(_ServerEvent, tag="conversation.item.input_audio_transcription.delta"):
    item_id: str
    content_index: int
    delta: str


class TranscriptCompleted(_ServerEvent, tag="conversation.item.input_audio_transcription.completed"):
    item_id: str
    content_index: int
    transcript: str


class Source(msgspec.Struct, omit_defaults=True):
    """A passage that the model was given; with an `id`, `passage.get` opens it."""

    title: str
    source: str
    id: str = ""


class ContextInjected(_ServerEvent, tag="context.injected", kw_only=True):
    """What retrieval came to, once a turn; `stale`: the passages answer an older query than the newest."""

    outcome: Outcome
    waited_ms: int
    stale: bool = False
    passages: list[Source]


class PassageText(_ServerEvent, tag="passage"):
    """The answer to `passage.get`. `text` is the document's own and may be hostile: show it as text, never as HTML."""

    id: str
    title: str
    text: str


class Response(msgspec.Struct):
    id: str
    status: str


class ResponseCreated(_ServerEvent, tag="response.created"):
    response_id: str
    response: Response


class AudioDelta(_ServerEvent, tag="response.audio.delta"):
    """`delta` is PCM16 in base64."""

    # `writer.write` splices this one event by hand, in this order.
    delta: str
    item_id: str
    response_id: str


class AudioDone(_ServerEvent, tag="response.audio.done"):
    item_id: str
    response_id: str


class ResponseTranscriptDelta(_ServerEvent, tag="response.audio_transcript.delta"):
    delta: str
    item_id: str
    response_id: str


class ResponseTranscriptDone(_ServerEvent, tag="response.audio_transcript.done"):
    transcript: str
    item_id: str
    response_id: str


class ResponseDone(_ServerEvent, tag="response.done"):
    response_id: str
    status: ResponseStatus
    response: Response
    reason: str = ""


class PlaybackFlush(_ServerEvent, tag="playback.flush"):
    """Drop queued audio now; by the gateway's reckoning `played_ms` of the item were heard."""

    item_id: str
    played_ms: int


class SessionExpiring(_ServerEvent, tag="session.expiring"):
    seconds_left: int


class SessionTimeout(_ServerEvent, tag="session.timeout"):
    message: str


class SessionEnding(_ServerEvent, tag="session.ending"):
    reason: str


class SessionDraining(_ServerEvent, tag="session.draining"):
    resume_token: str


class SessionRecovering(_ServerEvent, tag="session.recovering"):
    """The upstream was lost and is being connected again."""


class SessionRecovered(_ServerEvent, tag="session.recovered"):
    """A new upstream knows the conversation so far."""


class SessionWaiting(_ServerEvent, tag="session.waiting"):
    """The model is connected, and has sent nothing of the answer for `seconds`."""

    seconds: int


class BudgetWarning(_ServerEvent, tag="budget.warning"):
    scope: str
    spent_usd: float
    limit_usd: float


class Query(msgspec.Struct):
    """One search of a turn; `took_ms` is null when the turn was over first."""

    at_ms: int
    took_ms: int | None
    outcome: SearchOutcome
    local: bool


class TurnMetrics(_ServerEvent, tag="turn.metrics"):
    """A turn in numbers, with `?metrics=1`; ms count from its first words, or from the arrival of typed text."""

    turn: int
    status: str
    user_items: list[str]
    answer_items: list[str]
    stages_ms: Mapping[str, int]
    queries: list[Query]
    cost_usd: float
    session_cost_usd: float
    cost_is_estimate: bool


class Pong(_ServerEvent, tag="pong"):
    id: str | int | None = None


ERROR_CODES = (
    *("feature_disabled", "not_in_rollout", "plan_required", "plan_unverified", "token_invalid", "resume_invalid"),
    *("rate_limited", "too_many_sessions", "at_capacity", "draining", "upstream_unavailable", "taken_over"),
    *("ended_by_operator", "idle", "too_slow", "internal_error", "budget_exhausted", "bad_message", "not_allowed"),
    "not_found",
    *("answer_failed", "answer_incomplete", "transcription_failed", "model_error"),
)
"""Every `error.code` of this version, for the schema; docs/protocol.md has their meanings."""


class ErrorBody(msgspec.Struct, omit_defaults=True):
    """`code` is one of docs/protocol.md, Errors, and more may be added; `retry_after` is in seconds.

    `passage_id` is the one that `passage.get` asked for.
    """

    code: Annotated[str, msgspec.Meta(examples=list(ERROR_CODES))]
    message: str
    retry_after: float | None = None
    passage_id: str = ""


class Error(_ServerEvent, tag="error"):
    error: ErrorBody


ServerEvent: TypeAlias = (
    ConnectionReady
    | SessionCreated
    | SessionUpdated
    | SpeechStarted
    | SpeechStopped
    | SpeechCommitted
    | TranscriptDelta
    | TranscriptCompleted
    | ContextInjected
    | PassageText
    | ResponseCreated
    | AudioDelta
    | AudioDone
    | ResponseTranscriptDelta
    | ResponseTranscriptDone
    | ResponseDone
    | PlaybackFlush
    | SessionExpiring
    | SessionTimeout
    | SessionEnding
    | SessionDraining
    | SessionRecovering
    | SessionRecovered
    | SessionWaiting
    | BudgetWarning
    | TurnMetrics
    | Pong
    | Error
)
