"""Session records and the rollout document in memory; synchronous, shared by `MemoryState` and `RedisState`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import trio
from cachetools import Cache, FIFOCache, TTLCache

from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from voice_trio.state.rollout import Rollout
    from voice_trio.state.session_record import SessionRecord


class InMemoryRecords:
    """Session records, each kept for an hour.

    `clock` is monotonic. `unix_time` is compared with the start of a session.
    """

    def __init__(self, clock: Callable[[], float], unix_time: Callable[[], float]) -> None:
        self._unix_time = unix_time
        self._records: TTLCache[tuple[str, str], SessionRecord] = TTLCache(
            limits.RECORDS_MAX, limits.RECORD_SECONDS, clock
        )
        self._deletions: FIFOCache[str, float] = FIFOCache(limits.DELETIONS_MAX)  # a user deleted again is the newest

    def __len__(self) -> int:
        """Number of records."""
        return len(self._records)

    def __iter__(self) -> Iterator[SessionRecord]:
        """The unexpired records, least recently written first."""
        return iter(list(self._records.values()))

    def put(self, record: SessionRecord) -> None:
        """Store the record, unless a later revision is stored or the user's records were deleted since it began."""
        key = (record.user_id, record.session_id)
        known = self.get(*key)
        is_old = known is not None and known.revision >= record.revision
        if is_old or record.started <= self.deleted_at(record.user_id):
            return
        self._records.pop(key, None)  # so that it comes last when they are listed
        self._records[key] = record

    def get(self, user_id: str, session_id: str) -> SessionRecord | None:
        """The record, or None once it has expired."""
        key = (user_id, session_id)
        # Not `self._records.get`: reading a record must not protect it from eviction.
        return Cache.__getitem__(self._records, key) if key in self._records else None

    def remove(self, user_id: str, session_id: str) -> None:
        """Remove one record."""
        self._records.pop((user_id, session_id), None)

    def delete(self, user_id: str) -> int:
        """Delete a user's records and block those of sessions that have started up to now; returns the number."""
        self._deletions[user_id] = self._unix_time()
        keys = [key for key in self._records if key[0] == user_id]
        for key in keys:
            self._records.pop(key, None)  # one may expire while the others are deleted
        return len(keys)

    def deleted_at(self, user_id: str) -> float:
        """Unix time of the user's last deletion; 0 if there was none within `limits.DELETION_SECONDS`."""
        deleted_at = self._deletions.get(user_id, 0.0)
        return deleted_at if deleted_at + limits.DELETION_SECONDS > self._unix_time() else 0.0

    @property
    def deletions(self) -> dict[str, float]:
        """The deletions that still block records: Unix time by user."""
        return {user_id: at for user_id in self._deletions if (at := self.deleted_at(user_id))}


class InMemoryRollout:
    """The rollout document in force, and the tasks that wait for the next one."""

    def __init__(self, rollout: Rollout) -> None:
        self.current = rollout
        self._changed = trio.Event()

    def set(self, rollout: Rollout) -> None:
        """Put `rollout` in force."""
        if rollout != self.current:
            self.current = rollout
            self._changed.set()
            self._changed = trio.Event()

    def replace(self, proposed: Rollout) -> Rollout | None:
        """Put `proposed` in force as the next version; None if its version is not the one in force."""
        if proposed.version != self.current.version:
            return None
        self.set(msgspec.structs.replace(proposed, version=proposed.version + 1))
        return self.current

    async def wait_change(self, known: Rollout) -> Rollout:
        """Wait until the document in force is not `known`, then return it."""
        await trio.lowlevel.checkpoint()
        while self.current == known:
            await self._changed.wait()
        return self.current
