"""Ends responses in OpenAI's form for an upstream that does not end them any more: lost, stalled, or given up.

By OpenAI's reference `response.done` is "always emitted, no matter the final state", and the `….done` events of a
response's parts are "also emitted when a Response is interrupted, incomplete, or cancelled". A client that waits for
one of them would wait for ever. `response.function_call_arguments.done` alone is left out: arguments that broke off
must not be executed; the item's `incomplete` status says enough.
Source: OpenAI's reference of Realtime server events (GA interface).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from voice_trio.conversation import events
from voice_trio.conversation.response import CLIENT_CANCELLED
from voice_trio.protocols import json_text

if TYPE_CHECKING:
    from collections.abc import Iterator

Fields: TypeAlias = dict[str, Any]

_INCOMPLETE_REASONS = ("max_output_tokens", "content_filter")
_KEPT = ("response.content_part.added", "response.content_part.done", "response.output_item.done")


@dataclass(slots=True)
class _OpenResponse:
    """What the client was sent of a response, as far as its end needs it; decoded only if the gateway must end it."""

    created: str
    parts: list[str] = field(default_factory=list)
    """The frames that opened or closed items and content parts, in order."""
    texts: dict[str, str] = field(default_factory=dict)
    """What was said or written, by item."""
    closed: set[tuple[str, str]] = field(default_factory=set)
    """(item, "audio" or "text") of what was reported done."""


class OpenResponses:
    """The responses of one client that have begun and not ended."""

    def __init__(self) -> None:
        self._open: dict[str, _OpenResponse] = {}
        self._newest = ""

    def begin(self, response_id: str, created: str) -> None:
        """The client is sent the frame `created`."""
        self._newest = created
        self._open[response_id] = _OpenResponse(created)

    def note(self, event: events.UpstreamEvent) -> None:
        """An event goes to the client; sound need not be noted."""
        match event:
            case events.ResponseDone(response_id=response_id):
                self._open.pop(response_id, None)
            case events.OutputItemAdded(response_id=response_id) if response_id in self._open:
                self._open[response_id].parts.append(event.wire)
            case events.OtherUpstreamEvent(response_id=response_id) if response_id in self._open:
                if event.type in _KEPT:
                    self._open[response_id].parts.append(event.wire)
            case events.ResponseTranscriptDelta(response_id=response_id) if response_id in self._open:
                texts = self._open[response_id].texts
                texts[event.item_id] = texts.get(event.item_id, "") + event.delta
            case events.ResponseAudioDone(response_id=response_id) if response_id in self._open:
                self._open[response_id].closed.add((event.item_id, "audio"))
            case events.ResponseTranscriptDone(response_id=response_id) if response_id in self._open:
                self._open[response_id].closed.add((event.item_id, "text"))
            case _:
                pass

    def cancelled_unasked(self, response_id: str, metadata: Fields | None) -> Iterator[Fields]:
        """The events of a response that was cancelled before the upstream was asked for it, as if it had been."""
        about: Fields = {"id": response_id, "object": "realtime.response", "output": []}
        about |= {"usage": None, "metadata": metadata}
        response = _response(self._newest) | about
        yield {"type": "response.created", "response": response | {"status": "in_progress", "status_details": None}}
        done = events.ResponseDone(response_id, "cancelled", CLIENT_CANCELLED)
        yield {"type": "response.done", "response": response | _outcome(done)}

    def end(self, done: events.ResponseDone) -> Iterator[Fields]:
        """The events that end the response, without their `event_id`; its `response.done` is the last."""
        known = self._open.pop(done.response_id, None) or _OpenResponse("")
        response = _response(known.created) | {"id": done.response_id, "object": "realtime.response"}
        output: list[Fields] = []
        for item in _items(known):
            if not item.is_done:
                yield from item.end(done.response_id, known)
            output.append(item.shown)
        yield {"type": "response.done", "response": response | _outcome(done) | {"output": output, "usage": None}}


@dataclass(slots=True)
class _Item:
    """An output item, as its client knows it."""

    index: int
    shown: Fields
    parts: dict[int, Fields] = field(default_factory=dict)
    open_parts: dict[int, Fields] = field(default_factory=dict)
    is_done: bool = False

    def end(self, response_id: str, known: _OpenResponse) -> Iterator[Fields]:
        item_id = str(self.shown.get("id"))
        text = known.texts.get(item_id, "")
        for content_index, part in self.open_parts.items():
            is_audio = part.get("type") == "audio"
            place: Fields = {"response_id": response_id, "item_id": item_id}
            place |= {"output_index": self.index, "content_index": content_index}
            if is_audio and (item_id, "audio") not in known.closed:
                yield {"type": "response.output_audio.done", **place}
            kind, name = ("output_audio_transcript", "transcript") if is_audio else ("output_text", "text")
            if (item_id, "text") not in known.closed:
                yield {"type": f"response.{kind}.done", **place, name: text}
            self.parts[content_index] = part | {name: text}
            yield {"type": "response.content_part.done", **place, "part": self.parts[content_index]}
        self.shown = self.shown | {"status": "incomplete"}
        if self.shown.get("type") == "message":
            self.shown["content"] = [_as_content(part) for _, part in sorted(self.parts.items())]
        item = {"response_id": response_id, "output_index": self.index, "item": self.shown}
        yield {"type": "response.output_item.done", **item}


def _items(known: _OpenResponse) -> list[_Item]:
    """The items that the frames tell of, in their order."""
    items: dict[str, _Item] = {}
    for frame in map(_decoded, known.parts):
        shown = frame.get("item")
        if isinstance(shown, dict):
            item = items.setdefault(str(shown.get("id")), _Item(_number(frame.get("output_index")), shown))
            item.shown, item.is_done = shown, frame.get("type") == "response.output_item.done"
            continue
        part, owner = frame.get("part"), items.get(str(frame.get("item_id")))
        if owner is None or not isinstance(part, dict):
            continue
        index = _number(frame.get("content_index"))
        if frame.get("type") == "response.content_part.added":
            owner.open_parts[index] = part
        else:
            owner.open_parts.pop(index, None)
            owner.parts[index] = part
    return sorted(items.values(), key=lambda item: item.index)


def _outcome(done: events.ResponseDone) -> Fields:
    """`status` and `status_details` as OpenAI has them: it knows two reasons to be incomplete, none of them ours."""
    if done.status == "cancelled":
        return {"status": "cancelled", "status_details": {"type": "cancelled", "reason": done.reason}}
    if done.status == "incomplete" and done.reason in _INCOMPLETE_REASONS:
        return {"status": "incomplete", "status_details": {"type": "incomplete", "reason": done.reason}}
    error = {"type": "server_error", "code": done.error_code or "server_error"}
    return {"status": "failed", "status_details": {"type": "failed", "error": error}}


def _as_content(part: Fields) -> Fields:
    """A content part as an item shows it."""
    return {
        "type": f"output_{part.get('type')}",
        **{name: part[name] for name in ("text", "transcript") if name in part},
    }


def _response(created: str) -> Fields:
    response = _decoded(created).get("response")
    return response if isinstance(response, dict) else {}


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _decoded(frame: str) -> Fields:
    try:
        value = msgspec.json.decode(frame)
    except json_text.UNREADABLE:
        return {}
    return value if isinstance(value, dict) else {}
