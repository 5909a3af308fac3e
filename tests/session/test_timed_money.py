"""Sessions whose time costs something: billed in small pieces by the larger clock, within their budgets (I10, I16)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.budget_fixture import Budgets
from tests.support.live_session_fixture import LIVE_CONFIG, LiveSessionFixture
from tests.support.session_fixture import SESSION_CONFIG, SessionFixture
from voice_trio.conversation.policy import Policy
from voice_trio.session.endings import Ending
from voice_trio.session.spend.session_time import SessionTime
from voice_trio.speech.energy import EnergyActivity
from voice_trio.upstreams.gpt_live import GPT_LIVE
from voice_trio.upstreams.xai import XAI

if TYPE_CHECKING:
    from trio.testing import MockClock


def test_the_larger_of_two_counts_is_billed_and_each_upstream_has_its_own() -> None:
    time = SessionTime()
    time.begin(10.0)
    assert time.seconds(15.0) == 5.0
    time.tell(14.0, 2.0)  # sound was sent faster than real time
    assert time.seconds(15.0) == 14.0
    assert time.seconds(30.0) == 20.0
    time.end(30.0)
    assert time.seconds(40.0) == 20.0  # nothing costs between two upstreams
    time.begin(40.0)
    assert time.seconds(41.0) == 21.0
    time.tell(7.0, 1.0)
    assert (time.seconds(41.0), time.paused_seconds) == (27.0, 3.0)


LIVE = replace(SESSION_CONFIG, model=LIVE_CONFIG, upstream=GPT_LIVE)
XAI_SESSION = replace(SESSION_CONFIG, model=replace(SESSION_CONFIG.model, model="grok-voice-latest"), upstream=XAI)


async def test_a_live_session_is_billed_by_its_time_and_nothing_else_I10(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    bill = Budgets().daily.open(LIVE)
    live = LiveSessionFixture(nursery, cost_meter=bill)
    await live.client.hears("session.updated")
    began = trio.current_time()
    await live.model.hear_speech("how warm must the brooder be", answer="Thirty-four degrees.")
    await trio.sleep_until(began + 60)
    await live.client.end_session()
    await live.over.wait()
    assert float(bill.cost.usd) == pytest.approx(0.05, abs=0.0001)
    assert not bill.cost.is_estimate
    assert bill.reserved_micro_usd == 0


async def test_the_upstreams_own_count_is_billed_where_it_is_larger_I10(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    bill = Budgets().daily.open(LIVE)
    live = LiveSessionFixture(nursery, cost_meter=bill)
    await live.client.hears("session.updated")
    live.model.session.emit({"type": "session.usage.updated", "usage": {"seconds": 120.0}})
    await trio.sleep(0.01)
    assert bill.cost.usd == Decimal("0.1")


async def test_a_budget_ends_a_live_session_within_two_seconds_of_it_I16(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    budgets = Budgets(SESSION_BUDGET_USD="0.01")  # twelve seconds
    bill = budgets.daily.open(LIVE)
    live = LiveSessionFixture(nursery, cost_meter=bill)
    await live.over.wait()
    assert live.summary is not None
    assert live.summary.ending is Ending.BUDGET_EXHAUSTED
    assert 12.0 <= live.summary.duration_s <= 14.0 + 0.3
    assert float(bill.cost.usd) <= 0.01 + 0.05 * 2.3 / 60


async def test_a_session_that_is_resumed_goes_on_with_what_it_cost(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    bill = Budgets(SESSION_BUDGET_USD="0.01").daily.open(LIVE, spent_before_micro_usd=8_000)
    live = LiveSessionFixture(nursery, cost_meter=bill)
    await live.over.wait()
    assert live.summary is not None
    assert live.summary.ending is Ending.BUDGET_EXHAUSTED
    assert live.summary.duration_s < 5


async def test_xai_is_billed_by_time_and_by_message_and_not_by_token_I10(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    bill = Budgets().daily.open(XAI_SESSION)
    session = SessionFixture(
        nursery,
        upstream="xai",
        model=XAI_SESSION.model,
        policy=Policy(upstream_interrupts=False),
        new_detector=EnergyActivity,
        cost_meter=bill,
    )
    await session.ready()
    began = trio.current_time()
    await session.client.type("light for layers")  # with its passages two messages
    await session.client.hears("response.done")
    await trio.sleep_until(began + 30)
    await session.client.end_session()
    await session.over.wait()
    assert float(bill.cost.usd) == pytest.approx(0.04 + 2 * 0.004, abs=0.0005)
    assert not bill.cost.is_estimate
