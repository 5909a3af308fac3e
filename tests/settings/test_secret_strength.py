"""Secrets that can be guessed, and key sets that accept tokens of other services, prevent the start (F17)."""

from __future__ import annotations

import base64
import secrets

import pytest

from voice_trio.errors import ConfigurationError
from voice_trio.settings import load_settings
from voice_trio.settings.secret_strength import is_placeholder, secret_fault

STRONG = "9f3c1b7e20d84a56b1e7c0934fd2a68855aa01c9e3b74d12"
KEY_SET = {"JWT_JWKS_URL": "https://id.example/keys"}


def faults(**environ: str) -> dict[str, str]:
    """The message of each faulty variable."""
    try:
        load_settings(environ)
    except ConfigurationError as error:
        lines = [line.strip().partition(": ") for line in str(error).splitlines()[1:]]
        return {name: message for name, _, message in lines}
    return {}


@pytest.mark.parametrize("name", ["JWT_SECRET", "VOICE_SIGNING_SECRET", "VOICE_WEBHOOK_SECRET", "METRICS_TOKEN"])
@pytest.mark.parametrize("secret", ["changeme", "secret", "x", "…", "changeme" * 5, "x" * 64, "0123456789" * 4])
def test_a_secret_that_can_be_guessed_prevents_the_start_F17(name: str, secret: str) -> None:
    found = faults(**{name: secret})
    assert list(found) == [name]
    assert "openssl rand -hex 32" in found[name]
    assert len(secret) < 6 or secret not in found[name]


def test_all_weak_secrets_are_named_at_once_F17() -> None:
    given = dict.fromkeys(("JWT_SECRET", "VOICE_SIGNING_SECRET", "VOICE_WEBHOOK_SECRET", "METRICS_TOKEN"), "changeme")
    assert faults(**given, JWT_JWKS_URL=KEY_SET["JWT_JWKS_URL"]).keys() == given.keys() | {"JWT_AUDIENCE"}


@pytest.mark.parametrize(("algorithms", "needed"), [("HS256", 32), ("HS256,HS384", 48), ("HS512,HS256", 64)])
def test_a_key_is_as_long_as_the_longest_hash_that_it_may_verify_F17(algorithms: str, needed: int) -> None:
    key = (STRONG + STRONG[::-1])[:needed]
    assert faults(JWT_SECRET=key, JWT_ALGORITHMS=algorithms) == {}
    message = faults(JWT_SECRET=key[:-1], JWT_ALGORITHMS=algorithms)["JWT_SECRET"]
    assert message.startswith(f"must have at least {needed} random bytes for HS{needed * 8}, not {needed - 1}; ")


def test_every_secret_of_a_rotation_is_looked_at_F17() -> None:
    assert faults(JWT_SECRET=f"{STRONG},old").get("JWT_SECRET", "").startswith("secret 2: must have at least 32")


@pytest.mark.parametrize(
    "secret",
    [
        "a-string-secret-at-least-256-bits-long",
        "super-secret-jwt-token-with-at-least-32-characters-long",
        "CHANGE_ME_PLEASE_1234567890_PASSWORD",
        "change-me-to-a-long-random-secret-value",
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "passwordpasswordpasswordpasswordpassword",
        "aaaabbbbccccddddeeeeffffgggghhhhiiiijjjj",
        "秘密" * 20,
    ],
)
def test_published_and_patterned_secrets_are_placeholders_however_long_F17(secret: str) -> None:
    assert "must be random" in secret_fault(secret, 32, "HS256")


def test_random_secrets_pass_whatever_their_alphabet_F17() -> None:
    for _ in range(300):
        raw = secrets.token_bytes(32)
        for secret in (raw.hex(), base64.b64encode(raw).decode(), secrets.token_urlsafe(24), raw.hex().upper()[:32]):
            assert secret_fault(secret, 32, "HS256") == "", secret
    assert not is_placeholder("a secret of exactly that length: 40 bytes")


def test_a_huge_secret_is_examined_in_no_time() -> None:
    assert is_placeholder("ab" * 60_000)
    assert not is_placeholder(secrets.token_hex(60_000))


def test_a_key_set_needs_an_audience_or_an_issuer_or_a_named_risk_F17() -> None:
    assert list(faults(**KEY_SET)) == ["JWT_AUDIENCE"]
    assert "JWT_ALLOW_ANY_AUDIENCE=true accepts that" in faults(**KEY_SET)["JWT_AUDIENCE"]
    assert load_settings(KEY_SET | {"JWT_AUDIENCE": "voice"}).warnings == ()
    [issuer_only] = load_settings(KEY_SET | {"JWT_ISSUER": "https://id.example"}).warnings
    assert issuer_only.startswith("JWT_AUDIENCE is not set")
    [accepted] = load_settings(KEY_SET | {"JWT_ALLOW_ANY_AUDIENCE": "true"}).warnings
    assert accepted.startswith("JWT_ALLOW_ANY_AUDIENCE: every token")


@pytest.mark.parametrize(("host", "count"), [("id.example", 1), ("127.0.0.1:8080", 0), ("[::1]", 0), ("localhost", 0)])
def test_keys_that_come_unencrypted_over_a_network_are_named_F17(host: str, count: int) -> None:
    warnings = load_settings({"JWT_JWKS_URL": f"http://{host}/keys", "JWT_AUDIENCE": "voice"}).warnings
    assert [warning.partition(":")[0] for warning in warnings] == ["JWT_JWKS_URL is not encrypted"] * count


@pytest.mark.parametrize("value", ["", "false", "maybe"])
def test_the_risk_is_accepted_by_true_alone_F17(value: str) -> None:
    assert faults(**KEY_SET, JWT_ALLOW_ANY_AUDIENCE=value) != {}
