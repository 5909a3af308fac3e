"""Lua of rate slots, leases and holders; see `scripts` for the keys and the rules."""

# Of the connection that holds a session; `hold` without a name does nothing.
HOLDERS = """
local function held_by(key)
  local since, holder = string.match(redis.call('GET', key) or '', '^(%d+) (.+)$')
  return holder, tonumber(since)
end
local function hold(key, holder, since, micros)
  if holder ~= '' then redis.call('SET', key, whole(since) .. ' ' .. holder, 'PX', whole(micros / 1000)) end
end
local function is_lost(key, holder)
  local current = held_by(key)
  return holder ~= '' and current and current ~= holder
end
"""
# A Redis that lost its data decides nothing until every instance has written what it holds: `complete` says from when.
# `known` is what it said when this instance had done so. A date far ahead comes from a clock that was set back.
COMPLETENESS = """
local soon = now + 10000000
local function is_incomplete(key, known)
  local at = key and redis.call('HGET', key, 'complete')
  return key and (at ~= known or tonumber(at) > now and tonumber(at) < soon)
end
"""
# ARGV: for how long the others may write, in case there is no date yet. Returns the date, and the time until then.
COMPLETE = """
local at = tonumber(redis.call('HGET', KEYS[1], 'complete') or '')
if not at or at > soon then
  at = now + ARGV[1]
  redis.call('HSET', KEYS[1], 'complete', whole(at))
end
return {whole(at), whole(math.max(0, at - now))}
"""
# ARGV: session, limits of rate and concurrency, window, lease, holder, its TTL, `complete` as known.
ADMIT = """
local slots, leases, session = KEYS[1], KEYS[2], ARGV[1]
if is_incomplete(KEYS[4], ARGV[8]) then return {'incomplete'} end
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
if held_by(KEYS[3]) ~= ARGV[6] then hold(KEYS[3], ARGV[6], now, ARGV[7]) end
return {'granted'}
"""
# ARGV: session, holder, which it may replace, limit of concurrency, lease, TTL of the holder, `complete` as known.
CLAIM = """
local leases, session, holder = KEYS[1], ARGV[1], ARGV[2]
if is_incomplete(KEYS[3], ARGV[7]) then return {'incomplete'} end
local current = held_by(KEYS[2])
if current and current ~= holder and current ~= ARGV[3] then return {'held', current} end
redis.call('ZREMRANGEBYSCORE', leases, '-inf', whole(now))
if redis.call('ZCARD', leases) >= tonumber(ARGV[4]) and not redis.call('ZSCORE', leases, session) then
  return {'concurrency'}
end
if current ~= holder then hold(KEYS[2], holder, now, ARGV[6]) end
redis.call('ZADD', leases, whole(now + ARGV[5]), session)
redis.call('PEXPIRE', leases, whole(ARGV[5] / 1000))
return {'granted'}
"""
# ARGV: session, holder.
END = """
if is_lost(KEYS[2], ARGV[2]) then return end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
"""
RELEASE = "redis.call('ZREM', KEYS[3], ARGV[1])" + END
# ARGV: session, holder, lease, TTL of the holder. Returns 0 if another connection holds the session.
RENEW = """
if is_lost(KEYS[2], ARGV[2]) then return 0 end
local _, since = held_by(KEYS[2])
hold(KEYS[2], ARGV[2], since or now, ARGV[4])
redis.call('ZADD', KEYS[1], whole(now + ARGV[3]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], whole(ARGV[3] / 1000))
return 1
"""
RESET = """
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], whole(now), 'PX', whole(ARGV[1] / 1000))
"""
# ARGV: window, lease, TTL of a holder, prefix of holder keys, how many slots, then session and age of each slot, then
# session, time left, holder and age of each lease. Of two holders of a session the later one counts.
RESTORE = """
local slots, leases, reset = KEYS[1], KEYS[2], tonumber(redis.call('GET', KEYS[3]) or 0)
local window, lease, count = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[5])
for i = 6, 5 + 2 * count, 2 do
  local taken = now - ARGV[i + 1]
  if taken > reset and taken > now - window then redis.call('ZADD', slots, 'NX', whole(taken), ARGV[i]) end
end
for i = 6 + 2 * count, #ARGV, 4 do
  local key, holder, claimed = ARGV[4] .. ARGV[i], ARGV[i + 2], now - ARGV[i + 3]
  local _, since = held_by(key)
  if not is_lost(key, holder) or since < claimed then
    redis.call('ZADD', leases, whole(now + ARGV[i + 1]), ARGV[i])
    hold(key, holder, claimed, ARGV[3])
  end
end
redis.call('PEXPIRE', slots, whole(window / 1000))
redis.call('PEXPIRE', leases, whole(lease / 1000))
"""
