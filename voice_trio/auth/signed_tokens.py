"""Tokens that the gateway signs itself with `VOICE_SIGNING_SECRET`: client secrets and resume tokens.

A client secret opens realtime sessions from a web page in place of the user's own token. It stands for the user as
entitled when it was made, and may carry presets of the sessions it opens. A resume token continues one session of one
user. Both are JWTs: signed, not encrypted, and valid until they expire.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jwt

from voice_trio import limits
from voice_trio.auth.tokens import CLIENT_SECRET_TYPE, RESUME_TYPE, User, user_from_claims
from voice_trio.errors import BadMessage, TokenInvalid, TokenNotAccepted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import SecretStr

ALGORITHM = "HS256"
PREFIX = "ek_"
"""OpenAI's clients require this prefix before they use a token in a web page."""


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """`expires_at` is Unix time in whole seconds."""

    value: str = field(repr=False)
    expires_at: int


@dataclass(frozen=True, slots=True)
class SecretClaims:
    """The user of a secret, and the `session` presets that the client's backend requested."""

    user: User
    session: dict[str, Any] | None = None


class ClientSecrets:
    """Signs and verifies client secrets; none is valid as a user's token or a resume token."""

    def __init__(self, secret: SecretStr, *, unix_time: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._unix_time = unix_time

    def issue(self, user: User, *, seconds: int, session: Mapping[str, Any] | None = None) -> ClientSecret:
        """A secret that expires in `seconds`, or with the user's token if that is earlier.

        Raises `BadMessage` for a `session` that is too large.
        """
        expires = int(self._unix_time()) + seconds
        if user.token_expires_at is not None:
            expires = min(expires, int(user.token_expires_at))
        claims = {
            "typ": CLIENT_SECRET_TYPE,
            "sub": user.id,
            "email": user.email,
            "plan": user.plan,
            "is_admin": user.is_admin,
            "voice": user.voice,
            "voice_speed": user.voice_speed,
            "exp": expires,
        }
        if session is not None:
            if len(_compact(session)) > limits.CLIENT_SECRET_SESSION_BYTES_MAX:
                raise BadMessage(f"session: has more than {limits.CLIENT_SECRET_SESSION_BYTES_MAX} bytes of JSON")
            claims["session"] = session
        key = self._secret.get_secret_value()
        # Not by jwt.encode: it escapes characters outside ASCII, which doubles presets in most scripts.
        signed = jwt.PyJWS().encode(_compact(claims), key, algorithm=ALGORITHM, headers={"typ": CLIENT_SECRET_TYPE})
        return ClientSecret(PREFIX + signed, expires)

    def read(self, value: str) -> SecretClaims:
        """User and presets of a secret; raises `TokenInvalid`, whose message never quotes it, if it is not valid."""
        if not value.startswith(PREFIX):
            raise TokenInvalid("not a client secret")
        try:
            claims: dict[str, Any] = jwt.decode(
                value.removeprefix(PREFIX),
                self._secret.get_secret_value(),
                algorithms=[ALGORITHM],
                options={"require": ["exp", "sub", "typ"], "verify_exp": False, "verify_sub": False},
            )
            is_expired = float(claims["exp"]) <= self._unix_time()
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise TokenInvalid("not a client secret of ours") from error
        if claims["typ"] != CLIENT_SECRET_TYPE:
            raise TokenInvalid("not a client secret of ours")
        if is_expired:
            raise TokenNotAccepted("the client secret has expired", str(claims["sub"]))
        return SecretClaims(user_from_claims(claims), claims.get("session"))


def _compact(value: object) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError as error:
        raise BadMessage("session: is nested too deeply") from error
    # A user's token may hold a lone surrogate, which is kept as it is.
    return text.encode("utf-8", "surrogatepass")


class ResumeTokens:
    """Signs and verifies resume tokens, each bound to one session and one user; none is valid as a user's token."""

    def __init__(self, secret: SecretStr, *, unix_time: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._unix_time = unix_time

    def issue(self, user_id: str, session_id: str, seconds_left: float) -> str:
        """A token for a session that may be connected for `seconds_left`; it expires an hour after that.

        The session's record, stored for an hour after its last revision, decides whether the session can be resumed.
        """
        expires = int(self._unix_time() + seconds_left + limits.RECORD_SECONDS)
        claims = {"typ": RESUME_TYPE, "sub": user_id, "sid": session_id, "exp": expires}
        key = self._secret.get_secret_value()
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"typ": RESUME_TYPE})

    def read(self, token: str, user_id: str) -> str:
        """The id of the session; raises `TokenInvalid`, whose message never quotes the token, if it is not valid."""
        claims = self._verified(token)
        if claims["sub"] != user_id or float(claims["exp"]) <= self._unix_time():
            raise TokenInvalid("the resume token is another user's, or has expired")
        return str(claims["sid"])

    def session_id(self, token: str) -> str | None:
        """The id of the session that a token of ours names, also of an expired one or another user's; else None."""
        try:
            return str(self._verified(token)["sid"])
        except TokenInvalid:
            return None

    def _verified(self, token: str) -> dict[str, Any]:
        """The claims of a token that this gateway has signed; raises `TokenInvalid`."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret.get_secret_value(),
                algorithms=[ALGORITHM],
                options={"require": ["exp", "sub", "sid", "typ"], "verify_exp": False},
            )
            float(claims["exp"])
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise TokenInvalid("not a resume token of ours") from error
        if claims["typ"] != RESUME_TYPE:
            raise TokenInvalid("not a resume token of ours")
        return claims
