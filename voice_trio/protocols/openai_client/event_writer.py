"""Writes to clients of OpenAI's protocol: the upstream's frames without the gateway's own items, and OpenAI's errors.

A frame passes untouched unless it names something of the gateway's. Items of the gateway's stay hidden, also where one
stands before another (`previous_item_id`), and so does the tag by which the gateway knows its own responses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, assert_never

import msgspec
from cachetools import FIFOCache

from voice_trio.conversation import commands, events, session_events
from voice_trio.conversation.response import TAG
from voice_trio.protocols import json_text
from voice_trio.protocols.openai_client.response_ends import OpenResponses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.errors import InvalidEvent
    from voice_trio.protocols.openai_client.client_settings import ClientSettings
    from voice_trio.protocols.realtime import SessionState

HIDDEN_ITEMS_MAX = 512

VoiceOnly: TypeAlias = commands.ClientNotice | session_events.SessionEvent
"""OpenAI's protocol has no event for them."""

_OneFrame: TypeAlias = (
    commands.UpstreamErrorForwarded
    | commands.RequestRefused
    | commands.TruncateAck
    | commands.DeleteAck
    | commands.EmptyItemShown
)

_TRANSCRIPTION = "conversation.item.input_audio_transcription."
_CODES = {
    "token_invalid": "invalid_api_key",
    "rate_limited": "rate_limit_exceeded",
    "too_many_sessions": "rate_limit_exceeded",
    "budget_exhausted": "insufficient_quota",
}
"""Our codes for which OpenAI has a name of its own: its SDKs decide by them whether to try again."""


