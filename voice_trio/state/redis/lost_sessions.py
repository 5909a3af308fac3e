"""Lost sessions in Redis: the keys of instances show life, and a key for each ended record shows that it was claimed.

voice:{lost:SESSION}:REVISION  string  the instance that ends the record
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio import limits
from voice_trio.state.redis.driver import RedisFailed
from voice_trio.state.redis.keys import PREFIX, alive_key

if TYPE_CHECKING:
    from collections.abc import Collection

    from voice_trio.state.redis.connection import RedisConnection
    from voice_trio.state.redis.driver import RedisDriver


class RedisLostSessions:
    """`LostSessions` in Redis, as `instance` sees them."""

    def __init__(self, connection: RedisConnection, driver: RedisDriver, instance: str) -> None:
        self._connection = connection
        self._driver = driver
        self._instance = instance

    async def gone(self, instances: Collection[str]) -> frozenset[str]:
        """Those that have not shown any life for 10 s."""
        try:
            return await self._connection.call(self._gone, instances)
        except RedisFailed:
            return frozenset()

    async def claim(self, session_id: str, revision: int) -> bool:
        """Whether the caller is to end the record."""
        try:
            return await self._connection.call(self._claim, session_id, revision)
        except RedisFailed:
            return False

    def _gone(self, instances: Collection[str]) -> frozenset[str]:
        return frozenset(
            instance
            for instance in instances
            if instance != self._instance and not self._driver.call("EXISTS", alive_key(instance))
        )

    def _claim(self, session_id: str, revision: int) -> bool:
        key = f"{PREFIX}{{lost:{session_id}}}:{revision}"
        expiry = round(limits.RECORD_SECONDS)
        return self._driver.call("SET", key, self._instance, "NX", "EX", expiry) is not None
