"""A budget of bytes for what the clients of a process make it hold: messages in reception, or on their way upstream.

It knows no connection and no clock. All of it is synchronous but `reserve`, which waits.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING

import trio

from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import Iterator

# No deadlock, no starvation. Each connection may always hold a base amount, which suffices for every message but large
# audio and pictures; within it nothing waits for another connection. Above it bytes are charged to the budget. There is
# one place that waits, `reserve`, before the first byte above the base is read; and a large message is reserved as a
# whole, so that a connection never waits in the middle of one. What is charged is therefore always on its way out: a
# message in reception has a deadline, one that waits for the upstream has the upstream's. So every wait ends. Waiting
# connections are served in their order, except that a user who holds a full share does not stop those behind. All
# connections of one user together may hold a quarter, so that no user can take what the others need.


class Place(Enum):
    """Where bytes of a client's messages are held."""

    INCOMING = "a message that is being received"
    RECEIVED = "messages that wait to be handled"
    UPSTREAM = "messages that wait to be written to the upstream"
    KEPT = "sound that is kept in case the upstream is lost"


class ByteBudget:
    """What all connections together may hold above their base amounts, and all of one owner (a user) at most."""

    def __init__(
        self,
        bytes_max: int = limits.CLIENTS_BYTES_MAX,
        owner_bytes_max: int = limits.USER_BYTES_MAX,
        base_bytes: int = limits.CLIENT_BASE_BYTES,
    ) -> None:
        self.used = 0
        """Bytes that are charged now."""
        self.base_bytes = base_bytes
        self._bytes_max = bytes_max
        self._owner_bytes_max = owner_bytes_max
        self._by_owner: Counter[str] = Counter()
        self._waiting: list[_Reservation] = []

    @contextmanager
    def open(self, owner: str) -> Iterator[ByteAccount]:
        """The account of one connection of `owner`, within the block."""
        account = ByteAccount(self, owner)
        try:
            yield account
        finally:
            account.close()

    def charge(self, owner: str, change: int) -> None:
        """Charge bytes that are held, whether or not there is room; negative ones are given back."""
        self.used += change
        self._by_owner[owner] += change
        if not self._by_owner[owner]:
            del self._by_owner[owner]
        if change < 0:
            self._serve_waiting()

    def has_room(self, owner: str, more: int) -> bool:
        """Whether `owner` may hold so many bytes more."""
        return more <= 0 or (self._is_within_share(owner, more) and self.used + more <= self._bytes_max)

    def is_tight(self, owner: str) -> bool:
        """Whether half of the budget or all of the owner's share is in use.

        The other half is for large messages that are handled at once, and not for what waits.
        """
        return self.is_scarce or self._by_owner[owner] >= self._owner_bytes_max

    @property
    def is_scarce(self) -> bool:
        """Whether half of the budget is in use."""
        return self.used * 2 > self._bytes_max

    async def wait_for_room(self, account: ByteAccount, size: int) -> None:
        """Return when `account` has been given `size` bytes for a message to come. Cancellation gives none."""
        reservation = _Reservation(account, size)
        self._waiting.append(reservation)
        self._serve_waiting()
        try:
            await reservation.granted.wait()
        finally:
            if reservation in self._waiting:
                self._waiting.remove(reservation)
                self._serve_waiting()

    def _serve_waiting(self) -> None:
        for reservation in tuple(self._waiting):
            account = reservation.account
            more = account.growth(reservation.size)
            if self.has_room(account.owner, more):
                self._waiting.remove(reservation)
                reservation.granted.set()
                account.hold(Place.INCOMING, reservation.size)
            elif self._is_within_share(account.owner, more):
                return

    def _is_within_share(self, owner: str, more: int) -> bool:
        return self._by_owner[owner] + more <= self._owner_bytes_max


class ByteAccount:
    """What one connection holds; above the base amount it is charged to the budget."""

    def __init__(self, budget: ByteBudget, owner: str) -> None:
        self.owner = owner
        self.paused_until = float("-inf")
        """Until then a message would wait to be handled, so no large one is begun while the budget is scarce."""
        self._budget = budget
        self._held = dict.fromkeys(Place, 0)
        self._charged = 0

    @property
    def base_bytes(self) -> int:
        """What the connection may always hold."""
        return self._budget.base_bytes

    @property
    def is_tight(self) -> bool:
        """Whether messages above the base amount should be left unread."""
        return self._budget.is_tight(self.owner)

    @property
    def is_over_base(self) -> bool:
        """Whether anything is charged to the budget."""
        return self._charged > 0

    def hold(self, place: Place, size: int) -> None:
        """Note how many bytes are held in `place` now."""
        self._held[place] = size
        change = max(0, sum(self._held.values()) - self.base_bytes) - self._charged
        if change:
            self._charged += change
            self._budget.charge(self.owner, change)

    def growth(self, size: int) -> int:
        """How many bytes more would be charged with a message of `size` in reception."""
        others = sum(self._held.values()) - self._held[Place.INCOMING]
        return max(0, others + size - self.base_bytes) - self._charged

    async def reserve(self, size: int) -> None:
        """Hold `size` bytes for a message that is being received, as a whole; waits until there is room."""
        if self._budget.is_scarce:
            await trio.sleep_until(self.paused_until)
        await self._budget.wait_for_room(self, size)

    def close(self) -> None:
        """The connection is over: nothing is held."""
        for place in Place:
            self.hold(place, 0)


class _Reservation:
    def __init__(self, account: ByteAccount, size: int) -> None:
        self.account = account
        self.size = size
        self.granted = trio.Event()
