"""What the output of a response is expected to cost: the median of the last ones of its model. Pure."""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import TYPE_CHECKING

from voice_trio import limits
from voice_trio.billing.prices import UsageEstimate

if TYPE_CHECKING:
    from decimal import Decimal

    from voice_trio.billing.prices import Prices

PRIOR_OUTPUT = UsageEstimate(output_audio_seconds=15.0, output_characters=240)
"""An answer of three spoken sentences, with its words: what is expected before a model has answered."""
PRIOR_WEIGHT = 5
"""As how many answers the prior counts, so that the first short ones do not make every response cheap."""


class ExpectedOutput:
    """The median cost of a response's output in US dollars, by model, over all sessions of one process."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._costs: dict[str, deque[Decimal]] = {}

    def usd(self, model: str, output_tokens_max: int | None = None) -> Decimal:
        """What the output is expected to cost, at most as much as `output_tokens_max` tokens of sound."""
        expected = median(self._of(model))
        if output_tokens_max is None:
            return expected
        return min(expected, self._prices.of_response(model, {"output_tokens": output_tokens_max}).usd)

    def note(self, model: str, usd: Decimal) -> None:
        """A response's output has cost so much."""
        self._of(model).append(usd)

    def _of(self, model: str) -> deque[Decimal]:
        if model not in self._costs:
            prior = self._prices.estimated_response(model, PRIOR_OUTPUT).usd
            self._costs[model] = deque([prior] * PRIOR_WEIGHT, limits.OUTPUT_COSTS_REMEMBERED)
        return self._costs[model]
