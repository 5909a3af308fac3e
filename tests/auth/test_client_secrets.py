"""Client secrets open sessions for one user, for a while, and pass for no other token."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jwt
import pytest
from pydantic import SecretStr

from voice_trio import limits
from voice_trio.auth.signed_tokens import PREFIX, ClientSecrets, ResumeTokens, SecretClaims
from voice_trio.auth.tokens import RESUME_TYPE, TokenVerifier, User, issue_token
from voice_trio.errors import BadMessage, TokenInvalid
from voice_trio.settings import load_settings

SECRET = SecretStr("a-signing-secret-of-more-than-thirty-two-bytes")
ADA = User("ada", email="ada@example.com", plan="elite", is_admin=True, voice="cedar", voice_speed=1.2)


def secrets(at: float = 1000.0, secret: SecretStr = SECRET) -> ClientSecrets:
    return ClientSecrets(secret, unix_time=lambda: at)


@pytest.mark.parametrize("user", [ADA, User("ada"), User("größe", plan="free"), User("\ud800", email="\udfff")])
@pytest.mark.parametrize("session", [None, {"type": "realtime", "instructions": "用中文回答。"}])
def test_a_secret_stands_for_its_user_and_carries_what_was_preset(user: User, session: dict[str, Any] | None) -> None:
    secret = secrets().issue(user, seconds=600, session=session)
    assert secret.value.startswith("ek_")
    assert secret.value.isascii()
    assert secrets().read(secret.value) == SecretClaims(user, session)


def test_it_is_good_until_it_says_and_can_be_used_again() -> None:
    secret = secrets(1000.9).issue(ADA, seconds=600)
    assert secret.expires_at == 1600
    for at in (1001, 1300, 1599.9):
        assert secrets(at).read(secret.value).user == ADA
    with pytest.raises(TokenInvalid, match="expired"):
        secrets(1600).read(secret.value)


@pytest.mark.parametrize(("token_ends", "secret_ends"), [(1002.9, 1002), (1600, 1600), (9000, 1600), (None, 1600)])
def test_it_ends_with_the_token_that_it_was_made_from_F17(token_ends: float | None, secret_ends: int) -> None:
    secret = secrets(1000).issue(replace(ADA, token_expires_at=token_ends), seconds=600)
    assert secret.expires_at == secret_ends
    with pytest.raises(TokenInvalid, match="expired"):
        secrets(secret_ends).read(secret.value)


def test_a_secret_signed_by_somebody_else_is_refused() -> None:
    other = SecretStr("another-secret-of-more-than-thirty-two-bytes")
    with pytest.raises(TokenInvalid):
        secrets().read(secrets(secret=other).issue(ADA, seconds=600).value)


@pytest.mark.parametrize("value", ["", "x", "ek_", "ek_x", "ek_a.b.c", "ek_" + "ü" * 50, "ek_" + "." * 10_000])
def test_rubbish_is_refused_without_being_quoted(value: str) -> None:
    with pytest.raises(TokenInvalid) as refused:
        secrets().read(value)
    assert value.removeprefix("ek_") in ("", "x") or value not in str(refused.value)


def test_without_its_prefix_it_is_nothing() -> None:
    with pytest.raises(TokenInvalid):
        secrets().read(secrets().issue(ADA, seconds=600).value.removeprefix(PREFIX))


def test_a_resume_token_is_no_secret_and_no_secret_resumes() -> None:
    resume_tokens = ResumeTokens(SECRET, unix_time=lambda: 1000.0)
    with pytest.raises(TokenInvalid):
        secrets().read(PREFIX + resume_tokens.issue("ada", "vs_1", 600))
    secret = secrets().issue(ADA, seconds=600).value
    for value in (secret, secret.removeprefix(PREFIX)):
        with pytest.raises(TokenInvalid):
            resume_tokens.read(value, "ada")


@pytest.mark.parametrize("typ", [RESUME_TYPE, "JWT", "", None, 1, ["voice-trio-client-secret"]])
def test_no_other_type_passes_for_one(typ: object) -> None:
    claims = {"typ": typ, "sub": "ada", "exp": 9_999_999_999}
    with pytest.raises(TokenInvalid):
        secrets().read(PREFIX + jwt.encode(claims, SECRET.get_secret_value(), algorithm="HS256"))


async def test_a_secret_is_no_users_token_and_the_other_way_round_even_with_the_same_key() -> None:
    """The key may be the same: an operator may set VOICE_SIGNING_SECRET to JWT_SECRET."""
    settings = load_settings({"JWT_SECRET": SECRET.get_secret_value()})
    secret = secrets(at=4_000_000_000).issue(ADA, seconds=600).value
    for value in (secret, secret.removeprefix(PREFIX)):
        with pytest.raises(TokenInvalid):
            await TokenVerifier(settings.tokens).verify(value)
    with pytest.raises(TokenInvalid):
        secrets().read(PREFIX + issue_token(settings.tokens, ADA))


def test_a_preset_may_have_four_kilobytes_in_any_script() -> None:
    """Such a secret still fits what takes tokens, and a header of 8 KiB."""
    room = limits.CLIENT_SECRET_SESSION_BYTES_MAX - len('{"instructions":""}')
    fitting = {"instructions": "问" * (room // 3) + "x" * (room % 3)}
    value = secrets().issue(User("u" * 256, "e" * 256, "p" * 64), seconds=600, session=fitting).value
    assert secrets().read(value).session == fitting
    assert len("openai-insecure-api-key." + value) < min(limits.TOKEN_CHARS_MAX, 8192)
    with pytest.raises(BadMessage, match="4096 bytes"):
        secrets().issue(ADA, seconds=600, session={"instructions": fitting["instructions"] + "x"})


def test_a_preset_that_is_a_thousand_deep_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(BadMessage, match="deep"):
        secrets().issue(ADA, seconds=600, session={"tools": deep})
