"""What is read of a usage: counts by modality, cached or not, and a name for all that cannot be right."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from voice_trio.billing.usage import (
    NUMBER_CHARS_MAX,
    SECONDS_MAX,
    TOKENS_MAX,
    UsageFaults,
    input_tokens,
    is_reported,
    output_tokens,
    read_number,
    seconds_of,
)

MALFORMED, NEGATIVE, INCONSISTENT = "usage_malformed", "usage_negative", "usage_inconsistent"


def reads(text: tuple[int, int] = (0, 0), audio: tuple[int, int] = (0, 0), image: tuple[int, int] = (0, 0)) -> Any:
    """(uncached, cached) each."""
    return {"text": text, "audio": audio, "image": image}


def writes(text: int = 0, audio: int = 0, image: int = 0) -> Any:
    return {"text": text, "audio": audio, "image": image}


def details(**counts: Any) -> Any:
    return {"input_token_details": counts}


def cached(of: dict[str, Any], **counts: Any) -> Any:
    return details(**of, cached_tokens_details=counts)


ALL = {"text_tokens": 100, "audio_tokens": 200, "image_tokens": 300}


@pytest.mark.parametrize(
    ("usage", "tokens", "is_estimated", "faults"),
    [
        ({}, reads(), False, []),
        ({"input_tokens": 600, **details(**ALL)}, reads((100, 0), (200, 0), (300, 0)), False, []),
        (details(**ALL), reads((100, 0), (200, 0), (300, 0)), False, []),
        # Of no stated kind: the dearest.
        ({"input_tokens": 7}, reads(audio=(7, 0)), True, []),
        ({"input_tokens": 601, **details(**ALL)}, reads((100, 0), (201, 0), (300, 0)), True, []),
        ({"input_tokens": 599, **details(**ALL)}, reads((100, 0), (200, 0), (300, 0)), False, []),
        # Cached, by kind.
        (
            cached(ALL, text_tokens=10, audio_tokens=20, image_tokens=30),
            reads((90, 10), (180, 20), (270, 30)),
            False,
            [],
        ),
        (
            cached({**ALL, "cached_tokens": 30}, text_tokens=10, audio_tokens=20),
            reads((90, 10), (180, 20), (300, 0)),
            False,
            [],
        ),
        # Cached, of no stated kind: images first, then text, then sound.
        (details(**ALL, cached_tokens=50), reads((100, 0), (200, 0), (250, 50)), True, []),
        (details(**ALL, cached_tokens=350), reads((50, 50), (200, 0), (0, 300)), True, []),
        (details(**ALL, cached_tokens=450), reads((0, 100), (150, 50), (0, 300)), True, []),
        (details(**ALL, cached_tokens=601), reads((0, 100), (0, 200), (0, 300)), True, [INCONSISTENT]),
        (
            cached({**ALL, "cached_tokens": 320}, text_tokens=10, image_tokens=5),
            reads((80, 20), (200, 0), (0, 300)),
            True,
            [],
        ),
        (cached(ALL, text_tokens=101), reads((0, 100), (200, 0), (300, 0)), False, [INCONSISTENT]),
        (cached(ALL, text_tokens=100), reads((0, 100), (200, 0), (300, 0)), False, []),
        (
            cached({**ALL, "cached_tokens": 160}, text_tokens=150),
            reads((0, 100), (200, 0), (290, 10)),
            True,
            [INCONSISTENT],
        ),
        # What cannot be read.
        ({"input_tokens": "many", **details(text_tokens=5)}, reads((5, 0)), False, [MALFORMED]),
        ({"input_tokens": 5, "input_token_details": []}, reads(audio=(5, 0)), True, [MALFORMED]),
        (details(text_tokens=-1, audio_tokens=3), reads(audio=(3, 0)), False, [NEGATIVE]),
        (details(text_tokens=5, cached_tokens_details=7), reads((5, 0)), False, [MALFORMED]),
        (details(text_tokens=5, cached_tokens=[]), reads((5, 0)), False, [MALFORMED]),
    ],
)
def test_input_is_read_by_kind_cached_and_not(usage: Any, tokens: Any, is_estimated: bool, faults: list[str]) -> None:
    found = UsageFaults()
    assert input_tokens(usage, found) == (tokens, is_estimated)
    assert found.names == faults
    assert found.is_unreadable is bool({MALFORMED, NEGATIVE} & set(faults))


def output(**counts: Any) -> Any:
    return {"output_token_details": counts}


@pytest.mark.parametrize(
    ("usage", "tokens", "is_estimated", "faults"),
    [
        ({}, writes(), False, []),
        (output(text_tokens=1, audio_tokens=2, image_tokens=3), writes(1, 2, 3), False, []),
        ({"output_tokens": 6, **output(text_tokens=1, audio_tokens=2, image_tokens=3)}, writes(1, 2, 3), False, []),
        ({"output_tokens": 9, **output(text_tokens=1, audio_tokens=2)}, writes(1, 8), True, []),
        ({"output_tokens": 2, **output(text_tokens=1, audio_tokens=2)}, writes(1, 2), False, []),
        # Reasoning counts as text, and is a part of the total.
        ({"output_tokens": 9, **output(text_tokens=1, reasoning_tokens=8)}, writes(9), False, []),
        ({"output_tokens": 9, **output(text_tokens=1, reasoning_tokens=3)}, writes(4, 5), True, []),
        ({"output_tokens": 9, **output(text_tokens=1, reasoning_tokens=20)}, writes(9), False, []),
        (output(text_tokens=1, reasoning_tokens=20), writes(1), False, []),
        # Only in the total of both: what the input does not explain.
        ({"total_tokens": 50, "input_tokens": 20}, writes(audio=30), True, []),
        ({"total_tokens": 50, **details(text_tokens=15, audio_tokens=5)}, writes(audio=30), True, []),
        (
            {"total_tokens": 50, "input_tokens": 10, **details(text_tokens=15, image_tokens=5)},
            writes(audio=30),
            True,
            [],
        ),
        ({"total_tokens": 50, "input_tokens": 60}, writes(), False, []),
        ({"total_tokens": 50, "output_tokens": 7, "input_tokens": 20}, writes(audio=7), True, []),
        # What cannot be read.
        ({"output_tokens": "many"}, writes(), False, [MALFORMED]),
        ({"output_token_details": 7, "output_tokens": 2}, writes(audio=2), True, [MALFORMED]),
    ],
)
def test_output_is_read_by_kind(usage: Any, tokens: Any, is_estimated: bool, faults: list[str]) -> None:
    found = UsageFaults()
    assert output_tokens(usage, found) == (tokens, is_estimated)
    assert found.names == faults


@pytest.mark.parametrize(
    ("written", "number"),
    [
        *[(0, 0), (7, 7), (-7, -7), (2.5, "2.5"), ("2.50", "2.50"), (" 3 ", 3), ("1e3", 1000), (0.1, "0.1")],
        *[(True, None), (False, None), (None, None), ([1], None), ("", None), ("one", None), ("nan", None)],
        *[(float("inf"), None), ("-inf", None), (10**50, 10**50)],
        *[("9" * NUMBER_CHARS_MAX, "9" * NUMBER_CHARS_MAX), ("9" * (NUMBER_CHARS_MAX + 1), None)],
    ],
)
def test_a_number_is_read_however_it_is_written(written: object, number: Any) -> None:
    assert read_number(written) == (None if number is None else Decimal(number))


def test_counts_and_seconds_have_a_highest_value_and_counts_are_rounded_up() -> None:
    faults = UsageFaults()
    assert faults.count({"n": TOKENS_MAX}, "n") == TOKENS_MAX
    assert faults.count({"n": 1.2}, "n") == 2
    assert faults.count({}, "n") == 0
    assert seconds_of(SECONDS_MAX, faults) == SECONDS_MAX
    assert seconds_of(2.84, faults) == Decimal("2.84")
    assert faults.names == []
    assert not faults.is_unreadable
    assert faults.count({"n": TOKENS_MAX + 1}, "n") == 0
    assert seconds_of(SECONDS_MAX + 1, faults) == 0
    assert faults.names == [MALFORMED, MALFORMED]


@pytest.mark.parametrize(
    "name",
    ["input_tokens", "output_tokens", "input_token_details", "output_token_details", "total_tokens", "seconds"],
)
def test_a_usage_that_says_something_is_reported(name: str) -> None:
    assert is_reported({name: 0})
    assert not is_reported({name: None})


def test_a_usage_that_says_nothing_is_none() -> None:
    assert not is_reported(None)
    assert not is_reported({"type": "tokens"})
