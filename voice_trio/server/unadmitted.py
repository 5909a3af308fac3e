"""The connections of one process that have no session yet, counted and bounded: all of them, and by address.

A session has passed admission, which has limits of its own. Everything before that costs a descriptor and no token, so
that one client could take all descriptors. When a limit is reached, a connection makes room that waits for its client:
the one that has waited longest between two requests, or else the one whose request has been coming for longest. So a
newcomer that sends its request at once is served, however many connections are silent. An address that has many makes
room first, so that it cannot displace the few of another one (I13). If all connections have work, the new one is
closed.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from voice_trio.admission.client_address import client_address, mask_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager


class UnadmittedConnections:
    """At most `total_max` connections, and `per_address_max` of one address.

    While no proxy is trusted (`trusted_hops` 0), private addresses have no limit of their own: they may be a proxy's,
    with every client behind it. With trusted proxies the address is known once a request was read.
    """

    def __init__(self, total_max: int, per_address_max: int, *, trusted_hops: int = 0) -> None:
        self.total_max = total_max
        self.per_address_max = per_address_max
        self._trusted_hops = trusted_hops
        self._slots: set[Unadmitted] = set()
        self._by_address: Counter[str] = Counter()
        # Those that wait for their client, between two requests and within one, the longest first.
        self._idle: dict[Unadmitted, trio.CancelScope] = {}
        self._receiving: dict[Unadmitted, trio.CancelScope] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, peer: str) -> Unadmitted | None:
        """A slot for a connection from `peer`; None if it must be closed."""
        if len(self._slots) >= self.total_max and not self.make_room():
            return None
        slot = Unadmitted(self, peer)
        self._slots.add(slot)
        if not self._trusted_hops and not _is_private(peer) and not slot.set_address(client_address(peer, (), 0)):
            slot.release()
            return None
        return slot

    def make_room(self, address: str | None = None) -> bool:
        """Close a connection (of `address`) that waits for its client; False if there is none."""
        waiting = [*self._idle.items(), *self._receiving.items()]
        if address is None:
            address = self._dominant_address(slot for slot, _ in waiting)
        for slot, scope in waiting:
            if address is None or slot.address == address:
                scope.cancel(reason="makes room for another connection")
                slot.release()
                return True
        return False

    def _dominant_address(self, waiting: Iterable[Unadmitted]) -> str | None:
        """The address with the most connections in `waiting`, if these are more than many users behind it have."""
        by_address = Counter(slot.address for slot in waiting if slot.address)
        address, count = next(iter(by_address.most_common(1)), ("", 0))
        return address if count > self.per_address_max // 2 else None


class Unadmitted:
    """One connection without a session."""

    def __init__(self, all_slots: UnadmittedConnections, peer: str) -> None:
        self.address = ""
        """The client's address, "" while it is not known or has no limit."""
        self._all = all_slots
        self._peer = peer

    @property
    def masked_address(self) -> str:
        """The client's network, for logs: it names no person."""
        return mask_address(self.address or self._peer)

    def set_address(self, address: str) -> bool:
        """Count the connection under `address`; False if that has too many. Another request may have another one."""
        if address == self.address or self.is_released:
            return True
        counts = self._all._by_address
        if counts[address] >= self._all.per_address_max and not self._all.make_room(address):
            return False
        self._forget_address()
        self.address = address
        counts[address] += 1
        return True

    def idle(self, seconds_max: float) -> AbstractContextManager[trio.CancelScope]:
        """A block that waits between two requests; it is cancelled after `seconds_max`, or to make room."""
        return _waiting(self, self._all._idle, seconds_max)

    def receiving(self, seconds_max: float) -> AbstractContextManager[trio.CancelScope]:
        """The same for a block that waits for the rest of a request."""
        return _waiting(self, self._all._receiving, seconds_max)

    def release(self) -> None:
        """The connection has a session, or is over. No effect the second time."""
        if self in self._all._slots:
            self._all._slots.remove(self)
            self._all._idle.pop(self, None)
            self._all._receiving.pop(self, None)
            self._forget_address()

    @property
    def is_released(self) -> bool:
        """Whether `release` was called, perhaps to make room."""
        return self not in self._all._slots

    def _forget_address(self) -> None:
        counts = self._all._by_address
        if self.address:
            counts[self.address] -= 1
            if not counts[self.address]:
                del counts[self.address]
            self.address = ""


@contextmanager
def _waiting(
    slot: Unadmitted, waiting: dict[Unadmitted, trio.CancelScope], seconds_max: float
) -> Iterator[trio.CancelScope]:
    with trio.move_on_after(seconds_max) as scope:
        if not slot.is_released:  # else it has no room to make
            waiting[slot] = scope
        try:
            yield scope
        finally:
            waiting.pop(slot, None)


def _is_private(peer: str) -> bool:
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_private
