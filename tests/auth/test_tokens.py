"""Which tokens pass, which do not, and what they say of a user."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from voice_trio.auth.key_set import KeySet
from voice_trio.auth.tokens import (
    CLIENT_SECRET_TYPE,
    RESUME_TYPE,
    TokenVerifier,
    User,
    issue_token,
    user_from_claims,
    user_hash,
)
from voice_trio.errors import ConfigurationError, TokenInvalid, TokenUncheckable
from voice_trio.settings import load_settings

SECRET = "a-secret-of-more-than-thirty-two-bytes"
OLD_SECRET = "an-older-secret-of-more-than-32-bytes!"
RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def claims(**changes: Any) -> dict[str, Any]:
    stated = {"sub": "ann", "exp": int(time.time()) + 600} | changes
    return {name: value for name, value in stated.items() if value is not None}


def signed(secret: Any = SECRET, algorithm: str = "HS256", *, headers: Any = None, **changes: Any) -> str:
    return jwt.encode(claims(**changes), secret, algorithm=algorithm, headers=headers)


def verifier(**environ: str) -> TokenVerifier:
    return TokenVerifier(load_settings({"JWT_SECRET": SECRET} | environ).tokens)


async def refusal_of(token: str, **environ: str) -> str:
    with pytest.raises(TokenInvalid) as raised:
        await verifier(**environ).verify(token)
    assert len(token) < 20 or token not in str(raised.value)
    return str(raised.value)


async def test_a_good_token_names_its_user() -> None:
    token = signed(user_id="u1", email="ann@example.com", plan="elite", is_admin=True, voice="cedar", voice_speed=1.2)

    assert await verifier().verify(token) == User("u1", "ann@example.com", "elite", True, "cedar", 1.2)


async def test_without_user_id_the_subject_is_the_user() -> None:
    assert (await verifier().verify(signed())).id == "ann"
    assert (await verifier().verify(signed(sub=42))).id == "42"
    assert (await verifier().verify(signed(user_id=7))).id == "7"


@pytest.mark.parametrize("sub", [None, "", True, [], {}, 1.5, "x" * 257])
async def test_a_token_that_names_nobody_is_refused(sub: object) -> None:
    token = jwt.encode({"exp": int(time.time()) + 60, "user_id": sub}, SECRET, algorithm="HS256")

    assert await refusal_of(token) == "the token names no user"


async def test_claims_of_the_wrong_type_count_as_absent() -> None:
    token = signed(email=5, plan=["elite"], is_admin="true", voice={}, voice_speed="fast")

    assert await verifier().verify(token) == User("ann")


async def test_a_voice_speed_out_of_range_is_brought_into_it() -> None:
    assert (await verifier().verify(signed(voice_speed=9))).voice_speed == 1.5
    assert (await verifier().verify(signed(voice_speed=0))).voice_speed == 0.25


async def test_each_fault_of_a_token_is_named() -> None:
    now = int(time.time())

    assert await refusal_of("") == "the token is missing"
    assert await refusal_of("x" * 8193) == "the token is too long"
    assert await refusal_of("rubbish") == "the token is not a JWT"
    assert await refusal_of(signed(exp=None)) == "the token has no claim exp"
    assert await refusal_of(signed(exp=now - 1)) == "the token has expired"
    assert await refusal_of(signed(exp=now - 600)) == "the token has expired"
    assert await refusal_of(signed(nbf=now + 60)) == "the token is not valid yet"
    assert await refusal_of(signed(OLD_SECRET)) == "the signature is wrong"
    assert await refusal_of(signed(algorithm="HS384", secret=SECRET * 2)) == "the token's algorithm is not accepted"


async def test_an_issuers_clock_may_be_a_little_ahead_but_expiry_is_exact() -> None:
    now = int(time.time())

    await verifier().verify(signed(iat=now + 3, nbf=now + 3))
    assert await refusal_of(signed(exp=now)) == "the token has expired"


async def test_unsigned_tokens_never_pass() -> None:
    assert await refusal_of(jwt.encode(claims(), "", algorithm="none")) == "the token's algorithm is not accepted"
    stripped = signed().rpartition(".")[0] + "."
    assert await refusal_of(stripped) == "the signature is wrong"


@pytest.mark.parametrize("changes", [{"headers": {"typ": RESUME_TYPE}}, {"typ": CLIENT_SECRET_TYPE}])
async def test_our_internal_tokens_never_pass_as_a_users(changes: dict[str, Any]) -> None:
    assert await refusal_of(signed(**changes)) == "this is not a user's token"


async def test_audience_and_issuer_are_checked_where_configured() -> None:
    environ = {"JWT_AUDIENCE": "voice", "JWT_ISSUER": "https://id.example"}

    await verifier(**environ).verify(signed(aud=["other", "voice"], iss="https://id.example"))
    assert await refusal_of(signed(iss="https://id.example"), **environ) == "the token has no claim aud"
    assert await refusal_of(signed(aud="web", iss="https://id.example"), **environ) == (
        "the token is for another audience"
    )
    assert await refusal_of(signed(aud="voice", iss="https://evil.example"), **environ) == (
        "the token is from another issuer"
    )
    await verifier().verify(signed(aud="anything", iss="anyone"))


async def test_a_token_signed_with_the_secret_before_still_passes() -> None:
    rotating = verifier(JWT_SECRET=f"{SECRET},{OLD_SECRET}")

    await rotating.verify(signed(SECRET))
    await rotating.verify(signed(OLD_SECRET))
    assert await refusal_of(signed(OLD_SECRET, exp=1), JWT_SECRET=f"{SECRET},{OLD_SECRET}") == "the token has expired"


async def test_with_nothing_configured_no_token_passes() -> None:
    nothing = TokenVerifier(load_settings({"JWT_ALGORITHMS": "HS256,RS256"}).tokens)

    for token in (signed(), signed(RSA_KEY, "RS256")):
        with pytest.raises(TokenInvalid):
            await nothing.verify(token)


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda junk: base64.urlsafe_b64encode(junk).decode()))
def test_no_junk_gets_anything_but_a_refusal(junk: str) -> None:
    import trio

    trio.run(refusal_of, f"{junk}.{junk}.{junk}")
    trio.run(refusal_of, junk)


async def test_deeply_nested_json_is_a_refusal_like_any_other() -> None:
    def part(text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    nested = "[" * 4000 + "]" * 4000
    assert await refusal_of(f"{part(nested)[:8000]}.e30.e30") == "the token is not a JWT"


def published(key: Any, key_id: str, **changes: Any) -> dict[str, Any]:
    algorithm = jwt.algorithms.RSAAlgorithm if hasattr(key, "key_size") and key.key_size >= 2048 else None
    as_json = algorithm.to_jwk(key.public_key()) if algorithm else jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())
    return {**json.loads(as_json), "kid": key_id, "use": "sig", **changes}


class Provider:
    """An identity provider in this process: publishes keys, counts who asks, can fail."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.keys = list(keys)
        self.asked = 0
        self.is_down = False

    async def fetch(self) -> jwt.PyJWKSet:
        self.asked += 1
        if self.is_down:
            raise jwt.PyJWKClientConnectionError("down")
        return jwt.PyJWKSet(self.keys)

    def verifier(self, **environ: str) -> TokenVerifier:
        settings = load_settings(
            {"JWT_JWKS_URL": "https://id.example/keys", "JWT_ALLOW_ANY_AUDIENCE": "true"} | environ
        )
        return TokenVerifier(settings.tokens, KeySet(self.fetch))


