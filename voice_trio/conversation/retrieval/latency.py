"""How long searches take, as seen lately: what tells whether one can still come in time. Pure."""

from __future__ import annotations

SEARCHES_REMEMBERED = 64
FASTEST_SHARE = 0.05
CACHED_SECONDS = 0.0002  # no store answers sooner, thread and all
QUICK_SECONDS = 0.02


class SearchLatency:
    """Seconds that finished searches took; failed ones count for nothing, nor do those that a cache answered."""

    def __init__(self) -> None:
        self._seconds: list[float] = []

    def note(self, seconds: float) -> None:
        if seconds >= CACHED_SECONDS:
            self._seconds = [*self._seconds[1 - SEARCHES_REMEMBERED :], seconds]

    @property
    def fastest(self) -> float:
        """What one search in twenty was quicker than; 0 before any was seen: then every one may come in time."""
        if not self._seconds:
            return 0.0
        return sorted(self._seconds)[int(len(self._seconds) * FASTEST_SHARE)]

    @property
    def is_quick(self) -> bool:
        """Whether the store usually answers between two words, so that even the last ones can be asked."""
        return bool(self._seconds) and sorted(self._seconds)[len(self._seconds) // 2] < QUICK_SECONDS

    def may_come(self, elapsed: float, left: float) -> bool:
        """Whether a search that has run for `elapsed` seconds may return within the `left` ones."""
        return elapsed + left >= self.fastest
