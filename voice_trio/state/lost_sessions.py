"""Sessions whose instance was killed: which instances are gone, and which of the others ends a session's record.

`NoLostSessions` and `RedisLostSessions` implement the protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import trio

if TYPE_CHECKING:
    from collections.abc import Collection


class LostSessions(Protocol):
    """No method raises anything but cancellation: while the store is unavailable nothing counts as lost."""

    async def gone(self, instances: Collection[str]) -> frozenset[str]:
        """Those of `instances` that have not shown any life for 10 s."""
        ...

    async def claim(self, session_id: str, revision: int) -> bool:
        """Whether the caller is to end the session's record of that revision: True for one caller of all instances."""
        ...


class NoLostSessions:
    """Without a shared store there are no other instances."""

    async def gone(self, instances: Collection[str]) -> frozenset[str]:
        """None."""
        del instances
        await trio.lowlevel.checkpoint()
        return frozenset()

    async def claim(self, session_id: str, revision: int) -> bool:
        """Never."""
        del session_id, revision
        await trio.lowlevel.checkpoint()
        return False
