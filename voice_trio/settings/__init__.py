"""Every environment variable of voice_trio, as one frozen object: `load_settings() -> Settings`.

Environment variables have flat, public names; here they are grouped by the part that reads them. Wrong values prevent
the start with one `ConfigurationError` that lists every fault by variable name. An empty variable counts as unset.
`python -m voice_trio.settings` prints the tables of docs/configuration.md.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from voice_trio.errors import ConfigurationError
from voice_trio.settings.access import HMAC_ALGORITHMS, Access, Tokens
from voice_trio.settings.conversation import (
    DEFAULT_INSTRUCTIONS,
    INSTRUCTIONS_CHARS_MAX,
    Assistant,
    Retrieval,
    Weaviate,
)
from voice_trio.settings.price_table import read_price_table
from voice_trio.settings.reading import (
    Fault,
    Group,
    Variable,
    echo,
    masked,
    read_group,
    unknown_name_warnings,
    variables_of,
)
from voice_trio.settings.secret_strength import HMAC_KEY_BYTES_MIN, secret_fault
from voice_trio.settings.service import CLIENT_SETTINGS, SAFE_CLIENT_SETTINGS, Limits, Observability, Shared, Web
from voice_trio.settings.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = [
    "CLIENT_SETTINGS",
    "DEFAULT_INSTRUCTIONS",
    "SAFE_CLIENT_SETTINGS",
    "Access",
    "Assistant",
    "ConfigurationError",
    "Limits",
    "Observability",
    "Retrieval",
    "Settings",
    "Shared",
    "Tokens",
    "Upstream",
    "Weaviate",
    "Web",
    "all_variables",
    "load_settings",
    "markdown_tables",
    "variable_groups",
]

LOOPBACK = ("localhost", "127.0.0.1", "::1")

OUR_PREFIXES = (
    *("VOICE_", "ENABLE_VOICE", "OPENAI_REALTIME_", "OPENAI_TRANSCRIPTION_", "UPSTREAM_", "JWT_", "RAG_"),
    *(
        "WEAVIATE_",
        "REDIS_",
        "RETRY_",
        "MAX_SESSION",
        "MAX_CONCURRENT_",
        "DAILY_BUDGET",
        "SESSION_BUDGET",
        "USER_DAILY_BUDGET",
    ),
)


class Settings(BaseModel):
    """The whole configuration, frozen; every rendering masks secrets with stars."""

    model_config = ConfigDict(frozen=True)

    access: Access
    upstream: Upstream
    voice: Assistant
    tokens: Tokens
    limits: Limits
    retrieval: Retrieval
    weaviate: Weaviate
    shared: Shared
    web: Web
    observability: Observability

    instructions: str
    """The instructions for the model: of the file, else of the variable, else the default."""
    signing_secret: SecretStr
    """As configured, else derived from the first JWT secret, else random for this process."""
    warnings: tuple[str, ...] = ()
    """Warnings for the operator, logged at the start."""

    @property
    def hashing_secrets(self) -> tuple[SecretStr, ...]:
        """The signing secret, and those before it as far as JWT_SECRET lists what they were derived from."""
        derived = [_derived(secret) for secret in self.tokens.jwt_secrets]
        return (self.signing_secret, *(secret for secret in derived if secret != self.signing_secret))

    def described(self) -> dict[str, object]:
        """Every variable with its effective value, secrets as stars, for logs and the stats page."""
        return {name: value for group in _GROUPS for name, value in masked(getattr(self, group)).items()}


_GROUPS: dict[str, type[Group]] = {
    name: field.annotation
    for name, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Group)
}


def load_settings(environ: Mapping[str, str] = os.environ, /, **defaults: str) -> Settings:
    """Read the settings from `environ`; `defaults`, by variable name, apply to variables that are unset there.

    Raises `ConfigurationError` that lists every fault by variable name. Reads the files of `VOICE_INSTRUCTIONS_FILE`
    and `VOICE_PRICES_FILE`.
    """
    given = defaults | {name: text.strip() for name, text in environ.items() if text.strip()}
    groups: dict[str, Any] = {}
    faults: list[Fault] = []
    values = read_group(Upstream, given)[0].profile_defaults | given
    for name, group in _GROUPS.items():
        groups[name], found = read_group(group, values)
        faults += found
    instructions, found = _read_instructions(groups["voice"])
    secret = _signing_secret(groups["tokens"])
    warnings = (*_warnings(given), *_key_set_warnings(groups["tokens"]), *groups["upstream"].warnings)
    settings = Settings(**groups, instructions=instructions, signing_secret=secret, warnings=warnings)
    faults += found + _faults_between(settings, {fault.name for fault in faults})
    if faults:
        raise ConfigurationError("wrong settings:\n" + "\n".join(f"  {fault}" for fault in faults))
    return settings


def all_variables() -> tuple[Variable, ...]:
    """All variables, in the order of the documentation."""
    return tuple(variable for group in _GROUPS.values() for variable in variables_of(group))


def variable_groups() -> Iterator[tuple[str, tuple[Variable, ...]]]:
    """What each group of variables is about, and its variables, in the order of the documentation."""
    for group in _GROUPS.values():
        yield (group.__doc__ or "").partition("\n")[0], variables_of(group)


def markdown_tables() -> dict[str, str]:
    """The tables of docs/configuration.md as Markdown, by what their group of variables is about."""
    header = "| variable | default | meaning |\n|---|---|---|\n"
    return {
        about: header + "".join(f"| `{each.name}` | {each.default} | {each.meaning} |\n" for each in variables)
        for about, variables in variable_groups()
    }


def _read_instructions(voice: Assistant) -> tuple[str, list[Fault]]:
    path = voice.instructions_file
    if path is None:
        return voice.instructions_given, []
    try:
        with path.expanduser().open(encoding="utf-8") as file:
            text = file.read(INSTRUCTIONS_CHARS_MAX + 1).strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        return "", [Fault("VOICE_INSTRUCTIONS_FILE", f"must name a readable UTF-8 file; {echo(str(path))}: {reason}")]
    if not 0 < len(text) <= INSTRUCTIONS_CHARS_MAX:
        wanted = f"must name a file of 1 to {INSTRUCTIONS_CHARS_MAX} characters; {echo(str(path))} is empty or longer"
        return "", [Fault("VOICE_INSTRUCTIONS_FILE", wanted)]
    return text, []


def _signing_secret(tokens: Tokens) -> SecretStr:
    if tokens.signing_secret_given is not None:
        return tokens.signing_secret_given
    return _derived(tokens.jwt_secrets[0]) if tokens.jwt_secrets else SecretStr(secrets.token_hex(32))


def _derived(jwt_secret: SecretStr) -> SecretStr:
    root = jwt_secret.get_secret_value().encode()
    return SecretStr(hmac.new(root, b"voice_trio signing secret 1", hashlib.sha256).hexdigest())


def _faults_between(settings: Settings, already_faulty: set[str]) -> list[Fault]:
    """The faults of rules over several variables; a rule is skipped if one of its variables is wrong by itself."""
    return [
        Fault(involved[0], message)
        for involved, rule in _RULES
        if not already_faulty.intersection(involved) and (message := rule(settings))
    ]


def _tokens_can_be_verified(settings: Settings) -> str:
    tokens = settings.tokens
    if settings.access.enabled and not tokens.jwt_secrets and not tokens.jwks_url:
        return "must be set (or JWT_JWKS_URL) while ENABLE_VOICE_REALTIME is on: no token can be verified without"
    return ""


def _algorithms_fit_their_keys(settings: Settings) -> str:
    tokens = settings.tokens
    shared = [name for name in tokens.algorithms if name in HMAC_ALGORITHMS]
    paired = [name for name in tokens.algorithms if name not in HMAC_ALGORITHMS]
    if shared and tokens.jwks_url and not tokens.jwt_secrets:
        return f"must not contain {', '.join(shared)} with JWT_JWKS_URL alone: those need JWT_SECRET"
    if paired and tokens.jwt_secrets and not tokens.jwks_url:
        return f"must not contain {', '.join(paired)} with JWT_SECRET alone: those need JWT_JWKS_URL"
    return ""


def _secrets_are_strong(settings: Settings) -> str:
    tokens = settings.tokens
    names = [name for name in tokens.algorithms if name in HMAC_ALGORITHMS]
    longest = max(names, key=lambda name: HMAC_KEY_BYTES_MIN[name], default="HS256")
    for number, secret in enumerate(tokens.jwt_secrets, 1):
        if fault := secret_fault(secret.get_secret_value(), HMAC_KEY_BYTES_MIN[longest], longest):
            return fault if len(tokens.jwt_secrets) == 1 else f"secret {number}: {fault}"
    return ""


def _tokens_are_for_this_service(settings: Settings) -> str:
    tokens = settings.tokens
    if tokens.jwks_url is None or tokens.audience or tokens.issuer or tokens.allow_any_audience:
        return ""
    return (
        "must be set (or JWT_ISSUER) with JWT_JWKS_URL: else each token of that provider passes, also one made for "
        "another service; JWT_ALLOW_ANY_AUDIENCE=true accepts that"
    )


def _instances_share_a_signing_secret(settings: Settings) -> str:
    tokens, shared = settings.tokens, settings.shared
    if tokens.jwks_url and not tokens.jwt_secrets and shared.redis_url and shared.redis_enabled:
        return "" if tokens.signing_secret_given else "must be set with JWT_JWKS_URL only and REDIS_URL"
    return ""


def _prices_can_be_read(settings: Settings) -> str:
    try:
        read_price_table(settings.limits.prices_file)
    except ConfigurationError as error:
        return str(error).partition(": ")[2]
    return ""


_RULES: tuple[tuple[tuple[str, ...], Callable[[Settings], str]], ...] = (
    (("JWT_SECRET", "JWT_JWKS_URL", "ENABLE_VOICE_REALTIME"), _tokens_can_be_verified),
    (("VOICE_PRICES_FILE",), _prices_can_be_read),
    (("JWT_SECRET", "JWT_ALGORITHMS"), _secrets_are_strong),
    (("JWT_AUDIENCE", "JWT_ISSUER", "JWT_JWKS_URL", "JWT_ALLOW_ANY_AUDIENCE"), _tokens_are_for_this_service),
    (("JWT_ALGORITHMS", "JWT_SECRET", "JWT_JWKS_URL"), _algorithms_fit_their_keys),
    (
        ("VOICE_SIGNING_SECRET", "JWT_SECRET", "JWT_JWKS_URL", "REDIS_URL", "REDIS_ENABLED"),
        _instances_share_a_signing_secret,
    ),
)


def _warnings(given: Mapping[str, str]) -> Iterator[str]:
    yield from unknown_name_warnings(given, [variable.name for variable in all_variables()], OUR_PREFIXES)
    if "DAILY_BUDGET_USD" in given and "USER_DAILY_BUDGET_USD" not in given:
        yield "USER_DAILY_BUDGET_USD is recommended beside DAILY_BUDGET_USD: without it one user can spend a whole day"
    if "CLIENT_ADDRESS_HEADER" in given and given.get("TRUSTED_PROXY_HOPS", "0") == "0":
        yield "CLIENT_ADDRESS_HEADER has no effect while TRUSTED_PROXY_HOPS is 0"
    if "VOICE_INSTRUCTIONS" in given and "VOICE_INSTRUCTIONS_FILE" in given:
        yield "VOICE_INSTRUCTIONS has no effect beside VOICE_INSTRUCTIONS_FILE"


def _key_set_warnings(tokens: Tokens) -> Iterator[str]:
    if tokens.jwks_url is None:
        return
    parts = urlsplit(tokens.jwks_url)
    if parts.scheme.lower() == "http" and parts.hostname not in LOOPBACK:
        yield "JWT_JWKS_URL is not encrypted: a party on the way can put its own keys in place of the provider's"
    if tokens.audience:
        return
    if tokens.issuer:
        yield "JWT_AUDIENCE is not set: tokens that JWT_ISSUER made for other services are accepted too"
    elif tokens.allow_any_audience:
        yield "JWT_ALLOW_ANY_AUDIENCE: every token of the JWT_JWKS_URL provider is accepted, also for other services"
