"""Session records and the rollout document in memory; synchronous, for the states that share them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec
import trio

from voice_trio.state.session_record import RECORD_SECONDS, SessionRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voice_trio.state.rollout import Rollout

RECORDS_MAX = 2_000
"""Records of one process; beyond it those written least recently go."""
DELETIONS_MAX = 10_000
DELETION_SECONDS = 2 * RECORD_SECONDS
"""How long a deletion is held against older sessions: longer than any of them and its record can last."""


class RecordShelf:
    """Records for an hour each. `clock` never goes back; `unix_time` is compared with when sessions started."""

    def __init__(self, clock: Callable[[], float], unix_time: Callable[[], float]) -> None:
        self._clock = clock
        self._unix_time = unix_time
        self._records: OrderedDict[tuple[str, str], tuple[float, SessionRecord]] = OrderedDict()
        self._deletions: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """Records kept."""
        return len(self._records)

    def __iter__(self) -> Iterator[SessionRecord]:
        """The records still kept, those written least recently first."""
        self._forget_old_ones()
        return iter([record for _, record in self._records.values()])

    def put(self, record: SessionRecord) -> None:
        """Keep the record, unless a later one is there or the user wanted none kept."""
        key = (record.user_id, record.session_id)
        known = self.get(*key)
        is_old = known is not None and known.revision >= record.revision
        if is_old or record.started <= self.deleted_at(record.user_id):
            return
        self._records[key] = (self._clock() + RECORD_SECONDS, record)
        self._records.move_to_end(key)
        while len(self._records) > RECORDS_MAX:
            self._records.popitem(last=False)

    def get(self, user_id: str, session_id: str) -> SessionRecord | None:
        """The record, if it is still kept."""
        self._forget_old_ones()
        kept = self._records.get((user_id, session_id))
        return kept[1] if kept else None

    def drop(self, user_id: str, session_id: str) -> None:
        """Keep that record no longer."""
        self._records.pop((user_id, session_id), None)

    def delete(self, user_id: str) -> int:
        """Delete a user's records; none of a session that has started up to now will be kept."""
        self._deletions[user_id] = self._unix_time()
        self._deletions.move_to_end(user_id)
        while len(self._deletions) > DELETIONS_MAX:
            self._deletions.popitem(last=False)
        keys = [key for key in self._records if key[0] == user_id]
        for key in keys:
            del self._records[key]
        return len(keys)

    def deleted_at(self, user_id: str) -> float:
        """Unix time of the user's last deletion; 0 if it is too long ago to matter, or never was."""
        deleted_at = self._deletions.get(user_id, 0.0)
        return deleted_at if deleted_at + DELETION_SECONDS > self._unix_time() else 0.0

    @property
    def deletions(self) -> dict[str, float]:
        """When users' records were deleted, Unix time by user."""
        return {user_id: at for user_id in self._deletions if (at := self.deleted_at(user_id))}

    def _forget_old_ones(self) -> None:
        now = self._clock()
        while self._records:
            kept_until, _ = next(iter(self._records.values()))
            if kept_until > now:
                return
            self._records.popitem(last=False)


class RolloutBoard:
    """The document in force, and who waits for another."""

    def __init__(self, rollout: Rollout) -> None:
        self.current = rollout
        self._changed = trio.Event()

    def post(self, rollout: Rollout) -> None:
        """`rollout` is in force from now on."""
        if rollout != self.current:
            self.current = rollout
            self._changed.set()
            self._changed = trio.Event()

    def replace(self, wanted: Rollout) -> Rollout | None:
        """Put `wanted` in force as the next version if its version is the one in force."""
        if wanted.version != self.current.version:
            return None
        self.post(msgspec.structs.replace(wanted, version=wanted.version + 1))
        return self.current

    async def wait_change(self, known: Rollout) -> Rollout:
        """Return the document in force once it is not `known`."""
        await trio.lowlevel.checkpoint()
        while self.current == known:
            await self._changed.wait()
        return self.current
