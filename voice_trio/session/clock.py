"""All that happens in a session at a certain time: the conversation's timers, the warnings, the end by idleness."""

from __future__ import annotations

import heapq
import math
from functools import partial
from typing import TYPE_CHECKING, Never

import trio

from voice_trio import limits
from voice_trio.conversation.session_events import SessionExpiring
from voice_trio.session.endings import Ending

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.session.ports import ClientConnection, DecisionCore, SessionPort

# A session waits for half a dozen times at once, nearly always in vain: a response may stall, a turn's 200 ms may pass.
# A sleeping task takes 3 to 4 KiB, an entry of the clock 200 bytes.


class SessionClock:
    """Calls functions at their times, from one task: `run`. Those that are due together run in the order of time."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0  # of the last one: functions cannot be compared
        self._sleeping = trio.CancelScope()

    def call_at(self, at: float, function: Callable[[], None]) -> None:
        """Call `function` at the time `at` of Trio's clock. Synchronous, so it can be used between two commands."""
        self._number += 1
        heapq.heappush(self._due, (at, self._number, function))
        self._sleeping.deadline = min(self._sleeping.deadline, at)

    async def run(self) -> Never:
        """Call what is due, until cancelled."""
        while True:
            now = trio.current_time()
            while self._due and self._due[0][0] <= now:
                heapq.heappop(self._due)[2]()
            self._sleeping = trio.CancelScope(deadline=self._due[0][0] if self._due else math.inf)
            with self._sleeping:
                await trio.sleep_forever()


def announce_deadline(clock: SessionClock, deadline: float, duration_seconds: float, client: ClientConnection) -> None:
    """Warn the client before the session's deadline (I7); the deadline itself is that of the session's scope."""
    for seconds_left in limits.WARNING_SECONDS_LEFT:
        if seconds_left < duration_seconds:
            clock.call_at(deadline - seconds_left, partial(client.send, SessionExpiring(seconds_left)))


def watch_for_idleness(clock: SessionClock, core: DecisionCore, host: SessionPort) -> None:
    """End a session in which nothing has been said for `idle_seconds`; looks again when that may be so."""
    now = trio.current_time()
    quiet_since = core.quiet_since(now)
    if quiet_since is None:
        next_look = now + min(limits.IDLE_CHECK_SECONDS_MAX, host.config.idle_seconds)
    else:
        next_look = quiet_since + host.config.idle_seconds
    if now < next_look:
        clock.call_at(next_look, partial(watch_for_idleness, clock, core, host))
    else:
        host.end(Ending.IDLE)
