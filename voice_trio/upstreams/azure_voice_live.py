"""Azure Voice Live: Microsoft's speech services around a model, on the flat wire with fields of its own.

Sources: https://learn.microsoft.com/azure/ai-services/speech-service/voice-live-how-to, the reference beside it, and
the service's definition (Azure/azure-rest-api-specs, `VoiceLive`), api-version 2026-07-15. By that reference it begins
to transcribe at the commit; by its SDK's samples it interrupts its response by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voice_trio.upstreams.flat_wire import FlatTranslator
from voice_trio.upstreams.profile import Authorization, UpstreamProfile

if TYPE_CHECKING:
    from voice_trio.protocols.realtime import RealtimeConfig


class VoiceLiveTranslator(FlatTranslator):
    """The flat wire, with Azure's names for voices and noise reduction, and a sampling rate."""

    def _session(self, session: dict[str, Any], config: RealtimeConfig) -> dict[str, Any]:
        flat = super()._session(session, config) | {"input_audio_sampling_rate": 24_000}
        flat["voice"] = _voice(config)
        if config.noise_reduction:
            # The one kind that all its api-versions have.
            flat["input_audio_noise_reduction"] = {"type": "azure_deep_noise_suppression"}
        return flat


def _voice(config: RealtimeConfig) -> dict[str, str]:
    """Azure's own voices begin with a locale (`en-US-AvaNeural`), OpenAI's have one word."""
    if "-" not in config.voice:
        return {"type": "openai", "name": config.voice}
    rate = {} if config.speed == 1.0 else {"rate": f"{config.speed:g}"}
    return {"type": "azure-standard", "name": config.voice, **rate}


AZURE_VOICE_LIVE = UpstreamProfile(
    name="azure-voice-live",
    title="Azure Voice Live",
    authorization=Authorization.API_KEY,
    needs_key=True,
    model="gpt-realtime",
    transcription_model="azure-speech",
    changes_speed=False,
    speaks_openai=False,
    transcribes_speech=False,
    transcribes_apart=False,
    fallback_transcription_model="whisper-1",
    translator=VoiceLiveTranslator,
    path="/voice-live/realtime",
    parameters=(("api-version", "2026-07-15"),),
)
