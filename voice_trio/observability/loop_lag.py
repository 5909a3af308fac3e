"""The lag of the event loop: the metric that shows overload before users hear it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import trio

from voice_trio import limits

if TYPE_CHECKING:
    from typing import Never


class LoopLag:
    """Samples the lag in the task `run`; all values are in seconds, over the last 5 s."""

    def __init__(self) -> None:
        self._seen: deque[float] = deque([0.0] * limits.LAG_SAMPLES, maxlen=limits.LAG_SAMPLES)

    @property
    def seconds(self) -> float:
        """The longest lag of the samples."""
        return max(self._seen)

    @property
    def is_overloaded(self) -> bool:
        """Whether half of the samples are late; a single slow step does not count."""
        return sorted(self._seen)[limits.LAG_SAMPLES // 2] > limits.LAG_SECONDS_MAX

    def note(self, seconds: float) -> None:
        """Add a sample."""
        self._seen.append(max(0.0, seconds))

    async def run(self) -> Never:
        """Sample every half second until cancelled."""
        while True:
            due = trio.current_time() + limits.LAG_SAMPLE_SECONDS
            await trio.sleep_until(due)
            self.note(trio.current_time() - due)
