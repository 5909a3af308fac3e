"""The last hour minute by minute, for the dashboard's charts: a ring that forgets by itself."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
from ddsketch import LogCollapsingLowestDenseDDSketch as Sketch

from voice_trio.observability.percentiles import BINS_MAX, RELATIVE_ERROR, merged_sketch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MINUTES_REMEMBERED = 60
MINUTE_SECONDS = 60


def _no_answers() -> Sketch:
    return Sketch(RELATIVE_ERROR, BINS_MAX)


class Minute(msgspec.Struct):
    """What happened within a minute; `active` is the most sessions that were open at once."""

    active: int = 0
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    cost_usd: Decimal = Decimal(0)
    answers: Sketch = msgspec.field(default_factory=_no_answers)

    def plus(self, other: Minute) -> Minute:
        """Both; their highest numbers of sessions need not have been at the same moment, so the sum is a bound."""
        counts = dict(Counter(self.counts) + Counter(other.counts))
        answers = merged_sketch([self.answers, other.answers])
        return Minute(self.active + other.active, counts, self.cost_usd + other.cost_usd, answers)

    def as_json(self) -> dict[str, Any]:
        """For the stats page."""
        names = ("sessions", "failed", "turns", "interruptions", "refused")
        return {
            "active": self.active,
            **{name: self.counts.get(name, 0) for name in names},
            "cost_usd": round(float(self.cost_usd), 6),
            "answer_ms": {name: self._quantile_ms(share) for name, share in (("p50", 0.5), ("p95", 0.95))},
        }

    def _quantile_ms(self, share: float) -> float | None:
        value = self.answers.get_quantile_value(share) if self.answers.count else None
        return None if value is None else round(value * 1000, 1)


class MinuteSeries:
    """`active` tells how many sessions are open now; each minute keeps the most it saw."""

    def __init__(self, active: Callable[[], int], unix_time: Callable[[], float]) -> None:
        self._active = active
        self._unix_time = unix_time
        self._minutes: dict[int, Minute] = {}

    def count(self, name: str, by: int = 1) -> None:
        """Something happened in this minute."""
        counts = self._now().counts
        counts[name] = counts.get(name, 0) + by

    def spend(self, usd: Decimal) -> None:
        """So much was spent in this minute."""
        self._now().cost_usd += usd

    def answered(self, seconds: float) -> None:
        """An answer's first sound came so long after the question's end."""
        self._now().answers.add(seconds)

    def by_number(self) -> dict[int, Minute]:
        """The minutes in which anything happened, and the present one, by their numbers since 1970."""
        self._now()
        return dict(self._minutes)

    def _now(self) -> Minute:
        number = int(self._unix_time() // MINUTE_SECONDS)
        if number not in self._minutes:
            for old in [each for each in self._minutes if not number - MINUTES_REMEMBERED < each <= number]:
                del self._minutes[old]
            self._minutes[number] = Minute()
        minute = self._minutes[number]
        minute.active = max(minute.active, self._active())
        return minute


def last_hour(minutes: Mapping[int, Minute]) -> list[dict[str, Any]]:
    """60 minutes, oldest first, the present one last; minutes in which nothing happened are zeros."""
    last = max(minutes, default=0)
    numbers = range(last - MINUTES_REMEMBERED + 1, last + 1)
    return [{"at": number * MINUTE_SECONDS} | minutes.get(number, Minute()).as_json() for number in numbers]
