"""A server of the flat wire: the Realtime interface before general availability, as speaches and others speak it.

Sources: the table "Beta to GA migration" of OpenAI's guide, openai-python's `types/beta/realtime`, and speaches' code:
what the interface does not have is refused or, where speaches does so, reported without the event's id and ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from voice_trio.errors import InvalidEvent
from voice_trio.testing.dialects.dialect import DialectSession

if TYPE_CHECKING:
    from collections.abc import Iterable

RENAMED = {
    "response.output_audio.delta": "response.audio.delta",
    "response.output_audio.done": "response.audio.done",
    "response.output_audio_transcript.delta": "response.audio_transcript.delta",
    "response.output_audio_transcript.done": "response.audio_transcript.done",
    "response.output_text.delta": "response.text.delta",
    "response.output_text.done": "response.text.done",
    "conversation.item.added": "conversation.item.created",
}
MODALITIES = (["text"], ["text", "audio"])
"""Either alone or both; `["audio"]` was an error."""
PARTS = {"system": ("input_text",), "user": ("input_text", "input_audio"), "assistant": ("text",)}


class FlatSession(DialectSession):
    """A connection of such a server."""

    unsent: ClassVar[frozenset[str]] = frozenset({"conversation.item.done"})
    """Events of OpenAI's that the wire has not."""
    session_fields: ClassVar[frozenset[str]] = frozenset(
        (
            *("modalities", "instructions", "voice", "input_audio_format", "output_audio_format", "turn_detection"),
            *("input_audio_transcription", "input_audio_noise_reduction", "tools", "tool_choice", "temperature"),
            *("max_response_output_tokens", "speed"),
        )
    )

    # From the server

    def to_wire(self, event: dict[str, Any]) -> Iterable[dict[str, Any]]:
        kind = event["type"]
        if kind in self.unsent:
            return
        event = {**event, "type": RENAMED.get(kind, kind)}
        if "session" in event:
            event["session"] = self.flat_session(event["session"])
        if "response" in event:
            event["response"] = self.flat_response(event["response"])
        if "item" in event:
            event["item"] = flat_item(event["item"])
        yield event

    def flat_session(self, session: dict[str, Any]) -> dict[str, Any]:
        """OpenAI's session object as this wire has it."""
        heard, spoken = session["audio"]["input"], session["audio"]["output"]
        return {
            "id": session["id"],
            "object": "realtime.session",
            "model": session["model"],
            "modalities": ["text", "audio"] if session["output_modalities"] == ["audio"] else ["text"],
            "instructions": session["instructions"],
            "voice": spoken["voice"],
            "input_audio_format": "pcm16",
            "output_audio_format": "pcm16",
            "input_audio_transcription": heard["transcription"],
            "turn_detection": heard["turn_detection"],
            "tools": session["tools"],
            "tool_choice": session["tool_choice"],
            "temperature": 0.8,
            "max_response_output_tokens": session["max_output_tokens"],
            "expires_at": session["expires_at"],
        }

    def flat_response(self, response: dict[str, Any]) -> dict[str, Any]:
        """OpenAI's response as this wire has it; such servers keep no metadata."""
        gone = ("output_modalities", "audio", "metadata")
        flat = {name: value for name, value in response.items() if name not in gone}
        return {**flat, "modalities": ["text", "audio"], "output": [flat_item(item) for item in response["output"]]}

    # From the client

    def from_wire(self, event: dict[str, Any]) -> Iterable[dict[str, Any]]:
        match event.get("type"):
            case "session.update":
                yield {**event, "session": self.nested_session(event.get("session") or {})}
            case "conversation.item.create":
                yield {**event, "item": nested_item(event.get("item") or {})}
            case "response.create":
                yield {**event, "response": self.nested_response(event.get("response") or {})}
            case _:
                yield event

    def nested_session(self, session: dict[str, Any]) -> dict[str, Any]:
        """OpenAI's session update of this wire's; raises `InvalidEvent` for fields that it has not."""
        for name in session:
            if name not in self.session_fields:
                raise InvalidEvent(
                    f"Unknown parameter: 'session.{name}'.", code="unknown_parameter", param=f"session.{name}"
                )
        nested: dict[str, Any] = {"type": "realtime"}
        heard: dict[str, Any] = {}
        spoken: dict[str, Any] = {}
        for name, value in session.items():
            match name:
                case "modalities":
                    nested["output_modalities"] = [_modality(value)]
                case "input_audio_format" | "output_audio_format":
                    if value != "pcm16":
                        raise InvalidEvent("Only pcm16.", param=f"session.{name}")
                case "input_audio_transcription":
                    heard["transcription"] = value
                case "turn_detection":
                    heard["turn_detection"] = value
                case "voice":
                    spoken["voice"] = self.voice_name(value)
                case "max_response_output_tokens":
                    nested["max_output_tokens"] = value
                case "instructions" | "tools" | "tool_choice":
                    nested[name] = value
        return {**nested, "audio": {"input": heard, "output": spoken}}

    def voice_name(self, voice: Any) -> str:
        if not isinstance(voice, str):
            raise InvalidEvent("Expected a text.", code="invalid_type", param="session.voice")
        return voice

    def nested_response(self, response: dict[str, Any]) -> dict[str, Any]:
        """OpenAI's parameters of a response; what such a server does not support is reported and ignored."""
        for name in ("metadata", "input", "conversation", "audio", "output_modalities"):
            if name in response:
                self.server.send_error(InvalidEvent(f"Specifying `response.{name}` is not supported."))
        return {name: value for name, value in response.items() if name in ("instructions", "tools", "tool_choice")}


def flat_item(item: dict[str, Any]) -> dict[str, Any]:
    """An item as this wire has it: parts of the assistant are called `text` and `audio`."""
    if "content" not in item:
        return item
    parts = [{**part, "type": part["type"].removeprefix("output_")} for part in item["content"]]
    return {**item, "content": parts}


def nested_item(item: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's item of a client's; raises `InvalidEvent` for parts that this wire has not."""
    role = item.get("role")
    if role not in PARTS or "content" not in item:
        return item
    for index, part in enumerate(item["content"]):
        if part.get("type") not in PARTS[role]:
            message = f"Invalid value: '{part.get('type')}'. Supported values are: {', '.join(PARTS[role])}."
            raise InvalidEvent(message, param=f"item.content[{index}].type")
    parts = [{**part, "type": "output_text" if part["type"] == "text" else part["type"]} for part in item["content"]]
    return {**item, "content": parts}


def _modality(value: Any) -> str:
    if not isinstance(value, list) or sorted(value, reverse=True) not in MODALITIES:
        raise InvalidEvent('Expected ["text"] or ["text", "audio"].', param="session.modalities")
    return "audio" if "audio" in value else "text"
