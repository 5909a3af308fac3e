"""Expected spending in Redis, beside the day's sums and in their hash slot.

voice:{spent:DAY}:expecting    set   instances that have stated something
voice:{spent:DAY}:expected:ID  hash  user (hashed) → millionths of a dollar that instance ID will have billed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio import limits
from voice_trio.state.redis.driver import RedisFailed
from voice_trio.state.redis.keys import alive_key, spent_keys
from voice_trio.state.redis.scripts import RedisScript
from voice_trio.state.state import OTHERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.state.redis.connection import RedisConnection
    from voice_trio.state.redis.driver import Argument, RedisDriver

# ARGV: instance, TTL in ms, then users and their sums.
_EXPECT = RedisScript("""
redis.call('DEL', KEYS[2])
if #ARGV == 2 then return redis.call('SREM', KEYS[1], ARGV[1]) end
for i = 3, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
""")
# The sums of the instance rise to what it had expected. ARGV: instance, TTL in ms, number of users at most, name for
# further users.
_SETTLE = RedisScript("""
local spent, users, reported, expecting, expected = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local sum = 0
local found = redis.call('HGETALL', expected)
for i = 1, #found, 2 do
  local name, more = found[i], found[i + 1] - (redis.call('HGET', reported, found[i]) or 0)
  if more > 0 then
    redis.call('HSET', reported, name, found[i + 1])
    if redis.call('ZCARD', users) >= tonumber(ARGV[3]) and not redis.call('ZSCORE', users, name) then name = ARGV[4] end
    redis.call('ZINCRBY', users, string.format('%.0f', more), name)
    sum = sum + more
  end
end
if sum > 0 then
  redis.call('HINCRBY', spent, ARGV[1], string.format('%.0f', sum))
  for i = 1, 3 do redis.call('PEXPIRE', KEYS[i], ARGV[2]) end
end
redis.call('DEL', expected)
redis.call('SREM', expecting, ARGV[1])
return string.format('%.0f', sum)
""")
_EXPIRY_MS = limits.REDIS_SPENT_SECONDS * 1000


class RedisExpectedSpend:
    """`ExpectedSpend` in Redis, of one `instance`."""

    def __init__(self, connection: RedisConnection, driver: RedisDriver, instance: str) -> None:
        self._connection = connection
        self._driver = driver
        self._instance = instance

    async def expect(self, day: str, by_user: Mapping[str, int]) -> bool:
        """State what this instance will have billed."""
        try:
            await self._connection.call(self._expect, day, by_user)
        except RedisFailed:
            return False
        return True

    async def settle_lost(self, day: str) -> dict[str, int]:
        """Count what instances that are gone had expected."""
        try:
            return await self._connection.call(self._settle_lost, day)
        except RedisFailed:
            return {}

    def _expect(self, day: str, by_user: Mapping[str, int]) -> None:
        arguments: list[Argument] = [self._instance, _EXPIRY_MS]
        for user, micro in by_user.items():
            arguments += [user, micro]
        self._driver.run(_EXPECT, _keys(day, self._instance)[3:], arguments)

    def _settle_lost(self, day: str) -> dict[str, int]:
        expecting: list[bytes] = self._driver.call("SMEMBERS", _keys(day, "")[3])
        counted: dict[str, int] = {}
        for instance in (name.decode() for name in expecting):
            if instance != self._instance and not self._driver.call("EXISTS", alive_key(instance)):
                arguments: list[Argument] = [instance, _EXPIRY_MS, limits.USERS_REMEMBERED_MAX, OTHERS]
                counted[instance] = int(self._driver.run(_SETTLE, _keys(day, instance), arguments))
        return {instance: micro for instance, micro in counted.items() if micro}


def _keys(day: str, instance: str) -> list[str]:
    keys = spent_keys(day, instance)
    return [*keys, f"{keys[0]}:expecting", f"{keys[0]}:expected:{instance}"]
