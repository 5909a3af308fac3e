"""An operator ends a session while it moves to another instance (F18)."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import trio

from voice_trio.session.endings import Ending
from voice_trio.settings import load_settings
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.rollout import first_rollout
from voice_trio.state.session_claims import InstanceRequest, Verb
from voice_trio.state.session_directory import LiveSession
from voice_trio.state.session_record import SessionRecord
from voice_trio.state.state import Quotas
from voice_trio.web.admin.session_control import EndOutcome, SessionControl
from voice_trio.web.live_sessions import LiveSessions

if TYPE_CHECKING:
    from trio.testing import MockClock

    from voice_trio.session.session import Session

SESSION = "vs_1"


class Elsewhere(MemoryState):
    """Other instances as the directory has them: `places` are those that have the session, one after the other.

    At each request the session is at the next place, "" for none. The last one ends it when it is asked.
    """

    def __init__(self, *places: str) -> None:
        super().__init__(Quotas(5, 2), first_rollout(load_settings({}).access))
        self._places = list(places)
        self.asked: list[str] = []

    async def begin(self) -> None:
        await self.put_record(_record(1, resumable=True))
        await self.arrive()

    async def arrive(self) -> None:
        """It is at the next place."""
        place = self._places.pop(0)
        await self.directory.report([_live(place)] if place else [], {})

    async def request(self, instance: str, request: InstanceRequest) -> bool:
        assert request.verb is Verb.END
        self.asked.append(instance)
        if self._places:
            await self.arrive()
        else:
            await self.directory.report([], {})
            await self.put_record(_record(2, resumable=False))
        return True


def _live(instance: str) -> LiveSession:
    return LiveSession(
        session_id=SESSION,
        user="u",
        plan="elite",
        since=1.0,
        connected_seconds=1.0,
        cost_usd=0.0,
        state="listening",
        protocol="voice",
        instance=instance,
        turns=0,
    )


def _record(revision: int, *, resumable: bool) -> SessionRecord:
    return SessionRecord(
        session_id=SESSION,
        user_id="ann",
        instance="a",
        started=1.0,
        duration_seconds=60.0,
        resumable=resumable,
        revision=revision,
    )


async def test_a_session_that_is_resumed_elsewhere_meanwhile_is_ended_there_F18(autojump_clock: MockClock) -> None:
    state = Elsewhere("a", "b", "c")
    await state.begin()
    assert await SessionControl(state, ()).end(SESSION) is EndOutcome.ENDED
    assert state.asked == ["a", "b", "c"]


async def test_a_session_that_is_between_two_connections_is_looked_for_F18(autojump_clock: MockClock) -> None:
    state = Elsewhere("a", "", "b")
    await state.begin()

    async def arrive() -> None:
        await trio.sleep(1.0)  # its next instance reports it within a second
        await state.arrive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(arrive)
        assert await SessionControl(state, ()).end(SESSION) is EndOutcome.ENDED
    assert state.asked == ["a", "b"]


async def test_a_session_that_is_between_two_connections_at_first_is_looked_for_F18(autojump_clock: MockClock) -> None:
    state = Elsewhere("", "b")
    await state.begin()

    async def arrive() -> None:
        await trio.sleep(1.0)
        await state.arrive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(arrive)
        assert await SessionControl(state, ()).end(SESSION) is EndOutcome.ENDED
    assert state.asked == ["b"]
    assert await SessionControl(state, ()).end(SESSION) is EndOutcome.UNKNOWN
    assert await SessionControl(state, ()).end("vs_2") is EndOutcome.UNKNOWN


async def test_a_session_that_its_client_left_meanwhile_is_not_called_ended_F18(autojump_clock: MockClock) -> None:
    state = Elsewhere("a", "")
    await state.begin()
    assert await SessionControl(state, ()).end(SESSION) is EndOutcome.UNKNOWN


@dataclass(eq=False)
class Leaving:
    """A session of this process that is ending already."""

    config: Any = field(default_factory=lambda: SimpleNamespace(session_id=SESSION, user="u"))
    summary: Any = field(default_factory=lambda: SimpleNamespace(ending=None))

    def end(self, ending: Ending) -> None:
        self.summary.ending = self.summary.ending or ending


def test_a_session_that_ends_for_another_reason_was_not_ended_by_the_operator_F18() -> None:
    live, session = LiveSessions(), Leaving()
    with live.track(cast("Session", session)):
        session.end(Ending.TAKEN_OVER)
        assert live.end(SESSION, Ending.ENDED_BY_OPERATOR) is False
    with live.track(cast("Session", other := Leaving())):
        assert live.end(SESSION, Ending.ENDED_BY_OPERATOR) is True
        assert live.end(SESSION, Ending.ENDED_BY_OPERATOR) is True
        assert other.summary.ending is Ending.ENDED_BY_OPERATOR
