"""Resume tokens open one session to one user, for a while."""

from __future__ import annotations

import jwt
import pytest
from pydantic import SecretStr

from voice_trio.auth.signed_tokens import ResumeTokens
from voice_trio.auth.tokens import CLIENT_SECRET_TYPE
from voice_trio.errors import TokenInvalid

SECRET = SecretStr("a-signing-secret-of-more-than-thirty-two-bytes")


def tokens(at: float = 1000.0, secret: SecretStr = SECRET) -> ResumeTokens:
    return ResumeTokens(secret, unix_time=lambda: at)


def test_a_token_names_its_session_to_its_user() -> None:
    assert tokens().read(tokens().issue("ada", "vs_1", 600), "ada") == "vs_1"


def test_another_users_token_is_worthless() -> None:
    with pytest.raises(TokenInvalid):
        tokens().read(tokens().issue("ada", "vs_1", 600), "bob")


def test_a_token_is_good_for_an_hour_beyond_the_time_left() -> None:
    token = tokens(1000).issue("ada", "vs_1", 600)
    assert tokens(1000 + 600 + 3599).read(token, "ada") == "vs_1"
    with pytest.raises(TokenInvalid):
        tokens(1000 + 600 + 3600).read(token, "ada")


def test_a_token_signed_with_another_secret_is_refused() -> None:
    other = SecretStr("another-secret-of-more-than-thirty-two-bytes")
    with pytest.raises(TokenInvalid):
        tokens().read(tokens(secret=other).issue("ada", "vs_1", 600), "ada")


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "ü" * 50, "." * 10_000])
def test_rubbish_is_refused_without_being_quoted(token: str) -> None:
    with pytest.raises(TokenInvalid) as refused:
        tokens().read(token, "ada")
    assert token == "" or token not in str(refused.value)


def test_no_other_token_of_ours_passes_for_one() -> None:
    claims = {"typ": CLIENT_SECRET_TYPE, "sub": "ada", "sid": "vs_1", "exp": 9_999_999_999}
    forged = jwt.encode(claims, SECRET.get_secret_value(), algorithm="HS256")
    with pytest.raises(TokenInvalid):
        tokens().read(forged, "ada")
