"""Rate slots, leases and holders in Redis: the part of `RedisStore` on which Redis decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio import limits
from voice_trio.state.redis.driver import RedisFailed, RedisFault
from voice_trio.state.redis.keys import ROLLOUT_KEY, UserKeys
from voice_trio.state.session_claims import HeldBy
from voice_trio.state.state import Granted, Limit, LimitReached

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.state.limit_counters import Holdings
    from voice_trio.state.redis.driver import Argument, RedisDriver
    from voice_trio.state.redis.scripts import RedisScripts
    from voice_trio.state.state import Quotas


def micros(seconds: float) -> int:
    """Microseconds, as scripts count them."""
    return round(seconds * 1_000_000)


_HOLDER_MICROS = micros(limits.HOLDER_SECONDS)


class RedisQuotaStore:
    """`complete_since` gives what `complete` returned when this instance had written all that it holds."""

    def __init__(
        self, driver: RedisDriver, quotas: Quotas, scripts: RedisScripts, complete_since: Callable[[], str]
    ) -> None:
        self._driver = driver
        self._quotas = quotas
        self._scripts = scripts
        self._complete_since = complete_since
        # A script of a cluster cannot read it: there the next poll notices that data was lost.
        self._complete_key = [] if driver.is_cluster else [ROLLOUT_KEY]

    def complete(self, seconds: float) -> tuple[str, float]:
        """The date from which Redis decides, and the seconds until then: `seconds` if it had lost its data."""
        at, left = self._driver.run(self._scripts.complete, [ROLLOUT_KEY], [micros(seconds)])
        return at.decode(), int(left) / 1e6

    def admit(self, user_id: str, session_id: str, holder: str) -> Granted | LimitReached:
        """Take a rate slot and a lease, or neither."""
        keys, quotas = UserKeys(user_id), self._quotas
        quota = [quotas.sessions_per_window, quotas.concurrent]
        spans = [micros(quotas.window_seconds), micros(quotas.lease_seconds)]
        names = [keys.slots, keys.leases, keys.holder(session_id), *self._complete_key]
        arguments: list[Argument] = [session_id, *quota, *spans, holder, _HOLDER_MICROS, self._complete_since()]
        return _decision(self._driver.run(self._scripts.admit, names, arguments))

    def claim(self, user_id: str, session_id: str, holder: str, replacing: str) -> Granted | LimitReached | HeldBy:
        """Make `holder` the session's holder, in place of none or of `replacing`, with a lease."""
        keys, quotas = UserKeys(user_id), self._quotas
        quota = [quotas.concurrent, micros(quotas.lease_seconds)]
        names = [keys.leases, keys.holder(session_id), *self._complete_key]
        arguments: list[Argument] = [session_id, holder, replacing, *quota, _HOLDER_MICROS, self._complete_since()]
        answer = self._driver.run(self._scripts.claim, names, arguments)
        return HeldBy(answer[1].decode()) if answer[0] == b"held" else _decision(answer)

    def release(self, user_id: str, session_id: str, holder: str) -> None:
        """Give the rate slot and the lease back."""
        keys = UserKeys(user_id)
        self._driver.run(
            self._scripts.release, [keys.leases, keys.holder(session_id), keys.slots], [session_id, holder]
        )

    def renew(self, user_id: str, session_id: str, holder: str) -> bool:
        """Extend the lease, or take it again if it expired; False if another connection holds the session."""
        keys = UserKeys(user_id)
        arguments: list[Argument] = [session_id, holder, micros(self._quotas.lease_seconds), _HOLDER_MICROS]
        return bool(self._driver.run(self._scripts.renew, [keys.leases, keys.holder(session_id)], arguments))

    def end(self, user_id: str, session_id: str, holder: str) -> None:
        """Give back the lease alone, unless another connection holds the session."""
        keys = UserKeys(user_id)
        self._driver.run(self._scripts.end, [keys.leases, keys.holder(session_id)], [session_id, holder])

    def reset(self, user_id: str) -> None:
        """Open all rate slots; `restore` ignores slots taken before."""
        keys = UserKeys(user_id)
        self._driver.run(self._scripts.reset, [keys.slots, keys.reset], [micros(self._quotas.window_seconds)])

    def restore(self, user_id: str, held: Holdings) -> None:
        """Add what an instance knows that a user holds; existing slots keep their times, later holders their place."""
        keys = UserKeys(user_id)
        entries: list[Argument] = []
        for session, age in held.slots.items():
            entries += [session, micros(age)]
        for session, left in held.leases.items():
            holder, age = held.holders.get(session, ("", 0.0))
            entries += [session, micros(left), holder, micros(age)]
        spans = [micros(self._quotas.window_seconds), micros(self._quotas.lease_seconds), _HOLDER_MICROS]
        arguments: list[Argument] = [*spans, keys.holder_base, len(held.slots), *entries]
        self._driver.run(self._scripts.restore, [keys.slots, keys.leases, keys.reset], arguments)


def _decision(answer: list[bytes]) -> Granted | LimitReached:
    match answer:
        case [b"granted"]:
            return Granted()
        case [b"concurrency"]:
            return LimitReached(Limit.CONCURRENCY)
        case [b"rate", micros]:
            return LimitReached(Limit.RATE, retry_after=int(micros) / 1e6)
        case [b"incomplete"]:
            raise RedisFailed(RedisFault.RESTARTED)
        case _:
            raise RedisFailed(RedisFault.BROKEN, f"unexpected answer {answer!r}"[:100])
