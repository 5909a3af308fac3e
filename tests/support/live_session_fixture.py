"""A whole session with a full-duplex upstream on virtual time, all in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from tests.support.session_fixture import HANDBOOK, SESSION_CONFIG
from voice_trio.conversation.policy import Policy
from voice_trio.knowledge.knowledge import MemoryKnowledge
from voice_trio.protocols.realtime import RealtimeConfig
from voice_trio.session.endings import Ending
from voice_trio.session.observers import Observer
from voice_trio.session.session import Session
from voice_trio.testing.client import FakeClient
from voice_trio.testing.links import memory_link_pair
from voice_trio.testing.live_model import ScriptedLiveModel
from voice_trio.upstreams.gpt_live import GPT_LIVE

if TYPE_CHECKING:
    from voice_trio.conversation.turn.record import TurnRecord
    from voice_trio.net.link import Link
    from voice_trio.session.ports import Dial
    from voice_trio.session.spend.cost_meter import CostMeter
    from voice_trio.session.summary import Summary

LIVE_CONFIG = RealtimeConfig(model="gpt-live-1.1", instructions="Be brief.")
LIVE_POLICY = Policy(prefetch_words_min=3, whole_words=True)


class MemoryLiveDial:
    """Connects to the scripted model; `fork_of` as the dial of sockets has it."""

    def __init__(self, model: ScriptedLiveModel, fork: str = "") -> None:
        self._model = model
        self._fork = fork

    async def __call__(self, nursery: trio.Nursery) -> Link:
        return self._model.connect(self._fork)

    def fork_of(self, session_id: str) -> Dial:
        return MemoryLiveDial(self._model, session_id)


class LiveSessionFixture(Observer):
    """A session, its client, upstream and knowledge. Times are seconds since it began to connect."""

    def __init__(
        self, nursery: trio.Nursery, *, store: bool = False, cost_meter: CostMeter | None = None, **config: Any
    ) -> None:
        ours, theirs = memory_link_pair()
        self.model = ScriptedLiveModel(nursery)
        self.client = FakeClient(theirs)
        self.knowledge = MemoryKnowledge(HANDBOOK)
        self.records: list[TurnRecord] = []
        self.over = trio.Event()
        self.summary: Summary | None = None
        chosen: dict[str, Any] = {
            "model": replace(LIVE_CONFIG, store=store),
            "policy": LIVE_POLICY,
            "upstream": GPT_LIVE,
        } | config
        self.under_test = Session(
            ours,
            MemoryLiveDial(self.model),
            self.knowledge,
            replace(SESSION_CONFIG, **chosen),
            observers=(self,),
            cost_meter=cost_meter,
        )
        self._began_at = trio.current_time()
        nursery.start_soon(self.client.run)
        nursery.start_soon(self._run)

    async def _run(self) -> None:
        summary = self.summary = await self.under_test.run()
        assert summary.ending is not Ending.CRASHED, "the session crashed: see its log"
        self.over.set()

    def on_turn(self, record: TurnRecord) -> None:
        self.records.append(record)

    @property
    def now(self) -> float:
        return round(trio.current_time() - self._began_at, 6)

    async def ready(self) -> None:
        """The session is ready, and the upstream has heard sound: the microphone is off, so it is silence."""
        await self.client.hears("session.updated")
        await self.model.says("session.output_audio.delta")

    def told(self, *ignored: str) -> list[str]:
        """What the client was told, audio and words apart, in order."""
        noise = {"response.audio.delta", "response.audio_transcript.delta", *ignored}
        return [kind for kind in self.client.types() if kind not in noise]
