"""User tokens: JWTs verified with PyJWT, and issued for development. Knows nothing of plans, limits or sockets.

It verifies the signature, with a configured algorithm and a key of the matching type. `exp` is required; `nbf` and
`iat` have a small tolerance; `aud` and `iss` are verified if configured. Tokens of the gateway itself are refused.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import jwt

from voice_trio import limits
from voice_trio.auth.key_set import KeySet, key_fetcher
from voice_trio.errors import BadMessage, ConfigurationError, TokenInvalid, TokenNotAccepted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import SecretStr

    from voice_trio.settings import Tokens

_HASH = re.compile("[0-9a-f]{32}")
VOICE_SPEED_MIN, VOICE_SPEED_MAX = 0.25, 1.5

RESUME_TYPE = "voice-trio-resume"
CLIENT_SECRET_TYPE = "voice-trio-client-secret"
INTERNAL_TYPES = frozenset({RESUME_TYPE, CLIENT_SECRET_TYPE})
"""`typ` of the tokens that the gateway signs itself, in the header or as a claim; none is a user's token."""


@dataclass(frozen=True, slots=True)
class User:
    """The user of a verified token; `voice` and `voice_speed` are None if the server's defaults apply."""

    id: str
    email: str = ""
    plan: str = ""
    is_admin: bool = False
    voice: str | None = None
    voice_speed: float | None = None
    token_expires_at: float | None = field(default=None, compare=False)
    """Unix time; None if no token names the user."""


class TokenVerifier:
    """Verifies tokens. `key_set` replaces the one of `settings.jwks_url`."""

    def __init__(self, settings: Tokens, key_set: KeySet | None = None) -> None:
        self._secrets = tuple(secret.get_secret_value() for secret in settings.jwt_secrets)
        self._algorithms = settings.algorithms
        self._audience, self._issuer = settings.audience, settings.issuer
        self._key_set = key_set or (KeySet(key_fetcher(settings.jwks_url)) if settings.jwks_url else None)

    async def verify(self, token: str) -> User:
        """The user of a token.

        Raises `TokenInvalid`, whose message gives the reason and never quotes the token; its subclasses
        `TokenNotAccepted` if the signature verifies, `TokenUncheckable` if the keys could not be fetched.
        """
        if not token or len(token) > limits.TOKEN_CHARS_MAX:
            raise TokenInvalid("the token is missing" if not token else "the token is too long")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise TokenInvalid("the token is not a JWT") from error
        if _is_internal(header):
            raise TokenInvalid("this is not a user's token")
        claims = await self._verified_claims(token, header)
        if _is_internal(claims):
            raise TokenInvalid("this is not a user's token")
        try:
            return replace(user_from_claims(claims), token_expires_at=float(claims["exp"]))
        except TokenInvalid as error:
            raise TokenNotAccepted(str(error)) from error

    async def _verified_claims(self, token: str, header: dict[str, Any]) -> dict[str, Any]:
        algorithm = header.get("alg")
        if algorithm not in self._algorithms:
            raise TokenInvalid("the token's algorithm is not accepted")
        is_shared = algorithm.startswith("HS")
        if is_shared and self._secrets:
            return self._decode_by_secrets(token, algorithm)
        if is_shared or self._key_set is None:
            raise TokenInvalid("the token's algorithm is not accepted")
        key = await self._key_set.key(header.get("kid"))
        # PyJWT uses an RSA key with the algorithm that it was published for, not with the one that the token names.
        if key.algorithm_name != algorithm and not _is_same_family(key.algorithm_name, algorithm):
            raise TokenInvalid("signed with a key of another kind")
        return self._decode(token, key.key, algorithm)

    def _decode_by_secrets(self, token: str, algorithm: str) -> dict[str, Any]:
        for secret in self._secrets[:-1]:
            try:
                return self._decode(token, secret, algorithm)
            except _WrongSignatureError:
                continue
        return self._decode(token, self._secrets[-1], algorithm)

    def _decode(self, token: str, key: Any, algorithm: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=limits.TOKEN_CLOCK_TOLERANCE_SECONDS,
                options={"require": ["exp"], "verify_aud": self._audience is not None, "verify_sub": False},
            )
            is_expired = float(claims["exp"]) <= time.time()
        except jwt.InvalidSignatureError as error:
            raise _WrongSignatureError("the signature is wrong") from error
        except _CLAIM_ERRORS as error:
            raise TokenNotAccepted(_error_text(error), _user_id_of_signed(token)) from error
        except jwt.PyJWTError as error:
            raise TokenInvalid(_error_text(error)) from error
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise TokenInvalid("the token is malformed") from error
        if is_expired:
            raise TokenNotAccepted("the token has expired", _user_id(claims))
        return claims


class _WrongSignatureError(TokenInvalid):
    """The signature may match another secret."""


