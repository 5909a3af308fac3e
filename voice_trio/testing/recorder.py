"""A log of events with their times; `hears` waits for one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import trio


@dataclass(frozen=True, slots=True)
class Received:
    """An event; `at` is its time in seconds since the recorder began, `session` counts connections from 0."""

    at: float
    event: dict[str, Any]
    session: int = 0

    @property
    def type(self) -> str:
        return str(self.event.get("type", ""))


@dataclass(frozen=True, slots=True)
class ModelHandshake:
    """The HTTP request of a client that connected over TCP; header names are lower case."""

    path: str
    headers: dict[str, str] = field(repr=False)
    subprotocols: tuple[str, ...] = ()


class Recorder:
    """Keeps the last `kept` events (all of them by default) in order."""

    def __init__(self, kept: int | None = None) -> None:
        self.entries: list[Received] = []
        self._started = trio.current_time()
        self._kept = kept
        self._forgotten = 0
        self._next: Counter[str] = Counter()
        self._news = trio.lowlevel.ParkingLot()

    @property
    def now(self) -> float:
        """Seconds since the recorder began."""
        return trio.current_time() - self._started

    def record(self, event: dict[str, Any], session: int = 0) -> Received:
        """Add an event that came now."""
        entry = Received(self.now, event, session)
        self.entries.append(entry)
        if self._kept is not None and len(self.entries) > 2 * self._kept:
            self.forget(self._kept)
        self._news.unpark_all()
        return entry

    def forget(self, oldest: int | None = None) -> None:
        """Drop the oldest entries, or all of them."""
        count = len(self.entries) if oldest is None else oldest
        self._forgotten += count
        del self.entries[:count]

    async def hears(self, event_type: str) -> Received:
        """The next event of a type that no earlier call returned, waiting for it if need be. Cancelling loses none."""
        await trio.lowlevel.checkpoint()
        while True:
            first = max(0, self._next[event_type] - self._forgotten)
            for index, entry in enumerate(self.entries[first:], first):
                if entry.type == event_type:
                    self._next[event_type] = self._forgotten + index + 1
                    return entry
            self._next[event_type] = self._forgotten + len(self.entries)
            await self._news.park()

    def heard(self, event_type: str) -> list[Received]:
        """Every event of a type so far, whether waited for or not."""
        return [entry for entry in self.entries if entry.type == event_type]

    def types(self) -> list[str]:
        """The types of all events so far, in order."""
        return [entry.type for entry in self.entries]
