"""speaches: the flat wire in front of a chain of models. It transcribes, a text model answers, a voice reads.

Source: its code (`src/speaches/realtime`). The user's item has no words before its transcript is complete. What cannot
be configured is reported by errors that name no event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voice_trio.errors import InvalidEvent
from voice_trio.testing.dialects.flat import FlatSession
from voice_trio.testing.script import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.net.link import Link
    from voice_trio.protocols.realtime_server.response import ServerResponse
    from voice_trio.testing.model_session import ModelPort

NOTHING_HEARD = Answer(text="I did not hear anything.")
FIXED = ("input_audio_format", "output_audio_format")


class SpeachesSession(FlatSession):
    """A connection of such a server."""

    def __init__(self, link: Link, model: ModelPort, number: int) -> None:
        super().__init__(link, model, number)
        self._partial: dict[str, str] = {}

    def flat_session(self, session: dict[str, Any]) -> dict[str, Any]:
        return super().flat_session(session) | {"speech_model": "speaches-ai/Kokoro-82M-v1.0-ONNX"}

    def to_wire(self, event: dict[str, Any]) -> Iterable[dict[str, Any]]:
        if event["type"] != "conversation.item.input_audio_transcription.delta":
            yield from super().to_wire(event)
            return
        item_id = event["item_id"]
        self._partial[item_id] = self._partial.get(item_id, "") + event["delta"]
        if not any(item.id == item_id for item in self.items.order):  # not committed yet
            partial = {"item_id": item_id, "transcript": self._partial[item_id].strip()}
            yield {"type": "input_audio_buffer.partial_transcription", **partial}

    def nested_session(self, session: dict[str, Any]) -> dict[str, Any]:
        for name in FIXED:
            if name in session:
                self.server.send_error(InvalidEvent(f"Specifying `session.{name}` is not supported."))
        return super().nested_session(session)

    def generate(self, response: ServerResponse) -> None:
        """Answer from the words of the newest item of the user."""
        asked = next((item for item in reversed(self.items.order) if item.role == "user"), None)
        if asked is not None and not asked.text:
            self._perform(response, NOTHING_HEARD)
        else:
            super().generate(response)
