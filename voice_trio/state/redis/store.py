"""The shared store itself: each question to Redis is one round trip. Knows nothing of what to do when it is away.

Every method blocks and belongs in a worker thread. Each may be told twice, or be abandoned half-way and told again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from voice_trio.errors import BadMessage
from voice_trio.state.in_memory_store import DELETION_SECONDS
from voice_trio.state.instance_registry import PRESENT_SECONDS, InstanceInfo, decode_instance
from voice_trio.state.redis.driver import RedisFailed, RedisFault
from voice_trio.state.redis.scripts import (
    INSTANCES_KEYS,
    ROLLOUT_KEY,
    Scripts,
    UserKeys,
    alive_key,
    spent_keys,
    wanted_key,
)
from voice_trio.state.rollout import parse_rollout
from voice_trio.state.session_record import RECORD_SECONDS, decode_record, encode_record
from voice_trio.state.state import OTHERS, USERS_REMEMBERED, Granted, Limit, Refused, Spenders

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.state.limit_counters import Holdings
    from voice_trio.state.redis.driver import Argument, RedisDriver
    from voice_trio.state.rollout import Rollout
    from voice_trio.state.session_record import SessionRecord
    from voice_trio.state.state import Quotas

log = structlog.get_logger(__name__)

DAY_SECONDS = 86_400
SPENT_SECONDS = 2 * DAY_SECONDS
ROLLOUT_SECONDS = 30 * DAY_SECONDS
"""Renewed at every change and at least every hour by every instance: it lapses when all were off for a month."""
ALIVE_SECONDS = 10
"""Written with every look, so every 3 s."""
WANTED_SECONDS = 10.0


class RedisStore:
    """Over one driver. Raises `RedisFailed`."""

    def __init__(self, driver: RedisDriver, quotas: Quotas, scripts: Scripts) -> None:
        self._driver = driver
        self._quotas = quotas
        self._scripts = scripts

    def admit(self, user_id: str, session_id: str) -> Granted | Refused:
        """Take a rate slot and a lease, or neither."""
        keys, quotas = UserKeys(user_id), self._quotas
        limits = [quotas.sessions_per_window, quotas.concurrent]
        spans = [_micro(quotas.window_seconds), _micro(quotas.lease_seconds)]
        match self._driver.run(self._scripts.admit, [keys.slots, keys.leases], [session_id, *limits, *spans]):
            case [b"granted"]:
                return Granted()
            case [b"concurrency"]:
                return Refused(Limit.CONCURRENCY)
            case [b"rate", micros]:
                return Refused(Limit.RATE, retry_after=int(micros) / 1e6)
            case answer:
                raise RedisFailed(RedisFault.BROKEN, f"unexpected answer {answer!r}"[:100])

    def release(self, user_id: str, session_id: str) -> None:
        """Give the rate slot and the lease back."""
        keys = UserKeys(user_id)
        self._driver.run(self._scripts.release, [keys.slots, keys.leases], [session_id])

    def renew(self, user_id: str, session_id: str) -> None:
        """Keep the lease, or take it again."""
        leases = UserKeys(user_id).leases
        self._driver.run(self._scripts.renew, [leases], [session_id, _micro(self._quotas.lease_seconds)])

    def end(self, user_id: str, session_id: str) -> None:
        """Give only the lease back."""
        self._driver.run(self._scripts.end, [UserKeys(user_id).leases], [session_id])

    def reset(self, user_id: str) -> None:
        """Open all rate slots; slots taken before are not restored by anybody any more."""
        keys = UserKeys(user_id)
        self._driver.run(self._scripts.reset, [keys.slots, keys.reset], [_micro(self._quotas.window_seconds)])

    def restore(self, user_id: str, held: Holdings) -> None:
        """Tell what an instance knows a user to hold; what Redis knows already stays as it is."""
        keys = UserKeys(user_id)
        told: list[Argument] = []
        for session, seconds in [*held.slots.items(), *held.leases.items()]:
            told += [session, _micro(seconds)]
        spans = [_micro(self._quotas.window_seconds), _micro(self._quotas.lease_seconds)]
        self._driver.run(self._scripts.restore, [keys.slots, keys.leases, keys.reset], [*spans, len(held.slots), *told])

    def put_record(self, record: SessionRecord) -> bool:
        """Whether it may be kept: not if the user's records were deleted since the session began."""
        keys = UserKeys(record.user_id)
        names = [keys.record(record.session_id), keys.records, keys.deleted]
        stamp: list[Argument] = [record.session_id, record.revision, _micro(record.started)]
        arguments = [*stamp, encode_record(record), _micro(RECORD_SECONDS)]
        return bool(self._driver.run(self._scripts.put_record, names, arguments))

    def record(self, user_id: str, session_id: str) -> SessionRecord | None:
        """The record, if there is one."""
        data = self._driver.call("HGET", UserKeys(user_id).record(session_id), "json")
        return None if data is None else decode_record(data)

    def delete_records(self, user_id: str, at: float = 0.0) -> int:
        """Delete the records of sessions that began before `at` (Unix time; 0: now), and remember that."""
        keys = UserKeys(user_id)
        arguments: list[Argument] = [keys.record_base, _micro(DELETION_SECONDS), _micro(at)]
        return int(self._driver.run(self._scripts.delete_records, [keys.records, keys.deleted], arguments))

    def spend(self, day: str, instance: str, own: int, by_user: Mapping[str, int]) -> int:
        """Tell what `instance` spent on `day` in all, and some of its users; returns what all did. 0 only asks."""
        arguments: list[Argument] = [instance, own, _micro(SPENT_SECONDS), USERS_REMEMBERED, OTHERS]
        for user, micro in by_user.items():
            arguments += [user, micro]
        return int(self._driver.run(self._scripts.spend, spent_keys(day, instance), arguments))

    def spenders(self, day: str, count: int, user: str | None) -> Spenders:
        """Who spent most on `day`, and what `user` did."""
        key = spent_keys(day, "")[1]
        own, found = self._driver.run(self._scripts.spenders, [key], [count, user or ""])
        pairs = zip(found[::2], found[1::2], strict=True)
        return Spenders(tuple((name.decode(), int(float(micro))) for name, micro in pairs), int(float(own)))

    def announce(self, instance: str, presence: InstanceInfo | None) -> tuple[InstanceInfo, ...]:
        """Say that `instance` is there, unless this is only a question; returns who is."""
        told = b"" if presence is None else msgspec.json.encode(presence)
        found = self._driver.run(self._scripts.announce, INSTANCES_KEYS, [instance, _micro(PRESENT_SECONDS), told])
        pairs = zip(found[::2], found[1::2], strict=True)
        there = [decode_instance(data, round(int(since) / 1e6, 1)) for since, data in pairs]
        return tuple(sorted(filter(None, there), key=lambda one: (one.started, one.instance)))

    def withdraw(self, instance: str) -> None:
        """It is gone."""
        self._driver.run(self._scripts.withdraw, INSTANCES_KEYS, [instance])

    def offer_rollout(self, mine: Rollout) -> Rollout:
        """Put `mine` in force if what is there is older or nothing; returns the document in force."""
        arguments: list[Argument] = [mine.version, msgspec.json.encode(mine), _micro(ROLLOUT_SECONDS)]
        stored = self._driver.run(self._scripts.offer_rollout, [ROLLOUT_KEY], arguments)
        try:
            return parse_rollout(msgspec.json.decode(stored))
        except (msgspec.DecodeError, BadMessage):
            # A later version of this package may know more fields. Better the document we have than none.
            log.warning("rollout_unreadable", detail="the stored document makes no sense here and is ignored")
            return mine

    def replace_rollout(self, wanted: Rollout) -> Rollout | None:
        """Put `wanted` in force, as the next version, if its version is the one in force."""
        following = msgspec.structs.replace(wanted, version=wanted.version + 1)
        arguments: list[Argument] = [wanted.version, msgspec.json.encode(following), _micro(ROLLOUT_SECONDS)]
        return following if self._driver.run(self._scripts.replace_rollout, [ROLLOUT_KEY], arguments) else None

    def probe(self, instance: str) -> float:
        """Whether it can be written to at all, and how many seconds that takes."""
        began_at = time.monotonic()
        self._driver.call("SET", alive_key(instance), "1", "EX", ALIVE_SECONDS)
        return time.monotonic() - began_at

    def want(self, instance: str, session_id: str) -> bool:
        """Ask `instance` to let a session go; False if it is gone itself."""
        keys = [alive_key(instance), wanted_key(instance)]
        return bool(self._driver.run(self._scripts.want, keys, [session_id, _micro(WANTED_SECONDS)]))

    def news(self, instance: str) -> tuple[int | None, list[str]]:
        """The rollout's version (None: there is no document), and the sessions that `instance` is to let go."""
        version = self._driver.call("HGET", ROLLOUT_KEY, "version")
        wanted = self._driver.run(self._scripts.take_wanted, [wanted_key(instance)], [])
        return None if version is None else int(version), [session.decode() for session in wanted]

    def info(self) -> dict[str, Any]:
        """What the server says of itself; nothing where it may not be asked."""
        try:
            return self._driver.info()
        except RedisFailed as failed:
            if failed.fault is RedisFault.NOT_PERMITTED:
                return {}
            raise


def _micro(seconds: float) -> int:
    return round(seconds * 1_000_000)
