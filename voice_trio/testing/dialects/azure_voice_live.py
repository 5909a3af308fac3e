"""Azure Voice Live: the flat wire, with an item's end, voices as objects, and fields of Azure's.

Sources: recorded traffic of the service, and Microsoft's Voice Live API reference. Transcription begins after the
commit, and its whole text comes at once, as with the model that was recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from voice_trio.errors import InvalidEvent
from voice_trio.testing.dialects.azure import refusal_at
from voice_trio.testing.dialects.flat import FlatSession

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.testing.recorder import ModelHandshake

TRANSCRIPTION_MODELS = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe", "mai-transcribe-1", "azure-speech")
OPENAI_VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")


class VoiceLiveSession(FlatSession):
    """A connection of such a server."""

    path = "/voice-live/realtime"
    unsent: ClassVar[frozenset[str]] = frozenset({"rate_limits.updated"})
    session_fields: ClassVar[frozenset[str]] = FlatSession.session_fields - {"speed"} | {"input_audio_sampling_rate"}

    @classmethod
    def refuses(cls, handshake: ModelHandshake) -> tuple[int, str] | None:
        if (refusal := refusal_at(cls.path, handshake)) is not None:
            return refusal
        query = parse_qs(urlsplit(handshake.path).query)
        return None if "api-version" in query and "model" in query else (400, "MissingParameter")

    def to_wire(self, event: dict[str, Any]) -> Iterable[dict[str, Any]]:
        if event["type"] == "conversation.item.done" and event["item"].get("role") == "assistant":
            return  # recorded for the user's items only
        if event["type"].endswith("input_audio_transcription.completed"):
            event.pop("usage", None)
        yield from super().to_wire(event)

    def flat_session(self, session: dict[str, Any]) -> dict[str, Any]:
        flat = super().flat_session(session)
        detection = flat["turn_detection"] and {**flat["turn_detection"], "end_of_utterance_detection": None}
        azures = {
            "voice": {"name": flat["voice"], "type": "openai"},
            "turn_detection": detection and {**detection, "auto_truncate": False},
            "input_audio_sampling_rate": 24000,
            "avatar": None,
            "animation": None,
        }
        del flat["temperature"]
        return flat | azures

    def nested_session(self, session: dict[str, Any]) -> dict[str, Any]:
        reduction = session.get("input_audio_noise_reduction")
        if reduction is not None and reduction.get("type") != "azure_deep_noise_suppression":
            raise InvalidEvent("Unknown noise reduction.", param="session.input_audio_noise_reduction.type")
        model = (session.get("input_audio_transcription") or {}).get("model", "whisper-1")
        if model not in TRANSCRIPTION_MODELS:
            raise InvalidEvent("Unknown transcription model.", param="session.input_audio_transcription.model")
        return super().nested_session(session)

    def voice_name(self, voice: Any) -> str:
        given = {"type": "openai", "name": voice} if isinstance(voice, str) else voice
        match given:
            case {"type": "openai", "name": str(name)} if name in OPENAI_VOICES:
                return str(name)
            case {"type": "azure-standard", "name": str(name)}:
                return str(name)
        raise InvalidEvent("Unknown voice.", param="session.voice")
