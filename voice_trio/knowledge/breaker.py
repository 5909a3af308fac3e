"""A breaker: after a few failures in a row a service is left alone for a while, then tried with one call. Pure."""

from __future__ import annotations

FAILURES_MAX = 3
OPEN_SECONDS = 30.0


class Breaker:
    """Closed: calls pass. Open: none does. After `open_seconds` one call probes; its success closes it again."""

    def __init__(self, failures_max: int = FAILURES_MAX, open_seconds: float = OPEN_SECONDS) -> None:
        self._failures_max = failures_max
        self._open_seconds = open_seconds
        self._failures = 0
        self._opened_at: float | None = None
        self._is_probing = False

    def admits(self, now: float) -> bool:
        """Whether a call may be made now; one that is admitted ends in `succeed` or `fail`."""
        if self._opened_at is None:
            return True
        if self._is_probing or now - self._opened_at < self._open_seconds:
            return False
        self._is_probing = True
        return True

    def succeed(self) -> None:
        self._failures = 0
        self._opened_at = None
        self._is_probing = False

    def fail(self, now: float) -> None:
        self._failures += 1
        if self._is_probing or (self._opened_at is None and self._failures >= self._failures_max):
            self._opened_at = now
        self._is_probing = False

    def is_open(self, now: float) -> bool:
        """Whether calls are turned away."""
        return self._opened_at is not None and (self._is_probing or now - self._opened_at < self._open_seconds)
