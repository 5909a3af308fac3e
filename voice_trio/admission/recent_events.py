"""How often something happened lately: sliding counts by key, bounded in memory."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

KEYS_MAX = 10_000
"""Keys remembered; beyond it, those that were quiet longest are forgotten."""


class RecentEvents:
    """Counts events by key within a sliding window; `limit` is where `wait_seconds` begins to say "wait"."""

    def __init__(
        self,
        *,
        limit: int,
        window_seconds: float,
        keys_max: int = KEYS_MAX,
        clock: Callable[[], float] = trio.current_time,
    ) -> None:
        self._limit = limit
        self._window_seconds = window_seconds
        self._keys_max = keys_max
        self._clock = clock
        self._times: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        """Keys remembered."""
        return len(self._times)

    def note(self, key: Hashable) -> None:
        """It happened, now."""
        times = self._times.setdefault(key, deque(maxlen=self._limit))
        times.append(self._clock())
        self._times.move_to_end(key)
        while len(self._times) > self._keys_max:
            self._times.popitem(last=False)

    def wait_seconds(self, key: Hashable) -> float:
        """Seconds until fewer than `limit` events lie within the window; 0 where that is so already."""
        times = self._times.get(key)
        if times is None or len(times) < self._limit:
            return 0.0
        return max(0.0, times[0] + self._window_seconds - self._clock())
