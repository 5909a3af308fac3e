"""Which day it is: budgets are of days in UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)


class UtcDays:
    """Days by `unix_time`, as ISO dates."""

    def __init__(self, unix_time: Callable[[], float] = time.time) -> None:
        self._unix_time = unix_time
        self._newest = ""

    def today(self) -> str:
        """The date now; a clock that goes back to an earlier date is logged."""
        day = self._date(0.0)
        if day < self._newest:
            log.warning("clock_went_back", from_day=self._newest, to_day=day)
        self._newest = day
        return day

    def tomorrow(self) -> str:
        """The next day's date."""
        return self._date(limits.DAY_SECONDS)

    @property
    def seconds_to_midnight(self) -> float:
        """Until the next day begins."""
        return limits.DAY_SECONDS - self._unix_time() % limits.DAY_SECONDS

    def _date(self, ahead_seconds: float) -> str:
        return datetime.fromtimestamp(self._unix_time() + ahead_seconds, UTC).date().isoformat()
