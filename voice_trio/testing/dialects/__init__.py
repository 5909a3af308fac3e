"""The wires that the scripted model speaks beside OpenAI's, one file each, by the name of their profile.

    ScriptedModel(nursery, dialect="flat")

Each is written from its server's documents and recorded traffic, not from the gateway's translator: what both
misunderstand in the same way, no test would notice.
"""

from __future__ import annotations

from voice_trio.testing.dialects.dialect import DialectSession
from voice_trio.testing.model_session import ModelSession

DIALECTS: dict[str, type[ModelSession]] = {
    "openai": ModelSession,
}
"""What serves a connection of each dialect."""

__all__ = ["DIALECTS", "DialectSession"]
