"""State shared by all instances through Redis, with this instance's memory beside it for while Redis is away.

Everything that Redis grants is noted in memory too; everything that memory grants, or that is given back, while Redis
is away is told to Redis before it is asked again. docs/state.md says what each decision means meanwhile.
"""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Literal

import trio

from voice_trio.errors import StateUnavailable
from voice_trio.state.in_memory_store import RecordShelf, RolloutBoard
from voice_trio.state.limit_counters import DayTotals, LimitCounters
from voice_trio.state.redis.attempt_queue import AttemptQueue
from voice_trio.state.redis.connection import CALL_SECONDS_MAX, RedisConnection
from voice_trio.state.redis.driver import RedisDriver, RedisFailed, RedisFault
from voice_trio.state.redis.instance_registry import RedisInstanceRegistry
from voice_trio.state.redis.pending_writes import Given, Memory, PendingWrites
from voice_trio.state.redis.scripts import Scripts
from voice_trio.state.redis.store import RedisStore
from voice_trio.state.redis.supervisor import RedisSupervisor, ServersMet
from voice_trio.state.state import Granted, StateHealth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voice_trio.settings.redis_url import RedisUrl
    from voice_trio.state.rollout import Rollout
    from voice_trio.state.session_record import SessionRecord
    from voice_trio.state.state import Quotas, Refused, Spenders

CALL_WAIT_SECONDS_MAX = 0.2
"""For each answer of Redis; a little less than a call may take, so that the fault is told rather than guessed."""
PROBE_WAIT_SECONDS_MAX = 2.0
TAKE_OVER_SECONDS_MAX = 2.0
TAKE_OVER_EVERY_SECONDS = 0.1


