"""How much a client may send: control events by the second, audio by the clock. Pure: time is given."""

from __future__ import annotations


class TokenBucket:
    """Holds at most `size` tokens, refilled at `per_second`; starts full."""

    def __init__(self, size: float, per_second: float, now: float) -> None:
        self._size = size
        self._per_second = per_second
        self._tokens = size
        self._at = now

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Takes `amount` if it is there; false, and nothing taken, if not."""
        self._refill(now)
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True

    def take_and_wait(self, now: float, amount: float) -> float:
        """Takes `amount` in any case and returns how many seconds to wait until it is paid for."""
        self._refill(now)
        self._tokens -= amount
        return max(0.0, -self._tokens / self._per_second)

    def _refill(self, now: float) -> None:
        self._tokens = min(self._size, self._tokens + (now - self._at) * self._per_second)
        self._at = now
