"""State in this process's memory: for a single instance, for tests, and for while a shared store is away."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import trio

from voice_trio.state.in_memory_store import RecordShelf, RolloutBoard
from voice_trio.state.instance_registry import OwnInstance
from voice_trio.state.limit_counters import DayTotals, LimitCounters
from voice_trio.state.state import Spenders, StateHealth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voice_trio.state.instance_registry import InstanceInfo
    from voice_trio.state.rollout import Rollout
    from voice_trio.state.session_record import SessionRecord
    from voice_trio.state.state import Granted, Quotas, Refused


class MemoryState:
    """Fills `State`.

    `clock` tells seconds from any origin and never goes back; Trio's by default, so that virtual time rules here too.
    Without `keeps_words` records are kept without what was said.
    """

    def __init__(
        self,
        quotas: Quotas,
        rollout: Rollout,
        clock: Callable[[], float] = trio.current_time,
        *,
        keeps_words: bool = True,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = LimitCounters(quotas, clock)
        self._board = RolloutBoard(rollout)
        self._shelf = RecordShelf(clock, unix_time)
        self._sums = DayTotals()
        self._presence = OwnInstance(clock)
        self._keeps_words = keeps_words
        self._instance = secrets.token_hex(4)

    def __len__(self) -> int:
        """Users remembered."""
        return len(self._ledger)

    @property
    def instance(self) -> str:
        """This process."""
        return self._instance

    @property
    def health(self) -> StateHealth:
        """There is no shared store."""
        return StateHealth()

    async def admit(self, user_id: str, session_id: str) -> Granted | Refused:
        """Take a rate slot and a lease, or neither."""
        await trio.lowlevel.checkpoint()
        return self._ledger.admit(user_id, session_id)

    async def release(self, user_id: str, session_id: str) -> None:
        """Give the rate slot and the lease back."""
        self._ledger.release(user_id, session_id)
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def renew(self, user_id: str, session_id: str) -> None:
        """Keep the lease, or take it again."""
        await trio.lowlevel.checkpoint()
        self._ledger.renew(user_id, session_id)

    async def end(self, user_id: str, session_id: str) -> None:
        """Give only the lease back."""
        self._ledger.end(user_id, session_id)
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def reset(self, user_id: str) -> None:
        """Open all of a user's rate slots."""
        await trio.lowlevel.checkpoint()
        self._ledger.reset(user_id)

    async def rollout(self) -> Rollout:
        """The rollout document in force."""
        await trio.lowlevel.checkpoint()
        return self._board.current

    async def replace_rollout(self, wanted: Rollout) -> Rollout | None:
        """Put `wanted` in force if its version is still the one in force."""
        await trio.lowlevel.checkpoint()
        return self._board.replace(wanted)

    async def wait_rollout_change(self, known: Rollout) -> Rollout:
        """The document in force once it is not `known`."""
        return await self._board.wait_change(known)

    async def put_record(self, record: SessionRecord) -> None:
        """Keep `record` for an hour."""
        self._shelf.put(record if self._keeps_words else record.without_words())
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def record(self, user_id: str, session_id: str) -> SessionRecord | None:
        """The record, if it is still kept."""
        await trio.lowlevel.checkpoint()
        return self._shelf.get(user_id, session_id)

    async def take_over(self, record: SessionRecord) -> SessionRecord:
        """There are no other instances."""
        await trio.lowlevel.checkpoint()
        return record

    async def wait_taken_over(self) -> str:
        """Never: there are no other instances."""
        await trio.sleep_forever()
        raise AssertionError("for ever is over")

    async def delete_records(self, user_id: str) -> int:
        """Delete a user's records."""
        await trio.lowlevel.checkpoint()
        return self._shelf.delete(user_id)

    async def add_spent(self, day: str, micro_usd: int, by_user: Mapping[str, int] | None = None) -> int:
        """Add to what was spent on a day."""
        self._sums.add(day, micro_usd, by_user or {})
        await trio.lowlevel.cancel_shielded_checkpoint()
        return self._sums.total(day)

    async def spent(self, day: str) -> int:
        """What was spent on a day."""
        await trio.lowlevel.checkpoint()
        return self._sums.total(day)

    async def spenders(self, day: str, count: int, user: str | None = None) -> Spenders:
        """Who spent most on a day."""
        await trio.lowlevel.checkpoint()
        return self._sums.spenders(day, count, user)

    async def announce(self, presence: InstanceInfo) -> tuple[InstanceInfo, ...]:
        """This process is there."""
        self._presence.say(presence)
        return await self.present()

    async def present(self) -> tuple[InstanceInfo, ...]:
        """This process, if it said so."""
        await trio.lowlevel.checkpoint()
        return self._presence.present

    async def withdraw(self) -> None:
        """Nobody is there."""
        self._presence.forget()
        await trio.lowlevel.checkpoint()
