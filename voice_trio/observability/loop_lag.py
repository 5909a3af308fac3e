"""How far behind the event loop is: the one figure that tells overload before users hear it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from typing import Never

LOOK_SECONDS = 0.5
LOOKS = 10
LAG_SECONDS_MAX = 0.1
"""A loop that is always later than this adds a tenth of a second to every step of every conversation."""


class LoopLag:
    """`run` is its task. Everything is seconds over the last 5."""

    def __init__(self) -> None:
        self._seen: deque[float] = deque([0.0] * LOOKS, maxlen=LOOKS)

    @property
    def seconds(self) -> float:
        """The longest lag lately."""
        return max(self._seen)

    @property
    def is_overloaded(self) -> bool:
        """Whether half of the looks came late: one slow moment does not count."""
        return sorted(self._seen)[LOOKS // 2] > LAG_SECONDS_MAX

    def note(self, seconds: float) -> None:
        """A look came so late."""
        self._seen.append(max(0.0, seconds))

    async def run(self) -> Never:
        """Look every half second, until cancelled."""
        while True:
            due = trio.current_time() + LOOK_SECONDS
            await trio.sleep_until(due)
            self.note(trio.current_time() - due)
