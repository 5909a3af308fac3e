"""The public keys of an identity provider (JWKS): fetched in a worker thread, cached, with a least pause.

Keys that are too weak for their algorithm are left out, and named in the log once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import jwt
import structlog
import trio
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from voice_trio import limits
from voice_trio.errors import TokenInvalid, TokenUncheckable
from voice_trio.net.threads import Bulkhead

log = structlog.get_logger(__name__)

KeyFetcher = Callable[[], Awaitable[jwt.PyJWKSet]]

RSA_BITS_MIN = 2048
"""RFC 7518 §3.3: for RS* and PS*."""
CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
"""RFC 7518 §3.4: each algorithm has one curve."""


def key_fetcher(url: str) -> KeyFetcher:
    """A fetcher of `url` in a thread pool of its own; the client's timeout ends an abandoned thread."""
    bulkhead = Bulkhead(limits.JWKS_THREADS_MAX)
    client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=limits.JWKS_FETCH_SECONDS_MAX)

    async def fetch_keys() -> jwt.PyJWKSet:
        return await bulkhead.read(client.get_jwk_set)

    return fetch_keys


class KeySet:
    """The suitable keys of one provider by id. One fetch at a time, with a least pause between two."""

    def __init__(self, fetch: KeyFetcher) -> None:
        self._fetch = fetch
        self._named: set[str] = set()  # the weak keys in the log; at most those of one document
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
        if not self._keys and not self._is_fresh():
            raise TokenUncheckable("the signing keys could not be fetched")
        found = self._find(key_id)
        if found is None:
            raise TokenInvalid("signed with an unknown key")
        return found

    async def _fetch_again(self, key_id: str | None) -> None:
        now = trio.current_time()
        is_needed = not self._is_fresh() or self._find(key_id) is None
        pause = limits.JWKS_REFETCH_SECONDS_MIN if self._keys or self._is_fresh() else limits.JWKS_RETRY_SECONDS_MIN
        if not is_needed or now - self._tried_at < pause:
            return
        self._tried_at = now
        try:
            signing = await _fetch_signing_keys(self._fetch)
        except TokenUncheckable:
            # The cached keys stay valid until they are too old; `key` raises if there are none.
            if now - self._fetched_at > limits.JWKS_FRESH_SECONDS + limits.JWKS_STALE_SECONDS_MAX:
                self._keys = ()
            return
        self._name_weak(_weak_keys(signing))
        self._keys = tuple(key for key in signing if not _weakness(key))
        self._fetched_at = trio.current_time()

    def _name_weak(self, weak: list[tuple[str, str]]) -> None:
        """Log each weak key once, as long as it is published."""
        for key_id, reason in weak:
            if key_id not in self._named:
                log.warning("signing_key_unused", key_id=key_id, reason=reason)
        self._named = {key_id for key_id, _ in weak}

    def _is_fresh(self) -> bool:
        return trio.current_time() - self._fetched_at <= limits.JWKS_FRESH_SECONDS

    def _find(self, key_id: str | None) -> jwt.PyJWK | None:
        if key_id is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.key_id == key_id), None)


async def examine_keys(fetch: KeyFetcher) -> tuple[int, list[tuple[str, str]]]:
    """How many signing keys a provider publishes, and the id and fault of each that is too weak.

    Raises `TokenUncheckable` if they cannot be fetched.
    """
    signing = await _fetch_signing_keys(fetch)
    return len(signing), _weak_keys(signing)


async def _fetch_signing_keys(fetch: KeyFetcher) -> list[jwt.PyJWK]:
    try:
        with trio.fail_after(limits.JWKS_FETCH_SECONDS_MAX):
            fetched = await fetch()
    except (jwt.PyJWTError, OSError, ValueError) as error:
        raise TokenUncheckable(f"the signing keys could not be fetched: {error}") from error
    except trio.TooSlowError as error:
        raise TokenUncheckable("the signing keys could not be fetched in time") from error
    return [key for key in fetched.keys if key.public_key_use in (None, "sig")]


def _weak_keys(keys: list[jwt.PyJWK]) -> list[tuple[str, str]]:
    found = [((key.key_id or "(without an id)")[: limits.ID_CHARS_MAX], _weakness(key)) for key in keys]
    return [(key_id, fault) for key_id, fault in found if fault]


def _weakness(key: jwt.PyJWK) -> str:
    """Why a key must not verify tokens, "" if it may: an RSA key that is short, or a curve of another algorithm."""
    match key.key:
        case RSAPublicKey() if key.key.key_size < RSA_BITS_MIN:
            return f"RSA of {key.key.key_size} bits, at least {RSA_BITS_MIN} are needed"
        case EllipticCurvePublicKey() if CURVES.get(key.algorithm_name) != key.key.curve.name:
            return f"curve {key.key.curve.name} for {key.algorithm_name}"
    return ""
