"""The lag of the event loop: the metric that shows overload before users hear it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from typing import Never

SAMPLE_INTERVAL_SECONDS = 0.5
SAMPLES = 10
LAG_SECONDS_MAX = 0.1
"""A constant lag of this adds 0.1 s to every step of every conversation."""


class LoopLag:
    """Samples the lag in the task `run`; all values are in seconds, over the last 5 s."""

    def __init__(self) -> None:
        self._seen: deque[float] = deque([0.0] * SAMPLES, maxlen=SAMPLES)

    @property
    def seconds(self) -> float:
        """The longest lag of the samples."""
        return max(self._seen)

    @property
    def is_overloaded(self) -> bool:
        """Whether half of the samples are late; a single slow step does not count."""
        return sorted(self._seen)[SAMPLES // 2] > LAG_SECONDS_MAX

    def note(self, seconds: float) -> None:
        """Add a sample."""
        self._seen.append(max(0.0, seconds))

    async def run(self) -> Never:
        """Sample every half second until cancelled."""
        while True:
            due = trio.current_time() + SAMPLE_INTERVAL_SECONDS
            await trio.sleep_until(due)
            self.note(trio.current_time() - due)
