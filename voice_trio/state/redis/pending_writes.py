"""The writes that Redis has still to receive, and their replay.

A write is pending when Redis was away, or when a call was given up. Every write is idempotent, so an entry is removed
only after Redis has confirmed it. A failed write stays pending; a write that Redis cannot understand is logged and
dropped.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import structlog

from voice_trio.state.redis.driver import RedisFailed, RedisFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from voice_trio.net.threads import Bulkhead
    from voice_trio.state.in_memory_store import RecordShelf, RolloutBoard
    from voice_trio.state.limit_counters import DayTotals, Holdings, LimitCounters
    from voice_trio.state.redis.store import RedisStore

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


log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

BATCH = 100


@dataclass(frozen=True, slots=True)
class Memory:
    """What this instance knows by itself."""

    instance: str
    ledger: LimitCounters
    shelf: RecordShelf
    sums: DayTotals
    board: RolloutBoard
    debts: PendingWrites


class WriteReplay:
    """Raises `RedisFailed`."""

    def __init__(self, memory: Memory, store: RedisStore, threads: Bulkhead) -> None:
        self._memory = memory
        self._store = store
        self._threads = threads

    def owe_everything(self) -> None:
        """It may have restarted empty, or be another one."""
        memory, debts = self._memory, self._memory.debts
        debts.granted.update(memory.ledger.users)
        debts.days.update(memory.sums.days)
        memory.sums.owe_all()
        debts.deletions.update(memory.shelf.deletions)
        debts.records.update((record.user_id, record.session_id) for record in memory.shelf if record.resumable)

    async def pay(self) -> None:
        """Tell what is owed now. What fails stays owed."""
        await self.pay_decisions()
        for key in tuple(self._memory.debts.records):
            await self._pay_record(key)

    async def pay_decisions(self) -> None:
        debts, store = self._memory.debts, self._store
        for user_id in tuple(debts.resets):
            await self._tell(store.reset, user_id)
            debts.resets.discard(user_id)
        for user_id in tuple(debts.deletions):
            await self._tell(store.delete_records, user_id, self._memory.shelf.deleted_at(user_id))
            debts.deletions.discard(user_id)
        await self._pay_grants(tuple(debts.granted))
        for key, given in tuple(debts.given_back.items()):
            await self._tell(store.release if given is Given.EVERYTHING else store.end, *key)
            if debts.given_back.get(key) is given:
                del debts.given_back[key]
        for day in tuple(debts.days):
            await self._pay_day(day)

    async def _pay_grants(self, users: tuple[str, ...]) -> None:
        for start in range(0, len(users), BATCH):
            batch = users[start : start + BATCH]
            # Struck out first: what is granted meanwhile is owed anew.
            self._memory.debts.granted.difference_update(batch)
            holdings = [(user_id, self._memory.ledger.holdings(user_id)) for user_id in batch]
            is_told = False
            try:
                await self._threads.read(_restore, self._store, holdings)
                is_told = True
            finally:
                if not is_told:
                    self._memory.debts.granted.update(batch)

    async def _pay_day(self, day: str) -> None:
        sums = self._memory.sums
        own, by_user = sums.own(day), sums.untold(day)
        total = await self._tell(self._store.spend, day, self._memory.instance, own, by_user)
        sums.learn(day, own, total or 0)
        sums.note_told(day, by_user)  # the rest of them with the next spending: they weigh on no decision
        if own == sums.own(day):
            self._memory.debts.days.discard(day)

    async def _pay_record(self, key: tuple[str, str]) -> None:
        shelf = self._memory.shelf
        record = shelf.get(*key)
        if record is not None and await self._tell(self._store.put_record, record) is False:
            shelf.drop(*key)
        if shelf.get(*key) in (record, None):
            self._memory.debts.records.discard(key)

    async def _tell(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """None for what Redis does not understand: it never will, and must not keep the line down."""
        return await self._threads.read(_unless_nonsense(function), *args, **kwargs)


def _restore(store: RedisStore, holdings: Iterable[tuple[str, Holdings]]) -> None:
    for user_id, held in holdings:
        if held.slots or held.leases:
            _unless_nonsense(store.restore)(user_id, held)


def _unless_nonsense(function: Callable[P, T]) -> Callable[P, T | None]:
    def tell(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return function(*args, **kwargs)
        except RedisFailed as failed:
            if failed.fault is not RedisFault.BROKEN:
                raise
            log.error("redis_untold", what=getattr(function, "__name__", ""), detail=str(failed))
            return None

    return tell