class RedisState:
    """Fills `State`. `keep` must run beside it. With the policy `deny` it raises while Redis is away."""

    def __init__(
        self,
        url: RedisUrl,
        quotas: Quotas,
        rollout: Rollout,
        *,
        policy: Literal["fallback", "deny"] = "fallback",
        attempts: int = 3,
        backoff_factor: float = 2.0,
        keeps_words: bool = True,
        clock: Callable[[], float] = trio.current_time,
        unix_time: Callable[[], float] = time.time,
        scripts: Scripts | None = None,
    ) -> None:
        self._url = url
        self._denies = policy == "deny"
        self._keeps_words = keeps_words
        self._memory = Memory(
            instance=secrets.token_hex(4),
            ledger=LimitCounters(quotas, clock),
            shelf=RecordShelf(clock, unix_time),
            sums=DayTotals(),
            board=RolloutBoard(rollout),
            debts=PendingWrites(),
        )
        servers = ServersMet()
        calls = partial(RedisDriver, url, seconds_max=CALL_WAIT_SECONDS_MAX, attempts=attempts)
        working = calls(admits=servers.admits, backoff_factor=backoff_factor)
        probing = RedisDriver(url, seconds_max=PROBE_WAIT_SECONDS_MAX, admits=servers.note)
        make_store = partial(RedisStore, quotas=quotas, scripts=scripts or Scripts())
        self._turns = AttemptQueue()
        self._line = RedisConnection()
        self._store = make_store(working)
        self._keeper = RedisSupervisor(self._line, working, probing, make_store, servers, self._memory, backoff_factor)
        self._roster = RedisInstanceRegistry(self._line, self._store, self._memory.instance, clock)
        self.announce, self.present, self.withdraw = self._roster.announce, self._roster.present, self._roster.withdraw
        self.keep = self._keeper.keep
        self.settle = self._keeper.settle
        self._drivers = (working, probing)

    def close(self) -> None:
        """Drop every connection."""
        for driver in self._drivers:
            driver.reset()

    @property
    def instance(self) -> str:
        """This process."""
        return self._memory.instance

    @property
    def health(self) -> StateHealth:
        """As Redis was found when it was last looked at, or when a call last failed."""
        info = self._keeper.info if self._line.is_up else {}
        return StateHealth(
            enabled=True,
            available=self._line.is_up,
            using_fallback=not self._line.is_up and not self._denies,
            url=self._url.masked,
            version=info.get("redis_version"),
            connected_clients=info.get("connected_clients"),
            used_memory_human=info.get("used_memory_human"),
            fault=None if self._line.fault is None else self._line.fault.value,
        )

    async def admit(self, user_id: str, session_id: str) -> Granted | Refused:
        """Take a rate slot and a lease, or neither; by this instance's memory while Redis is away.

        Raises `StateUnavailable` when more is asked at once than Redis answers in 250 ms.
        """
        held = self._memory.ledger.holdings(user_id)
        if session_id in held.slots or session_id in held.leases:
            return await self._admit(user_id, session_id, trio.current_time() + CALL_SECONDS_MAX)
        decision: Granted | Refused | None = None
        try:
            decision = await self._turns.admit(user_id, partial(self._admit, user_id, session_id))
        finally:
            if decision is None:
                # Cancelled or denied, and perhaps Redis has granted it, or will.
                self._memory.ledger.release(user_id, session_id)
                self._memory.debts.give_back(user_id, session_id, Given.EVERYTHING)
        return decision

    async def _admit(self, user_id: str, session_id: str, deadline: float) -> Granted | Refused:
        try:
            decision = await self._line.ask_until(deadline, self._store.admit, user_id, session_id)
        except RedisFailed as failed:
            # While Redis is there nobody else decides: a crowd must not get in by crowding.
            if self._denies or failed.fault is RedisFault.BUSY:
                raise
        else:
            if isinstance(decision, Granted):
                self._memory.ledger.note(user_id, session_id)
            return decision
        # Nothing is awaited between learning that Redis is away and this: the line cannot have come up.
        decision = self._memory.ledger.admit(user_id, session_id)
        if isinstance(decision, Granted):
            self._memory.debts.grant(user_id, session_id)
        else:
            self._memory.debts.give_back(user_id, session_id, Given.EVERYTHING)
        return decision

    async def release(self, user_id: str, session_id: str) -> None:
        """Give the rate slot and the lease back."""
        self._memory.ledger.release(user_id, session_id)
        await self._give_back(user_id, session_id, Given.EVERYTHING)

    async def renew(self, user_id: str, session_id: str) -> None:
        """Keep the lease, or take it again."""
        self._memory.ledger.renew(user_id, session_id)
        try:
            await self._line.ask(self._store.renew, user_id, session_id)
        except RedisFailed:
            self._memory.debts.grant(user_id, session_id)

    async def end(self, user_id: str, session_id: str) -> None:
        """Give only the lease back."""
        self._memory.ledger.end(user_id, session_id)
        await self._give_back(user_id, session_id, Given.LEASE)

    async def _give_back(self, user_id: str, session_id: str, given: Given) -> None:
        debts = self._memory.debts
        debts.give_back(user_id, session_id, given)  # first: when cancelled it is told later
        ask = self._store.release if given is Given.EVERYTHING else self._store.end
        try:
            await self._line.ask(ask, user_id, session_id)
        except RedisFailed:
            return
        if debts.given_back.get((user_id, session_id)) is given:
            del debts.given_back[user_id, session_id]

    async def reset(self, user_id: str) -> None:
        """Open all of a user's rate slots; while Redis is away here at once, elsewhere when it is back."""
        self._memory.ledger.reset(user_id)
        self._memory.debts.resets.add(user_id)
        try:
            await self._line.ask(self._store.reset, user_id)
        except RedisFailed:
            if self._denies:
                raise
        else:
            self._memory.debts.resets.discard(user_id)

    async def rollout(self) -> Rollout:
        """The document known last: at most about a second old, without a question to Redis."""
        await trio.lowlevel.checkpoint()
        return self._memory.board.current

    async def replace_rollout(self, wanted: Rollout) -> Rollout | None:
        """Put `wanted` in force; while Redis is away on this instance alone, and everywhere when it is back."""
        board = self._memory.board
        try:
            changed = await self._line.ask(self._store.replace_rollout, wanted)
            in_force = changed
            if in_force is None:  # somebody was faster: know their document at once
                in_force = await self._line.ask(self._store.offer_rollout, board.current)
        except RedisFailed as failed:
            if self._denies or failed.fault is RedisFault.BUSY:
                raise
            return board.replace(wanted)
        board.post(in_force)
        return changed

    async def wait_rollout_change(self, known: Rollout) -> Rollout:
        """The document in force once it is not `known`."""
        return await self._memory.board.wait_change(known)

    async def put_record(self, record: SessionRecord) -> None:
        """Keep `record` for an hour; never raises, Redis gets it later if not now."""
        kept = record if self._keeps_words else record.without_words()
        key = (kept.user_id, kept.session_id)
        shelf, debts = self._memory.shelf, self._memory.debts
        shelf.put(kept)
        debts.records.add(key)
        try:
            if not await self._line.ask(self._store.put_record, kept):
                shelf.drop(*key)
        except RedisFailed:
            return
        if shelf.get(*key) in (kept, None):
            debts.records.discard(key)

    async def record(self, user_id: str, session_id: str) -> SessionRecord | None:
        """The newest record known; while Redis is away only those of this instance."""
        own = self._memory.shelf.get(user_id, session_id)
        try:
            stored = await self._line.ask(self._store.record, user_id, session_id)
        except RedisFailed as failed:
            if self._denies or failed.fault is RedisFault.BUSY:
                raise
            return own
        is_owed = (user_id, session_id) in self._memory.debts.records
        if own is not None and is_owed and (stored is None or own.revision > stored.revision):
            return own
        return stored

    async def take_over(self, record: SessionRecord) -> SessionRecord:
        """Have the instance that holds this session let it go, and wait for what it writes at the end."""
        newest = record
        with trio.move_on_after(TAKE_OVER_SECONDS_MAX), suppress(StateUnavailable):
            while newest.end_reason is None and newest.instance != self.instance:
                if not await self._line.ask(self._store.want, newest.instance, newest.session_id):
                    break
                await trio.sleep(TAKE_OVER_EVERY_SECONDS)
                newest = await self.record(record.user_id, record.session_id) or newest
        return newest

    async def wait_taken_over(self) -> str:
        """The next session that another instance wants to go on with."""
        return await self._keeper.wanted.receive()

    async def delete_records(self, user_id: str) -> int:
        """Delete a user's records; raises while Redis is away, and deletes them there as soon as it is back."""
        count = self._memory.shelf.delete(user_id)
        self._memory.debts.deletions.add(user_id)
        try:
            count = max(count, await self._line.ask(self._store.delete_records, user_id))
        except RedisFailed as failed:
            raise StateUnavailable(f"{failed}; deleted here, and in Redis as soon as it is back") from failed
        self._memory.debts.deletions.discard(user_id)
        return count

    async def add_spent(self, day: str, micro_usd: int, by_user: Mapping[str, int] | None = None) -> int:
        """Add to what was spent on a day."""
        self._memory.sums.add(day, micro_usd, by_user or {})
        self._memory.debts.days.add(day)
        return await self.spent(day)

    async def spent(self, day: str) -> int:
        """What all instances spent; while Redis is away, what was last known of the others and all of our own."""
        sums = self._memory.sums
        own, by_user = sums.own(day), sums.untold(day)
        try:
            total = await self._line.ask(self._store.spend, day, self.instance, own, by_user)
        except RedisFailed:
            return sums.total(day)
        sums.learn(day, own, total)
        sums.note_told(day, by_user)
        if own == sums.own(day):
            self._memory.debts.days.discard(day)
        return sums.total(day)

    async def spenders(self, day: str, count: int, user: str | None = None) -> Spenders:
        """Who spent most, on all instances; while Redis is away, on this one."""
        try:
            return await self._line.ask(self._store.spenders, day, count, user)
        except RedisFailed:
            return self._memory.sums.spenders(day, count, user)
