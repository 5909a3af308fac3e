"""The lag of the event loop: the metric that shows overload before users hear it."""

from __future__ import annotations

from collections import deque

import trio

from voice_trio import limits


class LoopLag:
    """The lag in the last samples, about 5 s; all values are in seconds. `sample` takes one."""

    def __init__(self) -> None:
        self._seen: deque[float] = deque([0.0] * limits.LAG_SAMPLES, maxlen=limits.LAG_SAMPLES)

    @property
    def seconds(self) -> float:
        """The longest lag of the samples."""
        return max(self._seen)

    def percentiles(self) -> tuple[float, float]:
        """The P50 and the P95 of the samples."""
        ordered = sorted(self._seen)
        return ordered[limits.LAG_SAMPLES // 2], ordered[limits.LAG_SAMPLES * 95 // 100]

    def note(self, seconds: float) -> None:
        """Add a sample."""
        self._seen.append(max(0.0, seconds))

    async def sample(self) -> None:
        """Wait for the time of the next sample, and add it."""
        due = trio.current_time() + limits.LAG_SAMPLE_SECONDS
        await trio.sleep_until(due)
        self.note(trio.current_time() - due)
