"""The live sessions of all instances, for operators: each instance reports its own every few seconds.

Names no people: users are hashes. It also finds the record of a session by the session's id alone, which is all that a
complaint or a log line gives. `MemoryDirectory` and `RedisDirectory` implement it and pass the same contract tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec
import trio

from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from voice_trio.state.in_memory_store import InMemoryRecords
    from voice_trio.state.session_record import SessionRecord


class LiveSession(msgspec.Struct, frozen=True, kw_only=True):
    """One live session as its instance last reported it."""

    session_id: str
    user: str
    """Hashed, as in the logs."""
    plan: str
    since: float
    """Unix seconds at which this connection began."""
    connected_seconds: float
    """Of all its connections together."""
    cost_usd: float
    """Of all its connections together."""
    state: str
    """A value of `voice_trio.session.summary.Activity`."""
    protocol: str
    """`voice` or `realtime`."""
    instance: str
    turns: int
    """Of this connection."""


@dataclass(frozen=True, slots=True)
class SessionList:
    """Live sessions, oldest first. `is_complete` is False where only those of this process are known."""

    sessions: tuple[LiveSession, ...]
    is_complete: bool = True


class SessionDirectory(Protocol):
    """The live sessions of all instances. No method raises anything but cancellation."""

    async def report(self, sessions: Sequence[LiveSession], begun: Mapping[str, str]) -> bool:
        """Put `sessions` in place of what this instance reported before; they expire after 20 s.

        At most `limits.DIRECTORY_SESSIONS_MAX` are kept. `begun` are the users' ids by the ids of sessions that began
        since the last report; they are needed to find records, and not kept as they are. False if nothing was stored.
        """
        ...

    async def sessions(self) -> SessionList:
        """All reported sessions; only those of this process while the store is unavailable."""
        ...

    async def record(self, session_id: str) -> SessionRecord | None:
        """The record of a session of any user; None if it has expired, or is unknown here."""
        ...

    async def withdraw(self) -> None:
        """Remove what this instance has reported."""
        ...


class OwnSessions:
    """What this process reported last. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._reported_at = float("-inf")
        self._sessions: tuple[LiveSession, ...] = ()

    def report(self, sessions: Sequence[LiveSession]) -> None:
        """Keep `sessions` for 20 s."""
        self._reported_at = self._clock()
        self._sessions = tuple(sessions[: limits.DIRECTORY_SESSIONS_MAX])

    @property
    def sessions(self) -> tuple[LiveSession, ...]:
        """What was reported, unless it has expired."""
        is_fresh = self._clock() - self._reported_at < limits.DIRECTORY_EXPIRY_SECONDS
        return in_order(self._sessions) if is_fresh else ()


class MemoryDirectory:
    """The directory of a process without a shared store."""

    def __init__(self, records: InMemoryRecords, clock: Callable[[], float]) -> None:
        self._records = records
        self._own = OwnSessions(clock)

    async def report(self, sessions: Sequence[LiveSession], begun: Mapping[str, str]) -> bool:
        """Keep `sessions`; records are found without `begun`."""
        del begun
        await trio.lowlevel.checkpoint()
        self._own.report(sessions)
        return True

    async def sessions(self) -> SessionList:
        """What was reported last."""
        await trio.lowlevel.checkpoint()
        return SessionList(self._own.sessions)

    async def record(self, session_id: str) -> SessionRecord | None:
        """The record of a session."""
        await trio.lowlevel.checkpoint()
        return record_of(self._records, session_id)

    async def withdraw(self) -> None:
        """Forget what was reported."""
        await trio.lowlevel.checkpoint()
        self._own.report(())


def record_of(records: InMemoryRecords, session_id: str) -> SessionRecord | None:
    """The record of a session among all users' records."""
    return next((record for record in records if record.session_id == session_id), None)


def in_order(sessions: Iterable[LiveSession]) -> tuple[LiveSession, ...]:
    """Oldest first."""
    return tuple(sorted(sessions, key=lambda session: (session.since, session.session_id)))


def decode_sessions(data: bytes) -> tuple[LiveSession, ...]:
    """Decode one instance's report; empty if `data` is none, for example one of a later version."""
    try:
        return msgspec.json.decode(data, type=tuple[LiveSession, ...])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ()
