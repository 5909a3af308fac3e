"""Validates the usage that an upstream reports: counts by modality, and a name for each invalid value.

No valid count is dropped. Knows nothing of prices.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from voice_trio.settings.price_table import MODALITIES

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKENS_MAX = 1_000_000_000
"""A higher count in one usage is treated as malformed."""


@dataclass(slots=True)
class UsageFaults:
    """The names of invalid values in one usage."""

    names: list[str] = field(default_factory=list)

    def count(self, usage: Mapping[str, Any], name: str) -> int:
        """The tokens under `name`; 0 if missing, and 0 with a fault if it is no valid count."""
        value = usage.get(name)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int) or value > TOKENS_MAX:
            self.names.append("usage_malformed")
            return 0
        if value < 0:
            self.names.append("usage_negative")
            return 0
        return value

    def inner(self, usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        """The object under `name`; empty if missing, and empty with a fault if it is no object."""
        value = usage.get(name)
        if value is not None and not isinstance(value, dict):
            self.names.append("usage_malformed")
        return value if isinstance(value, dict) else {}


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
    rest = max(0, faults.count(usage, "output_tokens") - sum(counts.values()))
    reasoning = min(rest, faults.count(details, "reasoning_tokens"))
    counts["text"] += reasoning
    counts["audio"] += rest - reasoning
    return counts, rest > reasoning


def seconds_of(value: object, faults: UsageFaults) -> Decimal:
    """Seconds exact in decimal: 2.84 is 2.84, not the nearest binary fraction."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) > 1e6:
        faults.names.append("usage_malformed")
        return Decimal(0)
    if value < 0:
        faults.names.append("usage_negative")
        return Decimal(0)
    return Decimal(repr(value))
