"""What a conversation is expected to cost: the figures of the demo and of the cost guide."""

from __future__ import annotations

from decimal import Decimal

import pytest

from voice_trio.billing.conversation_price import Conversation, conversation_cost, minute_cost
from voice_trio.billing.prices import load_prices

PRICES = load_prices()
TRANSCRIPTION = "gpt-realtime-whisper"


def test_one_turn_is_counted_as_it_is_billed() -> None:
    turn = Conversation(
        minutes=1,
        turns_per_minute=1,
        user_seconds=6,
        assistant_seconds=10,
        instructions_tokens=300,
        passages_tokens=700,
        answer_tokens=40,
    )
    read = 1000 * Decimal(4) + 60 * Decimal(32)
    said = 200 * Decimal(64) + 40 * Decimal(24)
    heard = Decimal("0.017") * 6 / 60
    assert conversation_cost(PRICES, "gpt-realtime-2.1", TRANSCRIPTION, turn) == (read + said) / 1_000_000 + heard


def test_a_second_turn_reads_the_first_from_the_cache() -> None:
    one, two = (Conversation(minutes=1, turns_per_minute=count) for count in (1, 2))
    first, both = (conversation_cost(PRICES, "gpt-realtime-2.1", TRANSCRIPTION, talk) for talk in (one, two))
    cached = (70 + 220 + 300 + 700) * Decimal("0.40") - 300 * Decimal(4)
    assert round(both, 9) == round(2 * first + cached / 1_000_000, 9)


def test_passages_that_are_deleted_make_the_model_read_four_turns_anew() -> None:
    four, five = (Conversation(minutes=1, turns_per_minute=count) for count in (4, 5))
    fifth = conversation_cost(PRICES, "gpt-realtime-2.1", TRANSCRIPTION, five) - conversation_cost(
        PRICES, "gpt-realtime-2.1", TRANSCRIPTION, four
    )
    read = (4 * 290 + 70) * Decimal(32) + 700 * Decimal(4) + 300 * Decimal("0.40")
    said = 220 * Decimal(64) + 45 * Decimal(24)
    assert round(fifth, 9) == round((read + said) / 1_000_000 + Decimal("0.017") * 7 / 60, 9)


@pytest.mark.parametrize(("model", "usd"), [("gpt-realtime-2.1", "0.099"), ("gpt-realtime-2.1-mini", "0.035")])
def test_a_minute_costs_what_the_documents_say(model: str, usd: str) -> None:
    assert minute_cost(PRICES, model, TRANSCRIPTION).quantize(Decimal("0.001")) == Decimal(usd)
