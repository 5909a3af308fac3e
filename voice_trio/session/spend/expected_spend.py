"""States ahead what this process will have billed, and counts what killed instances had stated (I17).

A task beside the sessions: no response waits for it.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Never, Protocol

import structlog
import trio

from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.state.expected_spend import ExpectedSpend

log = structlog.get_logger(__name__)


class Expectations(Protocol):
    """What is known of this process's spending: its `DailyBudget`."""

    @property
    def today(self) -> str: ...

    def expected(self, day: str) -> Mapping[str, int]:
        """What will have been billed on `day`, of users with something reserved or not yet reported."""
        ...


class ExpectedSpendReporter:
    """`run` is its task; `report` writes once."""

    def __init__(self, budget: Expectations, store: ExpectedSpend) -> None:
        self._budget = budget
        self._store = store
        self._stated: dict[str, Mapping[str, int]] = {}

    async def run(self) -> Never:
        """State what has changed, ten times a second, and settle what is lost every few seconds, until cancelled."""
        settled_at = trio.current_time()
        while True:
            await self.report()
            if trio.current_time() - settled_at >= limits.LOST_SPEND_SECONDS:
                settled_at = trio.current_time()
                await self._settle_lost()
            await trio.sleep(limits.EXPECTED_SPEND_SECONDS)

    async def report(self) -> None:
        """State what has changed since the last time."""
        for day in {*self._stated, self._budget.today}:
            expected = self._budget.expected(day)
            if expected != self._stated.get(day, {}) and await self._store.expect(day, expected):
                self._stated[day] = expected
            if not expected and not self._stated.get(day):
                self._stated.pop(day, None)

    async def _settle_lost(self) -> None:
        today = self._budget.today
        yesterday = (date.fromisoformat(today) - timedelta(days=1)).isoformat()
        for day in (today, yesterday):
            for instance, micro in (await self._store.settle_lost(day)).items():
                log.warning("lost_spend_counted", lost_instance=instance, day=day, usd=micro / 1_000_000)
