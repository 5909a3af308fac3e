"""Prices by the minute and by the message, of the kinds of upstream that have them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from voice_trio.billing.conversation_price import minute_cost
from voice_trio.billing.prices import Prices, load_prices
from voice_trio.settings.price_table import PriceTable

if TYPE_CHECKING:
    from pathlib import Path

LIVE = load_prices().of_upstream("gpt-live")
XAI = load_prices().of_upstream("xai")
USAGE = {"input_token_details": {"audio_tokens": 1000}, "output_token_details": {"audio_tokens": 1000}}


@pytest.mark.parametrize(
    ("seconds", "standby", "usd"),
    [(60, 0, "0.05"), (90.5, 0, "0.075416666667"), (60, 60, "0.02"), (60, 30, "0.035"), (0, 0, "0"), (-5, 0, "0")],
)
def test_a_live_session_costs_by_the_second_and_less_while_it_is_paused(
    seconds: float, standby: float, usd: str
) -> None:
    assert LIVE.of_time("gpt-live-1", seconds, standby).usd == Decimal(usd)


def test_a_model_costs_by_time_only_at_its_kind_of_upstream() -> None:
    assert (LIVE.is_timed("gpt-live-1.1"), load_prices().is_timed("gpt-live-1.1")) == (True, False)
    assert load_prices().of_time("gpt-live-1.1", 60).usd == 0


def test_xai_costs_by_the_minute_and_by_the_message() -> None:
    assert XAI.of_time("grok-voice-latest", 600).usd == Decimal("0.8")
    assert XAI.of_messages("grok-voice-latest", 3).usd == Decimal("0.012")
    assert minute_cost(XAI, "grok-voice-latest", "grok-transcribe") == Decimal("0.092")


def test_models_without_a_price_are_named() -> None:
    assert LIVE.unpriced("gpt-live-1.1", "") == []
    assert XAI.unpriced("grok-next", "grok-transcribe") == ["grok-next", "grok-transcribe"]
    assert load_prices().of_upstream("azure").unpriced("gpt-realtime-2.1", "my-whisper") == ["my-whisper"]
    assert Prices(PriceTable()).of_upstream("xai").unpriced("any", "other") == []


def test_an_upstreams_own_prices_take_precedence(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    rates = "{ input = 1, cached = 1, output = 1 }"
    dear = "{ input = 2, cached = 2, output = 2 }"
    path.write_text(
        f"dated = 2026-11-30\n[models.m]\ntext = {rates}\naudio = {rates}\nimage = {rates}\n"
        f"[transcription]\nt = {{ per_minute = 1 }}\n"
        f"[upstreams.azure.models.m]\ntext = {dear}\naudio = {dear}\nimage = {dear}\n"
        f"[upstreams.azure.transcription]\nt = {{ per_minute = 3 }}\n"
    )
    prices = load_prices(path)
    assert prices.of_upstream("azure").of_response("m", USAGE).usd == 2 * prices.of_response("m", USAGE).usd
    assert prices.of_upstream("azure").estimated_transcription("t", 60).usd == 3
