"""The figures of docs/costs.md are those of the price table (F57)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.cost_tables import MONTH_USD, PAGE, PRICES, cost, with_tables
from tests.support.reference_pages import HINT

if TYPE_CHECKING:
    from decimal import Decimal

TEXT = PAGE.read_text("utf-8")


def test_the_tables_are_computed_from_the_price_table_F57() -> None:
    assert with_tables(TEXT) == TEXT, HINT


def test_the_page_names_the_date_of_the_prices_F57() -> None:
    assert PRICES.dated is not None
    assert f"({PRICES.dated:%-d %B %Y})" in TEXT


def test_what_the_page_says_in_words_is_so_F57() -> None:
    anew, cached = (_price_of_audio(tokens) for tokens in (0, 1_000_000))
    assert anew == 80 * cached  # "an eightieth"
    assert MONTH_USD / 30 == 20
    assert cost("gpt-realtime-2.1") < 1


def _price_of_audio(cached: int) -> Decimal:
    details = {"audio_tokens": 1_000_000, "cached_tokens_details": {"audio_tokens": cached}}
    return PRICES.of_response("gpt-realtime-2.1", {"input_token_details": details}).usd
