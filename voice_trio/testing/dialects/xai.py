"""xAI's server, as documents, recorded traffic and the code of other clients describe it.

With its own turn detection it responds to each turn, whatever `create_response` says. Without, a commit is responded to
by itself, and a `response.create` that follows is dropped without a word. Words of what is not committed yet are sent
whole each time. The traffic was recorded with its own detection: that words come without it, too, is an assumption.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from voice_trio.errors import InvalidEvent
from voice_trio.testing.dialects.dialect import DialectSession

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.net.link import Link
    from voice_trio.testing.model_session import ModelPort

_TRANSCRIPTION = "conversation.item.input_audio_transcription"
DELTA, UPDATED, COMPLETED = (f"{_TRANSCRIPTION}.{what}" for what in ("delta", "updated", "completed"))


class XaiSession(DialectSession):
    """A connection of such a server."""

    unsent: ClassVar[frozenset[str]] = frozenset({"conversation.item.done", "rate_limits.updated"})

    def __init__(self, link: Link, model: ModelPort, number: int) -> None:
        super().__init__(link, model, number)
        self._words: dict[str, str] = {}
        self._is_asked_for_more = False
        self.buffer_item = self.new_id("item")
        """The id of the item that the buffer will become."""

    # What is said

    def hear_words(self, words: str) -> None:
        """More of what is being said into the buffer is known; `words` begins with a space where a word begins."""
        self.server.transcript_delta(self.buffer_item, words)

    def start_speech(self, item_id: str, ago_ms: float = 0.0) -> None:
        if self.config.detection is not None:
            super().start_speech(item_id, ago_ms)

    def stop_speech(self, item_id: str) -> None:
        if self.config.detection is not None:
            self.config.detection.create_response = True
            super().stop_speech(item_id)

    def audio_committed(self) -> None:
        duration_ms, self.uncommitted_ms = self.uncommitted_ms, 0.0
        item_id, self.buffer_item = self.buffer_item, self.new_id("item")
        self.server.commit(item_id, duration_ms)
        self._is_asked_for_more = False
        self.server.create_response()
        if item_id in self._words:
            self.server.transcript_completed(item_id, self._words[item_id].strip())

    # From the server

    def to_wire(self, event: dict[str, Any]) -> Iterable[dict[str, Any]]:
        kind = event["type"]
        if kind in self.unsent:
            return
        event = {**event, "previous_item_id": event.get("previous_item_id")}
        if "session" in event:
            event["session"] = self._shown(event["session"])
        if "response" in event:
            gone = ("metadata", "audio", "output_modalities", "conversation_id", "max_output_tokens")
            response = {name: value for name, value in event["response"].items() if name not in gone}
            event["response"] = response | {"usage": {}, "status_details": "unimplemented"}
        if kind == "response.content_part.done":
            del event["part"]
        if kind == DELTA:
            words = self._words[event["item_id"]] = self._words.get(event["item_id"], "") + event.pop("delta")
            event |= {"type": UPDATED, "transcript": words.strip()}
        if kind == COMPLETED:
            event.pop("usage", None)
            yield {**event, "status": "in_progress"}
            event["status"] = "completed"
        if kind == "session.updated":
            yield {"type": "conversation.created", "conversation": {"id": "c", "object": "realtime.conversation"}}
            yield {"type": "ping", "timestamp": 1785214081855, "previous_item_id": None}
        yield event

    def _shown(self, session: dict[str, Any]) -> dict[str, Any]:
        heard, spoken = session["audio"]["input"], session["audio"]["output"]
        return {
            "id": session["id"],
            "object": "realtime.session",
            "instructions": session["instructions"],
            "voice": spoken["voice"],
            "modalities": ["audio"],
            "turn_detection": heard["turn_detection"] or {"type": None},
            "input_audio_transcription": heard["transcription"],
            "tools": session["tools"],
            "model": session["model"],
        }

    # From the client

    def from_wire(self, event: dict[str, Any]) -> Iterable[dict[str, Any]]:
        match event.get("type"):
            case "session.update":
                yield {**event, "session": self._nested(event.get("session") or {})}
            case "conversation.item.create":
                self._is_asked_for_more = True
                yield event
            case "response.create":
                if self._is_asked_for_more and self.config.detection is None:
                    self._is_asked_for_more = False
                    yield event
            case "conversation.item.truncate" if self.server.responses.active is not None:
                pass  # it lands only after the end
            case _:
                yield event

    def _nested(self, session: dict[str, Any]) -> dict[str, Any]:
        audio = session.get("audio") or {}
        heard = dict(audio.get("input") or {})
        detection = session.get("turn_detection") or {}
        if detection.get("type") not in (None, "server_vad"):
            raise InvalidEvent("turn_detection.type must be server_vad or null.", param="session.turn_detection")
        heard["turn_detection"] = detection if detection.get("type") else None
        spoken = dict(audio.get("output") or {})
        if "voice" in session:
            spoken["voice"] = session["voice"]
        kept = ("instructions", "tools", "tool_choice")
        nested: dict[str, Any] = {name: value for name, value in session.items() if name in kept}
        return {"type": "realtime", **nested, "audio": {"input": heard, "output": spoken}}
