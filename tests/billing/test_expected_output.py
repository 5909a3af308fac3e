"""What a response's output is expected to cost: the median of the last ones of its model."""

from __future__ import annotations

from decimal import Decimal

from voice_trio import limits
from voice_trio.billing.expected_output import PRIOR_OUTPUT, PRIOR_WEIGHT, ExpectedOutput
from voice_trio.billing.prices import load_prices

PRICES = load_prices()
MODEL, OTHER = "gpt-realtime-2.1", "gpt-realtime-2.1-mini"
PRIOR = PRICES.estimated_response(MODEL, PRIOR_OUTPUT).usd


def test_before_a_model_has_answered_an_answer_of_three_sentences_is_expected() -> None:
    expected = ExpectedOutput(PRICES)
    assert expected.usd(MODEL) == PRIOR == Decimal(300 * 64 + 60 * 24) / 10**6
    assert expected.usd(OTHER) == PRICES.estimated_response(OTHER, PRIOR_OUTPUT).usd != PRIOR


def test_the_prior_counts_as_some_answers_and_then_the_median_counts() -> None:
    expected = ExpectedOutput(PRICES)
    for _ in range(PRIOR_WEIGHT - 1):
        expected.note(MODEL, Decimal(1))
        assert expected.usd(MODEL) == PRIOR
    expected.note(MODEL, Decimal(1))
    assert expected.usd(MODEL) == (PRIOR + 1) / 2
    expected.note(MODEL, Decimal(1))
    assert expected.usd(MODEL) == 1
    assert expected.usd(OTHER) == PRICES.estimated_response(OTHER, PRIOR_OUTPUT).usd


def test_only_the_last_answers_are_remembered() -> None:
    expected = ExpectedOutput(PRICES)
    for _ in range(limits.OUTPUT_COSTS_REMEMBERED):
        expected.note(MODEL, Decimal(1))
    for _ in range(limits.OUTPUT_COSTS_REMEMBERED // 2 + 1):
        expected.note(MODEL, Decimal(2))
    assert expected.usd(MODEL) == 2


def test_a_bound_on_the_tokens_bounds_what_is_expected() -> None:
    expected = ExpectedOutput(PRICES)
    assert expected.usd(MODEL, 100) == Decimal(100 * 64) / 10**6
    assert expected.usd(MODEL, 100_000) == PRIOR
