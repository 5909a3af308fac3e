"""The atomic operations as Lua scripts. Times are microseconds by the clock of Redis; every script is idempotent.

Keys begin with `voice:` and have a TTL. Keys of one user lie in one hash slot, `voice:{user}:…`. There the user is a
hash, so that key names do not identify a person.

    voice:{user}:slots      sorted set  session → when its rate slot was taken
    voice:{user}:leases     sorted set  session → when its lease expires
    voice:{user}:reset      string      when an administrator opened all slots
    voice:{user}:record:ID  hash        revision, started, json
    voice:{user}:records    sorted set  session → when its record expires
    voice:{user}:deleted    string      when the user's records were deleted
    voice:{i:ID}:alive      string      written while instance ID runs
    voice:{i:ID}:wanted     set         sessions that another instance takes over
    voice:{spent:DAY}       hash        instance → millionths of a dollar
    voice:{spent:DAY}:users sorted set  user (hashed) → the same, of all instances
    voice:{spent:DAY}:by:ID hash        user → the same, as instance ID last reported it
    voice:{spent:DAY}:…         `expected_spend` has the keys of what is expected
    voice:{instances}:seen  sorted set  instance → when it last announced itself
    voice:{instances}:told  hash        instance → json
    voice:rollout           hash        version, json
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

PREFIX = "voice:"

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


_ADMIT = """
local slots, leases, session = KEYS[1], KEYS[2], ARGV[1]
local limit, concurrent, window, lease = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
redis.call('ZREMRANGEBYSCORE', slots, '-inf', whole(now - window))
redis.call('ZREMRANGEBYSCORE', leases, '-inf', whole(now))
local taken = redis.call('ZCARD', slots)
if taken >= limit and not redis.call('ZSCORE', slots, session) then
  local freeing = redis.call('ZRANGE', slots, taken - limit, taken - limit, 'WITHSCORES')
  return {'rate', whole(freeing[2] + window - now)}
end
if redis.call('ZCARD', leases) >= concurrent and not redis.call('ZSCORE', leases, session) then
  return {'concurrency'}
end
redis.call('ZADD', slots, 'NX', whole(now), session)
redis.call('PEXPIRE', slots, whole(window / 1000))
redis.call('ZADD', leases, whole(now + lease), session)
redis.call('PEXPIRE', leases, whole(lease / 1000))
return {'granted'}
"""
_RELEASE = "redis.call('ZREM', KEYS[1], ARGV[1]); redis.call('ZREM', KEYS[2], ARGV[1])"
_RENEW = """
redis.call('ZADD', KEYS[1], whole(now + ARGV[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], whole(ARGV[2] / 1000))
"""
_END = "redis.call('ZREM', KEYS[1], ARGV[1])"
_RESET = """
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], whole(now), 'PX', whole(ARGV[1] / 1000))
"""
# ARGV: window, lease, how many slots, then session and age of each, then session and time left of each lease.
_RESTORE = """
local slots, leases, reset = KEYS[1], KEYS[2], tonumber(redis.call('GET', KEYS[3]) or 0)
local window, lease, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
for i = 4, 3 + 2 * count, 2 do
  local taken = now - ARGV[i + 1]
  if taken > reset and taken > now - window then redis.call('ZADD', slots, 'NX', whole(taken), ARGV[i]) end
end
for i = 4 + 2 * count, #ARGV, 2 do
  redis.call('ZADD', leases, whole(now + ARGV[i + 1]), ARGV[i])
end
redis.call('PEXPIRE', slots, whole(window / 1000))
redis.call('PEXPIRE', leases, whole(lease / 1000))
"""
# ARGV: session, revision, started, json, TTL. Returns 0 if the user's records were deleted since that session began.
_PUT_RECORD = """
local record, index = KEYS[1], KEYS[2]
if tonumber(ARGV[3]) <= tonumber(redis.call('GET', KEYS[3]) or 0) then return 0 end
if tonumber(redis.call('HGET', record, 'revision') or -1) >= tonumber(ARGV[2]) then return 1 end
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
# ARGV: session, TTL. Returns 0 if the other instance is gone.
_REQUEST_TAKEOVER = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], whole(ARGV[2] / 1000))
return 1
"""
_POP_TAKEOVERS = """
local wanted = redis.call('SMEMBERS', KEYS[1])
if #wanted > 0 then redis.call('DEL', KEYS[1]) end
return wanted
"""


class RedisScripts:
    """All scripts over one clock. `clock` is Lua that sets `now`; tests pass another one to move time."""

    def __init__(self, clock: str = CLOCK) -> None:
        def made(text: str) -> RedisScript:
            return RedisScript(clock + _WHOLE + text)

        self.clock = clock
        self.admit = made(_ADMIT)
        self.release = made(_RELEASE)
        self.renew = made(_RENEW)
        self.end = made(_END)
        self.reset = made(_RESET)
        self.restore = made(_RESTORE)
        self.put_record = made(_PUT_RECORD)
        self.delete_records = made(_DELETE_RECORDS)
        self.spend = made(_SPEND)
        self.spenders = made(_SPENDERS)
        self.announce = made(_ANNOUNCE)
        self.withdraw = made(_WITHDRAW)
        self.offer_rollout = made(_OFFER_ROLLOUT)
        self.request_takeover = made(_REQUEST_TAKEOVER)
        self.pop_takeovers = made(_POP_TAKEOVERS)
        self.replace_rollout = made(_REPLACE_ROLLOUT)


@dataclass(frozen=True, slots=True)
class UserKeys:
    """The keys of one user."""

    user_id: str
    base: str = field(init=False)

    def __post_init__(self) -> None:
        name = hashlib.sha256(self.user_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        object.__setattr__(self, "base", f"{PREFIX}{{{name}}}:")

    @property
    def slots(self) -> str:
        return f"{self.base}slots"

    @property
    def leases(self) -> str:
        return f"{self.base}leases"

    @property
    def reset(self) -> str:
        return f"{self.base}reset"

    @property
    def records(self) -> str:
        return f"{self.base}records"

    @property
    def deleted(self) -> str:
        return f"{self.base}deleted"

    @property
    def record_base(self) -> str:
        return f"{self.base}record:"

    def record(self, session_id: str) -> str:
        return f"{self.record_base}{session_id}"


def alive_key(instance: str) -> str:
    """Exists while the instance runs."""
    return f"{PREFIX}{{i:{instance}}}:alive"


def takeover_key(instance: str) -> str:
    """Sessions that others take over from the instance; in the hash slot of `alive_key`."""
    return f"{PREFIX}{{i:{instance}}}:wanted"


ROLLOUT_KEY = f"{PREFIX}rollout"


INSTANCES_KEYS = [f"{PREFIX}{{instances}}:seen", f"{PREFIX}{{instances}}:told"]


def spent_keys(day: str, instance: str) -> list[str]:
    """Spending of one day: by instance, by user, and by user as this instance reported it."""
    base = f"{PREFIX}{{spent:{day}}}"
    return [base, f"{base}:users", f"{base}:by:{instance}"]
