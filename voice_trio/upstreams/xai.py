"""xAI's voice models (Grok Voice).

`create_response: false` is accepted and shown, and its turn detection responds all the same. So detection is off: the
gateway detects speech and commits it, and xAI responds to the commit by itself. Sources: xAI's documents, recorded
traffic (all with its own detection: it proves the names of events), and the code of other clients for the gate.
"""

from __future__ import annotations

from voice_trio.upstreams.profile import Gate, UpstreamProfile
from voice_trio.upstreams.xai_wire import XaiTranslator

XAI = UpstreamProfile(
    name="xai",
    title="xAI Grok Voice",
    needs_key=True,
    model="grok-voice-latest",
    transcription_model="grok-transcribe",
    voice="ara",
    gate=Gate.COMMIT_ANSWERS,
    interrupts=False,
    changes_speed=False,
    context_role="user",
    speaks_openai=False,
    transcribes_apart=False,
    fallback_transcription_model=None,
    translator=XaiTranslator,
    path="/v1/realtime",
)
