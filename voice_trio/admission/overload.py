"""Whether this process has more to do than it can do in time: a policy over measured delays. Pure."""

from __future__ import annotations

import math

from voice_trio import limits

# Which delay counts. Under load the lag of an event loop has a long tail: its median stays below 3 ms when one response
# in two is late already (docs/capacity.md). So the tail decides, the P95 of the last seconds. A single
# long step is one sample of a hundred, and does not count. The second sign is a bottleneck behind the loop, as a full
# network link: then frames of many sessions wait at once. A few clients that read slowly are no such sign.


class Overload:
    """Newcomers wait and are refused while `is_high`, with hysteresis; sessions that continue while `is_extreme`.

    `lag_seconds_max` bounds the P95 of the lag; with 0 the lag is no overload, however long.
    """

    def __init__(self, lag_seconds_max: float = limits.LAG_NEWCOMERS_MS_MAX / 1000) -> None:
        self._lag_seconds_max = lag_seconds_max or math.inf
        self.is_high = False
        """A further session would soon delay those in progress."""
        self.is_extreme = False
        """Sessions in progress are delayed already."""

    def note(self, *, lag_p50: float, lag_p95: float, unsent_share: float) -> None:
        """Take a look: percentiles of the event loop's lag in seconds, and the share of sessions whose oldest frame
        has been unsent for longer than `UNSENT_SECONDS_MAX`."""
        relief = limits.OVERLOAD_RELIEF if self.is_high else 1.0
        self.is_extreme = lag_p50 > max(limits.LAG_SECONDS_MAX, self._lag_seconds_max)
        self.is_high = (
            self.is_extreme
            or lag_p95 > relief * self._lag_seconds_max
            or unsent_share > relief * limits.UNSENT_SHARE_MAX
        )
