"""Shares of budgets in Redis: the rule of `ShareLedger` as one atomic script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio import limits
from voice_trio.state.budget_shares import Share
from voice_trio.state.redis.driver import RedisFailed, RedisFault
from voice_trio.state.redis.keys import share_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.state.budget_shares import ShareRequest
    from voice_trio.state.redis.connection import RedisConnection
    from voice_trio.state.redis.driver import Argument, RedisDriver
    from voice_trio.state.redis.scripts import RedisScripts

# KEYS: the hash of each scope. ARGV: instance, length of a lease, TTL of a key, percent that can be leased; then of
# each scope its limit, what the instance has used and reserved, its weight, and what of the reserved is known as used.
# Returns of each scope the ceiling, what the others have used, and how many others have a weight.
_RENEW = """
local answers = {}
for place, key in ipairs(KEYS) do
  local at = 5 * place
  local limit, used = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local reserved, weight, observed = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local elsewhere, known, committed, weights, others = 0, 0, 0, weight, 0
  local entries = redis.call('HGETALL', key)
  for i = 1, #entries, 2 do
    local n = {}
    for field in string.gmatch(entries[i + 1], '%d+') do n[#n + 1] = tonumber(field) end
    local u, r, ceiling, w, o, expires = n[1], n[2], n[3], n[4], n[5], n[6]
    if entries[i] == ARGV[1] then
      used = math.max(used, u)
    else
      elsewhere = elsewhere + u + o
      known = known + u + r
      if expires > now then
        committed = committed + math.max(u + r, ceiling)
        weights = weights + w
        if w > 0 then others = others + 1 end
      else
        committed = committed + u + r
      end
    end
  end
  local own = used + reserved
  local free, ceiling = limit - own - known, own
  if free > 0 then
    local fair = 0
    if weights > 0 then fair = math.floor(free * weight / weights) end
    ceiling = own + math.max(1, math.min(fair, math.floor((limit - own - committed) * ARGV[4] / 100)))
  end
  local fields = {whole(used), whole(reserved), whole(ceiling), whole(weight), whole(observed), whole(now + ARGV[2])}
  redis.call('HSET', key, ARGV[1], table.concat(fields, ' '))
  redis.call('PEXPIRE', key, whole(ARGV[3] / 1000))
  answers[place] = {whole(ceiling), whole(elsewhere), others}
end
return answers
"""


class RedisShares:
    """`BudgetShares` in Redis. While it is unavailable, an instance has what the others had not used; or it raises."""

    def __init__(
        self, connection: RedisConnection, driver: RedisDriver, scripts: RedisScripts, instance: str, *, denies: bool
    ) -> None:
        self._connection = connection
        self._driver = driver
        self._script = scripts.make(_RENEW)
        self._instance = instance
        self._denies = denies
        self._elsewhere: dict[str, dict[str, int]] = {}  # by day and scope, as last known

    @property
    def is_shared(self) -> bool:
        """There can be other instances."""
        return True

    async def renew(self, day: str, requests: Sequence[ShareRequest]) -> list[Share]:
        """Report and get new shares."""
        if not requests:
            return []
        known = self._known(day)
        try:
            shares = await self._connection.call(self._renew, day, requests)
        except RedisFailed as failed:
            # A busy Redis still divides alone: the last share stays valid meanwhile.
            if self._denies or failed.fault is RedisFault.BUSY:
                raise
            elsewhere = [known.get(request.scope, 0) for request in requests]
            return [Share(request.limit - used, used) for request, used in zip(requests, elsewhere, strict=True)]
        known.update({request.scope: share.used_elsewhere for request, share in zip(requests, shares, strict=True)})
        return shares

    def _known(self, day: str) -> dict[str, int]:
        known = self._elsewhere.setdefault(day, {})
        while len(self._elsewhere) > limits.SHARE_DAYS_REMEMBERED:
            del self._elsewhere[min(self._elsewhere)]
        return known

    def _renew(self, day: str, requests: Sequence[ShareRequest]) -> list[Share]:
        """One round trip, in a worker thread."""
        spans = [round(limits.SHARE_LEASE_SECONDS * 1e6), round(limits.REDIS_SPENT_SECONDS * 1e6)]
        arguments: list[Argument] = [self._instance, *spans, limits.SHARED_PERCENT]
        for request in requests:
            arguments += [request.limit, request.used, request.reserved, request.weight, request.observed]
        answers = self._driver.run(self._script, [share_key(day, request.scope) for request in requests], arguments)
        return [Share(int(ceiling), int(elsewhere), others == 0) for ceiling, elsewhere, others in answers]
