"""The users of a day, counted once; bounded in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachetools import FIFOCache

from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import Callable


class UsersOfToday:
    """Users by their hashes, forgotten at midnight UTC; beyond `USERS_REMEMBERED_MAX` the oldest are dropped."""

    def __init__(self, unix_time: Callable[[], float]) -> None:
        self._unix_time = unix_time
        self._users: FIFOCache[str, None] = FIFOCache(limits.USERS_REMEMBERED_MAX)
        self._day = self._today()

    @property
    def users(self) -> set[str]:
        """All of them."""
        self._forget_yesterday()
        return set(self._users)

    @property
    def count(self) -> int:
        """How many there are."""
        self._forget_yesterday()
        return len(self._users)

    def remember(self, user: str) -> None:
        """Count a user, by the hashed id."""
        self._forget_yesterday()
        self._users.setdefault(user, None)  # a returning user keeps their place

    def _forget_yesterday(self) -> None:
        if self._today() != self._day:
            self._day = self._today()
            self._users.clear()

    def _today(self) -> int:
        return int(self._unix_time() // 86_400)
