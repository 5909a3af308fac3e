"""Rate slots, leases and holders through Redis, decided by this instance's counters while Redis is unavailable.

What Redis grants is noted in the counters too. What the counters grant, and what a session gives back meanwhile, is a
pending write: the supervisor replays it before Redis decides again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.state.redis.driver import RedisFailed, RedisFault
from voice_trio.state.redis.pending_writes import Release, ReleaseScope
from voice_trio.state.state import Granted, LimitReached

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voice_trio.state.redis.connection import RedisConnection
    from voice_trio.state.redis.pending_writes import LocalState
    from voice_trio.state.redis.store import RedisStore
    from voice_trio.state.session_claims import HeldBy


class RedisQuotas:
    """The part of `RedisState` that decides about rate slots, leases and holders.

    With `denies` it raises `StateUnavailable` while Redis is unavailable, instead of deciding by the counters.
    """

    def __init__(self, connection: RedisConnection, store: RedisStore, local: LocalState, *, denies: bool) -> None:
        self._connection = connection
        self._store = store
        self._local = local
        self._denies = denies
        self._attempts = AttemptQueue()

    async def admit(self, user_id: str, session_id: str, holder: str = "") -> Granted | LimitReached:
        """Take a rate slot and a lease, or neither; by this instance's counters while Redis is unavailable.

        Raises `StateUnavailable` if Redis is too busy to answer within 250 ms.
        """
        held = self._local.counters.holdings(user_id)
        attempt = partial(self._admit, user_id, session_id, holder)
        if session_id in held.slots or session_id in held.leases:
            return await attempt(trio.current_time() + limits.REDIS_CALL_SECONDS_MAX)
        decision: Granted | LimitReached | None = None
        try:
            decision = await self._attempts.admit(user_id, attempt)
        finally:
            if decision is None:
                # Cancelled or denied: Redis may have granted it, or may still.
                self._give_up(user_id, session_id, Release(ReleaseScope.SLOT_AND_LEASE, holder))
        return decision

    async def _admit(self, user_id: str, session_id: str, holder: str, deadline: float) -> Granted | LimitReached:
        try:
            decision = await self._connection.call_until(deadline, self._store.admit, user_id, session_id, holder)
        except RedisFailed as failed:
            # A busy Redis still decides alone: a user must not pass the limit by sending many attempts at once.
            if self._denies or failed.fault is RedisFault.BUSY:
                raise
        else:
            if isinstance(decision, Granted):
                self._local.counters.record_grant(user_id, session_id, holder, takes_slot=True)
            return decision
        # No await between the failure above and this decision: the connection cannot have come up in between.
        decision = self._local.counters.admit(user_id, session_id, holder)
        self._note_decision(user_id, session_id, decision, Release(ReleaseScope.SLOT_AND_LEASE, holder))
        return decision

    async def claim(
        self, user_id: str, session_id: str, holder: str, *, replacing: str = ""
    ) -> Granted | LimitReached | HeldBy:
        """Make `holder` the session's holder; while Redis is unavailable, on this instance alone."""
        decision: Granted | LimitReached | HeldBy | None = None
        release = Release(ReleaseScope.LEASE, holder)
        try:
            decision = await self._connection.call(self._store.claim, user_id, session_id, holder, replacing)
            if isinstance(decision, Granted):
                self._local.counters.record_grant(user_id, session_id, holder, takes_slot=False)
        except RedisFailed as failed:
            if self._denies or failed.fault is RedisFault.BUSY:
                raise
            decision = self._local.counters.claim(user_id, session_id, holder, replacing)
            self._note_decision(user_id, session_id, decision, release)
        finally:
            if decision is None:
                self._give_up(user_id, session_id, release)
        return decision

    def _note_decision(
        self, user_id: str, session_id: str, decision: Granted | LimitReached | HeldBy, release: Release
    ) -> None:
        """The counters decided after a call that failed, and may have taken effect all the same."""
        if isinstance(decision, Granted):
            self._local.pending.grant(user_id, session_id)
        else:
            self._local.pending.release(user_id, session_id, release)

    def _give_up(self, user_id: str, session_id: str, release: Release) -> None:
        give_back = self._local.counters
        if release.scope is ReleaseScope.SLOT_AND_LEASE:
            give_back.release(user_id, session_id, release.holder)
        else:
            give_back.end(user_id, session_id, release.holder)
        self._local.pending.release(user_id, session_id, release)

    async def release(self, user_id: str, session_id: str, holder: str = "") -> None:
        """Give the rate slot and the lease back."""
        self._local.counters.release(user_id, session_id, holder)
        await self._release(user_id, session_id, Release(ReleaseScope.SLOT_AND_LEASE, holder))

    async def renew(self, user_id: str, session_id: str, holder: str = "") -> bool:
        """Extend the lease, or take it again if it expired; False if another connection holds the session."""
        is_held = self._local.counters.renew(user_id, session_id, holder)
        try:
            is_held = await self._connection.call(self._store.renew, user_id, session_id, holder)
        except RedisFailed:
            if is_held:
                self._local.pending.grant(user_id, session_id)
        else:
            if not is_held:
                self._local.counters.end(user_id, session_id, holder)
        return is_held

    async def end(self, user_id: str, session_id: str, holder: str = "") -> None:
        """Give back the lease alone, unless another connection holds the session."""
        self._local.counters.end(user_id, session_id, holder)
        await self._release(user_id, session_id, Release(ReleaseScope.LEASE, holder))

    async def _release(self, user_id: str, session_id: str, release: Release) -> None:
        pending, key = self._local.pending, (user_id, session_id)
        pending.release(*key, release)  # before the call, so that a cancelled one is replayed
        write = self._store.release if release.scope is ReleaseScope.SLOT_AND_LEASE else self._store.end
        try:
            await self._connection.call(write, user_id, session_id, release.holder)
        except RedisFailed:
            return
        if pending.released.get(key) is release:
            del pending.released[key]

    async def reset(self, user_id: str) -> None:
        """Open all of a user's rate slots: here at once; in Redis now, or after its recovery."""
        self._local.counters.reset(user_id)
        self._local.pending.resets.add(user_id)
        try:
            await self._connection.call(self._store.reset, user_id)
        except RedisFailed:
            if self._denies:
                raise
        else:
            self._local.pending.resets.discard(user_id)


