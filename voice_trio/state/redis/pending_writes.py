"""What Redis has still to be told: everything that happened while it was away, or while a call was given up.

Synchronous and bounded. Telling anything twice does no harm, so a debt is struck out only once it is surely paid.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum

GIVEN_BACK_MAX = 20_000
"""Beyond it the oldest are forgotten: their leases have lapsed by then, and at worst a slot stays taken for an hour."""


class Given(Enum):
    """What a session gave back."""

    EVERYTHING = "slot and lease"
    LEASE = "lease"


class PendingWrites:
    """Keys are (user, session)."""

    def __init__(self) -> None:
        self.granted: set[str] = set()
        """Users to whom something was granted."""
        self.given_back: OrderedDict[tuple[str, str], Given] = OrderedDict()
        self.resets: set[str] = set()
        """Users whose slots an administrator opened."""
        self.deletions: set[str] = set()
        """Users whose records were deleted."""
        self.records: set[tuple[str, str]] = set()
        self.days: set[str] = set()
        """Days on which money was spent."""

    @property
    def weigh_on_decisions(self) -> bool:
        """Whether Redis would decide wrongly for not knowing them; records only have to come some time."""
        return bool(self.granted or self.given_back or self.resets or self.deletions or self.days)

    def grant(self, user_id: str, session_id: str) -> None:
        """The session holds a lease, and perhaps a slot, that Redis may not know of."""
        self.given_back.pop((user_id, session_id), None)
        self.granted.add(user_id)

    def give_back(self, user_id: str, session_id: str, given: Given) -> None:
        """Redis may still believe that the session holds what it gave back."""
        key = (user_id, session_id)
        if self.given_back.get(key) is not Given.EVERYTHING:
            self.given_back[key] = given
        while len(self.given_back) > GIVEN_BACK_MAX:
            self.given_back.popitem(last=False)
