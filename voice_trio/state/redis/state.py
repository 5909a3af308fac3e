"""State shared by all instances through Redis, with this instance's local state beside it while Redis is unavailable.

Every change is made locally first. A write that Redis did not confirm is pending, and is replayed before Redis decides
again. docs/state.md says what each decision means while Redis is unavailable.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Literal

import trio

from voice_trio import limits
from voice_trio.errors import StateUnavailable
from voice_trio.state.in_memory_store import InMemoryRecords, InMemoryRollout
from voice_trio.state.instance_registry import OwnInstance
from voice_trio.state.limit_counters import DayTotals, LimitCounters
from voice_trio.state.redis.connection import RedisConnection
from voice_trio.state.redis.directory import RedisDirectory
from voice_trio.state.redis.driver import RedisDriver, RedisFailed, RedisFault
from voice_trio.state.redis.expected_spend import RedisExpectedSpend
from voice_trio.state.redis.lost_sessions import RedisLostSessions
from voice_trio.state.redis.pending_writes import LocalState, PendingWrites
from voice_trio.state.redis.quotas import RedisQuotas
from voice_trio.state.redis.scripts import RedisScripts
from voice_trio.state.redis.shares import RedisShares
from voice_trio.state.redis.store import RedisStore
from voice_trio.state.redis.supervisor import KnownServers, RedisSupervisor
from voice_trio.state.state import StateHealth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voice_trio.settings.redis_url import RedisUrl
    from voice_trio.state.budget_shares import BudgetShares
    from voice_trio.state.instance_registry import InstanceInfo
    from voice_trio.state.rollout import Rollout
    from voice_trio.state.session_claims import InstanceRequest
    from voice_trio.state.session_record import SessionRecord
    from voice_trio.state.state import Quotas, Spenders


class RedisState(RedisQuotas):
    """A `State` in Redis. `run` must run beside it. With the policy `deny` it raises while Redis is unavailable."""

    def __init__(
        self,
        url: RedisUrl,
        quotas: Quotas,
        rollout: Rollout,
        *,
        policy: Literal["fallback", "deny"] = "fallback",
        attempts: int = 3,
        backoff_factor: float = 2.0,
        store_transcripts: bool = True,
        clock: Callable[[], float] = trio.current_time,
        unix_time: Callable[[], float] = time.time,
        scripts: RedisScripts | None = None,
    ) -> None:
        local = LocalState(
            instance=secrets.token_hex(4),
            counters=LimitCounters(quotas, clock),
            records=InMemoryRecords(clock, unix_time),
            totals=DayTotals(),
            rollout=InMemoryRollout(rollout),
            pending=PendingWrites(),
        )
        servers = KnownServers()
        make_driver = partial(RedisDriver, url, seconds_max=limits.REDIS_REPLY_SECONDS_MAX, attempts=attempts)
        working = make_driver(admits=servers.admits, backoff_factor=backoff_factor)
        probing = RedisDriver(url, seconds_max=limits.REDIS_PROBE_REPLY_SECONDS_MAX, admits=servers.admits_probe)
        scripts = scripts or RedisScripts()
        make_store = partial(RedisStore, quotas=quotas, scripts=scripts, complete_since=lambda: servers.complete_since)
        super().__init__(RedisConnection(), make_store(working), local, denies=policy == "deny")
        self.shares: BudgetShares = RedisShares(
            self._connection, working, scripts, local.instance, denies=policy == "deny"
        )
        self._url = url
        self._store_transcripts = store_transcripts
        self._own_instance = OwnInstance(clock)
        self.directory = RedisDirectory(
            self._connection, working, local.records, local.instance, clock, redis_clock=scripts.clock
        )
        self._drivers = (working, probing)
        self.expected_spend = RedisExpectedSpend(self._connection, working, local.instance)
        self.lost_sessions = RedisLostSessions(self._connection, working, local.instance)
        self._supervisor = RedisSupervisor(
            self._connection, working, probing, make_store, servers, local, backoff_factor
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Supervise the connection until cancelled; reports as started after the first check of Redis."""
        await self._supervisor.run(task_status=task_status)

    async def flush(self) -> None:
        """Write what is pending, as far as Redis answers. The caller bounds the time."""
        await self._supervisor.flush()

    def disconnect(self) -> None:
        """Close every connection."""
        for driver in self._drivers:
            driver.reset()

    @property
    def instance(self) -> str:
        """The id of this process."""
        return self._local.instance

    @property
    def health(self) -> StateHealth:
        """Redis as of its last check, or of the last call that failed."""
        info = self._supervisor.info if self._connection.is_up else {}
        return StateHealth(
            enabled=True,
            available=self._connection.is_up,
            using_fallback=not self._connection.is_up and not self._denies,
            url=self._url.masked,
            version=info.get("redis_version"),
            connected_clients=info.get("connected_clients"),
            used_memory_human=info.get("used_memory_human"),
            fault=None if self._connection.fault is None else self._connection.fault.value,
        )

    async def rollout(self) -> Rollout:
        """The last known document, at most about a second old; makes no call."""
        await trio.lowlevel.checkpoint()
        return self._local.rollout.current

    async def replace_rollout(self, proposed: Rollout) -> Rollout | None:
        """Put `proposed` in force; while Redis is unavailable on this instance alone, and everywhere afterwards."""
        rollout = self._local.rollout
        try:
            changed = await self._connection.call(self._store.replace_rollout, proposed)
            in_force = changed
            if in_force is None:  # after a concurrent update: fetch that document at once
                in_force = await self._connection.call(self._store.offer_rollout, rollout.current)
        except RedisFailed as failed:
            if self._denies or failed.fault is RedisFault.BUSY:
                raise
            return rollout.replace(proposed)
        rollout.set(in_force)
        return changed

    async def wait_rollout_change(self, known: Rollout) -> Rollout:
        """Wait until the document in force is not `known`, then return it."""
        return await self._local.rollout.wait_change(known)

    async def put_record(self, record: SessionRecord) -> None:
        """Store `record` for an hour. Never raises: an unavailable Redis gets it after its recovery."""
        stored = record if self._store_transcripts else record.without_text()
        key = (stored.user_id, stored.session_id)
        records, pending = self._local.records, self._local.pending
        records.put(stored)
        pending.records.add(key)
        try:
            if not await self._connection.call(self._store.put_record, stored):
                records.remove(*key)
        except RedisFailed:
            return
        if records.get(*key) in (stored, None):
            pending.records.discard(key)

    async def record(self, user_id: str, session_id: str) -> SessionRecord | None:
        """The newest revision; while Redis is unavailable only records of this instance.

        Raises `StateUnavailable` for others while it is away for a moment, or has just returned.
        """
        own = self._local.records.get(user_id, session_id)
        is_known = own is not None or self._local.records.deleted_at(user_id) > 0
        try:
            stored = await self._connection.call(self._store.record, user_id, session_id)
        except RedisFailed as failed:
            is_brief = not is_known and self._connection.is_unsettled
            if self._denies or failed.fault is RedisFault.BUSY or is_brief:
                raise
            return own
        is_pending = (user_id, session_id) in self._local.pending.records
        if own is not None and is_pending and (stored is None or own.revision > stored.revision):
            return own
        if stored is None and not is_known and self._connection.is_unsettled:
            raise StateUnavailable("the other instances have not written their records back yet")
        return stored

    async def request(self, instance: str, request: InstanceRequest) -> bool:
        """Send a request to another instance; False if that instance is gone."""
        return await self._connection.call(self._store.request, instance, request)

    async def wait_request(self) -> InstanceRequest:
        """Wait until another instance sends this one a request."""
        return await self._supervisor.requests.receive()

    async def delete_records(self, user_id: str) -> int:
        """Delete a user's records; raises while Redis is unavailable, and deletes them there after its recovery."""
        count = self._local.records.delete(user_id)
        self._local.pending.deletions.add(user_id)
        try:
            count = max(count, await self._connection.call(self._store.delete_records, user_id))
        except RedisFailed as failed:
            raise StateUnavailable(f"{failed}; deleted here, and in Redis as soon as it is back") from failed
        self._local.pending.deletions.discard(user_id)
        return count

    async def add_spent(self, day: str, micro_usd: int, by_user: Mapping[str, int] | None = None) -> int:
        """Add to the sum of a day and return it."""
        self._local.totals.add(day, micro_usd, by_user or {})
        self._local.pending.days.add(day)
        return await self.spent(day)

    async def spent(self, day: str) -> int:
        """What all instances spent; while Redis is unavailable, this instance's sum plus the others' last known one."""
        totals = self._local.totals
        own, by_user = totals.own(day), totals.unreported(day)
        try:
            total = await self._connection.call(self._store.spend, day, self.instance, own, by_user)
        except RedisFailed:
            return totals.total(day)
        totals.update_others(day, own, total)
        totals.mark_reported(day, by_user)
        if own == totals.own(day):
            self._local.pending.days.discard(day)
        return totals.total(day)

    async def spenders(self, day: str, count: int, user: str | None = None) -> Spenders:
        """The users who spent most on all instances; while Redis is unavailable, on this one."""
        try:
            return await self._connection.call(self._store.spenders, day, count, user)
        except RedisFailed:
            return self._local.totals.spenders(day, count, user)

    async def announce(self, info: InstanceInfo) -> tuple[InstanceInfo, ...]:
        """Announce this process; returns all instances, or this one alone while Redis is unavailable."""
        self._own_instance.announce(info)
        return await self._instances(info)

    async def instances(self) -> tuple[InstanceInfo, ...]:
        """All announced instances; this one alone while Redis is unavailable."""
        return await self._instances(None)

    async def _instances(self, own: InstanceInfo | None) -> tuple[InstanceInfo, ...]:
        # No decision depends on the instances, so a failed announcement is not a pending write.
        try:
            found = await self._connection.call(self._store.announce, self.instance, own)
        except RedisFailed:
            return self._own_instance.instances
        self._supervisor.instances_known = len(found)
        return found

    async def withdraw(self) -> None:
        """Withdraw the announcement; while Redis is unavailable it expires there within 30 s."""
        self._own_instance.withdraw()
        with suppress(RedisFailed):
            await self._connection.call(self._store.withdraw, self.instance)