class ClientEventWriter:
    """Writes to one client. `id_prefix` begins the ids of all items of the gateway's."""

    def __init__(self, settings: ClientSettings, id_prefix: str) -> None:
        self._settings = settings
        self._prefix = id_prefix
        self._prefix_in_json = f'"{id_prefix}'
        # Hidden item → the client's item before it.
        self._visible_before: FIFOCache[str, str | None] = FIFOCache(HIDDEN_ITEMS_MAX)
        self._responses = OpenResponses()
        self._events = 0

    def write(self, event: session_events.ToClient) -> str | None:
        """The frame that reports `event`; `None` if OpenAI's protocol has none, or the client must not see it."""
        if isinstance(event, events.ResponseAudioDelta):  # first, for it is the most frequent
            return event.wire
        if isinstance(event, VoiceOnly):
            return None
        if isinstance(event, events.FromUpstream):
            self._responses.note(event)
        match event:
            case events.ResponseCreated(response_id=response_id):
                created = self._without_tag(event.wire)
                self._responses.begin(response_id, created)
                return created
            case events.ResponseDone():
                return self._without_tag(event.wire)
            case events.TranscriptDelta() | events.TranscriptCompleted() | events.TranscriptFailed():
                return event.wire if self._settings.wants_transcripts else None
            case events.OtherUpstreamEvent(type=kind):
                is_transcription = kind.startswith(_TRANSCRIPTION)
                return None if is_transcription and not self._settings.wants_transcripts else self._visible(event.wire)
            case events.SpeechCommitted() | events.ItemDeleted():
                return self._visible(event.wire)
            case events.FromUpstream():
                return event.wire
            case (
                commands.UpstreamErrorForwarded()
                | commands.RequestRefused()
                | commands.TruncateAck()
                | commands.DeleteAck()
                | commands.EmptyItemShown()
            ):
                return self._notice(event)
            case commands.ResponseNotAsked():
                return None  # two frames: `cancelled_response`
            case _:
                assert_never(event)

    def end_response(self, done: events.ResponseDone) -> Iterator[str]:
        """The frames that end a response which the upstream does not end; `response.done` is the last one."""
        for fields in self._responses.end(done):
            yield self._event(**fields)

    def cancelled_response(self, notice: commands.ResponseNotAsked) -> tuple[str, str, str]:
        """A response that the upstream was never asked for: its id, and the frames of its beginning and its end."""
        response_id = f"resp_{self._new_id()}"
        metadata = None if notice.metadata is None else dict(notice.metadata)
        created, done = self._responses.cancelled_unasked(response_id, metadata)
        return response_id, self._event(**created), self._event(**done)

    def session(self, state: SessionState, kind: str, expires_at: float) -> str:
        """`session.created` or `session.updated`, as the client sees its session; `expires_at` is Unix time."""
        frame = _decode_object(state.wire)
        event_id = frame.get("event_id") or self._new_id()
        session = self._settings.visible_session(state.session_json, expires_at)
        return _encode({"type": kind, "event_id": event_id, "session": session})

    def refuse(self, error: InvalidEvent) -> str:
        """The `error` event for a frame that was refused."""
        return self._error("invalid_request_error", error.code, str(error), error.param, error.event_id)

    def closing_error(self, code: str, message: str, *, is_ours: bool = False) -> str:
        """The `error` event before a close."""
        return self._error("server_error" if is_ours else "invalid_request_error", code, message)

    def _notice(self, notice: _OneFrame) -> str:
        match notice:
            case commands.UpstreamErrorForwarded(error=error, event_id=event_id):
                return _with_event_id(error.wire, event_id)
            case commands.RequestRefused():
                kind = "server_error" if notice.is_ours else "invalid_request_error"
                code = _CODES.get(notice.code, notice.code)
                return self._error(kind, code, notice.message, notice.param, notice.event_id)
            case commands.TruncateAck(item_id=item_id, content_index=index, audio_end_ms=end_ms):
                cut = {"item_id": item_id, "content_index": index, "audio_end_ms": end_ms}
                return self._event("conversation.item.truncated", **cut)
            case commands.DeleteAck(item_id=item_id):
                return self._event("conversation.item.deleted", item_id=item_id)
            case commands.EmptyItemShown(item_id=item_id):
                return self._event("conversation.item.retrieved", item=_empty_item(item_id))
            case _:
                assert_never(notice)

    def _visible(self, wire: str) -> str | None:
        """The frame as if the gateway's items did not exist; `None` if it is about one of them."""
        if self._prefix_in_json not in wire:
            return wire
        frame = _decode_object(wire)
        item = frame.get("item")
        item_id = item.get("id") if isinstance(item, dict) else frame.get("item_id")
        previous = self._nearest_visible(frame.get("previous_item_id"))
        if isinstance(item_id, str) and item_id.startswith(self._prefix):
            if "previous_item_id" in frame:
                self._visible_before[item_id] = previous
            return None
        if previous == frame.get("previous_item_id"):
            return wire
        return _encode(frame | {"previous_item_id": previous})

    def _nearest_visible(self, item_id: str | None) -> str | None:
        """The item itself or, if it is hidden, the nearest of the client's before it."""
        while isinstance(item_id, str) and item_id.startswith(self._prefix):
            item_id = self._visible_before.get(item_id)
        return item_id

    def _without_tag(self, wire: str) -> str:
        if f'"{TAG}"' not in wire:
            return wire
        frame = _decode_object(wire)
        response = frame.get("response")
        metadata = response.get("metadata") if isinstance(response, dict) else None
        if not isinstance(response, dict) or not isinstance(metadata, dict) or TAG not in metadata:
            return wire
        kept = {name: value for name, value in metadata.items() if name != TAG}
        return _encode(frame | {"response": response | {"metadata": kept or None}})

    def _error(self, kind: str, code: str, message: str, param: str | None = None, event_id: str | None = None) -> str:
        error = {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
        return self._event("error", error=error)

    def _event(self, type: str, **fields: Any) -> str:
        return _encode({"type": type, "event_id": self._new_id(), **fields})

    def _new_id(self) -> str:
        self._events += 1
        return f"event_gw{self._events}"


def refusal_json(code: str, message: str, http_status: int, param: str | None = None) -> bytes:
    """The body of an HTTP error as OpenAI's API words it: `{"error": {"message", "type", "param", "code"}}`.

    `code` is one of ours (docs/protocol.md, Errors) or already one of OpenAI's; `param` names the part of the
    request at fault.
    """
    kind, openai_code = _type_and_code(code, http_status)
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": param, "code": openai_code}})


def _type_and_code(code: str, http_status: int) -> tuple[str, str]:
    if http_status >= 500:
        # The request is not at fault, not even its token: it could not be checked.
        return "server_error", "server_error" if code in _CODES else code
    openai_code = _CODES.get(code, code)
    if http_status == 429:
        kind = "insufficient_quota" if openai_code == "insufficient_quota" else "rate_limit_exceeded"
        return kind, openai_code
    return "invalid_request_error", openai_code


def _with_event_id(wire: str, event_id: str | None) -> str:
    """The upstream's `error` event, naming the event as its client knows it."""
    frame = _decode_object(wire)
    error = frame.get("error")
    return _encode(frame | {"error": (error if isinstance(error, dict) else {}) | {"event_id": event_id}})


def _empty_item(item_id: str) -> dict[str, Any]:
    about = {"id": item_id, "object": "realtime.item", "type": "message"}
    return about | {"status": "incomplete", "role": "assistant", "content": []}


def _decode_object(wire: str) -> dict[str, Any]:
    frame = msgspec.json.decode(wire) if wire else {}
    return frame if isinstance(frame, dict) else {}


def _encode(frame: dict[str, Any]) -> str:
    return json_text.encode(frame)
