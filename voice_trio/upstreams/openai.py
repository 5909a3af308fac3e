"""OpenAI's Realtime API, and every server that speaks its GA interface as it is."""

from __future__ import annotations

from voice_trio.upstreams.profile import UpstreamProfile

OPENAI = UpstreamProfile(name="openai", title="OpenAI Realtime")
