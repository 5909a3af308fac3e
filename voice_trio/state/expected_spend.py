"""What responses in progress are expected to cost, by instance: counted as spent if the instance is killed.

An instance reports what it has billed some tenths of a second later, and a response is billed when it is done. What a
kill cuts off would be counted by no instance. So each one states ahead what it will have billed.
`MemoryExpectedSpend` and `RedisExpectedSpend` implement the protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import trio

if TYPE_CHECKING:
    from collections.abc import Mapping


class ExpectedSpend(Protocol):
    """No method raises anything but cancellation: without the store nothing is promised."""

    async def expect(self, day: str, by_user: Mapping[str, int]) -> bool:
        """State what this instance will have billed each user on `day`, once all responses in progress are billed.

        Sums of the whole day (ISO date, UTC), by user hash, in millionths of a US dollar; they replace what was stated
        before. A user without an entry has nothing in progress. False if it was not stored.
        """
        ...

    async def settle_lost(self, day: str) -> dict[str, int]:
        """Count as spent on `day` what instances that are gone had expected; returns what was counted, by instance.

        Idempotent, and any instance may do it: sums only rise to what was expected. An instance that is not gone after
        all reports sums that include it.
        """
        ...


class MemoryExpectedSpend:
    """Without a shared store a killed process takes its sums with it."""

    async def expect(self, day: str, by_user: Mapping[str, int]) -> bool:
        """Keep nothing."""
        del day, by_user
        await trio.lowlevel.checkpoint()
        return True

    async def settle_lost(self, day: str) -> dict[str, int]:
        """Count nothing: there are no other instances."""
        del day
        await trio.lowlevel.checkpoint()
        return {}
