"""Validates the usage that an upstream reports: counts by modality, and a name for each invalid value.

A count may be written as a whole number, a decimal (`1000.0`) or a text (`"1000"`), as compatible servers do. No count
that can be read is dropped. Knows nothing of prices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from voice_trio.settings.price_table import MODALITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKENS_MAX = 1_000_000_000
"""A higher count in one usage is treated as malformed."""
SECONDS_MAX = 1_000_000
"""The same for seconds of speech."""
NUMBER_CHARS_MAX = 40
"""Of a number written as text."""
UNREADABLE = frozenset({"usage_malformed", "usage_negative"})
"""The faults of values that could not be counted: what they stand for has to be estimated."""
_REPORTS = ("input_tokens", "output_tokens", "input_token_details", "output_token_details", "total_tokens", "seconds")


@dataclass(slots=True)
class UsageFaults:
    """The names of invalid values in one usage."""

    names: list[str] = field(default_factory=list)

    @property
    def is_unreadable(self) -> bool:
        """Whether a value could not be counted."""
        return not UNREADABLE.isdisjoint(self.names)

    def count(self, usage: Mapping[str, Any], name: str) -> int:
        """The tokens under `name`, rounded up; 0 if missing, and 0 with a fault if it is no valid count."""
        value = usage.get(name)
        return 0 if value is None else math.ceil(self.number(value, TOKENS_MAX))

    def number(self, value: object, highest: int) -> Decimal:
        """A number from 0 to `highest`, exact in decimal; 0 with a fault if `value` cannot be read as one."""
        number = read_number(value)
        if number is None or number > highest:
            self.names.append("usage_malformed")
            return Decimal(0)
        if number < 0:
            self.names.append("usage_negative")
            return Decimal(0)
        return number

    def inner(self, usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        """The object under `name`; empty if missing, and empty with a fault if it is no object."""
        value = usage.get(name)
        if value is not None and not isinstance(value, dict):
            self.names.append("usage_malformed")
        return value if isinstance(value, dict) else {}


def is_reported(usage: Mapping[str, Any] | None) -> bool:
    """Whether a usage says anything of tokens or seconds."""
    return usage is not None and any(usage.get(name) is not None for name in _REPORTS)


def input_tokens(usage: Mapping[str, Any], faults: UsageFaults) -> tuple[dict[str, tuple[int, int]], bool]:
    """(uncached, cached) tokens by modality, and whether a part is an estimate."""
    details = faults.inner(usage, "input_token_details")
    counts = {kind: faults.count(details, f"{kind}_tokens") for kind in MODALITIES}
    # Tokens without a modality count as the most expensive one, so that a budget is never exceeded unnoticed.
    unclear = faults.count(usage, "input_tokens") - sum(counts.values())
    counts["audio"] += max(0, unclear)
    stated = faults.inner(details, "cached_tokens_details")
    cached = {kind: faults.count(stated, f"{kind}_tokens") for kind in MODALITIES}
    # Cached tokens without a modality count as the one with the smallest discount.
    rest = max(0, faults.count(details, "cached_tokens") - sum(cached.values()))
    is_estimated = unclear > 0 or rest > 0
    for kind in ("image", "text", "audio"):
        part = min(rest, max(0, counts[kind] - cached[kind]))
        cached[kind] += part
        rest -= part
    if rest or any(cached[kind] > counts[kind] for kind in MODALITIES):
        faults.names.append("usage_inconsistent")
    both = {kind: min(cached[kind], counts[kind]) for kind in MODALITIES}
    return {kind: (counts[kind] - both[kind], both[kind]) for kind in MODALITIES}, is_estimated


def output_tokens(usage: Mapping[str, Any], faults: UsageFaults) -> tuple[dict[str, int], bool]:
    """Tokens by modality, and whether a part is an estimate. Reasoning tokens count as text."""
    details = faults.inner(usage, "output_token_details")
    counts = {kind: faults.count(details, f"{kind}_tokens") for kind in MODALITIES}
    # Of tokens that are only in the total, the output's price is the higher one.
    stated = faults.count(usage, "output_tokens") or faults.count(usage, "total_tokens") - _input_total(usage, faults)
    rest = max(0, stated - sum(counts.values()))
    reasoning = min(rest, faults.count(details, "reasoning_tokens"))
    counts["text"] += reasoning
    counts["audio"] += rest - reasoning
    return counts, rest > reasoning


def _input_total(usage: Mapping[str, Any], faults: UsageFaults) -> int:
    details = faults.inner(usage, "input_token_details")
    return max(faults.count(usage, "input_tokens"), sum(faults.count(details, f"{kind}_tokens") for kind in MODALITIES))


def seconds_of(value: object, faults: UsageFaults) -> Decimal:
    """Seconds exact in decimal: 2.84 is 2.84, not the nearest binary fraction."""
    return faults.number(value, SECONDS_MAX)


def read_number(value: object) -> Decimal | None:
    """A number however it is written; None for what is no finite number, as True is, which Python takes for 1."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = value.strip() if isinstance(value, str) else repr(value) if isinstance(value, float) else None
    if text is None:
        return Decimal(value)
    if len(text) > NUMBER_CHARS_MAX:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
