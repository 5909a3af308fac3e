"""The ledger: whatever happens, every sum is the sum of the usages."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import pytest

from voice_trio import limits
from voice_trio.billing.prices import Cost, UsageEstimate, load_prices
from voice_trio.billing.spending import Budget, BudgetLevel, SessionCosts, Spending, micro_usd
from voice_trio.state.state import OTHERS

PRICES = load_prices()
MODELS = ("gpt-realtime-2.1", "gpt-realtime-2.1-mini", "gpt-realtime-1.5", "unheard-of")


def a_cost(chance: random.Random) -> Cost:
    """As it comes: a response, words by the second, one that was lost, one that makes no sense."""
    model = chance.choice(MODELS)
    match chance.randrange(4):
        case 0:
            cached, text, audio = chance.randrange(200), chance.randrange(3000), chance.randrange(3000)
            details = {"text_tokens": text, "audio_tokens": audio, "cached_tokens": cached}
            out = {"text_tokens": chance.randrange(100), "audio_tokens": chance.randrange(800)}
            return PRICES.of_response(model, {"input_token_details": details, "output_token_details": out})
        case 1:
            return PRICES.of_transcription("gpt-realtime-whisper", {"seconds": round(chance.random() * 20, 3)})
        case 2:
            return PRICES.estimated_response(model, UsageEstimate(chance.randrange(500), 20, chance.random() * 9, 44))
        case _:
            return PRICES.of_response(model, {"input_tokens": chance.randrange(-50, 900), "output_tokens": "many"})


def test_over_thousands_of_sessions_every_sum_is_the_sum_of_the_usages() -> None:
    chance = random.Random(20261121)
    spending, days = Spending(), ("2026-11-20", "2026-11-21")
    expected, by_day, by_user = Decimal(0), dict.fromkeys(days, Decimal(0)), dict[str, Decimal]()
    sessions: list[SessionCosts] = []
    for number in range(3_000):
        session = SessionCosts(f"s{number}", f"u{chance.randrange(300)}")
        sessions.append(session)
        for usage in range(chance.randrange(12)):
            day, cost, source = chance.choice(days), a_cost(chance), f"r{usage}"
            assert spending.record(day, session, source, chance.randrange(4), cost)
            expected += cost.usd
            by_day[day] += cost.usd
            by_user[session.user] = by_user.get(session.user, Decimal(0)) + cost.usd
            if chance.random() < 0.2:  # told twice, counted once
                assert not spending.record(day, session, source, 1, a_cost(chance))
    assert expected > 0
    assert spending.total_usd == expected == sum(session.total.usd for session in sessions)
    assert expected == sum(usd for session in sessions for usd in session.by_turn.values())
    assert {day: spending.day(day).usd for day in days} == by_day
    result = [spending.day(day).by_user for day in days]
    assert {user: sum((day.get(user, Decimal(0)) for day in result), Decimal(0)) for user in by_user} == by_user
    estimated = sum(session.estimated_usd for session in sessions)
    assert 0 < estimated == sum(spending.day(day).estimated_usd for day in days) < expected


@pytest.mark.parametrize(
    ("spent", "level"),
    [
        *[
            ("0", BudgetLevel.WITHIN),
            ("0.0799", BudgetLevel.WITHIN),
            ("0.08", BudgetLevel.NEARLY),
            ("0.0999", BudgetLevel.NEARLY),
        ],
        *[("0.1", BudgetLevel.SPENT), ("7", BudgetLevel.SPENT)],
    ],
)
def test_four_fifths_warn_and_all_of_it_is_all(spent: str, level: BudgetLevel) -> None:
    assert Budget.of(0.1).level(Decimal(spent)) is level
    assert Budget.of(None).level(Decimal(spent)) is BudgetLevel.WITHIN


def test_a_budget_of_nothing_is_spent_at_once() -> None:
    assert Budget.of(0.0).level(Decimal(0)) is BudgetLevel.SPENT


def test_memory_is_bounded_in_days_and_users_and_no_cent_is_lost() -> None:
    spending = Spending()
    for number in range(limits.USERS_REMEMBERED_MAX + 5):
        session = SessionCosts(f"s{number}", f"u{number}")
        spending.record("2026-11-21", session, "r", 1, Cost(Decimal("0.001")))
    today = spending.day("2026-11-21")
    assert len(today.by_user) == limits.USERS_REMEMBERED_MAX + 1
    assert today.by_user[OTHERS] == Decimal("0.005")
    assert sum(today.by_user.values()) == today.usd == spending.total_usd
    for day in range(10, 20):
        spending.record(f"2026-12-{day}", SessionCosts("s", "u"), "r", 1, Cost(Decimal(1)))
    assert spending.days() == ("2026-12-17", "2026-12-18", "2026-12-19")[-limits.SPENDING_DAYS_REMEMBERED :]


def test_millionths_are_whole() -> None:
    assert [micro_usd(Decimal(text)) for text in ("0.0000004", "0.0000015", "1.25")] == [0, 2, 1_250_000]


def test_each_sum_has_its_part_of_a_cost_and_a_source_counts_in_one_session_once() -> None:
    spending, ann, bob = Spending(), SessionCosts("s1", "ann"), SessionCosts("s2", "bob")
    exact, guess = Cost(Decimal(2)), Cost(Decimal(1), is_estimate=True, warnings=("usage_missing",))
    assert not ann.has_counted("r1")
    added = [
        spending.record(*each)
        for each in (
            ("2026-11-20", ann, "r1", 1, exact),
            ("2026-11-20", ann, "r2", 1, guess),
            ("2026-11-21", ann, "r2", 2, exact),
            ("2026-11-21", ann, "r3", 2, guess),
            ("2026-11-20", bob, "r1", 1, exact),
        )
    ]
    assert added == [True, True, False, True, True]
    assert [costs.has_counted("r3") for costs in (ann, bob)] == [True, False]
    assert ann.total == Cost(Decimal(4), is_estimate=True, warnings=("usage_missing",))
    sums: list[Any] = [ann.by_turn, ann.estimated_usd, bob.by_turn, bob.estimated_usd]
    assert sums == [{1: 3, 2: 1}, 2, {1: 2}, 0]
    days = [spending.day(f"2026-11-{number}") for number in (20, 21, 22)]
    sums = [(day.usd, day.estimated_usd, dict(day.by_user)) for day in days]
    assert sums == [(5, 1, {"ann": 3, "bob": 2}), (1, 1, {"ann": 1}), (0, 0, {})]
    assert spending.total_usd == 6
    assert spending.days() == ("2026-11-20", "2026-11-21")
