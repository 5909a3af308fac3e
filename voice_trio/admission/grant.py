"""What a session consumes: a rate slot and a lease of its user, a place in this process. Each is released once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Never

import trio

from voice_trio import limits
from voice_trio.admission.overload import Overload
from voice_trio.errors import StateUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from voice_trio.admission.session_holders import SessionHolder
    from voice_trio.auth.tokens import User
    from voice_trio.state.session_record import SessionRecord
    from voice_trio.state.state import State


@dataclass(slots=True)
class SessionGrant:
    """A session that may begin, with its rate slot, its lease, and its place in this process.

    The holder calls exactly one of `release_unused` and `end`; the first call counts, later ones do nothing. Neither
    raises anything but cancellation: call them under a timed shield.
    """

    user: User
    plan: str
    session_id: str
    holder: SessionHolder
    _state: State = field(repr=False)
    _capacity: Capacity = field(repr=False)
    resumed: SessionRecord | None = None
    """The record of the session that continues, if this grant resumes one; it consumed no rate slot."""
    preset: Mapping[str, Any] | None = None
    """The session settings in the client secret, not yet checked against what a client may set."""
    _is_over: bool = field(default=False, repr=False)

    async def keep_lease(self) -> Never:
        """Renew the lease until cancelled, and end the session if another connection holds it by now.

        A task of the session's nursery.
        """
        while True:
            await trio.sleep(limits.LEASE_RENEW_SECONDS)
            # If a renewal fails, the next one takes the lease again.
            with suppress(StateUnavailable):
                if not await self._state.renew(self.user.id, self.session_id, self.holder.name):
                    self.holder.lose()

    async def release_unused(self) -> None:
        """The session never became ready: release everything, the rate slot too (I12)."""
        # A resumed session's rate slot was consumed when the session began.
        await self._give_back(self._state.end if self.resumed is not None else self._state.release)

    async def end(self) -> None:
        """The session is over: release the lease and the place; the rate slot stays consumed."""
        await self._give_back(self._state.end)

    async def _give_back(self, release: Callable[[str, str, str], Awaitable[None]]) -> None:
        if self._is_over:
            return
        self._is_over = True
        self._capacity.release()
        try:
            # Without the store the lease expires by itself.
            with suppress(StateUnavailable):
                await release(self.user.id, self.session_id, self.holder.name)
        finally:
            self.holder.release()


class Capacity:
    """The places of this process: at most `places_max` sessions, no new one while draining or overloaded.

    `take` is synchronous, so that two tasks cannot take the same place. `note_load` is called every 50 ms.
    """

    def __init__(self, places_max: int, overload: Overload | None = None) -> None:
        self.overload = overload or Overload()
        self._newcomers = trio.lowlevel.ParkingLot()
        self._resumes = trio.lowlevel.ParkingLot()
        self._places_max = places_max
        self._taken = 0
        self._draining = trio.Event()

    @property
    def taken(self) -> int:
        """Places in use now."""
        return self._taken

    @property
    def places_max(self) -> int:
        """All places, in use or free."""
        return self._places_max

    @property
    def is_full(self) -> bool:
        """Whether every place is in use."""
        return self._taken >= self._places_max

    @property
    def is_overloaded(self) -> bool:
        """Whether a further session would delay those in progress, which are never ended for it."""
        if self._taken < limits.OVERLOAD_SESSIONS_MIN:
            return self.overload.is_extreme
        return self.overload.is_high

    @property
    def is_draining(self) -> bool:
        """Whether the process is about to end."""
        return self._draining.is_set()

    async def wait_draining(self) -> None:
        """Return when the process is about to end."""
        await self._draining.wait()

    def note_load(self, *, lag_p50: float, lag_p95: float, unsent_share: float) -> None:
        """Take a look at the load, as `Overload.note`; when there is room again, a few of those who wait go on."""
        self.overload.note(lag_p50=lag_p50, lag_p95=lag_p95, unsent_share=unsent_share)
        if not self._is_refused(is_resume=False):
            self._newcomers.unpark(count=limits.NEWCOMERS_PER_SAMPLE)
        if not self._is_refused(is_resume=True):
            self._resumes.unpark(count=limits.NEWCOMERS_PER_SAMPLE)

    async def wait_relief(self, *, is_resume: bool = False) -> None:
        """Wait for an overload to pass, for some seconds at most: a rush of newcomers is one while it lasts."""
        waiting = self._resumes if is_resume else self._newcomers
        with trio.move_on_after(limits.RELIEF_SECONDS_MAX):
            while self._is_refused(is_resume=is_resume):
                await waiting.park()

    def _is_refused(self, *, is_resume: bool) -> bool:
        """Whether the overload alone refuses a newcomer, or a session that is resumed."""
        return self._delays_others and (self.overload.is_extreme or not is_resume)

    @property
    def _delays_others(self) -> bool:
        """Whether sessions in progress are, or would be, delayed; without any the overload has another cause."""
        return self.is_overloaded and self._taken > 0

    def drain(self) -> None:
        """Give out no more places; sessions keep those they have."""
        self._draining.set()

    def take(self, *, is_resume: bool = False) -> bool:
        """Take a place; False if there is none. A resumed session is refused for an extreme overload only."""
        if self.is_draining or self.is_full or self._is_refused(is_resume=is_resume):
            return False
        self._taken += 1
        return True

    def release(self) -> None:
        """Free one place."""
        self._taken -= 1
