"""How often a provider is asked for its keys, in virtual time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import structlog.testing
import trio
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from voice_trio import limits
from voice_trio.auth.key_set import KeySet
from voice_trio.errors import TokenInvalid, TokenUncheckable

if TYPE_CHECKING:
    from trio.testing import MockClock

KEY = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))


class Provider:
    def __init__(self, *key_ids: str) -> None:
        self.key_ids = list(key_ids)
        self.asked = 0
        self.answers_after = 0.0
        self.is_down = False

    async def fetch(self) -> jwt.PyJWKSet:
        self.asked += 1
        await trio.sleep(self.answers_after)
        if self.is_down:
            raise jwt.PyJWKClientConnectionError("down")
        return jwt.PyJWKSet([KEY | {"kid": key_id} for key_id in self.key_ids])


@pytest.fixture
def provider() -> Provider:
    return Provider("k1")


async def test_the_keys_are_fetched_once_for_all_who_ask_at_the_same_time(
    autojump_clock: MockClock, provider: Provider
) -> None:
    provider.answers_after = 1.0
    key_set = KeySet(provider.fetch)

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(key_set.key, "k1")

    assert provider.asked == 1
    assert trio.current_time() == 1.0


async def test_unknown_key_ids_cannot_make_us_hammer_the_provider(
    autojump_clock: MockClock, provider: Provider
) -> None:
    key_set = KeySet(provider.fetch)
    await key_set.key("k1")

    for number in range(120):
        with pytest.raises(TokenInvalid, match="unknown key"):
            await key_set.key(f"made-up-{number}")
        await trio.sleep(1.0)

    assert provider.asked <= 1 + 120 / 30


async def test_a_rotated_key_is_found_within_the_pause(autojump_clock: MockClock, provider: Provider) -> None:
    key_set = KeySet(provider.fetch)
    await key_set.key("k1")
    provider.key_ids = ["k2"]
    with pytest.raises(TokenInvalid):
        await key_set.key("k2")
    await trio.sleep(30.0)

    assert (await key_set.key("k2")).key_id == "k2"


async def test_known_keys_serve_on_while_the_provider_is_down_but_not_for_ever(
    autojump_clock: MockClock, provider: Provider
) -> None:
    key_set = KeySet(provider.fetch)
    await key_set.key("k1")
    provider.is_down = True

    await trio.sleep(limits.JWKS_FRESH_SECONDS + limits.JWKS_STALE_SECONDS_MAX)
    assert (await key_set.key("k1")).key_id == "k1"
    await trio.sleep(31.0)
    with pytest.raises(TokenUncheckable):
        await key_set.key("k1")


async def test_a_provider_that_hangs_costs_five_seconds_and_is_asked_again_soon(
    autojump_clock: MockClock, provider: Provider
) -> None:
    provider.answers_after = 60.0
    key_set = KeySet(provider.fetch)
    with pytest.raises(TokenUncheckable):
        await key_set.key("k1")
    assert trio.current_time() == 5.0

    provider.answers_after = 0.0
    await trio.sleep(1.0)
    assert (await key_set.key("k1")).key_id == "k1"


async def test_a_withdrawn_key_dies_when_the_set_is_no_longer_fresh(
    autojump_clock: MockClock, provider: Provider
) -> None:
    key_set = KeySet(provider.fetch)
    await key_set.key("k1")
    provider.key_ids = ["k2"]
    await trio.sleep(limits.JWKS_FRESH_SECONDS + 1)

    with pytest.raises(TokenInvalid, match="unknown key"):
        await key_set.key("k1")


async def test_a_caller_who_leaves_during_the_fetch_leaves_no_lock_behind(
    autojump_clock: MockClock, provider: Provider
) -> None:
    provider.answers_after = 2.0
    key_set = KeySet(provider.fetch)
    with trio.move_on_after(1.0):
        await key_set.key("k1")
    await trio.sleep(5.0)

    assert (await key_set.key("k1")).key_id == "k1"


def published(key: Any, key_id: str, **more: str) -> dict[str, Any]:
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPublicKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key)), "kid": key_id, **more}


def rsa_key(bits: int) -> rsa.RSAPublicKey:
    return rsa.generate_private_key(65537, bits).public_key()


def ec_key(curve: ec.EllipticCurve) -> ec.EllipticCurvePublicKey:
    return ec.generate_private_key(curve).public_key()


WEAK = [
    published(rsa_key(1024), "short"),
    published(ec_key(ec.SECP256K1()), "koblitz"),
    published(ec_key(ec.SECP384R1()), "other curve", alg="ES256"),
]
GOOD = [
    published(rsa_key(2048), "rsa", alg="PS256"),
    published(ec_key(ec.SECP256R1()), "256"),
    published(ec_key(ec.SECP384R1()), "384", alg="ES384"),
    published(ec_key(ec.SECP521R1()), "521"),
]


@pytest.mark.parametrize("others", [GOOD, []])
async def test_weak_keys_are_not_used_and_named_once_F17(
    autojump_clock: MockClock, others: list[dict[str, Any]]
) -> None:
    async def fetch() -> jwt.PyJWKSet:
        await trio.lowlevel.checkpoint()
        return jwt.PyJWKSet(WEAK + others)

    key_set = KeySet(fetch)
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            for weak in WEAK:
                with pytest.raises(TokenInvalid, match="unknown key"):
                    await key_set.key(weak["kid"])
            await trio.sleep(limits.JWKS_FRESH_SECONDS + 1)
    assert {entry["key_id"]: entry["reason"] for entry in logs} == {
        "short": "RSA of 1024 bits, at least 2048 are needed",
        "koblitz": "curve secp256k1 for ES256K",
        "other curve": "curve secp384r1 for ES256",
    }
    assert len(logs) == 3
    assert [(await key_set.key(key["kid"])).key_id for key in others] == [key["kid"] for key in others]
