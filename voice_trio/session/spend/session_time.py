"""The time that a session's upstreams have lasted, for models that are billed by it: the larger of two counts.

Our clock runs from the moment an upstream is ready until it is lost. The upstream may tell its own count, which is
ahead of ours where sound was sent faster than real time. Billing by ours alone would lack that, by its alone what has
passed since it last told. Pure.
"""

from __future__ import annotations


class SessionTime:
    """Seconds, over all upstreams of one connection; `now` is the session's clock."""

    def __init__(self) -> None:
        self._before = self._paused_before = 0.0  # of upstreams that are lost
        self._since: float | None = None
        self._told = self._paused = 0.0

    def begin(self, now: float) -> None:
        """An upstream is ready."""
        self.end(now)
        self._since = now

    def tell(self, seconds: float, paused_seconds: float) -> None:
        """The present upstream counts so much."""
        self._told, self._paused = max(self._told, seconds), max(self._paused, paused_seconds)

    def end(self, now: float) -> None:
        """The present upstream, if any, is lost."""
        self._before, self._paused_before = self.seconds(now), self._paused_before + self._paused
        self._since = None
        self._told = self._paused = 0.0

    def seconds(self, now: float) -> float:
        """All of it until now."""
        running = 0.0 if self._since is None else now - self._since
        return self._before + max(running, self._told)

    @property
    def paused_seconds(self) -> float:
        """The part of it that was paused, as far as the upstream counts it."""
        return self._paused_before + self._paused
