"""Counts of the last hour by minute, for the charts of the dashboard; older minutes are evicted."""

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
RECENT_MINUTES = 5


def _empty_sketch() -> Sketch:
    return Sketch(RELATIVE_ERROR, BINS_MAX)


class Minute(msgspec.Struct):
    """The counts of one minute; `active` is the largest number of sessions open at once."""

    active: int = 0
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    cost_usd: Decimal = Decimal(0)
    answers: Sketch = msgspec.field(default_factory=_empty_sketch)

    def plus(self, other: Minute) -> Minute:
        """The sum of both. `active` is an upper bound: the maxima may have been at different moments."""
        counts = dict(Counter(self.counts) + Counter(other.counts))
        answers = merged_sketch([self.answers, other.answers])
        return Minute(self.active + other.active, counts, self.cost_usd + other.cost_usd, answers)

    def as_json(self) -> dict[str, Any]:
        """The JSON of the stats page."""
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
    """Counts by minute. `active` returns the number of open sessions; each minute keeps its maximum."""

    def __init__(self, active: Callable[[], int], unix_time: Callable[[], float]) -> None:
        self._active = active
        self._unix_time = unix_time
        self._minutes: dict[int, Minute] = {}

    def count(self, name: str, by: int = 1) -> None:
        """Add `by` to the count `name` of this minute."""
        counts = self._now().counts
        counts[name] = counts.get(name, 0) + by

    def spend(self, usd: Decimal) -> None:
        """Add US dollars to this minute."""
        self._now().cost_usd += usd

    def answered(self, seconds: float) -> None:
        """Add the seconds from the end of a question to the first audio of its response."""
        self._now().answers.add(seconds)

    def sample(self) -> None:
        """Note the number of open sessions; to be called often enough that each minute has it."""
        self._now()

    def by_number(self) -> dict[int, Minute]:
        """The minutes with counts and the present one, by their number since 1970."""
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
    """The last 60 minutes, the present one last; minutes without counts are zeros."""
    last = max(minutes, default=0)
    numbers = range(last - MINUTES_REMEMBERED + 1, last + 1)
    return [{"at": number * MINUTE_SECONDS} | minutes.get(number, Minute()).as_json() for number in numbers]


def recent(minutes: Mapping[int, Minute], since: float, now: float) -> dict[str, Any]:
    """Turns of the present minute and the five before, and the `seconds` of them that have passed since `since`.

    A process that began 40 s ago has 40 s, so that a rate made of both is not too low. Times are Unix seconds.
    """
    present = int(now // MINUTE_SECONDS)
    first = present - RECENT_MINUTES
    turns = sum(minutes[each].counts.get("turns", 0) for each in range(first, present + 1) if each in minutes)
    return {"turns": turns, "seconds": round(now - max(since, first * MINUTE_SECONDS), 1)}
