"""What a process reports of its live sessions (F18), and when: on virtual time, with a directory that counts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, cast

import trio

from tests.support.session_fixture import SESSION_CONFIG
from voice_trio import limits
from voice_trio.session.config import PassthroughConfig
from voice_trio.session.endings import Ending
from voice_trio.session.summary import Activity, SessionNow, Summary
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.rollout import Rollout
from voice_trio.state.state import Quotas
from voice_trio.web.admin.session_reports import report_sessions
from voice_trio.web.live_sessions import LiveSessions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trio.testing import MockClock

    from voice_trio.session.config import SessionConfig
    from voice_trio.session.session import Session
    from voice_trio.state.session_directory import LiveSession

ROLLOUT = Rollout(enabled=True, percent=100, beta_users=(), plans=("elite",), version=0)


class StubSession:
    """A session that says what it is told to say."""

    def __init__(self, name: str, user: str = "hash-of-ann", **config: object) -> None:
        self.config: SessionConfig = replace(SESSION_CONFIG, session_id=name, user=user, plan="elite", **config)  # type: ignore[arg-type]  # fields of several types
        self.summary = Summary(name, user)
        self.is_over = False
        self.activity = Activity.LISTENING
        self.ended: list[Ending] = []

    def describe(self) -> SessionNow:
        return SessionNow(self.activity, ready_seconds=2.0, cost_usd=Decimal("0.25"))

    def drain(self) -> None:
        pass

    def end(self, ending: Ending) -> None:
        self.ended.append(ending)

    @property
    def itself(self) -> Session:
        return cast("Session", self)


class CountingDirectory:
    """The directory of a state, with the time of each report; fails while `is_away`."""

    def __init__(self, state: MemoryState) -> None:
        self._inner = state.directory
        self.reports: list[tuple[float, list[str], dict[str, str]]] = []
        self.is_away = False
        self.withdrawn = False

    async def report(self, sessions: Sequence[LiveSession], begun: Mapping[str, str]) -> bool:
        self.reports.append((trio.current_time(), [one.session_id for one in sessions], dict(begun)))
        return not self.is_away and await self._inner.report(sessions, begun)

    async def withdraw(self) -> None:
        self.withdrawn = True
        await self._inner.withdraw()


async def reporting(nursery: trio.Nursery) -> tuple[LiveSessions, CountingDirectory]:
    state, live = MemoryState(Quotas(5, 2), ROLLOUT), LiveSessions()
    directory = CountingDirectory(state)
    state.directory = directory  # type: ignore[assignment]  # only what is called here
    nursery.start_soon(report_sessions, state, live)
    await trio.sleep(0.5)
    return live, directory


async def test_a_beginning_and_an_end_are_reported_within_a_second_F18(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    live, directory = await reporting(nursery)
    with live.track(StubSession("vs_1").itself, "ann"):
        await trio.sleep(limits.DIRECTORY_PAUSE_SECONDS)
        assert [(names, begun) for _, names, begun in directory.reports] == [(["vs_1"], {"vs_1": "ann"})]
    await trio.sleep(2 * limits.DIRECTORY_PAUSE_SECONDS)
    assert [names for _, names, _ in directory.reports] == [["vs_1"], []]
    assert directory.reports[1][2] == {}


async def test_a_session_shorter_than_a_second_is_still_found_by_its_id_F18(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    live, directory = await reporting(nursery)
    with live.track(StubSession("vs_1").itself, "ann"):
        await trio.sleep(0.1)
    await trio.sleep(2 * limits.DIRECTORY_PAUSE_SECONDS)
    assert [(names, begun) for _, names, begun in directory.reports] == [([], {"vs_1": "ann"})]


async def test_without_sessions_there_are_no_calls_and_with_some_one_in_five_seconds_F18(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    live, directory = await reporting(nursery)
    await trio.sleep(600)
    assert directory.reports == []
    with live.track(StubSession("vs_1").itself, "ann"):
        await trio.sleep(60)
    assert 12 <= len(directory.reports) <= 14


async def test_a_storm_of_sessions_makes_one_call_a_second_F18(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    live, directory = await reporting(nursery)
    for number in range(100):
        with live.track(StubSession(f"vs_{number}").itself, "ann"):
            await trio.sleep(0.1)
    assert len(directory.reports) <= 11
    await trio.sleep(2)
    assert {name for _, _, begun in directory.reports for name in begun} == {f"vs_{number}" for number in range(100)}


async def test_what_began_while_the_store_was_away_is_reported_after_it_F18(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    live, directory = await reporting(nursery)
    directory.is_away = True
    with live.track(StubSession("vs_1").itself, "ann"):
        await trio.sleep(12)
        directory.is_away = False
        await trio.sleep(limits.DIRECTORY_INTERVAL_SECONDS)
    assert all(begun == {"vs_1": "ann"} for _, _, begun in directory.reports)
    await trio.sleep(2)
    assert directory.reports[-1][1:] == ([], {})


async def test_a_process_that_ends_withdraws_its_sessions_F18(autojump_clock: MockClock) -> None:
    async with trio.open_nursery() as nursery:
        live, directory = await reporting(nursery)
        with live.track(StubSession("vs_1").itself, "ann"):
            await trio.sleep(2)
            nursery.cancel_scope.cancel()
    assert directory.withdrawn


def test_an_entry_has_what_an_operator_needs_and_counts_connections_before_F18() -> None:
    live = LiveSessions()
    one = StubSession("vs_1", connected_before_seconds=100.0, cost_before_usd=1.5)
    other = StubSession("vs_2", passthrough=PassthroughConfig())
    one.summary.turns, other.activity = 3, Activity.ENDING
    with live.track(one.itself), live.track(other.itself):
        live.drain()
        first, second = live.described("here")
        assert (first.connected_seconds, first.cost_usd, first.turns) == (102.0, 1.75, 3)
        assert (first.state, first.protocol, first.instance, first.plan) == ("draining", "voice", "here", "elite")
        assert (second.state, second.protocol) == ("ending", "realtime")
        other.is_over = True
        assert [entry.session_id for entry in live.described("here")] == ["vs_1"]


def test_a_user_barred_between_admission_and_session_gets_none_F18() -> None:
    live = LiveSessions()
    before, bob = StubSession("vs_1"), StubSession("vs_2", "hash-of-bob")
    with live.track(before.itself), live.track(bob.itself):
        assert live.bar(("hash-of-ann",)) == 1
        late = StubSession("vs_3")
        with live.track(late.itself):
            assert (before.ended, late.ended, bob.ended) == (
                [Ending.ENDED_BY_OPERATOR],
                [Ending.ENDED_BY_OPERATOR],
                [],
            )
        live.bar(())
        again = StubSession("vs_4")
        with live.track(again.itself):
            assert again.ended == []
    assert live.end("vs_2", Ending.ENDED_BY_OPERATOR) is False
