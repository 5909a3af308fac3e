"""GPT-Live: OpenAI's full-duplex API, which listens and speaks at once and knows no turns.

Source: `types/live` of openai-python 3.57, OpenAI's guide to live sessions.
"""

from __future__ import annotations

from voice_trio.upstreams.gpt_live_wire import GptLiveTranslator
from voice_trio.upstreams.profile import Gate, UpstreamProfile

GPT_LIVE = UpstreamProfile(
    name="gpt-live",
    title="OpenAI GPT-Live",
    model="gpt-live-1.1",
    gate=Gate.NONE,
    truncates=False,
    deletes=False,
    changes_speed=False,
    speaks_openai=False,
    transcribes_apart=False,
    fallback_transcription_model=None,
    session_seconds_max=7200.0,
    translator=GptLiveTranslator,
    path="/v1/live/sessions",
    model_parameter=None,
    paths_replaced=("/v1/realtime", "/openai/v1/realtime"),
)
