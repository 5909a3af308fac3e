"""Servers that speak OpenAI's wire as it was before general availability, for example speaches.

They differ in much else, see decision 0045. The gate is checked in the handshake, so
one that ignores `create_response: false` is refused.
"""

from __future__ import annotations

from voice_trio.upstreams.flat_wire import FlatTranslator
from voice_trio.upstreams.profile import UpstreamProfile

FLAT = UpstreamProfile(
    name="flat",
    title="a server of the flat Realtime protocol",
    transcription_model="whisper-1",
    voice="",
    changes_speed=False,
    speaks_openai=False,
    transcribes_speech=False,
    transcribes_apart=False,
    fallback_transcription_model=None,
    translator=FlatTranslator,
    path="/v1/realtime",
)