@dataclass(slots=True)
class _UserQueue:
    """Waiting attempts of one user, and the last refusal."""

    lock: trio.Lock = field(default_factory=trio.Lock)
    waiting: int = 0
    refusal: LimitReached | None = None
    refused_at: float = 0.0


class AttemptQueue:
    """One attempt of a user at a time, so that many attempts at once cost Redis hardly more than one.

    When an attempt is refused, all attempts that were waiting by then get the same answer. Users without an attempt
    under way take no memory.
    """

    def __init__(self) -> None:
        self._queues: dict[str, _UserQueue] = {}

    async def admit(
        self, user_id: str, attempt: Callable[[float], Awaitable[Granted | LimitReached]]
    ) -> Granted | LimitReached:
        """The result of `attempt`, which gets the deadline by Trio's clock, or the refusal of an earlier attempt."""
        queue = self._queues.setdefault(user_id, _UserQueue())
        queue.waiting += 1
        queued_at = trio.current_time()
        deadline = queued_at + limits.REDIS_CALL_SECONDS_MAX
        try:
            with trio.move_on_at(deadline) as queue_scope:
                await queue.lock.acquire()
            if queue_scope.cancelled_caught:
                return await attempt(deadline)
            try:
                if queue.refusal is not None and queued_at <= queue.refused_at:
                    return queue.refusal
                decision = await attempt(deadline)
                if isinstance(decision, LimitReached):
                    queue.refusal, queue.refused_at = decision, trio.current_time()
                return decision
            finally:
                queue.lock.release()
        finally:
            queue.waiting -= 1
            if not queue.waiting:
                del self._queues[user_id]
