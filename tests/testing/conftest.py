"""A Realtime client for tests of the scripted model: it checks every event that it receives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio
import trio.testing
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from voice_trio.errors import LinkClosed
from voice_trio.protocols.realtime import RealtimeConfig, session_update
from voice_trio.testing.model import ScriptedModel
from voice_trio.testing.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voice_trio.testing.links import MemoryLink

OPENAI: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
CONFIG = RealtimeConfig(model="scripted", instructions="Be kind.")


class FakeCaller:
    """One connection to a model. Every event it hears must be one of the API's own types."""

    def __init__(self, link: MemoryLink) -> None:
        self.link = link
        self.closed_with: LinkClosed | None = None
        self.gone = trio.Event()
        self.recorder = Recorder()
        self.hears = self.recorder.hears

    async def run(self) -> None:
        try:
            while True:
                event = msgspec.json.decode(await self.link.receive())
                OPENAI.validate_python(event)
                self.recorder.record(event)
        except LinkClosed as closed:
            self.closed_with = closed
        self.gone.set()

    async def sends(self, kind: str, **fields: Any) -> None:
        await self.link.send(msgspec.json.encode({"type": kind, **fields}).decode())

    async def is_ready(self) -> None:
        await self.hears("session.created")
        await self.link.send(session_update(CONFIG))
        await self.hears("session.updated")

    async def is_refused(self, **error: Any) -> None:
        """The next error says at least this."""
        trouble = (await self.hears("error")).event["error"]
        assert {name: trouble[name] for name in error} == error

    async def hears_nothing_more(self) -> None:
        before = len(self.recorder.entries)
        await trio.sleep(60)
        assert self.types()[before:] == []

    def types(self) -> list[str]:
        return self.recorder.types()


async def start_an_answer(model: ScriptedModel, caller: FakeCaller, **how: Any) -> str:
    """A response that is being spoken; returns its id."""
    model.answers_with("one two three four five six", **{"audio_ms": 4000, "pace": 1.0, **how})
    await caller.sends("response.create", response={"metadata": {"vt_tag": "7"}})
    await caller.hears("response.output_audio.delta")
    return str(caller.recorder.heard("response.created")[-1].event["response"]["id"])


@pytest.fixture
async def model(nursery: trio.Nursery) -> ScriptedModel:
    # pytest-trio takes a clock only from the test's own arguments; forgotten there, a test would wait in earnest.
    assert isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock)
    return ScriptedModel(nursery)


@pytest.fixture
def connect(model: ScriptedModel, nursery: trio.Nursery) -> Callable[[], FakeCaller]:
    """Makes a client that has not said anything yet."""

    def connected() -> FakeCaller:
        caller = FakeCaller(model.connect())
        nursery.start_soon(caller.run)
        return caller

    return connected


@pytest.fixture
async def caller(connect: Callable[[], FakeCaller]) -> AsyncIterator[FakeCaller]:
    """A client whose session is ready."""
    caller = connect()
    await caller.is_ready()
    caller.recorder.forget()
    yield caller
    await caller.link.aclose()
