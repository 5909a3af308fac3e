"""A whole session on virtual time: a client, the session, the scripted model and a knowledge base, all in memory."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio

from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.errors import ModelUnavailable
from voice_trio.knowledge.knowledge import MemoryKnowledge
from voice_trio.protocols.realtime import RealtimeConfig
from voice_trio.session.config import SessionConfig
from voice_trio.session.endings import Ending
from voice_trio.session.observers import Observer
from voice_trio.session.session import Session
from voice_trio.session.sidecar.sidecar import SidecarPlan
from voice_trio.testing.client import FakeClient
from voice_trio.testing.links import memory_link_pair
from voice_trio.testing.model import ScriptedModel
from voice_trio.upstreams.choose import PROFILES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voice_trio.conversation.turn.record import TurnRecord
    from voice_trio.knowledge.knowledge import Knowledge
    from voice_trio.net.link import Link
    from voice_trio.session.spend.cost_meter import CostMeter
    from voice_trio.session.summary import Summary
    from voice_trio.session.upstream.breaker import UpstreamAccess

PATIENCE_SECONDS = 5_000.0
UNIX_TIME = 1_800_000_000.0

HANDBOOK = (
    Passage("p1", "Brooding", "The brooder must be at 34 degrees in the first week.", "handbook 1"),
    Passage("p2", "Light for layers", "Layers need 16 hours of light.", "handbook 2"),
    Passage("p3", "Water", "Ducks need water deep enough for their bills.", "handbook 3"),
)
REALTIME_CONFIG = RealtimeConfig(model="gpt-realtime-2.1", instructions="Be brief.")
SESSION_CONFIG = SessionConfig("sess_test", REALTIME_CONFIG, resume_token="resume-me")


class SessionFixture(Observer):
    """A session, its client, upstream and knowledge. Times are seconds since it began to connect.

    `upstream` is the name of a profile: the session has it, and the scripted model speaks its dialect, or `dialect`.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        *,
        upstream: str = "openai",
        dialect: str | None = None,
        reports_flush: bool = False,
        knows: Callable[[MemoryKnowledge], Knowledge] = lambda store: store,
        wrap: Callable[[Link], Link] = lambda link: link,
        sidecar: str = "off",
        cost_meter: CostMeter | None = None,
        observers: Sequence[Observer] = (),
        access: UpstreamAccess | None = None,
        **config: Any,
    ) -> None:
        ours, theirs = memory_link_pair()
        self.model = ScriptedModel(nursery, dialect=dialect or upstream)
        self.client = FakeClient(theirs, reports_flush=reports_flush)
        self.knowledge = MemoryKnowledge(HANDBOOK)
        self.records: list[TurnRecord] = []
        self.summaries: list[Summary] = []
        self.over = trio.Event()
        self.under_test = Session(
            wrap(ours),
            self._dial,
            knows(self.knowledge),
            replace(SESSION_CONFIG, upstream=PROFILES[upstream], **config),
            observers=(self, *observers),
            unix_time=lambda: UNIX_TIME,
            cost_meter=cost_meter,
            sidecar=None if sidecar == "off" else SidecarPlan(self._dial_transcriber, always=sidecar == "on"),
            access=access,
        )
        self.expects_crash = False
        self.was_told_ready = False
        self.ended_at = float("nan")
        self.sidecar_dials = 0
        self.upstreams_left_open = 0  # when another one was dialled
        self._upstream_away_until = -math.inf
        self._began_at = trio.current_time()
        self._nursery = nursery
        nursery.start_soon(self.client.run)
        nursery.start_soon(self._run)
        nursery.start_soon(self._fail_when_idle)

    async def _dial(self, nursery: trio.Nursery) -> Link:
        self.upstreams_left_open += self.model.session is not None and not self.model.session.over.is_set()
        if trio.current_time() < self._upstream_away_until:
            raise ModelUnavailable("away")
        return self.model.connect()

    async def _dial_transcriber(self, nursery: trio.Nursery) -> Link:
        self.sidecar_dials += 1
        if trio.current_time() < self._upstream_away_until:
            raise ModelUnavailable("away")
        return self.model.transcriber.connect()

    async def _run(self) -> None:
        summary = await self.under_test.run()
        assert self.expects_crash or summary.ending is not Ending.CRASHED, "the session crashed: see its log"
        self.ended_at = self.now
        self.over.set()

    async def _fail_when_idle(self) -> None:
        """When all that is left is waiting, virtual time jumps to here, and the test fails instead of hanging."""
        await trio.sleep(PATIENCE_SECONDS)
        raise AssertionError(f"nothing happens any more; the client was told: {self.told()}")

    def session_ready(self, summary: Summary) -> None:
        self.was_told_ready = True

    def on_turn(self, record: TurnRecord) -> None:
        self.records.append(record)

    def session_ended(self, summary: Summary) -> None:
        self.summaries.append(summary)

    @property
    def now(self) -> float:
        return round(trio.current_time() - self._began_at, 6)

    @property
    def summary(self) -> Summary:
        (summary,) = self.summaries
        return summary

    async def ready(self) -> None:
        await self.client.hears("session.updated")

    async def until(self, at: float) -> None:
        await trio.sleep_until(self._began_at + at)

    def upstream_is_away_for(self, seconds: float) -> None:
        """Refuse every connection to the upstream that is opened meanwhile."""
        self._upstream_away_until = trio.current_time() + seconds

    def soon(self, function: Any, *args: Any, **kwargs: Any) -> None:
        """Do something meanwhile."""
        self._nursery.start_soon(lambda: function(*args, **kwargs))

    async def asks(self, text: str = "how warm must the brooder be in winter", **how: Any) -> str:
        """The user asks aloud; returns when the model has committed the question."""
        return await self.model.hear_speech(text, **how)

    def requests(self) -> list[str]:
        """What the model was asked for, audio apart, in order."""
        quiet = ("input_audio_buffer.append", "session.update")
        return [entry.type for entry in self.model.received if entry.type not in quiet]

    def times(self, event_type: str) -> list[float]:
        """When the model received events of a type."""
        return [round(entry.at, 6) for entry in self.model.heard(event_type)]

    def told(self, *ignored: str) -> list[str]:
        """What the client was told, audio and its text apart, in order."""
        noise = {"response.audio.delta", "response.audio_transcript.delta", *ignored}
        return [kind for kind in self.client.types() if kind not in noise]

    def last_told(self, event_type: str) -> dict[str, Any]:
        return self.client.heard_of(event_type)[-1].event


def contexts(received: Sequence[dict[str, Any]]) -> list[str]:
    """The text of every context item among events or items."""
    items = [event.get("item", event) for event in received]
    return [
        part["text"]
        for item in items
        if item.get("role") == "system"
        for part in item["content"]
        if part["text"].startswith("<context>")
    ]
