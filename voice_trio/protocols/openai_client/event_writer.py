"""The model's frames as a drop-in client gets them, and our own words in OpenAI's shapes.

A frame passes untouched, unless there is a trace of ours in it: items of ours stay hidden, also where they stand before
another (`previous_item_id`), and so does the tag by which a response is known to be ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from cachetools import FIFOCache

from voice_trio.conversation import commands, events
from voice_trio.conversation.managed.responses import TAG

if TYPE_CHECKING:
    from voice_trio.conversation import session_events
    from voice_trio.errors import InvalidEvent
    from voice_trio.protocols.openai_client.client_settings import ClientSettings
    from voice_trio.protocols.realtime import SessionState

HIDDEN_ITEMS_MAX = 512

_TRANSCRIPTS = (events.TranscriptDelta, events.TranscriptCompleted, events.TranscriptFailed)
_TRANSCRIPTION = "conversation.item.input_audio_transcription."


class ClientEventWriter:
    """Writes to one client. `id_prefix` begins the ids of everything that is ours."""

    def __init__(self, wishes: ClientSettings, id_prefix: str) -> None:
        self._wishes = wishes
        self._prefix = id_prefix
        self._trace = f'"{id_prefix}'
        # Item of ours → the client's item before it.
        self._before: FIFOCache[str, str | None] = FIFOCache(HIDDEN_ITEMS_MAX)
        self._events = 0

    def write(
        self,
        event: events.UpstreamEvent | commands.ClientNotice | commands.PassthroughNotice | session_events.SessionEvent,
    ) -> str | None:
        """The frame that tells the client of `event`; `None` if it knows nothing of such things."""
        match event:
            case events.ResponseAudioDelta():  # the hot path
                return event.wire
            case events.ResponseCreated() | events.ResponseDone():
                return self._without_tag(event.wire)
            case commands.UpstreamErrorForwarded():
                return self._error_of_model(event.error, event.event_id)
            case commands.RequestRefused():
                kind = "server_error" if event.is_ours else "invalid_request_error"
                return self._error(kind, event.code, event.message, event.param, event.event_id)
            case commands.TruncateAck():
                cut = {"item_id": event.item_id, "content_index": event.content_index}
                return self._say("conversation.item.truncated", **cut, audio_end_ms=event.audio_end_ms)
            case commands.DeleteAck():
                return self._say("conversation.item.deleted", item_id=event.item_id)
            case commands.EmptyItemShown():
                return self._say("conversation.item.retrieved", item=_empty_item(event.item_id))
            case events.FromUpstream():
                return self._frame(event)
            case _:
                return None

    def session(self, state: SessionState, kind: str, expires_at: float) -> str:
        """`session.created` or `session.updated`, as the client sees its session; `expires_at` is Unix time."""
        frame = _object(state.wire)
        event_id = frame.get("event_id") or self._new_id()
        session = self._wishes.shown(state.session_json, expires_at)
        return _encode({"type": kind, "event_id": event_id, "session": session})

    def refuse(self, error: InvalidEvent) -> str:
        """The `error` event for a frame that goes no further."""
        return self._error("invalid_request_error", error.code, str(error), error.param, error.event_id)

    def farewell(self, code: str, message: str, *, is_ours: bool = False) -> str:
        """The `error` event before a close."""
        return self._error("server_error" if is_ours else "invalid_request_error", code, message)

    def _frame(self, event: events.FromUpstream) -> str | None:
        if isinstance(event, _TRANSCRIPTS) and not self._wishes.wants_transcripts:
            return None
        if isinstance(event, events.OtherUpstreamEvent):
            if event.type.startswith(_TRANSCRIPTION) and not self._wishes.wants_transcripts:
                return None
        elif not isinstance(event, events.SpeechCommitted | events.ItemDeleted):
            return event.wire
        return event.wire if self._trace not in event.wire else self._without_items(event.wire)

    def _without_items(self, wire: str) -> str | None:
        """The frame as if our items were not there; `None` if it is about one of them."""
        frame = _object(wire)
        item = frame.get("item")
        item_id = item.get("id") if isinstance(item, dict) else frame.get("item_id")
        previous = self._visible(frame.get("previous_item_id"))
        if isinstance(item_id, str) and item_id.startswith(self._prefix):
            if "previous_item_id" in frame:
                self._before[item_id] = previous
            return None
        if previous == frame.get("previous_item_id"):
            return wire
        return _encode(frame | {"previous_item_id": previous})

    def _visible(self, item_id: str | None) -> str | None:
        """The item itself or, if it is ours, the nearest of the client's before it."""
        while isinstance(item_id, str) and item_id.startswith(self._prefix):
            item_id = self._before.get(item_id)
        return item_id

    def _without_tag(self, wire: str) -> str:
        if f'"{TAG}"' not in wire:
            return wire
        frame = _object(wire)
        response = frame.get("response")
        metadata = response.get("metadata") if isinstance(response, dict) else None
        if not isinstance(response, dict) or not isinstance(metadata, dict) or TAG not in metadata:
            return wire
        kept = {name: value for name, value in metadata.items() if name != TAG}
        return _encode(frame | {"response": response | {"metadata": kept or None}})

    def _error_of_model(self, event: events.UpstreamError, event_id: str | None) -> str:
        """The model's own complaint, about the event as its client knows it."""
        frame = _object(event.wire)
        error = frame.get("error")
        return _encode(frame | {"error": (error if isinstance(error, dict) else {}) | {"event_id": event_id}})

    def _error(self, kind: str, code: str, message: str, param: str | None = None, event_id: str | None = None) -> str:
        error = {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}
        return self._say("error", error=error)

    def _say(self, kind: str, **fields: Any) -> str:
        return _encode({"type": kind, "event_id": self._new_id(), **fields})

    def _new_id(self) -> str:
        self._events += 1
        return f"event_gw{self._events}"


def _empty_item(item_id: str) -> dict[str, Any]:
    about = {"id": item_id, "object": "realtime.item", "type": "message"}
    return about | {"status": "incomplete", "role": "assistant", "content": []}


def _object(wire: str) -> dict[str, Any]:
    frame = msgspec.json.decode(wire) if wire else {}
    return frame if isinstance(frame, dict) else {}


def _encode(frame: dict[str, Any]) -> str:
    return msgspec.json.encode(frame).decode()
