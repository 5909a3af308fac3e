"""Whether this process has more to do than it can do in time: a policy over measured delays. Pure."""

from __future__ import annotations

from voice_trio import limits

# Which delay counts. Under load the lag of an event loop has a long tail: its median stays below 3 ms when one response
# in two is late already (docs/operations.md, "Capacity"). So the tail decides, the P95 of the last seconds. A single
# long step is one sample of a hundred, and does not count. The second sign is a bottleneck behind the loop, as a full
# network link: then frames of many sessions wait at once. A few clients that read slowly are no such sign.


class Overload:
    """Newcomers are refused while `is_high`, with hysteresis; sessions that continue only while `is_extreme`."""

    def __init__(self) -> None:
        self.is_high = False
        """Those who talk would soon notice a further session."""
        self.is_extreme = False
        """Each step is so late that those who talk notice it already."""

    def note(self, *, lag_p50: float, lag_p95: float, unsent_share: float) -> None:
        """Take a look: percentiles of the event loop's lag in seconds, and the share of sessions whose oldest frame
        has been unsent for longer than `UNSENT_SECONDS_MAX`."""
        relief = limits.OVERLOAD_RELIEF if self.is_high else 1.0
        self.is_extreme = lag_p50 > limits.LAG_SECONDS_MAX
        self.is_high = (
            self.is_extreme
            or lag_p95 > relief * limits.LAG_NEWCOMERS_SECONDS_MAX
            or unsent_share > relief * limits.UNSENT_SHARE_MAX
        )
