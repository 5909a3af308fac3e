"""The atomic operations as Lua scripts. Times are microseconds by the clock of Redis; every script is idempotent.

Their keys are in `keys`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from voice_trio.state.redis import quota_scripts

CLOCK = "local t = redis.call('TIME'); local now = t[1] * 1000000 + t[2]\n"
# Lua would write microseconds as 1.7e+15.
_WHOLE = "local function whole(n) return string.format('%.0f', n) end\n"


@dataclass(frozen=True, slots=True)
class RedisScript:
    """Lua with the SHA-1 under which Redis caches it."""

    text: str
    sha: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sha", hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest())


# ARGV: session, revision, started, json, TTL, instance. Returns 0 if the user's records were deleted since that session
# began. A record of an instance that has lost the session is ignored.
_PUT_RECORD = """
local record, index = KEYS[1], KEYS[2]
if tonumber(ARGV[3]) <= tonumber(redis.call('GET', KEYS[3]) or 0) then return 0 end
if tonumber(redis.call('HGET', record, 'revision') or -1) >= tonumber(ARGV[2]) then return 1 end
local holder = held_by(KEYS[4])
if holder and string.match(holder, '^[^.]*') ~= ARGV[6] then return 1 end
redis.call('HSET', record, 'revision', ARGV[2], 'started', ARGV[3], 'json', ARGV[4])
redis.call('PEXPIRE', record, whole(ARGV[5] / 1000))
redis.call('ZREMRANGEBYSCORE', index, '-inf', whole(now))
redis.call('ZADD', index, whole(now + ARGV[5]), ARGV[1])
redis.call('PEXPIRE', index, whole(ARGV[5] / 1000))
return 1
"""
# ARGV: prefix of record keys (in the same hash slot), TTL of the deletion, its time (0: now).
_DELETE_RECORDS = """
local index, deleted = KEYS[1], KEYS[2]
local at = tonumber(ARGV[3])
if at == 0 then at = now end
local gone = 0
for _, session in ipairs(redis.call('ZRANGE', index, 0, -1)) do
  local started = tonumber(redis.call('HGET', ARGV[1] .. session, 'started') or 0)
  if started <= at then
    gone = gone + redis.call('DEL', ARGV[1] .. session)
    redis.call('ZREM', index, session)
  end
end
if tonumber(redis.call('GET', deleted) or 0) < at then
  redis.call('SET', deleted, whole(at), 'PX', whole(ARGV[2] / 1000))
end
return gone
"""
# An instance reports its whole sums, so that a repeated report counts once.
# ARGV: instance, its sum, TTL, number of users at most, name for further users, then users and their sums.
_SPEND = """
for i = 6, #ARGV, 2 do
  local more = ARGV[i + 1] - (redis.call('HGET', KEYS[3], ARGV[i]) or 0)
  if more > 0 then
    local name = ARGV[i]
    if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) and not redis.call('ZSCORE', KEYS[2], name) then
      name = ARGV[5]
    end
    redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1])
    redis.call('ZINCRBY', KEYS[2], whole(more), name)
  end
end
if #ARGV > 5 then
  redis.call('PEXPIRE', KEYS[2], whole(ARGV[3] / 1000))
  redis.call('PEXPIRE', KEYS[3], whole(ARGV[3] / 1000))
end
if tonumber(ARGV[2]) > tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  redis.call('PEXPIRE', KEYS[1], whole(ARGV[3] / 1000))
end
local sum = 0
for _, value in ipairs(redis.call('HVALS', KEYS[1])) do sum = sum + value end
return whole(sum)
"""
# ARGV: number of users, the user whose sum is returned.
_SPENDERS = """
local own = redis.call('ZSCORE', KEYS[1], ARGV[2]) or '0'
return {own, redis.call('ZREVRANGE', KEYS[1], 0, ARGV[1] - 1, 'WITHSCORES')}
"""
# ARGV: instance, TTL, json (empty: only read). Returns microseconds since the announcement and json of each.
_ANNOUNCE = """
local seen, told, oldest = KEYS[1], KEYS[2], whole(now - ARGV[2])
if ARGV[3] ~= '' then
  redis.call('ZADD', seen, whole(now), ARGV[1])
  redis.call('HSET', told, ARGV[1], ARGV[3])
  redis.call('PEXPIRE', seen, whole(ARGV[2] / 1000))
  redis.call('PEXPIRE', told, whole(ARGV[2] / 1000))
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', seen, '-inf', oldest)) do
    redis.call('ZREM', seen, gone)
    redis.call('HDEL', told, gone)
  end
