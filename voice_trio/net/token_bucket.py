"""A token bucket: a rate in the long run, with a burst. Time is given."""

from __future__ import annotations


class TokenBucket:
    """Holds at most `size` tokens, refilled at `per_second`; starts full."""

    def __init__(self, size: float, per_second: float, now: float) -> None:
        self._size = size
        self._per_second = per_second
        self._tokens = size
        self._at = now

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Take `amount` if it is there; False, and nothing taken, if not."""
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True

    def take_and_wait(self, now: float, amount: float) -> float:
        """Take `amount` in any case; returns how many seconds to wait until it is refilled."""
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._per_second) - amount
        self._at = now
        return max(0.0, -self._tokens / self._per_second)
