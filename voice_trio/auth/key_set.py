"""The public keys of an identity provider (JWKS): fetched in a worker thread, cached, with a least pause."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import jwt
import trio

from voice_trio import limits
from voice_trio.errors import TokenInvalid, TokenUncheckable
from voice_trio.net.threads import Bulkhead

KeyFetcher = Callable[[], Awaitable[jwt.PyJWKSet]]


def key_fetcher(url: str) -> KeyFetcher:
    """A fetcher of `url` in a thread pool of its own; the client's timeout ends an abandoned thread."""
    bulkhead = Bulkhead(limits.JWKS_THREADS_MAX)
    client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=limits.JWKS_FETCH_SECONDS_MAX)

    async def fetch_keys() -> jwt.PyJWKSet:
        return await bulkhead.read(client.get_jwk_set)

    return fetch_keys


class KeySet:
    """The keys of one provider by id. One fetch at a time, with a least pause between two."""

    def __init__(self, fetch: KeyFetcher) -> None:
        self._fetch = fetch
        self._keys: tuple[jwt.PyJWK, ...] = ()
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching = trio.Lock()

    async def key(self, key_id: str | None) -> jwt.PyJWK:
        """The signing key with `key_id`; without an id, the only key of the set.

        Raises `TokenInvalid` when there is no such key, `TokenUncheckable` when the keys could not be fetched. When
        cancelled, the fetch under way is abandoned.
        """
        if not self._is_fresh() or self._find(key_id) is None:
            async with self._fetching:
                await self._fetch_again(key_id)
        if not self._keys:
            raise TokenUncheckable("the signing keys could not be fetched")
        found = self._find(key_id)
        if found is None:
            raise TokenInvalid("signed with an unknown key")
        return found

    async def _fetch_again(self, key_id: str | None) -> None:
        now = trio.current_time()
        is_needed = not self._is_fresh() or self._find(key_id) is None
        pause = limits.JWKS_REFETCH_SECONDS_MIN if self._keys else limits.JWKS_RETRY_SECONDS_MIN
        if not is_needed or now - self._tried_at < pause:
            return
        self._tried_at = now
        try:
            with trio.fail_after(limits.JWKS_FETCH_SECONDS_MAX):
                fetched = await self._fetch()
        except (jwt.PyJWTError, OSError, ValueError, trio.TooSlowError):
            # The cached keys stay valid until they are too old; `key` raises if there are none.
            if now - self._fetched_at > limits.JWKS_FRESH_SECONDS + limits.JWKS_STALE_SECONDS_MAX:
                self._keys = ()
            return
        self._keys = tuple(key for key in fetched.keys if key.public_key_use in (None, "sig"))
        self._fetched_at = trio.current_time()

    def _is_fresh(self) -> bool:
        return trio.current_time() - self._fetched_at <= limits.JWKS_FRESH_SECONDS

    def _find(self, key_id: str | None) -> jwt.PyJWK | None:
        if key_id is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.key_id == key_id), None)
