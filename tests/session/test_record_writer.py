"""A session's record, as it is written while the session goes on."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import pytest
import trio

from tests.support.turn_records import turn
from voice_trio.billing.prices import Cost
from voice_trio.conversation import commands
from voice_trio.errors import StateUnavailable
from voice_trio.session.endings import Ending
from voice_trio.session.summary import Summary
from voice_trio.session.telemetry.record_writer import RecordWriter, history_of
from voice_trio.settings import load_settings
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.rollout import first_rollout
from voice_trio.state.session_record import SessionRecord
from voice_trio.state.state import Quotas

if TYPE_CHECKING:
    from trio.testing import MockClock

    from voice_trio.conversation.turn.record import TurnRecord

NEW = SessionRecord(session_id="vs_1", user_id="ada", instance="", started=1_800_000_000.0, duration_seconds=600.0)


class AwayState(MemoryState):
    asked = 0

    async def put_record(self, record: SessionRecord) -> None:
        self.asked += 1
        raise StateUnavailable("away")


def a_state(kind: type[MemoryState] = MemoryState) -> MemoryState:
    return kind(Quotas(5, 2), first_rollout(load_settings({}).access))


def report(keeper: RecordWriter, finished: TurnRecord) -> None:
    keeper.on_command(commands.ReportTurn(finished), 0.0)


async def record(state: MemoryState) -> SessionRecord:
    kept = await state.record("ada", "vs_1")
    assert kept is not None
    return kept


async def test_it_is_written_when_ready_after_each_turn_and_at_the_end(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    state = a_state()
    keeper = RecordWriter(state, NEW)
    nursery.start_soon(keeper.run)
    keeper.session_ready(Summary("vs_1"))
    await trio.sleep(2)
    assert (await record(state)).turns == ()
    report(keeper, turn())
    await trio.sleep(1)
    kept = await record(state)
    assert (kept.turns[0].said[0].text, kept.turns[0].heard[0].text) == ("hello", "hello to")
    assert kept.instance == state.instance
    summary = Summary("vs_1", ending=Ending.CLIENT_LEFT)
    summary.usages = {"r1": ("response", {"input_tokens": 3, "details": {"audio": 2}}), "r2": ("response", None)}
    keeper.session_ended(summary)
    await keeper.write_last()
    kept = await record(state)
    assert (kept.end_reason, kept.resumable, kept.connected_seconds) == ("client_left", True, 3.0)
    assert kept.usage == {"input_tokens": 3, "details.audio": 2}


@pytest.mark.parametrize("ending", [Ending.CLIENT_ENDED, Ending.TIMEOUT])
async def test_what_was_ended_on_purpose_is_not_resumable(autojump_clock: MockClock, ending: Ending) -> None:
    state = a_state()
    keeper = RecordWriter(state, NEW)
    keeper.session_ready(Summary("vs_1"))
    keeper.session_ended(Summary("vs_1", ending=ending))
    await keeper.write_last()
    assert (await record(state)).resumable is False


async def test_a_session_that_was_never_ready_leaves_no_record(autojump_clock: MockClock) -> None:
    state = a_state()
    keeper = RecordWriter(state, NEW)
    keeper.session_ended(Summary("vs_1", ending=Ending.UPSTREAM_UNAVAILABLE))
    await keeper.write_last()
    assert await state.record("ada", "vs_1") is None


async def test_a_resumed_sessions_time_and_turns_add_up(autojump_clock: MockClock) -> None:
    state = a_state()
    first = RecordWriter(state, NEW)
    first.session_ready(Summary("vs_1"))
    report(first, turn(number=1))
    await trio.sleep(10)
    first.session_ended(Summary("vs_1", ending=Ending.CLIENT_LEFT))
    await first.write_last()
    await trio.sleep(1000)
    second = RecordWriter(state, await record(state))
    second.session_ready(Summary("vs_1"))
    report(second, turn(number=2))
    await trio.sleep(5)
    second.session_ended(Summary("vs_1", ending=Ending.CLIENT_LEFT))
    await second.write_last()
    kept = await record(state)
    assert kept.connected_seconds == 15.0
    assert [said.item_id for said in history_of(kept)] == ["u1", "a1", "u2", "a2"]


async def test_a_state_that_is_away_disturbs_nobody(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    state = a_state(AwayState)
    keeper = RecordWriter(state, NEW)
    nursery.start_soon(keeper.run)
    keeper.session_ready(Summary("vs_1"))
    await trio.sleep(1)
    report(keeper, turn())
    await trio.sleep(1)
    keeper.session_ended(Summary("vs_1", ending=Ending.CLIENT_LEFT))
    await keeper.write_last()
    assert isinstance(state, AwayState)
    assert state.asked == 3


async def test_a_joined_turn_is_no_turn_of_its_own(autojump_clock: MockClock) -> None:
    state = a_state()
    keeper = RecordWriter(state, NEW)
    keeper.session_ready(Summary("vs_1"))
    report(keeper, turn("joined"))
    await keeper.write_last()
    assert (await record(state)).turns == ()


async def test_what_it_cost_is_in_the_record_from_turn_to_turn_with_what_it_cost_before(
    autojump_clock: MockClock,
) -> None:
    state, summary = a_state(), Summary("vs_1", "u")
    keeper = RecordWriter(state, msgspec.structs.replace(NEW, cost_micro_usd=1_000))
    keeper.session_ready(summary)
    summary.cost = Cost(Decimal("0.0025"))
    report(keeper, turn())
    await keeper.write_last()
    assert (await record(state)).cost_micro_usd == 3_500
    summary.cost, summary.ending = Cost(Decimal("0.004")), Ending.BUDGET_EXHAUSTED
    keeper.session_ended(summary)
    await keeper.write_last()
    assert ((await record(state)).cost_micro_usd, (await record(state)).resumable) == (5_000, False)