def by_key(key: Any = RSA_KEY, algorithm: str = "RS256", key_id: str | None = "k1", **changes: Any) -> str:
    return signed(key, algorithm, headers={"kid": key_id} if key_id else None, **changes)


async def test_tokens_of_a_provider_pass_by_the_key_they_name() -> None:
    provider = Provider(published(RSA_KEY, "k1"), published(EC_KEY, "k2"))
    both = provider.verifier()

    assert (await both.verify(by_key())).id == "ann"
    assert (await both.verify(by_key(EC_KEY, "ES256", "k2"))).id == "ann"
    for token in (by_key(OTHER_RSA_KEY), by_key(EC_KEY, "ES256", "k1"), by_key(exp=1)):
        with pytest.raises(TokenInvalid):
            await both.verify(token)


async def test_a_public_key_is_no_secret_to_sign_with() -> None:
    provider = Provider(published(RSA_KEY, "k1"), {"kty": "oct", "kid": "k2", "k": "c2VjcmV0" * 8})
    forged = [
        signed(SECRET, "HS256", headers={"kid": "k1"}),
        signed("secret" * 8, "HS256", headers={"kid": "k2"}),
    ]

    for token in forged:
        with pytest.raises(TokenInvalid, match="algorithm is not accepted"):
            await provider.verifier().verify(token)
        with pytest.raises(TokenInvalid, match="signature is wrong"):
            await provider.verifier(JWT_SECRET=OLD_SECRET).verify(token)


async def test_a_token_without_a_key_id_passes_where_there_is_only_one_key() -> None:
    provider = Provider(published(RSA_KEY, "k1"))
    await provider.verifier().verify(by_key(key_id=None))

    provider.keys.append(published(OTHER_RSA_KEY, "k2"))
    with pytest.raises(TokenInvalid, match="unknown key"):
        await provider.verifier().verify(by_key(key_id=None))


async def test_keys_for_encryption_do_not_sign() -> None:
    with pytest.raises(TokenInvalid):
        await Provider(published(RSA_KEY, "k1", use="enc")).verifier().verify(by_key())


def test_making_a_token_and_reading_it_agree() -> None:
    import trio

    environ = {"JWT_SECRET": SECRET, "JWT_AUDIENCE": "voice", "JWT_ISSUER": "us", "JWT_ALGORITHMS": "HS256"}
    settings = load_settings(environ).tokens
    user = User("u1", "ann@example.com", "elite", is_admin=True, voice="cedar", voice_speed=1.1)

    assert trio.run(TokenVerifier(settings).verify, issue_token(settings, user, seconds_valid=60)) == user
    with pytest.raises(TokenInvalid, match="expired"):
        trio.run(TokenVerifier(settings).verify, issue_token(settings, user, seconds_valid=0))


def test_without_a_secret_no_token_can_be_made() -> None:
    with pytest.raises(ConfigurationError, match="JWT_SECRET"):
        issue_token(load_settings({"JWT_JWKS_URL": "https://id.example/keys", "JWT_ISSUER": "us"}).tokens, User("ann"))


def test_a_users_hash_is_stable_and_says_nothing_without_the_secret() -> None:
    one, other = (load_settings({"JWT_SECRET": secret}).signing_secret for secret in (SECRET, OLD_SECRET))

    assert user_hash("ann", one) == user_hash("ann", one)
    assert len(user_hash("ann", one)) == 32
    assert len({user_hash("ann", one), user_hash("bob", one), user_hash("ann", other)}) == 3


def test_user_id_wins_over_the_subject() -> None:
    assert user_from_claims({"user_id": "u", "sub": "s"}).id == "u"
    assert user_from_claims({"user_id": "", "sub": "s"}).id == "s"


async def test_when_the_keys_cannot_be_fetched_nothing_is_held_against_the_caller() -> None:
    provider = Provider(published(RSA_KEY, "k1"))
    provider.is_down = True

    with pytest.raises(TokenUncheckable):
        await provider.verifier().verify(by_key())
