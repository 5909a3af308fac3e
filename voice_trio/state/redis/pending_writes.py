"""The writes that Redis has still to receive, and their replay.

A write is pending while Redis is unavailable, and after a call that was abandoned. Every write is idempotent, so an
entry is removed only after Redis has confirmed it. A failed write stays pending. A write that Redis cannot
understand is logged and dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import structlog
from cachetools import FIFOCache

from voice_trio import limits
from voice_trio.state.redis.driver import RedisFailed, RedisFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from voice_trio.net.threads import Bulkhead
    from voice_trio.state.in_memory_store import InMemoryRecords, InMemoryRollout
    from voice_trio.state.limit_counters import DayTotals, Holdings, LimitCounters
    from voice_trio.state.redis.store import RedisStore

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class ReleaseScope(Enum):
    """What a session gave back."""

    SLOT_AND_LEASE = "slot and lease"
    LEASE = "lease"


@dataclass(frozen=True, slots=True)
class Release:
    """What a session gave back, and the connection that held it."""

    scope: ReleaseScope
    holder: str


class PendingWrites:
    """What Redis may not have. Keys of `released` and `records` are (user id, session id)."""

    def __init__(self) -> None:
        self.granted: set[str] = set()
        """Users who were granted something."""
        self.released: FIFOCache[tuple[str, str], Release] = FIFOCache(limits.REDIS_RELEASES_PENDING_MAX)
        self.resets: set[str] = set()
        """Users whose slots an administrator opened."""
        self.deletions: set[str] = set()
        """Users whose records were deleted."""
        self.records: set[tuple[str, str]] = set()
        self.days: set[str] = set()
        """Days (ISO dates) with unreported spending."""

    @property
    def affect_decisions(self) -> bool:
        """Whether Redis would decide wrongly without them; records affect no decision."""
        return bool(self.granted or self.released or self.resets or self.deletions or self.days)

    def grant(self, user_id: str, session_id: str) -> None:
        """The session holds a lease, and perhaps a slot, that Redis may not have."""
        self.released.pop((user_id, session_id), None)
        self.granted.add(user_id)

    def release(self, user_id: str, session_id: str, release: Release) -> None:
        """Redis may still count what the session gave back."""
        key = (user_id, session_id)
        known = self.released.get(key)
        if known is None or known.scope is not ReleaseScope.SLOT_AND_LEASE:
            self.released[key] = release


@dataclass(frozen=True, slots=True)
class LocalState:
    """What this instance knows without Redis."""

    instance: str
    counters: LimitCounters
    records: InMemoryRecords
    totals: DayTotals
    rollout: InMemoryRollout
    pending: PendingWrites


class WriteReplay:
    """Writes what is pending through `store`, in `threads`. Raises `RedisFailed`."""

    def __init__(self, local: LocalState, store: RedisStore, threads: Bulkhead) -> None:
        self._local = local
        self._store = store
        self._threads = threads

    def mark_all_pending(self) -> None:
        """Redis may have restarted empty, or be another server: write everything again."""
        local, pending = self._local, self._local.pending
        pending.granted.update(local.counters.users)
        pending.days.update(local.totals.days)
        local.totals.mark_all_unreported()
        pending.deletions.update(local.records.deletions)
        pending.records.update((record.user_id, record.session_id) for record in local.records if record.resumable)

    async def replay(self) -> None:
        """Write everything that is pending now. What fails stays pending."""
        await self.replay_decisions()
        for key in tuple(self._local.pending.records):
            await self._replay_record(key)

    async def replay_decisions(self) -> None:
        """Write what `PendingWrites.affect_decisions` counts."""
        pending, store = self._local.pending, self._store
        for user_id in tuple(pending.resets):
            await self._write(store.reset, user_id)
            pending.resets.discard(user_id)
        for user_id in tuple(pending.deletions):
            await self._write(store.delete_records, user_id, self._local.records.deleted_at(user_id))
            pending.deletions.discard(user_id)
        await self._replay_grants(tuple(pending.granted))
        for key, release in tuple(pending.released.items()):
            write = store.release if release.scope is ReleaseScope.SLOT_AND_LEASE else store.end
            await self._write(write, *key, release.holder)
            if pending.released.get(key) is release:
                del pending.released[key]
        for day in tuple(pending.days):
            await self._replay_day(day)

    async def _replay_grants(self, users: tuple[str, ...]) -> None:
        for start in range(0, len(users), limits.REDIS_REPLAY_BATCH):
            batch = users[start : start + limits.REDIS_REPLAY_BATCH]
            # Removed before the write: a grant during the write is then pending again.
            self._local.pending.granted.difference_update(batch)
            holdings = [(user_id, self._local.counters.holdings(user_id)) for user_id in batch]
            is_written = False
            try:
                await self._threads.read(_restore, self._store, holdings)
                is_written = True
            finally:
                if not is_written:
                    self._local.pending.granted.update(batch)

    async def _replay_day(self, day: str) -> None:
        totals = self._local.totals
        own, by_user = totals.own(day), totals.unreported(day)
        total = await self._write(self._store.spend, day, self._local.instance, own, by_user)
        totals.update_others(day, own, total or 0)
        totals.mark_reported(day, by_user)  # users beyond one report follow with the next spending: none decides
        if own == totals.own(day):
            self._local.pending.days.discard(day)

    async def _replay_record(self, key: tuple[str, str]) -> None:
        records = self._local.records
        record = records.get(*key)
        if record is not None and await self._write(self._store.put_record, record) is False:
            records.remove(*key)
        if records.get(*key) in (record, None):
            self._local.pending.records.discard(key)

    async def _write(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """None for a write that Redis cannot understand: a repetition would fail too, and keep the connection down."""
        return await self._threads.read(_dropping_invalid(function), *args, **kwargs)


def _restore(store: RedisStore, holdings: Iterable[tuple[str, Holdings]]) -> None:
    for user_id, held in holdings:
        if held.slots or held.leases:
            _dropping_invalid(store.restore)(user_id, held)


def _dropping_invalid(function: Callable[P, T]) -> Callable[P, T | None]:
    def write(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return function(*args, **kwargs)
        except RedisFailed as failed:
            if failed.fault is not RedisFault.BROKEN:
                raise
            log.error("redis_write_dropped", write=getattr(function, "__name__", ""), detail=str(failed))
            return None

    return write
