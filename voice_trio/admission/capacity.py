"""How many sessions this process holds, and whether it takes new ones. Synchronous, so that no two take one place."""

from __future__ import annotations

import trio


class Capacity:
    """Places for at most `places_max` sessions; once draining, for no new one."""

    def __init__(self, places_max: int) -> None:
        self._places_max = places_max
        self._taken = 0
        self._draining = trio.Event()

    @property
    def taken(self) -> int:
        """Places in use now."""
        return self._taken

    @property
    def places_max(self) -> int:
        """Places there are."""
        return self._places_max

    @property
    def is_full(self) -> bool:
        """Whether every place is in use."""
        return self._taken >= self._places_max

    @property
    def is_draining(self) -> bool:
        """Whether the process is about to end."""
        return self._draining.is_set()

    async def wait_draining(self) -> None:
        """Return when the process is about to end."""
        await self._draining.wait()

    def drain(self) -> None:
        """From now on nobody gets a place; those who have one keep it."""
        self._draining.set()

    def take(self) -> bool:
        """Take a place if there is one."""
        if self.is_draining or self.is_full:
            return False
        self._taken += 1
        return True

    def give_back(self) -> None:
        """A place is free again."""
        self._taken -= 1
