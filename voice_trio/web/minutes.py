"""The last hour minute by minute, for the dashboard's charts: a ring that forgets by itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ddsketch import LogCollapsingLowestDenseDDSketch as Sketch

from voice_trio.services.windows import BINS_MAX, RELATIVE_ERROR

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTES_REMEMBERED = 60
MINUTE_SECONDS = 60


@dataclass(slots=True)
class _Minute:
    active: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    cost_usd: Decimal = Decimal(0)
    answers: Sketch = field(default_factory=lambda: Sketch(RELATIVE_ERROR, BINS_MAX))

    def as_json(self) -> dict[str, Any]:
        return {
            "active": self.active,
            **{name: self.counts[name] for name in ("sessions", "failed", "turns", "interruptions", "refused")},
            "cost_usd": round(float(self.cost_usd), 6),
            "answer_ms": {name: self._quantile_ms(share) for name, share in (("p50", 0.5), ("p95", 0.95))},
        }

    def _quantile_ms(self, share: float) -> float | None:
        value = self.answers.get_quantile_value(share) if self.answers.count else None
        return None if value is None else round(value * 1000, 1)


class Minutes:
    """`active` tells how many sessions are open now; each minute keeps the most it saw."""

    def __init__(self, active: Callable[[], int], unix_time: Callable[[], float]) -> None:
        self._active = active
        self._unix_time = unix_time
        self._minutes: dict[int, _Minute] = {}

    def count(self, name: str, by: int = 1) -> None:
        """Something happened in this minute."""
        self._now().counts[name] += by

    def spend(self, usd: Decimal) -> None:
        """So much was spent in this minute."""
        self._now().cost_usd += usd

    def answered(self, seconds: float) -> None:
        """An answer's first sound came so long after the question's end."""
        self._now().answers.add(seconds)

    def as_json(self) -> list[dict[str, Any]]:
        """The last 60 minutes, oldest first, the present one last; minutes in which nothing happened are zeros."""
        self._now()
        last = self._number()
        numbers = range(last - MINUTES_REMEMBERED + 1, last + 1)
        return [
            {"at": number * MINUTE_SECONDS} | (self._minutes.get(number) or _Minute()).as_json() for number in numbers
        ]

    def _now(self) -> _Minute:
        number = self._number()
        if number not in self._minutes:
            for old in [each for each in self._minutes if not number - MINUTES_REMEMBERED < each <= number]:
                del self._minutes[old]
            self._minutes[number] = _Minute()
        minute = self._minutes[number]
        minute.active = max(minute.active, self._active())
        return minute

    def _number(self) -> int:
        return int(self._unix_time() // MINUTE_SECONDS)
