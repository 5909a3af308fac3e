"""The budgets of one process at noon, the state behind them, and what sessions are told of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.support.session_fixture import SESSION_CONFIG
from voice_trio.billing.prices import load_prices
from voice_trio.errors import StateUnavailable
from voice_trio.session.spend.daily_budget import DailyBudget
from voice_trio.settings import load_settings
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.rollout import first_rollout
from voice_trio.state.state import Quotas

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.conversation.session_events import BudgetWarning
    from voice_trio.session.spend.session_bill import SessionBill

NOON = 1_795_262_400.0


class AwayState(MemoryState):
    is_away = False

    async def add_spent(self, day: str, micro_usd: int, by_user: Mapping[str, int] | None = None) -> int:
        if self.is_away:
            raise StateUnavailable("away")
        return await super().add_spent(day, micro_usd, by_user)


class Budgets:
    """A daily budget at noon, and the state behind it."""

    def __init__(self, state: AwayState | None = None, **budgets: str) -> None:
        settings = load_settings(budgets)
        self.now = NOON
        self.state = AwayState(Quotas(5, 2), first_rollout(settings.access)) if state is None else state
        self.daily = DailyBudget(load_prices(), self.state, settings.limits, unix_time=lambda: self.now)
        self.warnings: list[BudgetWarning] = []
        self.exhausted: list[str] = []

    def open_bill(self, name: str = "s1", **how: Any) -> SessionBill:
        bill = self.daily.open(replace(SESSION_CONFIG, session_id=name, user=name), **how)
        bill.open(self.warnings.append, lambda: self.exhausted.append(name))
        return bill
