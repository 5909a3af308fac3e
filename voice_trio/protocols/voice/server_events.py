"""The voice protocol, to our clients: exactly its own events, built from named fields, never from a server's frame.

So no instruction, tool or context item can leave by accident: what is not written out here stays here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias, assert_never

import msgspec

from voice_trio.conversation import commands, events, session_events

PROTOCOL_VERSION = 1

ToClient: TypeAlias = (
    events.UpstreamEvent | commands.ClientNotice | commands.PassthroughNotice | session_events.SessionEvent
)

# They have no place on this protocol; where users should know, the conversation says so in an `ErrorNotice`.
_KEPT_HERE = (
    events.OtherUpstreamEvent,
    events.AudioCleared,
    events.ItemTruncated,
    events.ItemDeleted,
    events.OutputItemAdded,
    events.FunctionCalled,
    events.UpstreamError,
    events.TranscriptFailed,
    commands.UpstreamErrorForwarded,
    commands.RequestRefused,
    commands.TruncateAck,
    commands.DeleteAck,
    commands.EmptyItemShown,
)


def write(event: ToClient) -> str | None:
    """The frame that tells a client of `event`; `None` if it must not leave."""
    if isinstance(event, events.ResponseAudioDelta):  # the hot path: every 100 ms of every answer
        return '{"type":"response.audio.delta","delta":"' + event.audio + _owner(event.item_id, event.response_id)
    if isinstance(event, _KEPT_HERE):
        return None
    return msgspec.json.encode(_body(event)).decode()


def refusal(code: str, message: str, retry_after: float | None = None) -> str:
    """An `error` event; `retry_after` in seconds. Always sent before a connection is refused."""
    return msgspec.json.encode(_error(code, message, retry_after)).decode()


@lru_cache(maxsize=256)
def _owner(item_id: str, response_id: str) -> str:
    ids = msgspec.json.encode({"item_id": item_id, "response_id": response_id}).decode()
    return '",' + ids[1:]


_Spoken: TypeAlias = (
    events.SpeechStarted
    | events.SpeechStopped
    | events.SpeechCommitted
    | events.TranscriptDelta
    | events.TranscriptCompleted
    | events.ResponseCreated
    | events.ResponseAudioDone
    | events.ResponseTranscriptDelta
    | events.ResponseTranscriptDone
    | events.ResponseDone
)


def _body(event: _Spoken | commands.ClientNotice | session_events.SessionEvent) -> dict[str, Any]:
    match event:
        case commands.ContextInjected() | commands.PlaybackFlush() | commands.ErrorNotice():
            return _decision(event)
        case events.SpeechStarted() | events.SpeechStopped() | events.SpeechCommitted():
            return _speech(event)
        case events.TranscriptDelta() | events.TranscriptCompleted():
            return _transcript(event)
        case events.ResponseCreated() | events.ResponseDone():
            return _response(event)
        case events.ResponseAudioDone() | events.ResponseTranscriptDelta() | events.ResponseTranscriptDone():
            return _answer(event)
        case _:
            return _notice(event)


def _speech(event: events.SpeechStarted | events.SpeechStopped | events.SpeechCommitted) -> dict[str, Any]:
    family = "input_audio_buffer."
    match event:
        case events.SpeechStarted(audio_start_ms=start):
            return {"type": family + "speech_started", "item_id": event.item_id, "audio_start_ms": start}
        case events.SpeechStopped(audio_end_ms=end):
            return {"type": family + "speech_stopped", "item_id": event.item_id, "audio_end_ms": end}
        case events.SpeechCommitted(previous_item_id=previous):
            return {"type": family + "committed", "item_id": event.item_id, "previous_item_id": previous}
        case _:
            assert_never(event)


def _transcript(event: events.TranscriptDelta | events.TranscriptCompleted) -> dict[str, Any]:
    family = "conversation.item.input_audio_transcription."
    place = {"item_id": event.item_id, "content_index": event.content_index}
    if isinstance(event, events.TranscriptDelta):
        return {"type": family + "delta", **place, "delta": event.delta}
    return {"type": family + "completed", **place, "transcript": event.transcript}


def _response(event: events.ResponseCreated | events.ResponseDone) -> dict[str, Any]:
    # The id stands twice: in `response`, where users of the upstream look, and beside it, as on every other event.
    if isinstance(event, events.ResponseCreated):
        response = {"id": event.response_id, "status": "in_progress"}
        return {"type": "response.created", "response_id": event.response_id, "response": response}
    response = {"id": event.response_id, "status": event.status}
    body = {"type": "response.done", "response_id": event.response_id, "status": event.status, "response": response}
    return body | ({"reason": event.reason} if event.reason else {})


def _answer(
    event: events.ResponseAudioDone | events.ResponseTranscriptDelta | events.ResponseTranscriptDone,
) -> dict[str, Any]:
    owner = {"item_id": event.item_id, "response_id": event.response_id}
    match event:
        case events.ResponseAudioDone():
            return {"type": "response.audio.done", **owner}
        case events.ResponseTranscriptDelta(delta=delta):
            return {"type": "response.audio_transcript.delta", "delta": delta, **owner}
        case events.ResponseTranscriptDone(text=text):
            return {"type": "response.audio_transcript.done", "transcript": text, **owner}
        case _:
            assert_never(event)


def _decision(event: commands.ClientNotice) -> dict[str, Any]:
    match event:
        case commands.ContextInjected():
            passages = [{"title": title, "source": source} for title, source in event.passages]
            stale = {"stale": True} if event.stale else {}
            outcome = {"outcome": event.outcome.value, "waited_ms": event.waited_ms}
            return {"type": "context.injected", **outcome, **stale, "passages": passages}
        case commands.PlaybackFlush():
            return {"type": "playback.flush", "item_id": event.item_id, "played_ms": event.played_ms}
        case commands.ErrorNotice():
            return _error(event.code, event.message, event.retry_after)
        case _:
            assert_never(event)


def _error(code: str, message: str, retry_after: float | None) -> dict[str, Any]:
    patience = {} if retry_after is None else {"retry_after": retry_after}
    return {"type": "error", "error": {"code": code, "message": message, **patience}}


def _notice(event: session_events.SessionEvent) -> dict[str, Any]:
    match event:
        case session_events.ConnectionReady():
            token = {"session_id": event.session_id, "resume_token": event.resume_token}
            return {
                "type": "connection.ready",
                **token,
                "expires_at": event.expires_at,
                "protocol": PROTOCOL_VERSION,
            }
        case session_events.SessionDescribed():
            return {"type": event.type, "session": _harmless_session(event.session)}
        case session_events.SessionExpiring(seconds_left=seconds):
            return {"type": "session.expiring", "seconds_left": seconds}
        case session_events.SessionTimeout(message=message):
            return {"type": "session.timeout", "message": message}
        case session_events.SessionEnding(reason=reason):
            return {"type": "session.ending", "reason": reason}
        case session_events.SessionDraining(resume_token=token):
            return {"type": "session.draining", "resume_token": token}
        case session_events.SessionRecovering():
            return {"type": "session.recovering"}
        case session_events.SessionRecovered():
            return {"type": "session.recovered"}
        case session_events.BudgetWarning():
            money = {"spent_usd": event.spent_usd, "limit_usd": event.limit_usd}
            return {"type": "budget.warning", "scope": event.scope, **money}
        case session_events.TurnMetrics():
            return _metrics(event)
        case session_events.Pong(id=ping_id):
            return {"type": "pong"} | ({} if ping_id is None else {"id": ping_id})
        case _:
            assert_never(event)


def _metrics(event: session_events.TurnMetrics) -> dict[str, Any]:
    queries = [
        {"at_ms": each.at_ms, "took_ms": each.took_ms, "outcome": each.outcome, "local": each.local}
        for each in event.queries
    ]
    money = {"cost_usd": event.cost_usd, "session_cost_usd": event.session_cost_usd}
    return {
        "type": "turn.metrics",
        "turn": event.turn,
        "status": event.status,
        "user_items": list(event.user_items),
        "answer_items": list(event.answer_items),
        "stages_ms": dict(event.stages_ms),
        "queries": queries,
        **money,
        "cost_is_estimate": event.cost_is_estimate,
    }


_Allowed: TypeAlias = Mapping[str, "_Allowed | None"]
_FORMAT: _Allowed = {"type": None, "rate": None}
_SESSION: _Allowed = {
    "type": None,
    "object": None,
    "model": None,
    "output_modalities": None,
    "max_output_tokens": None,
    "audio": {
        "input": {
            "format": _FORMAT,
            "noise_reduction": {"type": None, "strength": None},
            "transcription": {"model": None, "language": None},
            "turn_detection": {
                "type": None,
                "threshold": None,
                "prefix_padding_ms": None,
                "silence_duration_ms": None,
                "eagerness": None,
                "create_response": None,
                "interrupt_response": None,
            },
        },
        "output": {"format": _FORMAT, "voice": None, "speed": None},
    },
}


def _harmless_session(session: str) -> dict[str, Any]:
    try:
        whole = msgspec.json.decode(session)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return _kept(whole, _SESSION) if isinstance(whole, dict) else {}


def _kept(value: dict[str, Any], allowed: _Allowed) -> dict[str, Any]:
    """The fields that are known to be harmless; where plain values are expected, nothing deeper passes."""
    kept: dict[str, Any] = {}
    for name, deeper in allowed.items():
        inner = value.get(name)
        if deeper is not None and isinstance(inner, dict):
            kept[name] = _kept(inner, deeper)
        elif name in value and (inner is None or (deeper is None and _is_plain(inner))):
            kept[name] = inner
    return kept


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, str) for each in value)
    return isinstance(value, str | int | float | bool)
