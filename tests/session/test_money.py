"""Money in a session: counted once, warned of at four fifths, and spent when it is spent."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import trio

from tests.support.session_fixture import TERMS, Stage
from voice_trio.billing.prices import load_prices
from voice_trio.conversation import commands, events
from voice_trio.errors import StateUnavailable
from voice_trio.session.endings import Ending
from voice_trio.session.observers import TranscriptionModelChanged
from voice_trio.session.spend.daily_budget import SHARE_SECONDS, DailyBudget
from voice_trio.settings import load_settings
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.rollout import first_rollout
from voice_trio.state.state import Quotas, Spenders

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest
    from trio.testing import MockClock

    from voice_trio.conversation.session_events import BudgetWarning
    from voice_trio.session.spend.cost_meter import SessionBill

NOON = 1_795_262_400.0
MODEL = TERMS.model.model


class AwayState(MemoryState):
    is_away = False

    async def add_spent(self, day: str, micro_usd: int, by_user: Mapping[str, int] | None = None) -> int:
        if self.is_away:
            raise StateUnavailable("away")
        return await super().add_spent(day, micro_usd, by_user)


class Safe:
    """A treasury at noon, and the state behind it."""

    def __init__(self, state: AwayState | None = None, **budgets: str) -> None:
        settings = load_settings(budgets)
        self.now = NOON
        self.state = AwayState(Quotas(5, 2), first_rollout(settings.access)) if state is None else state
        self.treasury = DailyBudget(load_prices(), self.state, settings.limits, unix_time=lambda: self.now)
        self.told: list[BudgetWarning] = []
        self.dry: list[str] = []

    def purse(self, name: str = "s1", **how: Any) -> SessionBill:
        purse = self.treasury.open(replace(TERMS, session_id=name, user=name), **how)
        purse.open(self.told.append, lambda: self.dry.append(name))
        return purse


def response(audio_out: int) -> dict[str, Any]:
    """64 US dollars a million: 1,000 tokens are 6.4 cents."""
    return {"output_tokens": audio_out, "output_token_details": {"audio_tokens": audio_out}}


def bill(purse: SessionBill, source: str, audio_out: int) -> None:
    purse.on_command(commands.CountUsage("response", source, response(audio_out)), 0.0)


def begin(purse: SessionBill, turn_id: int, response_id: str) -> None:
    """A question was asked, and its answer begins."""
    purse.on_command(commands.BeginTurn(turn_id), 0.0)
    purse.on_command(commands.CreateResponse(f"tag {turn_id}", {}), 0.0)
    purse.on_event(events.ResponseCreated(response_id, {"vt": f"tag {turn_id}"}), 0.0)


def test_what_is_told_twice_is_counted_once_and_for_the_turn_it_was_asked_in() -> None:
    purse = Safe().purse()
    begin(purse, 1, "r1")
    purse.on_command(commands.BeginTurn(2), 0.0)  # the user cuts in; the usage of the first answer is still to come
    bill(purse, "r1", 1000)
    bill(purse, "r1", 1000)
    begin(purse, 2, "r2")
    bill(purse, "r2", 500)
    assert purse.cost.usd == Decimal("0.096")
    assert [purse.cost_of_turn(turn).usd for turn in (1, 2, 3)] == [Decimal("0.064"), Decimal("0.032"), 0]


def test_four_fifths_of_a_sessions_budget_warn_once_and_all_of_it_ends_it() -> None:
    safe = Safe(SESSION_BUDGET_USD="0.1")
    purse = safe.purse()
    bill(purse, "r1", 1200)
    assert safe.told == []
    bill(purse, "r2", 60)
    bill(purse, "r3", 10)
    (warning,) = safe.told
    assert (warning.scope, warning.spent_usd, warning.limit_usd) == ("session", 0.08064, 0.1)
    assert safe.dry == []
    bill(purse, "r4", 1000)
    bill(purse, "r5", 1000)
    assert safe.dry == ["s1"]


def test_what_a_session_cost_before_it_was_resumed_counts() -> None:
    safe = Safe(SESSION_BUDGET_USD="0.1")
    purse = safe.purse(spent_before_micro_usd=90_000)
    assert [warning.scope for warning in safe.told] == ["session"]
    bill(purse, "r1", 200)
    assert safe.dry == ["s1"]
    assert purse.cost.usd == Decimal("0.0128")


def test_the_days_budget_ends_everybody_and_opens_again_at_midnight() -> None:
    safe = Safe(DAILY_BUDGET_USD="0.1")
    one, other = safe.purse("s1"), safe.purse("s2")
    bill(one, "r1", 1300)
    assert [warning.scope for warning in safe.told] == ["day", "day"]
    bill(other, "r1", 400)
    assert sorted(safe.dry) == ["s1", "s2"]
    is_exhausted = [safe.treasury.is_exhausted]
    assert safe.treasury.seconds_to_midnight == 43_200
    safe.now += 43_200
    is_exhausted.append(safe.treasury.is_exhausted)
    assert is_exhausted == [True, False]
    assert safe.treasury.spent_today_usd == 0


async def test_instances_share_a_day(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    here = Safe(DAILY_BUDGET_USD="0.1")
    there = Safe(here.state, DAILY_BUDGET_USD="0.1")
    nursery.start_soon(here.treasury.run)
    nursery.start_soon(there.treasury.run)
    idle = there.purse("idle")
    bill(here.purse(), "r1", 2000)
    await trio.sleep(2 * SHARE_SECONDS + 1)
    assert there.treasury.is_exhausted
    assert there.dry == ["idle"]
    assert idle.cost.usd == 0
    assert await here.state.spent("2026-11-21") == 128_000


async def test_fractions_of_a_millionth_add_up_and_nothing_is_lost_while_the_store_is_away() -> None:
    safe = Safe()
    safe.state.is_away = True
    purse = safe.purse()
    for number in range(100):
        purse.on_command(
            commands.CountUsage("transcription", f"i{number}", {"seconds": 0.001}), 0.0
        )  # 0.283 millionths each
        await safe.treasury.share()
    assert await safe.state.spent("2026-11-21") == 0
    safe.state.is_away = False
    await safe.treasury.share()
    assert await safe.state.spent("2026-11-21") == 28
    assert safe.treasury.spent_today_usd == purse.cost.usd == Decimal("0.0000283333") + Decimal("0E-12")


async def test_a_clock_that_goes_back_is_named_and_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    safe = Safe()
    purse = safe.purse()
    bill(purse, "r1", 1000)
    safe.now -= 86_400
    bill(purse, "r2", 1000)
    await safe.treasury.share()
    assert [await safe.state.spent(day) for day in ("2026-11-20", "2026-11-21")] == [64_000, 64_000]
    assert "clock_went_back" in "".join(capsys.readouterr())


def test_an_answer_lost_with_its_socket_is_estimated() -> None:
    purse = Safe().purse()
    begin(purse, 1, "r1")
    purse.on_event(events.ResponseAudioDelta("r1", "a1", "", 3000.0), 0.0)
    purse.on_event(events.UpstreamLost(), 0.0)
    # 60 tokens of sound that were received, and the instructions (2 tokens) that were read; nothing else is known.
    assert purse.cost.usd == (60 * Decimal(64) + 2 * Decimal(4)) / 10**6
    assert purse.cost.is_estimate
    purse.on_event(events.UpstreamLost(), 0.0)
    purse.session_closing(0.0)
    assert purse.costs.estimated_usd == purse.cost.usd == (60 * Decimal(64) + 2 * Decimal(4)) / 10**6


def test_words_that_were_never_transcribed_are_estimated_by_their_length() -> None:
    purse = Safe().purse()
    purse.on_event(events.SpeechStarted("i1", 1000), 0.0)
    purse.on_event(events.SpeechStopped("i1", 4000), 0.0)
    purse.session_closing(0.0)
    assert purse.cost.usd == Decimal("0.00085")
    assert purse.cost.is_estimate


def test_where_the_conversation_transcribes_nothing_nothing_of_it_is_estimated() -> None:
    purse = Safe().purse()
    purse.on_event(TranscriptionModelChanged(None), 0.0)  # a sidecar does, say, and has its own bill
    purse.on_event(events.SpeechStarted("i1", 1000), 0.0)
    purse.on_event(events.SpeechStopped("i1", 4000), 0.0)
    purse.session_closing(0.0)
    assert purse.cost.usd == 0


def test_a_drop_in_clients_request_is_its_own_turns() -> None:
    purse = Safe().purse()
    purse.on_command(commands.BeginTurn(1), 0.0)
    purse.on_command(commands.CreateClientResponse("t1", {"vt": "t1"}), 0.0)
    purse.on_command(commands.BeginTurn(2), 0.0)  # the user speaks before the response has begun
    purse.on_event(events.ResponseCreated("r1", {"vt": "t1"}), 0.0)
    purse.on_event(events.ResponseAudioDelta("r1", "a1", "", 1000.0), 0.0)
    purse.on_command(commands.CountUsage("response", "r1", None), 0.0)
    assert purse.cost_of_turn(1).usd > 0
    assert purse.cost_of_turn(2).usd == 0


def test_a_usage_of_null_is_estimated_too() -> None:
    purse = Safe().purse()
    begin(purse, 1, "r1")
    purse.on_event(events.ResponseAudioDelta("r1", "a1", "", 1000.0), 0.0)
    purse.on_command(commands.CountUsage("response", "r1", None), 0.0)
    assert purse.cost.is_estimate
    assert purse.cost.warnings == ("usage_missing",)
    assert purse.cost.usd > 0


async def test_a_whole_session_ends_in_mid_answer_when_its_budget_is_spent(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    purse = Safe(SESSION_BUDGET_USD="0.000001").treasury.open(TERMS)
    stage = Stage(nursery, cost_meter=purse)
    await stage.ready()
    stage.soon(stage.asks)
    await stage.over.wait()
    assert stage.summary.ending is Ending.BUDGET_EXHAUSTED
    assert stage.last_told("error")["error"]["code"] == "budget_exhausted"
    closed = await stage.client.is_closed()
    assert (closed.code, closed.reason) == (4002, "Budget exhausted")
    assert "playback.flush" in stage.told()
    assert stage.summary.cost == purse.cost
    assert purse.cost.usd > Decimal("0.000001")


async def test_a_session_that_ends_says_what_it_cost_and_frees_its_bill(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    safe = Safe()
    stage = Stage(nursery, cost_meter=safe.treasury.open(TERMS))
    await stage.ready()
    await stage.asks()
    await stage.client.hears("response.done")
    await stage.client.end_session()
    await stage.over.wait()
    assert stage.summary.cost.usd > 0
    assert stage.summary.cost.usd == safe.treasury.spent_today_usd == safe.treasury.spending.total_usd
    assert not safe.treasury._bills


async def test_what_each_user_spent_is_told_with_the_days_sum_and_survives_an_outage() -> None:
    safe = Safe()
    safe.state.is_away = True
    bill(safe.purse("ann"), "r1", 1000)
    bill(safe.purse("bob"), "r1", 3000)
    await safe.treasury.share()
    safe.state.is_away = False
    bill(safe.purse("ann"), "r2", 500)
    await safe.treasury.share()
    told = await safe.state.spenders("2026-11-21", 10, "ann")
    assert told == Spenders((("bob", 192_000), ("ann", 96_000)), asked_for=96_000)
    assert await safe.state.spent("2026-11-21") == 288_000
