"""Writes what a conversation and a session report as frames of the voice protocol.

Each frame is built from named fields of an event, never from the upstream's frame. So no instruction, tool or context
item can leave by accident: a field that `server_events` does not define stays in the gateway.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeAlias, assert_never, cast

import msgspec

from voice_trio.conversation import commands, events, session_events
from voice_trio.protocols import json_text
from voice_trio.protocols.voice import server_events

# This protocol has no event for them; where users should know, the conversation reports an `ErrorNotice`.
Withheld: TypeAlias = (
    events.OtherUpstreamEvent
    | events.AudioCleared
    | events.ItemTruncated
    | events.ItemDeleted
    | events.OutputItemAdded
    | events.FunctionCalled
    | events.UpstreamError
    | events.TranscriptFailed
    | commands.PassthroughNotice
)
_FromUpstream: TypeAlias = (
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


def write(event: session_events.ToClient) -> str | None:
    """The frame for `event`; `None` if this protocol has no event for it."""
    # An answer's audio comes every 100 ms or faster. Its base64 has been checked, so it is spliced in, not escaped.
    if isinstance(event, events.ResponseAudioDelta):
        return '{"type":"response.audio.delta","delta":"' + event.audio + _owner(event.item_id, event.response_id)
    if isinstance(event, Withheld):
        return None
    if isinstance(event, commands.ClientNotice):
        body = _notice(event)
    elif isinstance(event, session_events.SessionEvent):
        body = _session_event(event)
    else:
        body = _upstream_event(event)
    return json_text.encode(body)


def refusal(code: str, message: str, retry_after: float | None = None) -> str:
    """An `error` event; `retry_after` in seconds. Always sent before a connection is refused."""
    return json_text.encode(_error(code, message, retry_after))


@lru_cache(maxsize=256)
def _owner(item_id: str, response_id: str) -> str:
    ids = json_text.encode({"item_id": item_id, "response_id": response_id})
    return '",' + ids[1:]


def _upstream_event(event: _FromUpstream) -> server_events.ServerEvent:
    match event:
        case events.SpeechStarted():
            return server_events.SpeechStarted(event.item_id, event.audio_start_ms)
        case events.SpeechStopped():
            return server_events.SpeechStopped(event.item_id, event.audio_end_ms)
        case events.SpeechCommitted():
            return server_events.SpeechCommitted(event.item_id, event.previous_item_id)
        case events.TranscriptDelta():
            return server_events.TranscriptDelta(event.item_id, event.content_index, event.delta)
        case events.TranscriptCompleted():
            return server_events.TranscriptCompleted(event.item_id, event.content_index, event.transcript)
        case events.ResponseCreated() | events.ResponseDone():
            return _response_event(event)
        case events.ResponseAudioDone():
            return server_events.AudioDone(event.item_id, event.response_id)
        case events.ResponseTranscriptDelta():
            return server_events.ResponseTranscriptDelta(event.delta, event.item_id, event.response_id)
        case events.ResponseTranscriptDone():
            return server_events.ResponseTranscriptDone(event.text, event.item_id, event.response_id)
        case _:
            assert_never(event)


def _response_event(event: events.ResponseCreated | events.ResponseDone) -> server_events.ServerEvent:
    # The id stands twice: in `response`, as in OpenAI's event, and beside it, as in every other event here.
    if isinstance(event, events.ResponseCreated):
        response = server_events.Response(event.response_id, "in_progress")
        return server_events.ResponseCreated(event.response_id, response)
    response = server_events.Response(event.response_id, event.status)
    status = cast("server_events.ResponseStatus", event.status)  # OpenAI's reference lists these four and no other
    return server_events.ResponseDone(event.response_id, status, response, event.reason)


def _notice(event: commands.ClientNotice) -> server_events.ServerEvent:
    match event:
        case commands.ContextInjected(outcome=outcome, waited_ms=waited_ms, stale=stale):
            passages = [server_events.Source(each.title, each.source, each.id) for each in event.passages]
            return server_events.ContextInjected(outcome=outcome, waited_ms=waited_ms, stale=stale, passages=passages)
        case commands.PlaybackFlush():
            return server_events.PlaybackFlush(event.item_id, event.played_ms)
        case commands.WaitingForUpstream(seconds=seconds):
            return server_events.SessionWaiting(seconds)
        case commands.ErrorNotice():
            return _error(event.code, event.message, event.retry_after)
        case _:
            assert_never(event)


def _error(code: str, message: str, retry_after: float | None = None, passage_id: str = "") -> server_events.Error:
    return server_events.Error(server_events.ErrorBody(code, message, retry_after, passage_id))


def _session_event(event: session_events.SessionEvent) -> server_events.ServerEvent:
    match event:
        case session_events.ConnectionReady(session_id=session_id, resume_token=token, expires_at=expires_at):
            return server_events.ConnectionReady(session_id, token, expires_at, server_events.PROTOCOL_VERSION)
        case session_events.SessionDescribed(type=kind, session=session):
            is_new = kind == "session.created"
            shape = server_events.SessionCreated if is_new else server_events.SessionUpdated
            return shape(visible_session(session))
        case session_events.SessionExpiring(seconds_left=seconds):
            return server_events.SessionExpiring(seconds)
        case session_events.SessionTimeout(message=message):
            return server_events.SessionTimeout(message)
        case session_events.SessionEnding(reason=reason):
            return server_events.SessionEnding(reason)
        case session_events.SessionDraining(resume_token=token):
            return server_events.SessionDraining(token)
        case session_events.SessionRecovering():
            return server_events.SessionRecovering()
        case session_events.SessionRecovered():
            return server_events.SessionRecovered()
        case session_events.BudgetWarning():
            return server_events.BudgetWarning(event.scope, event.spent_usd, event.limit_usd)
        case session_events.TurnMetrics():
            return _turn_metrics(event)
        case session_events.PingAnswered() | session_events.PassageOpened() | session_events.PassageRefused():
            return _reply(event)
        case _:
            assert_never(event)


def _reply(event: session_events.Reply) -> server_events.ServerEvent:
    match event:
        case session_events.PingAnswered(id=ping_id):
            return server_events.Pong(ping_id)
        case session_events.PassageOpened():
            return server_events.PassageText(event.id, event.title, event.text)
        case session_events.PassageRefused():
            return _error(event.code, event.message, passage_id=event.passage_id)
        case _:
            assert_never(event)


def _turn_metrics(event: session_events.TurnMetrics) -> server_events.TurnMetrics:
    return server_events.TurnMetrics(
        turn=event.turn,
        status=event.status,
        user_items=list(event.user_items),
        answer_items=list(event.answer_items),
        stages_ms=event.stages_ms,
        queries=[_query(query) for query in event.queries],
        cost_usd=event.cost_usd,
        session_cost_usd=event.session_cost_usd,
        cost_is_estimate=event.cost_is_estimate,
    )


def _query(query: session_events.QueryMetrics) -> server_events.Query:
    outcome = cast("server_events.SearchOutcome", query.outcome)
    return server_events.Query(query.at_ms, query.took_ms, outcome, query.local)


_Visible: TypeAlias = Mapping[str, "_Visible | None"]
_FORMAT: _Visible = {"type": None, "rate": None}
_SESSION: _Visible = {
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


def visible_session(session_json: str) -> dict[str, Any]:
    """The parts of the upstream's session object that clients may see; `{}` for text that is no JSON object."""
    try:
        whole = msgspec.json.decode(session_json)
    except json_text.UNREADABLE:
        return {}
    return _visible(whole, _SESSION) if isinstance(whole, dict) else {}


def _visible(value: dict[str, Any], allowed: _Visible) -> dict[str, Any]:
    """The allowed fields; where a plain value is expected, an object or a list of objects is left out."""
    kept: dict[str, Any] = {}
    for name, deeper in allowed.items():
        inner = value.get(name)
        if deeper is not None and isinstance(inner, dict):
            kept[name] = _visible(inner, deeper)
        elif name in value and (inner is None or (deeper is None and _is_plain(inner))):
            kept[name] = inner
    return kept


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, str) for each in value)
    return isinstance(value, str | int | float | bool)
