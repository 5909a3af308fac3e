"""Accounts: what is spent and reserved of one budget, and whether another response may be asked for (I16).

A session, a user's day and a day have one each. Pure: an account knows neither sessions nor other instances; its owner
sets what those used, and the share that they leave to this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from voice_trio.billing.spending import MICRO, ZERO, Budget, BudgetLevel, micro_usd

SHORT_SHARE = Decimal("0.5")
"""Of the room that a share left when it was given: with less than that another share is wanted at once."""


class Room(Enum):
    """Whether a budget admits another response."""

    FREE = "what is spent and reserved is below the budget"
    RESERVED = "what is left is reserved by others"
    SPENT = "nothing is left"


# A response is admitted while what is spent and reserved *by others* is below the budget. So the last one may exceed
# it, and a budget is exceeded by one response at most. Without that rule the last cents of a budget could never be
# spent: no response fits into them.
#
# What a response has visibly used (its sound and words so far) counts as spent before it is billed. So several at once,
# each admitted at its expected cost, cannot exceed the budget by much more than they were expected to.


@dataclass(slots=True)
class BudgetAccount:
    """One budget as this instance sees it, in US dollars.

    If `is_shared`, other instances spend the budget too, and this one may use and reserve up to its share. While it has
    no share yet, it admits one response at a time.
    """

    budget: Budget
    is_shared: bool = False
    used_usd: Decimal = ZERO
    """Billed here."""
    elsewhere_usd: Decimal = ZERO
    """Billed by other instances, or before the session was resumed."""
    reserved_usd: Decimal = ZERO
    """Of responses and transcriptions here that are not billed yet."""
    observed_usd: Decimal = ZERO
    """The part of what is reserved that is known to have been used."""
    is_changed: bool = True
    """Whether something was used or reserved since the other instances were told."""
    _share_usd: Decimal | None = None
    _room_usd: Decimal = ZERO  # that the share left when it was given
    _next_share_usd: Decimal | None = None

    @property
    def spent_usd(self) -> Decimal:
        """What is billed, here and elsewhere."""
        return self.used_usd + self.elsewhere_usd

    @property
    def level(self) -> BudgetLevel:
        """How much of the budget is spent, with what open responses have visibly used."""
        return self.budget.level(self.spent_usd + self.observed_usd)

    @property
    def room(self) -> Room:
        """Whether another response may be asked for; its own cost does not count."""
        limit = self.budget.limit_usd
        if limit is None:
            return Room.FREE
        if self.level is BudgetLevel.SPENT:
            return Room.SPENT
        share = self._share_usd if self.is_shared else limit - self.elsewhere_usd
        if share is None:
            return Room.RESERVED if self.reserved_usd else Room.FREE
        return Room.FREE if self.used_usd + self.reserved_usd < share else Room.RESERVED

    @property
    def is_short(self) -> bool:
        """Whether most of the room that the share left is used up."""
        share = self._share_usd
        return share is not None and share - self.used_usd - self.reserved_usd < self._room_usd * SHORT_SHARE

    def hold(self, reserved_usd: Decimal, observed_usd: Decimal) -> None:
        """Reserve more or, with negative amounts, less."""
        self.reserved_usd += reserved_usd
        self.observed_usd += observed_usd
        self.is_changed = True

    def use(self, usd: Decimal) -> None:
        """Add what was billed."""
        self.used_usd += usd
        self.is_changed = True

    def set_share(self, share_micro_usd: int, elsewhere_micro_usd: int) -> None:
        """The other instances have used so much, and this one may use and reserve up to its share."""
        self._share_usd = share_micro_usd / MICRO
        self._room_usd = self._share_usd - self.used_usd - self.reserved_usd
        self.elsewhere_usd = max(self.elsewhere_usd, elsewhere_micro_usd / MICRO)

    def set_next_share(self, share_micro_usd: int) -> None:
        """The share of the next day."""
        self._next_share_usd = share_micro_usd / MICRO

    def drop_share(self) -> None:
        """The share's lease is over."""
        self._share_usd = None

    def begin_day(self, used_usd: Decimal = ZERO) -> None:
        """Another day, of which `used_usd` is used here; what is reserved stays so."""
        self.used_usd, self.elsewhere_usd = used_usd, ZERO
        self._share_usd, self._next_share_usd = self._next_share_usd, None
        self._room_usd = self._share_usd or ZERO
        self.is_changed = True

    @property
    def limit_micro_usd(self) -> int:
        """The budget; 0 if there is none."""
        return micro_usd(self.budget.limit_usd or ZERO)
