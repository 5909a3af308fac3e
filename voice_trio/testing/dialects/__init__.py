"""The wires that the scripted model speaks beside OpenAI's, one file each, by the name of a profile or a server.

    ScriptedModel(nursery, dialect="flat")

Each is written from its server's documents and recorded traffic, not from the gateway's translator: what both
misunderstand in the same way, no test would notice.
"""

from __future__ import annotations

from voice_trio.testing.dialects.azure import AzureSession
from voice_trio.testing.dialects.azure_voice_live import VoiceLiveSession
from voice_trio.testing.dialects.dialect import DialectSession
from voice_trio.testing.dialects.flat import FlatSession
from voice_trio.testing.dialects.speaches import SpeachesSession
from voice_trio.testing.dialects.xai import XaiSession
from voice_trio.testing.model_session import ModelSession

DIALECTS: dict[str, type[ModelSession]] = {
    "openai": ModelSession,
    "azure": AzureSession,
    "azure-voice-live": VoiceLiveSession,
    "flat": FlatSession,
    "speaches": SpeachesSession,
    "xai": XaiSession,
}
"""What serves a connection of each dialect."""

__all__ = ["DIALECTS", "DialectSession"]
