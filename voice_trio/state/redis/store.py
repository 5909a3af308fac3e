"""Reads and writes of Redis, each one round trip. Knows nothing of what happens while Redis is unavailable.

Every method blocks and belongs in a worker thread. Every write is idempotent, also after an abandoned call.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from voice_trio import limits
from voice_trio.errors import BadMessage
from voice_trio.state.instance_registry import InstanceInfo, decode_instance
from voice_trio.state.redis.driver import RedisFailed, RedisFault
from voice_trio.state.redis.keys import INSTANCES_KEYS, ROLLOUT_KEY, UserKeys, alive_key, request_keys, spent_keys
from voice_trio.state.redis.quota_store import RedisQuotaStore, micros
from voice_trio.state.rollout import decode_rollout, encode_rollout
from voice_trio.state.session_claims import InstanceRequest, Verb
from voice_trio.state.session_record import decode_record, encode_record
from voice_trio.state.state import OTHERS, Spenders

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.state.redis.driver import Argument
    from voice_trio.state.rollout import Rollout
    from voice_trio.state.session_record import SessionRecord

log = structlog.get_logger(__name__)


class RedisStore(RedisQuotaStore):
    """The scripts and commands over one driver. Every method raises `RedisFailed`."""

    def put_record(self, record: SessionRecord) -> bool:
        """Store a record; False if the user's records were deleted since the session began."""
        keys = UserKeys(record.user_id)
        session = record.session_id
        names = [keys.record(session), keys.records, keys.deleted, keys.holder(session)]
        stamp: list[Argument] = [session, record.revision, micros(record.started)]
        arguments = [*stamp, encode_record(record), micros(limits.RECORD_SECONDS), record.instance]
        return bool(self._driver.run(self._scripts.put_record, names, arguments))

    def record(self, user_id: str, session_id: str) -> SessionRecord | None:
        """The record, or None."""
        data = self._driver.call("HGET", UserKeys(user_id).record(session_id), "json")
        return None if data is None else decode_record(data)

    def delete_records(self, user_id: str, at: float = 0.0) -> int:
        """Delete and block the records of sessions that began before `at` (Unix time; 0: now); returns the number."""
        keys = UserKeys(user_id)
        arguments: list[Argument] = [keys.record_base, micros(limits.DELETION_SECONDS), micros(at)]
        return int(self._driver.run(self._scripts.delete_records, [keys.records, keys.deleted], arguments))

    def spend(self, day: str, instance: str, own: int, by_user: Mapping[str, int]) -> int:
        """Report the day's sum of `instance` and of some users; returns the sum of all instances. 0 only reads."""
        arguments: list[Argument] = [
            instance,
            own,
            micros(limits.REDIS_SPENT_SECONDS),
            limits.USERS_REMEMBERED_MAX,
            OTHERS,
        ]
        for user, micro in by_user.items():
            arguments += [user, micro]
        return int(self._driver.run(self._scripts.spend, spent_keys(day, instance), arguments))

    def spenders(self, day: str, count: int, user: str | None) -> Spenders:
        """The `count` users who spent most on `day`, and what `user` spent."""
        key = spent_keys(day, "")[1]
        own, found = self._driver.run(self._scripts.spenders, [key], [count, user or ""])
        pairs = zip(found[::2], found[1::2], strict=True)
        return Spenders(tuple((name.decode(), int(float(micro))) for name, micro in pairs), int(float(own)))

    def announce(self, instance: str, info: InstanceInfo | None) -> tuple[InstanceInfo, ...]:
        """Announce `instance`, or only read if `info` is None; returns all instances, oldest first."""
        data = b"" if info is None else msgspec.json.encode(info)
        found = self._driver.run(
            self._scripts.announce, INSTANCES_KEYS, [instance, micros(limits.INSTANCE_EXPIRY_SECONDS), data]
        )
        pairs = zip(found[::2], found[1::2], strict=True)
        instances = [decode_instance(entry, round(int(since) / 1e6, 1)) for since, entry in pairs]
        return tuple(sorted(filter(None, instances), key=lambda one: (one.started, one.instance)))

    def withdraw(self, instance: str) -> None:
        """Withdraw the announcement of `instance`."""
        self._driver.run(self._scripts.withdraw, INSTANCES_KEYS, [instance])

    def offer_rollout(self, own: Rollout) -> Rollout:
        """Put `own` in force if Redis has an older document or none; returns the document in force."""
        arguments: list[Argument] = [own.version, self._encoded(own), micros(limits.REDIS_ROLLOUT_SECONDS)]
        stored = self._driver.run(self._scripts.offer_rollout, [ROLLOUT_KEY], arguments)
        try:
            return decode_rollout(stored)[0]
        except BadMessage:
            log.warning("rollout_unreadable", detail="the stored document cannot be decoded and is ignored")
            return own

    def replace_rollout(self, proposed: Rollout) -> Rollout | None:
        """Put `proposed` in force as the next version; None if its version is not the one in force."""
        following = msgspec.structs.replace(proposed, version=proposed.version + 1)
        arguments: list[Argument] = [
            proposed.version,
            self._encoded(following),
            micros(limits.REDIS_ROLLOUT_SECONDS),
        ]
        return following if self._driver.run(self._scripts.replace_rollout, [ROLLOUT_KEY], arguments) else None

    def _encoded(self, rollout: Rollout) -> bytes:
        """`rollout` as it is stored, with those fields of the stored document that a later version wrote."""
        stored = self._driver.call("HGET", ROLLOUT_KEY, "json")
        unknown: dict[str, Any] = {}
        if stored is not None:
            with suppress(BadMessage):
                _, unknown = decode_rollout(stored)
        return encode_rollout(rollout, unknown)

    def probe(self, instance: str) -> float:
        """Write a key that marks `instance` as alive; returns the seconds that took."""
        began_at = time.monotonic()
        self._driver.call("SET", alive_key(instance), "1", "EX", limits.REDIS_ALIVE_SECONDS)
        return time.monotonic() - began_at

    def request(self, instance: str, request: InstanceRequest) -> bool:
        """Send `request` to `instance`; False if that instance is gone, or has not polled for 2 s."""
        member = f"{request.verb.value} {request.session_id} {request.holder}"
        left_ms = 1000 * (limits.REDIS_ALIVE_SECONDS - limits.REDIS_SILENT_SECONDS)
        arguments: list[Argument] = [member, micros(limits.REDIS_REQUEST_SECONDS), left_ms]
        return bool(self._driver.run(self._scripts.request, request_keys(instance), arguments))

    def poll(self, instance: str) -> tuple[int | None, str, list[InstanceRequest]]:
        """The rollout's version (None: no document), from when Redis decides, and the requests to `instance`.

        Marks `instance` as alive.
        """
        version, complete = self._driver.call("HMGET", ROLLOUT_KEY, "version", "complete")
        alive = [micros(limits.REDIS_ALIVE_SECONDS)]
        asked = self._driver.run(self._scripts.pop_requests, request_keys(instance), alive)
        requests = list(filter(None, map(_request, asked)))
        return None if version is None else int(version), (complete or b"").decode(), requests

    def info(self) -> dict[str, Any]:
        """The reply to INFO; empty if the ACL forbids it."""
        try:
            return self._driver.info()
        except RedisFailed as failed:
            if failed.fault is RedisFault.NOT_PERMITTED:
                return {}
            raise


def _request(member: bytes) -> InstanceRequest | None:
    """None for a request of a later version."""
    try:
        verb, session_id, holder = member.decode().split(" ")
        return InstanceRequest(Verb(verb), session_id, holder)
    except ValueError:
        return None
