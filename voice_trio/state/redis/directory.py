"""The live sessions of all instances in Redis: one report an instance, and where each session's record is.

voice:{sessions}:seen       sorted set  instance → when it last reported
voice:{sessions}:told       hash        instance → json of its sessions
voice:{sessions}:user:HOUR  hash        session → the user part of its record's key, by the hour of its beginning
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from voice_trio import limits
from voice_trio.state.redis.driver import RedisFailed
from voice_trio.state.redis.keys import PREFIX, UserKeys
from voice_trio.state.redis.scripts import CLOCK, RedisScript
from voice_trio.state.session_directory import OwnSessions, SessionList, decode_sessions, in_order, record_of
from voice_trio.state.session_record import decode_record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from voice_trio.state.in_memory_store import InMemoryRecords
    from voice_trio.state.redis.connection import RedisConnection
    from voice_trio.state.redis.driver import Argument, RedisDriver
    from voice_trio.state.session_directory import LiveSession
    from voice_trio.state.session_record import SessionRecord

_BASE = f"{PREFIX}{{sessions}}:"
_REPORTS = [f"{_BASE}seen", f"{_BASE}told"]
_HOUR_SECONDS = 3600
# A session begins up to an hour before its end, and its record lives an hour longer.
_HOURS_BACK = 2

_FORGET = """
local seen, told = KEYS[1], KEYS[2]
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', seen, '-inf', string.format('%.0f', now - ARGV[2]))) do
  redis.call('ZREM', seen, gone)
  redis.call('HDEL', told, gone)
end
"""
# ARGV: instance, TTL, json, TTL of the users, then session and user of each session that began.
_REPORT = """
redis.call('ZADD', seen, string.format('%.0f', now), ARGV[1])
redis.call('HSET', told, ARGV[1], ARGV[3])
redis.call('PEXPIRE', seen, string.format('%.0f', ARGV[2] / 1000))
redis.call('PEXPIRE', told, string.format('%.0f', ARGV[2] / 1000))
for i = 5, #ARGV, 2 do redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end
if #ARGV > 4 then redis.call('PEXPIRE', KEYS[3], string.format('%.0f', ARGV[4] / 1000)) end
"""
# ARGV: (unused), TTL.
_READ = "return redis.call('HVALS', told)"
_WITHDRAW = "redis.call('ZREM', KEYS[1], ARGV[1]); redis.call('HDEL', KEYS[2], ARGV[1])"


class RedisDirectory:
    """A `SessionDirectory` in Redis. While Redis is unavailable it knows the sessions of this process only."""

    def __init__(
        self,
        connection: RedisConnection,
        driver: RedisDriver,
        records: InMemoryRecords,
        instance: str,
        clock: Callable[[], float],
        *,
        redis_clock: str = CLOCK,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        """`records` are those of this process; `redis_clock` is Lua that sets `now` in microseconds."""
        self._connection = connection
        self._records = records
        self._own = OwnSessions(clock)
        self._store = _DirectoryStore(driver, instance, redis_clock, unix_time)

    async def report(self, sessions: Sequence[LiveSession], begun: Mapping[str, str]) -> bool:
        """Put `sessions` in place of what this instance reported before."""
        self._own.report(sessions)
        try:
            await self._connection.call(self._store.report, sessions[: limits.DIRECTORY_SESSIONS_MAX], begun)
        except RedisFailed:
            return False
        return True

    async def sessions(self) -> SessionList:
        """All reported sessions."""
        try:
            return SessionList(await self._connection.call(self._store.sessions))
        except RedisFailed:
            return SessionList(self._own.sessions, is_complete=False)

    async def record(self, session_id: str) -> SessionRecord | None:
        """The record of a session of any user."""
        own = record_of(self._records, session_id)
        try:
            stored = await self._connection.call(self._store.record, session_id)
        except RedisFailed:
            return own
        return own if stored is None or (own is not None and own.revision > stored.revision) else stored

    async def withdraw(self) -> None:
        """Remove what this instance has reported; while Redis is unavailable it expires there."""
        self._own.report(())
        try:
            await self._connection.call(self._store.withdraw)
        except RedisFailed:
            return


class _DirectoryStore:
    """Reads and writes, each one round trip; every method blocks, belongs in a worker thread, raises `RedisFailed`."""

    def __init__(self, driver: RedisDriver, instance: str, redis_clock: str, unix_time: Callable[[], float]) -> None:
        self._driver = driver
        self._instance = instance
        self._unix_time = unix_time
        self._report = RedisScript(redis_clock + _FORGET + _REPORT)
        self._read = RedisScript(redis_clock + _FORGET + _READ)
        self._withdraw = RedisScript(_WITHDRAW)
        self._expiry = round(limits.DIRECTORY_EXPIRY_SECONDS * 1_000_000)

    def report(self, sessions: Sequence[LiveSession], begun: Mapping[str, str]) -> None:
        users_expiry = (_HOURS_BACK + 2) * _HOUR_SECONDS * 1_000_000
        arguments: list[Argument] = [self._instance, self._expiry, msgspec.json.encode(sessions), users_expiry]
        for session_id, user_id in begun.items():
            arguments += [session_id, UserKeys(user_id).base]
        self._driver.run(self._report, [*_REPORTS, self._users_keys()[0]], arguments)

    def sessions(self) -> tuple[LiveSession, ...]:
        found: list[bytes] = self._driver.run(self._read, _REPORTS, ["", self._expiry])
        return in_order(session for data in found for session in decode_sessions(data))

    def record(self, session_id: str) -> SessionRecord | None:
        for key in self._users_keys():
            base: Any = self._driver.call("HGET", key, session_id)
            if base is not None:
                data = self._driver.call("HGET", f"{base.decode()}record:{session_id}", "json")
                return None if data is None else decode_record(data)
        return None

    def withdraw(self) -> None:
        self._driver.run(self._withdraw, _REPORTS, [self._instance])

    def _users_keys(self) -> list[str]:
        """The keys of the hours in which a session may have begun, the present one first."""
        hour = int(self._unix_time() // _HOUR_SECONDS)
        return [f"{_BASE}user:{hour - back}" for back in range(_HOURS_BACK + 1)]
