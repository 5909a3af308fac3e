"""Resume tokens: what lets a user come back to one session, and to no other user's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import jwt

from voice_trio.auth.tokens import RESUME_TYPE
from voice_trio.errors import TokenInvalid
from voice_trio.state.session_record import RECORD_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

ALGORITHM = "HS256"


class ResumeTokens:
    """Signs and reads them with `VOICE_SIGNING_SECRET`; each is bound to a session and a user, and no user token."""

    def __init__(self, secret: SecretStr, *, unix_time: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._unix_time = unix_time

    def issue(self, user_id: str, session_id: str, seconds_left: float) -> str:
        """A token for a session that may be connected for `seconds_left`; it is good for an hour beyond that.

        How long a session really can be resumed is said by its record, which is kept for an hour after its last word.
        """
        expires = int(self._unix_time() + seconds_left + RECORD_SECONDS)
        claims = {"typ": RESUME_TYPE, "sub": user_id, "sid": session_id, "exp": expires}
        key = self._secret.get_secret_value()
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"typ": RESUME_TYPE})

    def read(self, token: str, user_id: str) -> str:
        """The id of the session; raises `TokenInvalid` for a foreign, changed or expired token, never quoting it."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret.get_secret_value(),
                algorithms=[ALGORITHM],
                options={"require": ["exp", "sub", "sid", "typ"], "verify_exp": False},
            )
            is_expired = float(claims["exp"]) <= self._unix_time()
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise TokenInvalid("not a resume token of ours") from error
        if claims["typ"] != RESUME_TYPE or claims["sub"] != user_id or is_expired:
            raise TokenInvalid("the resume token is another user's, or has expired")
        return str(claims["sid"])
