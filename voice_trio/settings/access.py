"""The variables that decide whose sessions are admitted: the verification of tokens, plans and the rollout's start.

Knows neither how variables are read nor the rules between groups.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, SecretStr

from voice_trio.settings.reading import CommaList, Group, HttpUrl, SecretList, env, strong_secret
from voice_trio.settings.secret_strength import HMAC_KEY_BYTES_MIN

HMAC_ALGORITHMS = ("HS256", "HS384", "HS512")
KEY_PAIR_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


def _known_algorithms(names: tuple[str, ...]) -> tuple[str, ...]:
    known = {name.lower(): name for name in (*HMAC_ALGORITHMS, *KEY_PAIR_ALGORITHMS)}
    if any(name.lower() not in known for name in names):
        raise ValueError(f"must be a comma-separated list out of {', '.join(known.values())}")
    return tuple(known[name.lower()] for name in names)


def _shared_secrets(given: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if any("-----BEGIN" in secret.get_secret_value() for secret in given):
        raise ValueError("must be shared secrets, not a PEM key: public keys come by JWT_JWKS_URL")
    return given


class Tokens(Group):
    """The verification of user tokens."""

    jwt_secrets: Annotated[SecretList, AfterValidator(_shared_secrets)] = env(
        "JWT_SECRET",
        (),
        "shared secrets of HS* tokens, at least 32 bytes; comma-separated for rotation: the first signs, all verify",
    )
    jwks_url: HttpUrl | None = env("JWT_JWKS_URL", None, "URL of the public keys of RS/PS/ES/EdDSA tokens")
    algorithms_given: Annotated[CommaList, AfterValidator(_known_algorithms)] = env(
        "JWT_ALGORITHMS",
        (),
        "the only algorithms accepted: HS* only with a secret, all others only with `JWT_JWKS_URL`",
        shown="`HS256` with a secret, `RS256,ES256` with `JWT_JWKS_URL`",
    )
    audience: str | None = env(
        "JWT_AUDIENCE", None, "when set, the claim `aud` must contain it; this or `JWT_ISSUER` is required with JWKS"
    )
    issuer: str | None = env("JWT_ISSUER", None, "when set, the claim `iss` must equal it")
    allow_any_audience: bool = env(
        "JWT_ALLOW_ANY_AUDIENCE",
        False,
        "accept every token of the `JWT_JWKS_URL` provider, also those made for other services; warns at each start",
    )
    signing_secret_given: Annotated[SecretStr, strong_secret(HMAC_KEY_BYTES_MIN["HS256"], "HMAC-SHA256")] | None = env(
        "VOICE_SIGNING_SECRET",
        None,
        "signs resume tokens and client secrets; required with JWKS only plus Redis",
        shown="derived from the first `JWT_SECRET`; without one, random for each process",
    )

    @property
    def algorithms(self) -> tuple[str, ...]:
        """JWT_ALGORITHMS, or the default for the configured keys."""
        by_secret = ("HS256",) if self.jwt_secrets else ()
        by_key_set = ("RS256", "ES256") if self.jwks_url else ()
        return self.algorithms_given or by_secret + by_key_set


class Access(Group):
    """The users that may use voice."""

    enabled: bool = env(
        "ENABLE_VOICE_REALTIME", False, "master switch; if off, the server starts without any other setting"
    )
    plan_url: HttpUrl | None = env(
        "PLAN_URL", None, 'requested with the user\'s own bearer for `{"plan": …}`; unset: the claim `plan`'
    )
    allowed_plans: CommaList = env(
        "VOICE_ALLOWED_PLANS",
        ("elite", "intelia"),
        "plans that include voice, compared without case; `is_admin` passes plan and rollout, not limits",
    )
    beta_users: CommaList = env(
        "VOICE_BETA_USERS",
        (),
        "ids or emails that are included at any percentage; initial value of the rollout document",
    )
    rollout_percent: float = env(
        "VOICE_ROLLOUT_PERCENT",
        100.0,
        "percentage of users that are included; initial value of the rollout document",
        ge=0,
        le=100,
    )
