"""What a session needs of its costs, and what its bill needs of the process's budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from voice_trio.billing.prices import Cost
from voice_trio.session.observers import Observer

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from voice_trio.billing.accounts import BudgetAccount
    from voice_trio.billing.expected_output import ExpectedOutput
    from voice_trio.billing.prices import Prices
    from voice_trio.billing.spending import Budget, BudgetLevel, SessionCosts
    from voice_trio.conversation import commands
    from voice_trio.conversation.session_events import BudgetWarning


class CostMeter(Observer):
    """Counts nothing and admits everything; `SessionBill` counts."""

    counts_time = False
    """Whether time itself costs something, so that `pass_time` is to be called."""

    @property
    def cost(self) -> Cost:
        """What this connection has cost so far."""
        return Cost()

    def cost_of_turn(self, turn_id: int) -> Cost:
        """What a turn has cost so far."""
        return Cost()

    @property
    def reserved_micro_usd(self) -> int:
        """What is reserved for responses and transcriptions that are not billed yet, in millionths of a US dollar."""
        return 0

    def admits(self, command: commands.UpstreamCommand) -> bool:
        """Whether `command` may leave; it reserves the expected cost of a response. Called once, before it is sent."""
        return True

    def pass_time(self, now: float) -> None:
        """Bill the time until now, if time costs something."""

    @property
    def retry_after(self) -> float | None:
        """Seconds until the budget that is exhausted opens again; None if none is, or if it never does."""
        return None

    def open(self, warn: Callable[[BudgetWarning], None], on_budget_exhausted: Callable[[], None]) -> None:
        """The session is ready. From now on, and perhaps at once, budgets warn it and end it by these callbacks."""


class BudgetListener(Protocol):
    """What the process's budgets need of a bill."""

    costs: SessionCosts

    @property
    def reserved_micro_usd(self) -> int:
        """What is reserved and not billed yet."""
        ...

    def on_level(self, scope: str, level: BudgetLevel) -> None:
        """A budget of several sessions (`user` or `day`) has reached this level."""
        ...


class Budgets(Protocol):
    """What a bill needs of the process's budgets."""

    @property
    def prices(self) -> Prices: ...

    @property
    def expected_output(self) -> ExpectedOutput: ...

    @property
    def session_budget(self) -> Budget: ...

    @property
    def seconds_to_midnight(self) -> float: ...

    def account(self, scope: str, user: str) -> BudgetAccount:
        """Today's account of all users (`day`) or of one (`user`)."""
        ...

    def subscribe(self, bill: BudgetListener) -> None:
        """Call the bill's `on_level` when a budget of its user or of the day is nearly or fully spent."""
        ...

    def unsubscribe(self, bill: BudgetListener) -> None: ...

    def hold(self, user: str, reserved_usd: Decimal, observed_usd: Decimal) -> None:
        """Reserve more, or less, of the user's budget and the day's."""
        ...

    def record(self, bill: BudgetListener, kind: str, source_id: str, turn_id: int, cost: Cost) -> bool:
        """Record a cost once; False if `source_id` was recorded before."""
        ...