# PyJWT verifies the signature before it looks at any claim.
_CLAIM_ERRORS = (
    jwt.ExpiredSignatureError,
    jwt.ImmatureSignatureError,
    jwt.InvalidAudienceError,
    jwt.InvalidIssuedAtError,
    jwt.InvalidIssuerError,
    jwt.MissingRequiredClaimError,
)


def user_from_claims(claims: dict[str, Any]) -> User:
    """The user of verified claims: `user_id`, else `sub`; a claim of a wrong type counts as absent."""
    user_id = _user_id(claims)
    if not user_id:
        raise TokenInvalid("the token names no user")
    return User(
        id=user_id,
        email=_text(claims.get("email")) or "",
        plan=_text(claims.get("plan")) or "",
        is_admin=claims.get("is_admin") is True,
        voice=_text(claims.get("voice")),
        voice_speed=voice_speed(claims.get("voice_speed")),
    )


def _user_id(claims: dict[str, Any]) -> str:
    """The user's id; "" if there is none."""
    user_id = claims.get("user_id")
    if user_id is None or user_id == "":
        user_id = claims.get("sub")
    if isinstance(user_id, bool) or not isinstance(user_id, str | int):
        return ""
    text = str(user_id)
    return text if len(text) <= limits.ID_CHARS_MAX else ""


def _user_id_of_signed(token: str) -> str:
    """The user's id in a token whose signature has been verified."""
    return _user_id(jwt.decode(token, options={"verify_signature": False}))


def voice_speed(value: object) -> float | None:
    """`value` as a speed of speech, clamped to the upstream's range; None if it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return min(max(float(value), VOICE_SPEED_MIN), VOICE_SPEED_MAX)


def issue_token(settings: Tokens, user: User, *, seconds_valid: float = 3600.0) -> str:
    """Issue a user token for development, signed with the first secret and the first HS* algorithm.

    Raises `ConfigurationError` without a `JWT_SECRET`: with a JWKS only the provider can sign.
    """
    algorithm = next((name for name in settings.algorithms if name.startswith("HS")), None)
    if algorithm is None or not settings.jwt_secrets:
        raise ConfigurationError("JWT_SECRET: must be set to make tokens; with JWT_JWKS_URL only the provider can")
    now = int(time.time())
    claims = {
        "sub": user.id,
        "user_id": user.id,
        "email": user.email,
        "plan": user.plan,
        "is_admin": user.is_admin,
        "voice": user.voice,
        "voice_speed": user.voice_speed,
        "aud": settings.audience,
        "iss": settings.issuer,
    }
    stated = {name: value for name, value in claims.items() if value not in (None, "", False)}
    times = {"iat": now, "exp": now + math.ceil(seconds_valid)}
    return jwt.encode(stated | times, settings.jwt_secrets[0].get_secret_value(), algorithm=algorithm)


def user_hash(user_id: str, signing_secret: SecretStr) -> str:
    """32 hexadecimal digits for a user in logs and upstream requests; the secret is needed to recompute them."""
    message = b"voice_trio user " + user_id.encode("utf-8", "surrogatepass")
    return hmac.new(signing_secret.get_secret_value().encode(), message, hashlib.sha256).hexdigest()[:32]


def user_hashes(user: str, signing_secrets: Sequence[SecretStr]) -> tuple[str, ...]:
    """The hashes that `user` may stand for, an id or a hash: of 32 hexadecimal digits nothing says which they are.

    An id has one hash by each secret, in their order. Raises `BadMessage` for a text that can be neither; without
    secrets, for an id.
    """
    if not 0 < len(user) <= limits.ID_CHARS_MAX:
        raise BadMessage(f"user: must be an id or a hash of 1 to {limits.ID_CHARS_MAX} characters")
    itself = (user,) if _HASH.fullmatch(user) else ()
    if not itself and not signing_secrets:
        raise BadMessage("user: only a hash can be used without the gateways' JWT_SECRET or VOICE_SIGNING_SECRET")
    return (*(user_hash(user, secret) for secret in signing_secrets), *itself)


def _is_internal(fields: dict[str, Any]) -> bool:
    typ = fields.get("typ")
    return isinstance(typ, str) and typ.lower() in INTERNAL_TYPES


def _is_same_family(published: str, named: str) -> bool:
    """Whether a key published for one algorithm may verify another: RSA keys verify all RS* and PS*."""
    return published == "RS256" and named[:2] in ("RS", "PS")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= limits.ID_CHARS_MAX else None


def _error_text(error: jwt.PyJWTError) -> str:
    match error:
        case jwt.ExpiredSignatureError():
            return "the token has expired"
        case jwt.ImmatureSignatureError():
            return "the token is not valid yet"
        case jwt.MissingRequiredClaimError():
            return f"the token has no claim {error.claim}"
        case jwt.InvalidAudienceError():
            return "the token is for another audience"
        case jwt.InvalidIssuerError():
            return "the token is from another issuer"
        case _:
            return "the token is malformed"
