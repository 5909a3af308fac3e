"""Fakes that belong to the product: a model, a transcriber, a client and links, for your own tests and for trying out.

`ScriptedModel` is a Realtime server that follows a script (`answers_with`, `hear_speech`, `stall`, `drop` …) and
otherwise keeps a real server's rules and order of events. `FakeClient` speaks the voice protocol. `memory_link_pair`
joins two parties without a network, so that time can be virtual; `serve_scripted_model` serves a model on TCP, where
time is real. A second connection with `?intent=transcription` meets the model's `transcriber`. With `dialect` the model
speaks the wire of another kind of upstream (`azure`, `azure-voice-live`, `flat`, `speaches` …). `RuleBasedModel` needs
no script: it detects speech by loudness and answers from the context in the conversation. `ScriptedLiveModel` plays
GPT-Live, which listens and speaks at once; `serve_scripted_live_model` serves it on TCP.

A test of your own code, on virtual time and exact to the millisecond:

    import trio
    from voice_trio.protocols.realtime import RealtimeConfig, session_update
    from voice_trio.testing import ScriptedModel

    async def test_an_answer_begins_300_ms_after_it_was_asked_for(autojump_clock):
        async with trio.open_nursery() as nursery:
            model = ScriptedModel(nursery)
            model.answers_with("Thirty-three degrees.", audio_ms=1200, first_audio_after=0.3)
            link = model.connect()
            await link.send(session_update(RealtimeConfig(model="any", instructions="")))
            await model.hear_speech("how warm should the brooder be")
            await link.send('{"type": "response.create"}')
            asked = await model.hears("response.create")
            first_audio = await model.says("response.output_audio.delta")
            assert round(first_audio.at - asked.at, 3) == 0.3
            await link.aclose()

Knowledge and shared state have in-memory twins: `voice_trio.knowledge.knowledge` and
`voice_trio.state.memory_state`.
"""

from __future__ import annotations

from voice_trio.testing.client import FakeClient
from voice_trio.testing.links import MemoryLink, memory_link_pair
from voice_trio.testing.live_model import ScriptedLiveModel
from voice_trio.testing.live_model_server import serve_scripted_live_model
from voice_trio.testing.model import ScriptedModel
from voice_trio.testing.model_server import serve_scripted_model
from voice_trio.testing.recorder import Received
from voice_trio.testing.rule_based import RuleBasedModel
from voice_trio.testing.script import Answer, Call
from voice_trio.testing.transcriber import ScriptedTranscriber

__all__ = [
    "Answer",
    "Call",
    "FakeClient",
    "MemoryLink",
    "Received",
    "RuleBasedModel",
    "ScriptedLiveModel",
    "ScriptedModel",
    "ScriptedTranscriber",
    "memory_link_pair",
    "serve_scripted_live_model",
    "serve_scripted_model",
]