end
local there = {}
local found = redis.call('ZRANGEBYSCORE', seen, '(' .. oldest, '+inf', 'WITHSCORES')
for i = 1, #found, 2 do
  there[#there + 1] = whole(now - found[i + 1])
  there[#there + 1] = redis.call('HGET', told, found[i]) or ''
end
return there
"""
_WITHDRAW = "redis.call('ZREM', KEYS[1], ARGV[1]); redis.call('HDEL', KEYS[2], ARGV[1])"
# ARGV: version, json, TTL. The later version wins; returns the document in force.
_OFFER_ROLLOUT = """
if tonumber(redis.call('HGET', KEYS[1], 'version') or -1) < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'version', ARGV[1], 'json', ARGV[2])
end
redis.call('PEXPIRE', KEYS[1], whole(ARGV[3] / 1000))
return redis.call('HGET', KEYS[1], 'json')
"""
# ARGV: the version it must have, json of the next one, TTL. A repeated call is no conflict.
_REPLACE_ROLLOUT = """
local current = redis.call('HMGET', KEYS[1], 'version', 'json')
if current[2] == ARGV[2] then return 1 end
if current[1] and tonumber(current[1]) ~= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1] + 1, 'json', ARGV[2])
redis.call('PEXPIRE', KEYS[1], whole(ARGV[3] / 1000))
return 1
"""
# ARGV: request, TTL, what is left of the TTL of the instance's key if it polls. Returns 0 if it is gone, or silent.
_REQUEST = """
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], whole(ARGV[2] / 1000))
return redis.call('PTTL', KEYS[1]) > tonumber(ARGV[3]) and 1 or 0
"""
# ARGV: TTL of the key that marks the instance as alive.
_POP_REQUESTS = """
redis.call('SET', KEYS[1], '1', 'PX', whole(ARGV[1] / 1000))
local asked = redis.call('SMEMBERS', KEYS[2])
if #asked > 0 then redis.call('DEL', KEYS[2]) end
return asked
"""


class RedisScripts:
    """All scripts over one clock. `clock` is Lua that sets `now`; tests pass another one to move time."""

    def __init__(self, clock: str = CLOCK) -> None:
        def made(text: str) -> RedisScript:
            return RedisScript(clock + _WHOLE + quota_scripts.HOLDERS + quota_scripts.COMPLETENESS + text)

        self.clock = clock
        self.complete = made(quota_scripts.COMPLETE)
        self.admit = made(quota_scripts.ADMIT)
        self.claim = made(quota_scripts.CLAIM)
        self.release = made(quota_scripts.RELEASE)
        self.renew = made(quota_scripts.RENEW)
        self.end = made(quota_scripts.END)
        self.reset = made(quota_scripts.RESET)
        self.restore = made(quota_scripts.RESTORE)
        self.put_record = made(_PUT_RECORD)
        self.delete_records = made(_DELETE_RECORDS)
        self.spend = made(_SPEND)
        self.spenders = made(_SPENDERS)
        self.announce = made(_ANNOUNCE)
        self.withdraw = made(_WITHDRAW)
        self.offer_rollout = made(_OFFER_ROLLOUT)
        self.request = made(_REQUEST)
        self.pop_requests = made(_POP_REQUESTS)
        self.replace_rollout = made(_REPLACE_ROLLOUT)

    def make(self, text: str) -> RedisScript:
        """Another script over the same clock: its Lua may use `now` and `whole`."""
        return RedisScript(self.clock + _WHOLE + text)
