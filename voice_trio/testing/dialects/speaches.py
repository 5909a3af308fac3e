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
    from voice_trio.protocols.realtime_server.response import ServerResponse

NOTHING_HEARD = Answer(text="I did not hear anything.")
FIXED = ("input_audio_format", "output_audio_format")


class SpeachesSession(FlatSession):
    """A connection of such a server."""

    def flat_session(self, session: dict[str, Any]) -> dict[str, Any]:
        return super().flat_session(session) | {"speech_model": "speaches-ai/Kokoro-82M-v1.0-ONNX"}

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
