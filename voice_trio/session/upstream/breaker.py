"""A breaker between all sessions of a process and the upstream: it opens after a row of failures over sessions.

closed   connections are opened, a bounded number of them at once
open     none is, until the pause is over; the pause grows each time
probing  one connection is opened, the others wait for what becomes of it

A connection that is ready lets the others through; only one that lasts ends the row, since an upstream may accept
connections and drop them at once. It knows users by name only to tell one who fails alone from an upstream that fails.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

import structlog
import trio

from voice_trio import limits
from voice_trio.errors import ModelUnavailable, SettingsRefused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = structlog.get_logger(__name__)
T = TypeVar("T")


class UpstreamBreaker:
    """What the connections of all sessions to the upstream have shown lately."""

    def __init__(self) -> None:
        self._failures = 0  # in a row
        self._failed_users: set[str] = set()
        self._failed_sessions: set[object] = set()
        self._failed_at = float("-inf")
        self._openings = 0  # in a row
        self._probe_at = float("-inf")
        self._is_probing = False
        self._young: dict[object, float] = {}  # by session, when connections became ready that may not last
        self._is_announced = False
        self._dials = trio.CapacityLimiter(limits.UPSTREAM_DIALS_MAX)
        self._changed = trio.Event()

    @property
    def is_failing(self) -> bool:
        """Whether it is open, or was so and no connection has lasted since."""
        self._end_row_if_proven()
        return self._is_announced

    def seconds_to_probe(self, user: str) -> float:
        """Seconds for which no connection is opened for `user`; 0 if one would be opened now.

        An upstream that failed for one user alone is not kept from the others (I13).
        """
        self._end_row_if_proven()
        if not self._is_open:
            return 0.0
        if len(self._failed_users) == 1 and user not in self._failed_users:
            return 0.0
        if self._is_probing:
            return limits.RECOVERY_ATTEMPT_SECONDS_MAX
        return max(0.0, self._probe_at - trio.current_time())

    async def dial(
        self, user: str, attempt: Callable[[], Awaitable[T]], *, waits: bool, session: object | None = None
    ) -> T:
        """The result of `attempt`, which opens a connection for `user`, in its turn; raises what it raises.

        While the breaker is open it `waits`, or raises `ModelUnavailable` at once. Failures of one `session` alone do
        not open it: that session makes pauses itself.
        """
        session = session or object()
        while True:
            while (wait := self.seconds_to_probe(user)) > 0:
                if not waits:
                    raise ModelUnavailable("the upstream failed several sessions; it will be probed again")
                with trio.move_on_after(wait):
                    await self._changed.wait()
            async with self._dials:
                if self.seconds_to_probe(user) == 0:
                    return await self._attempt(user, attempt, session)

    def note_lost(self, user: str, ready_at: float, session: object) -> bool:
        """A connection that was ready is lost: whether it had lasted. If not, it counts as a failure."""
        self._end_row_if_proven()
        if trio.current_time() - ready_at >= limits.UPSTREAM_PROVEN_SECONDS:
            return True
        self._young.pop(session, None)
        self._note_failure(user, session, is_probe=False)
        return False

    @property
    def _is_open(self) -> bool:
        return self._failures >= limits.UPSTREAM_FAILURES_MAX and len(self._failed_sessions) > 1

    async def _attempt(self, user: str, attempt: Callable[[], Awaitable[T]], session: object) -> T:
        is_probe = self._is_probing = self._is_open
        try:
            result = await attempt()
        except SettingsRefused:  # it says nothing about other sessions
            raise
        except ModelUnavailable:
            self._note_failure(user, session, is_probe=is_probe)
            raise
        else:
            self._young.pop(session, None)
            self._young[session] = trio.current_time()
            self._failures = min(self._failures, limits.UPSTREAM_FAILURES_MAX - 1)
            return result
        finally:
            if is_probe:
                self._is_probing = False
            self._wake()

    def _note_failure(self, user: str, session: object, *, is_probe: bool) -> None:
        was_open, now = self._is_open, trio.current_time()
        if not self._is_announced and now - self._failed_at > limits.MINUTE_SECONDS:
            self._end_row()
        self._failures += 1
        self._failed_users.add(user)
        self._failed_sessions.add(session)
        self._failed_at = now
        if self._is_open and (is_probe or not was_open):
            pause = min(limits.RECOVERY_PAUSE_SECONDS * 2**self._openings, limits.RECOVERY_PAUSE_SECONDS_MAX)
            self._probe_at = now + with_jitter(pause)
            self._openings += pause < limits.RECOVERY_PAUSE_SECONDS_MAX
            if not self._is_announced:
                self._is_announced = True
                log.error("upstream_breaker_opened", failures=self._failures, users=len(self._failed_users))

    def _end_row_if_proven(self) -> None:
        lasted_since = trio.current_time() - limits.UPSTREAM_PROVEN_SECONDS
        if next(iter(self._young.values()), lasted_since + 1) <= lasted_since:
            self._young = {session: at for session, at in self._young.items() if at > lasted_since}
            self._end_row()

    def _end_row(self) -> None:
        self._failures = self._openings = 0
        self._failed_users.clear()
        self._failed_sessions.clear()
        if self._is_announced:
            self._is_announced = False
            log.warning("upstream_breaker_closed")
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()


class UpstreamAccess:
    """The way of one session to the upstream, through the breaker of its process."""

    def __init__(self, breaker: UpstreamBreaker, user: str) -> None:
        self._breaker = breaker
        self._user = user
        self._ready_at = float("-inf")

    async def dial(self, attempt: Callable[[], Awaitable[T]], *, waits: bool) -> T:
        """The result of `attempt`, in its turn; `UpstreamBreaker.dial` says more."""
        result = await self._breaker.dial(self._user, attempt, waits=waits, session=self)
        self._ready_at = trio.current_time()
        return result

    def note_lost(self) -> bool:
        """The connection of the last `dial` is lost: whether it had lasted."""
        return self._breaker.note_lost(self._user, self._ready_at, self)


def with_jitter(pause: float) -> float:
    """Up to half less, so that what failed together is not tried again together."""
    return pause * random.uniform(0.5, 1.0)
