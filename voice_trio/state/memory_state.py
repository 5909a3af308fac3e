"""State in the memory of this process: for a single instance and for tests."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import trio

from voice_trio.state.budget_shares import MemoryShares
from voice_trio.state.expected_spend import MemoryExpectedSpend
from voice_trio.state.in_memory_store import InMemoryRecords, InMemoryRollout
from voice_trio.state.instance_registry import OwnInstance
from voice_trio.state.limit_counters import DayTotals, LimitCounters
from voice_trio.state.lost_sessions import NoLostSessions
from voice_trio.state.session_directory import MemoryDirectory
from voice_trio.state.state import Spenders, StateHealth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voice_trio.state.budget_shares import BudgetShares
    from voice_trio.state.instance_registry import InstanceInfo
    from voice_trio.state.rollout import Rollout
    from voice_trio.state.session_claims import HeldBy, InstanceRequest
    from voice_trio.state.session_record import SessionRecord
    from voice_trio.state.state import Granted, LimitReached, Quotas


class MemoryState:
    """A `State` without a shared store.

    `clock` gives seconds from any origin and is monotonic; Trio's by default, so that virtual time applies here too.
    Without `store_transcripts` records hold no text.
    """

    def __init__(
        self,
        quotas: Quotas,
        rollout: Rollout,
        clock: Callable[[], float] = trio.current_time,
        *,
        store_transcripts: bool = True,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        self._counters = LimitCounters(quotas, clock)
        self._rollout = InMemoryRollout(rollout)
        self._records = InMemoryRecords(clock, unix_time)
        self.directory = MemoryDirectory(self._records, clock)
        self._totals = DayTotals()
        self._own_instance = OwnInstance(clock)
        self._store_transcripts = store_transcripts
        self._instance = secrets.token_hex(4)
        self.shares: BudgetShares = MemoryShares(self._instance)
        self.expected_spend = MemoryExpectedSpend()
        self.lost_sessions = NoLostSessions()

    def __len__(self) -> int:
        """Number of users in memory."""
        return len(self._counters)

    @property
    def instance(self) -> str:
        """The id of this process."""
        return self._instance

    @property
    def health(self) -> StateHealth:
        """Every field at its default: there is no shared store."""
        return StateHealth()

    async def admit(self, user_id: str, session_id: str, holder: str = "") -> Granted | LimitReached:
        """Take a rate slot and a lease, or neither."""
        await trio.lowlevel.checkpoint()
        return self._counters.admit(user_id, session_id, holder)

    async def claim(
        self, user_id: str, session_id: str, holder: str, *, replacing: str = ""
    ) -> Granted | LimitReached | HeldBy:
        """Make `holder` the session's holder, with a lease."""
        await trio.lowlevel.checkpoint()
        return self._counters.claim(user_id, session_id, holder, replacing)

    async def release(self, user_id: str, session_id: str, holder: str = "") -> None:
        """Give the rate slot and the lease back."""
        self._counters.release(user_id, session_id, holder)
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def renew(self, user_id: str, session_id: str, holder: str = "") -> bool:
        """Extend the lease, or take it again if it expired; False if another connection holds the session."""
        await trio.lowlevel.checkpoint()
        return self._counters.renew(user_id, session_id, holder)

    async def end(self, user_id: str, session_id: str, holder: str = "") -> None:
        """Give back the lease alone."""
        self._counters.end(user_id, session_id, holder)
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def reset(self, user_id: str) -> None:
        """Open all of a user's rate slots."""
        await trio.lowlevel.checkpoint()
        self._counters.reset(user_id)

    async def rollout(self) -> Rollout:
        """The rollout document in force."""
        await trio.lowlevel.checkpoint()
        return self._rollout.current

    async def replace_rollout(self, proposed: Rollout) -> Rollout | None:
        """Put `proposed` in force as the next version; None if its version is not the one in force."""
        await trio.lowlevel.checkpoint()
        return self._rollout.replace(proposed)

    async def wait_rollout_change(self, known: Rollout) -> Rollout:
        """Wait until the document in force is not `known`, then return it."""
        return await self._rollout.wait_change(known)

    async def put_record(self, record: SessionRecord) -> None:
        """Store `record` for an hour."""
        self._records.put(record if self._store_transcripts else record.without_text())
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def record(self, user_id: str, session_id: str) -> SessionRecord | None:
        """The record, or None once it has expired."""
        await trio.lowlevel.checkpoint()
        return self._records.get(user_id, session_id)

    async def request(self, instance: str, request: InstanceRequest) -> bool:
        """Return False: there are no other instances."""
        await trio.lowlevel.checkpoint()
        return False

    async def wait_request(self) -> InstanceRequest:
        """Never return: there are no other instances."""
        await trio.sleep_forever()
        raise AssertionError("sleep_forever returned")

    async def delete_records(self, user_id: str) -> int:
        """Delete a user's records."""
        await trio.lowlevel.checkpoint()
        return self._records.delete(user_id)

    async def add_spent(self, day: str, micro_usd: int, by_user: Mapping[str, int] | None = None) -> int:
        """Add to the sum of a day and return it."""
        self._totals.add(day, micro_usd, by_user or {})
        await trio.lowlevel.cancel_shielded_checkpoint()
        return self._totals.total(day)

    async def spent(self, day: str) -> int:
        """The sum of a day."""
        await trio.lowlevel.checkpoint()
        return self._totals.total(day)

    async def spenders(self, day: str, count: int, user: str | None = None) -> Spenders:
        """The `count` users who spent most on a day, and what `user` spent."""
        await trio.lowlevel.checkpoint()
        return self._totals.spenders(day, count, user)

    async def announce(self, info: InstanceInfo) -> tuple[InstanceInfo, ...]:
        """Announce this process for 30 s; returns it."""
        self._own_instance.announce(info)
        return await self.instances()

    async def instances(self) -> tuple[InstanceInfo, ...]:
        """This process, if it was announced within 30 s."""
        await trio.lowlevel.checkpoint()
        return self._own_instance.instances

    async def withdraw(self) -> None:
        """Drop the announcement."""
        self._own_instance.withdraw()
        await trio.lowlevel.checkpoint()
