"""Prices: what a model says it used becomes dollars exactly, and whatever it says, something sensible."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_trio.billing.prices import Cost, Prices, UsageEstimate, load_prices
from voice_trio.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

PRICES = load_prices()
MODEL = "gpt-realtime-2.1"


def usage(text: int = 0, audio: int = 0, *, cached: tuple[int, int] = (0, 0), out: tuple[int, int] = (0, 0)) -> Any:
    """(text, audio) each, as a server tells it."""
    details = {"text_tokens": cached[0], "audio_tokens": cached[1]}
    return {
        "input_tokens": text + audio,
        "output_tokens": sum(out),
        "input_token_details": {
            "text_tokens": text,
            "audio_tokens": audio,
            "cached_tokens": sum(cached),
            "cached_tokens_details": details,
        },
        "output_token_details": {"text_tokens": out[0], "audio_tokens": out[1]},
    }


def test_each_modality_has_its_price_and_cached_input_is_a_part_of_the_input() -> None:
    cost = PRICES.of_response(MODEL, usage(119, 27, cached=(64, 10), out=(20, 100)))
    by_hand = (55 * Decimal(4) + 64 * Decimal("0.40") + 17 * 32 + 10 * Decimal("0.40") + 20 * 24 + 100 * 64) / 10**6
    assert cost == Cost(by_hand)
    assert cost.usd == Decimal("0.0076736")


def test_a_million_tokens_cost_what_the_table_says() -> None:
    million = 1_000_000
    assert PRICES.of_response("gpt-realtime-2.1-mini", usage(audio=million)).usd == 10
    assert PRICES.of_response("gpt-realtime-2.1-mini", usage(audio=million, cached=(0, million))).usd == Decimal("0.30")
    assert PRICES.of_response("gpt-realtime-1.5", usage(out=(million, 0))).usd == 16


def test_transcription_is_paid_by_the_second_or_by_the_token() -> None:
    by_second = PRICES.of_transcription("gpt-realtime-whisper", {"type": "duration", "seconds": 2.84})
    assert by_second == Cost(Decimal("0.000804666667"))
    tokens = {"type": "tokens", "input_tokens": 28, "input_token_details": {"audio_tokens": 28}, "output_tokens": 9}
    by_token = PRICES.of_transcription("gpt-realtime-whisper", tokens)
    assert by_token == Cost(Decimal("0.000793333333"), is_estimate=True)


def test_a_table_may_price_transcription_by_the_token(tmp_path: Path) -> None:
    table = tmp_path / "prices.toml"
    table.write_text(
        "dated = 2026-12-01\n[models.m]\ntext = {input=1, cached=1, output=1}\naudio = {input=2, cached=1, output=2}\n"
        "image = {input=1, cached=1, output=1}\n"
        "[transcription]\nt = {per_million_tokens = {audio = 3, text = 1.25, output = 5}}\n"
    )
    prices = load_prices(table)
    tokens = {"input_tokens": 110, "input_token_details": {"audio_tokens": 100, "text_tokens": 10}, "output_tokens": 10}
    assert prices.of_transcription("t", tokens) == Cost(Decimal("0.0003625"))
    assert prices.of_transcription("t", {"type": "duration", "seconds": 10}) == Cost(
        Decimal("0.0003"), is_estimate=True
    )


def test_a_dated_name_has_the_price_of_its_model() -> None:
    assert PRICES.of_response("gpt-realtime-2.1-2026-07-06", usage(1000)) == PRICES.of_response(MODEL, usage(1000))
    assert PRICES.knows("gpt-realtime-2.1-2026-07-06")


def test_a_model_without_a_price_is_counted_at_the_dearest_and_named() -> None:
    cost = PRICES.of_response("gpt-realtime-9", usage(1000, 1000, out=(10, 10)))
    assert cost.warnings == ("price_missing",)
    assert cost.is_estimate
    assert cost.usd == PRICES.of_response(MODEL, usage(1000, 1000, out=(10, 10))).usd > 0
    assert not PRICES.knows("gpt-realtime-9")


def test_a_negative_count_is_named_and_everything_else_is_counted() -> None:
    reported = usage(1000, out=(0, 10))
    reported["input_token_details"]["audio_tokens"] = -5
    cost = PRICES.of_response(MODEL, reported)
    assert cost.warnings == ("usage_negative",)
    assert cost.usd == PRICES.of_response(MODEL, usage(1000, out=(0, 10))).usd


@pytest.mark.parametrize("written", [1000, 1000.0, 999.5, "1000", "1000.0", " 1e3 "])
def test_a_count_is_read_however_it_is_written_F15(written: object) -> None:
    reported = {"output_tokens": written, "output_token_details": {"audio_tokens": written}}
    assert PRICES.of_response(MODEL, reported) == Cost(Decimal("0.064"))


@pytest.mark.parametrize("written", [2.84, "2.84", "2.840", " 2.84"])
def test_seconds_are_read_however_they_are_written_F15(written: object) -> None:
    cost = PRICES.of_transcription("gpt-realtime-whisper", {"type": "duration", "seconds": written})
    assert cost == Cost(Decimal("0.000804666667"))


UNREADABLE = [True, -5, -0.5, "-5", float("nan"), "NaN", float("inf"), "1e400", 10**12, "many", "", "9" * 50, [5], {}]


@pytest.mark.parametrize("written", UNREADABLE)
def test_what_cannot_be_read_is_marked_and_the_readable_rest_is_counted_F15(written: object) -> None:
    reported = {"input_tokens": written, "output_tokens": 100, "output_token_details": {"audio_tokens": 100}}
    cost = PRICES.of_response(MODEL, reported)
    assert (cost.usd, cost.is_estimate, cost.is_unreadable) == (Decimal("0.0064"), True, True)
    by_second = PRICES.of_transcription("gpt-realtime-whisper", {"type": "duration", "seconds": written})
    assert (by_second.usd, by_second.is_estimate, by_second.is_unreadable) == (Decimal(0), True, True)


def test_an_unreadable_usage_costs_at_least_what_is_expected_F15() -> None:
    expected = PRICES.estimated_response(MODEL, UsageEstimate(output_audio_seconds=3.0))
    unreadable = PRICES.of_response(MODEL, {"output_tokens": float("nan")})
    assert unreadable.or_estimate(expected) == Cost(expected.usd, is_estimate=True, warnings=("usage_malformed",))
    readable = PRICES.of_response(MODEL, {"output_token_details": {"audio_tokens": 1}})
    assert readable.or_estimate(expected) == readable


def test_tokens_that_stand_only_in_the_total_are_taken_for_output() -> None:
    cost = PRICES.of_response(MODEL, {"total_tokens": 110, "input_token_details": {"text_tokens": 10}})
    assert cost == Cost((10 * Decimal(4) + 100 * Decimal(64)) / 10**6, is_estimate=True)


def test_cached_tokens_of_no_stated_kind_are_those_with_the_smallest_discount() -> None:
    reported = usage(100, 100)
    reported["input_token_details"]["cached_tokens"] = 150
    cost = PRICES.of_response(MODEL, reported)
    assert cost == Cost((150 * Decimal("0.40") + 50 * Decimal(32)) / 10**6, is_estimate=True)


def test_more_cached_than_read_is_named_and_counts_as_all_of_it() -> None:
    cost = PRICES.of_response(MODEL, usage(100, cached=(200, 0)))
    assert cost.warnings == ("usage_inconsistent",)
    assert cost.usd == PRICES.of_response(MODEL, usage(100, cached=(100, 0))).usd


def test_tokens_of_no_stated_kind_are_taken_for_the_dearest() -> None:
    cost = PRICES.of_response(MODEL, {"input_tokens": 10, "output_tokens": 10})
    assert cost == Cost((10 * Decimal(32) + 10 * Decimal(64)) / 10**6, is_estimate=True)


def test_reasoning_is_paid_as_text() -> None:
    reported = usage(out=(10, 10))
    reported["output_tokens"] = 50
    reported["output_token_details"]["reasoning_tokens"] = 30
    assert PRICES.of_response(MODEL, reported) == Cost((40 * Decimal(24) + 10 * Decimal(64)) / 10**6)


def test_what_was_never_told_is_estimated_by_the_published_rules_and_says_so() -> None:
    guess = UsageEstimate(input_text_tokens=100, input_audio_tokens=30, output_audio_seconds=2.0, output_characters=38)
    cost = PRICES.estimated_response(MODEL, guess)
    assert cost.usd == (100 * Decimal(4) + 30 * Decimal(32) + 40 * Decimal(64) + 10 * Decimal(24)) / 10**6
    assert cost.is_estimate
    assert cost.warnings == ("usage_missing",)
    assert PRICES.estimated_transcription("gpt-realtime-whisper", 60.0).usd == Decimal("0.017")


def test_ones_own_models_may_be_free(tmp_path: Path) -> None:
    free = load_prices(tmp_path.__class__("free"))
    assert free.of_response("whatever", usage(1000)) == free.of_transcription("x", {"seconds": 9}) == Cost()
    assert free.estimated_response("x", UsageEstimate(1000)) == free.estimated_transcription("x", 5.0) == Cost()
    assert free.knows("whatever")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("dated = 2026-01-01", "'models' is missing"),
        ("dated = [", "cannot be read"),
        ("dated = 2026-01-01\nmodels = 5\ntranscription = {}", "cannot be read"),
        ("dated = 2026-01-01\n[models.m]\ntext = {input = 1, cached = 1}\n[transcription]", "'output' is missing"),
        ("dated = 2026-01-01\n[models]\n[transcription]\nt = {per_minute = -1}", "-1 is not a price"),
        ("dated = 2026-01-01\n[models]\n[transcription]\nt = {per_minute = nan}", "cannot be read"),
        ('dated = 2026-01-01\n[models]\n[transcription]\nt = {per_minute = "1"}', "'1' is not a price"),
    ],
)
def test_a_wrong_table_stops_the_start_by_name(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="VOICE_PRICES_FILE: ") as raised:
        load_prices(path)
    assert fault in str(raised.value)


def test_a_missing_table_stops_the_start_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="VOICE_PRICES_FILE: cannot be read"):
        load_prices(tmp_path / "nowhere.toml")


RATES = """
dated = 2026-12-01
[models.cheap]
text = {input = 1, cached = 2, output = 3}
audio = {input = 4, cached = 50, output = 6}
image = {input = 7, cached = 8, output = 9}
[models.dear]
text = {input = 10, cached = 11, output = 12}
audio = {input = 13, cached = 14, output = 15}
image = {input = 5, cached = 5, output = 500}
[transcription]
minute = {per_minute = 0.6}
hour = {per_minute = 0.3}
tokens = {per_million_tokens = {audio = 3, text = 1.25, output = 5}}
"""


@pytest.fixture
def rates(tmp_path: Path) -> Prices:
    """A table in which each price differs from the others."""
    path = tmp_path / "prices.toml"
    path.write_text(RATES)
    return load_prices(path)


def every(times: int) -> dict[str, Any]:
    """Tokens of each modality, uncached, cached and written: no two counts are equal."""
    cached = {"text_tokens": 100 * times, "audio_tokens": 200 * times, "image_tokens": 300 * times}
    uncached = {"text_tokens": 101 * times, "audio_tokens": 202 * times, "image_tokens": 303 * times}
    return {
        "input_token_details": {**uncached, "cached_tokens_details": cached},
        "output_token_details": {"text_tokens": 4 * times, "audio_tokens": 5 * times, "image_tokens": 6 * times},
    }


def test_each_kind_of_token_has_its_own_price(rates: Prices) -> None:
    millionths = 1 * 1 + 2 * 4 + 3 * 7 + 100 * 2 + 200 * 50 + 300 * 8 + 4 * 3 + 5 * 6 + 6 * 9
    assert rates.of_response("cheap", every(1)) == Cost(Decimal(millionths) / 10**6)
    assert rates.output_usd("cheap", every(1)) == Decimal(4 * 3 + 5 * 6 + 6 * 9) / 10**6
    assert rates.output_usd("cheap", {"input_tokens": 9, "output_tokens": 2}) == Decimal(2 * 6) / 10**6
    seen = UsageEstimate(10, 20, 1.525, 41, 30)
    estimate = Decimal(10 * 1 + 20 * 4 + 30 * 7 + 30 * 6 + 11 * 3) / 10**6
    assert rates.estimated_response("cheap", seen) == Cost(estimate, is_estimate=True, warnings=("usage_missing",))


def test_a_fault_of_an_estimate_is_named_once_and_beside_the_missing_price(rates: Prices) -> None:
    cost = rates.estimated_response("unknown", UsageEstimate(1))
    assert (cost.is_estimate, cost.warnings) == (True, ("usage_missing", "price_missing"))
    twice = rates.of_response("unknown", {"input_tokens": "x", "output_tokens": "y"})
    assert (twice.is_estimate, twice.warnings) == (True, ("price_missing", "usage_malformed"))


def test_an_unknown_model_has_in_each_modality_the_price_that_is_nowhere_higher(rates: Prices) -> None:
    read = rates.of_response("unknown", {"input_token_details": {"text_tokens": 1}})
    assert read == Cost(Decimal(10) / 10**6, is_estimate=True, warnings=("price_missing",))
    spoken = rates.of_transcription("unknown", {"seconds": 60})
    assert spoken == Cost(Decimal("0.6"), is_estimate=True, warnings=("price_missing",))


@pytest.mark.parametrize(
    ("model", "usage", "usd", "is_estimate"),
    [
        ("minute", {"seconds": 6}, "0.06", False),
        ("hour", {"type": "duration", "seconds": 6}, "0.03", False),
        ("hour", {"type": "duration"}, "0", True),
        # Priced by the minute, reported in tokens: a tenth of a second each, and the text counts nothing.
        ("minute", {"input_tokens": 60, "input_token_details": {"audio_tokens": 20}}, "0.06", True),
        ("minute", {"input_tokens": 60, "input_token_details": {"audio_tokens": 20, "text_tokens": 10}}, "0.05", True),
        ("minute", {"input_tokens": 5, "input_token_details": {"audio_tokens": 20}}, "0.02", True),
        # Priced by the token: what has no modality is sound.
        ("tokens", {"input_tokens": 60, "output_tokens": 7}, "0.000215", False),
        (
            "tokens",
            {"input_tokens": 60, "input_token_details": {"audio_tokens": 20, "text_tokens": 30}, "output_tokens": 7},
            "0.0001625",
            False,
        ),
        ("tokens", {"seconds": 1.26}, "0.000039", True),
    ],
)
def test_transcription_has_the_price_of_its_unit(
    rates: Prices, model: str, usage: dict[str, Any], usd: str, is_estimate: bool
) -> None:
    cost = rates.of_transcription(model, usage)
    assert (cost.usd, cost.is_estimate) == (Decimal(usd), is_estimate)


def test_an_estimated_transcription_has_no_negative_length_and_says_that_it_is_one(rates: Prices) -> None:
    named: dict[str, Any] = {"is_estimate": True, "warnings": ("usage_missing",)}
    assert rates.estimated_transcription("minute", 0.5) == Cost(Decimal("0.005"), **named)
    assert rates.estimated_transcription("minute", -3.0) == Cost(Decimal(0), **named)
    assert rates.estimated_transcription("tokens", 2.0) == Cost(Decimal("0.00006"), **named)
    named["warnings"] = ("usage_missing", "price_missing")
    assert rates.estimated_transcription("unknown", 1.0) == Cost(Decimal("0.01"), **named)


def test_a_response_that_was_never_reported_costs_what_was_expected_as_an_estimate(rates: Prices) -> None:
    expected = Decimal("0.0123")
    assert rates.unreported(expected) == Cost(expected, is_estimate=True, warnings=("usage_missing",))


def test_a_table_without_models_prices_everything_at_nothing_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text("dated = 2026-12-01\n[models]\n[transcription]\n")
    bare = load_prices(path)
    assert not bare.knows("any")
    unpriced = Cost(Decimal(0), is_estimate=True, warnings=("price_missing",))
    assert bare.of_response("any", every(1)) == bare.of_transcription("any", {"seconds": 60}) == unpriced
    assert bare.estimated_response("any", UsageEstimate(1)).usd == 0


def test_sums_of_costs_keep_what_is_an_estimate_and_each_warning_once() -> None:
    exact, guess = Cost(Decimal(1), warnings=("a", "b")), Cost(Decimal(2), is_estimate=True, warnings=("b", "c"))
    both = Cost(Decimal(3), is_estimate=True, warnings=("a", "b", "c"))
    assert exact + guess == both
    assert guess + exact == Cost(Decimal(3), is_estimate=True, warnings=("b", "c", "a"))
    assert not (exact + exact).is_estimate


def test_of_an_unreadable_cost_and_its_estimate_the_higher_counts() -> None:
    unreadable = Cost(Decimal(2), warnings=("usage_negative",))
    for other, usd in ((1, 2), (3, 3)):
        either = unreadable.or_estimate(Cost(Decimal(other), warnings=("x",)))
        assert either == Cost(Decimal(usd), is_estimate=True, warnings=("usage_negative",))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.dictionaries(
        st.sampled_from(
            [
                *("input_tokens", "output_tokens", "input_token_details", "output_token_details", "text_tokens"),
                *("audio_tokens", "image_tokens", "cached_tokens", "cached_tokens_details", "seconds", "type"),
            ]
        ),
        inner,
        max_size=8,
    ),
    max_leaves=12,
)


@given(anything.filter(lambda value: isinstance(value, dict)))
def test_whatever_a_server_says_it_costs_something_finite_and_never_less_than_nothing(reported: Any) -> None:
    for cost in (PRICES.of_response(MODEL, reported), PRICES.of_transcription("gpt-transcribe", reported)):
        assert cost.usd.is_finite()
        assert cost.usd >= 0
