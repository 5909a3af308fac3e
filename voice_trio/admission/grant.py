"""What was taken for a session that may begin, and how it is given back: exactly once, whatever becomes of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Never

import trio

from voice_trio.errors import StateUnavailable
from voice_trio.state.state import LEASE_RENEW_SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.admission.capacity import Capacity
    from voice_trio.auth.tokens import User
    from voice_trio.state.session_record import SessionRecord
    from voice_trio.state.state import State


@dataclass(slots=True)
class SessionGrant:
    """A session that may begin, and what was taken for it: a rate slot, a lease, a place in this process.

    Whoever holds this must call exactly one of `release_unused` and `end` in the end; the first call wins, further
    ones do nothing. Neither raises, but for cancellation: call them under a timed shield.
    """

    user: User
    plan: str
    session_id: str
    _state: State = field(repr=False)
    _capacity: Capacity = field(repr=False)
    resumed: SessionRecord | None = None
    """The session as it was left, if this one goes on with it; it took no slots."""
    preset: Mapping[str, Any] | None = None
    """What the client secret that was shown asks of the session; nobody has looked at whether it may."""
    _is_over: bool = field(default=False, repr=False)

    async def keep_lease(self) -> Never:
        """Renew the lease until cancelled: a task of the session's nursery."""
        while True:
            await trio.sleep(LEASE_RENEW_SECONDS)
            # A renewal may get lost; the next one takes the lease again.
            with suppress(StateUnavailable):
                await self._state.renew(self.user.id, self.session_id)

    async def release_unused(self) -> None:
        """The session never became ready: everything is given back, the rate slot too (I12)."""
        if self._give_place_back():
            # A resumed session's rate slot was used when it began.
            give_back = self._state.end if self.resumed is not None else self._state.release
            with suppress(StateUnavailable):
                await give_back(self.user.id, self.session_id)

    async def end(self) -> None:
        """The session is over: the lease and the place are given back, the rate slot stays taken."""
        if self._give_place_back():
            # Where the store is away the lease lapses by itself.
            with suppress(StateUnavailable):
                await self._state.end(self.user.id, self.session_id)

    def _give_place_back(self) -> bool:
        if self._is_over:
            return False
        self._is_over = True
        self._capacity.give_back()
        return True
