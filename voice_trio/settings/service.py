"""The variables of the service: limits, shared state, the HTTP side and observability.

Knows neither how variables are read nor the rules between groups. docs/configuration.md is generated from this file,
`settings.access`, `settings.upstream` and `settings.conversation`.
"""

from __future__ import annotations

import re
from pathlib import Path  # noqa: TC003 - pydantic reads the annotations when the module loads
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

import voice_trio
from voice_trio import limits
from voice_trio.errors import ConfigurationError
from voice_trio.net.listeners import BIND_RULE, parse_bind
from voice_trio.settings.reading import CommaList, Group, HttpUrl, any_case, check_url, env, strong_secret
from voice_trio.settings.redis_url import parse_redis_url
from voice_trio.settings.secret_strength import BEARER_BYTES_MIN

SAFE_CLIENT_SETTINGS = (
    *("voice", "speed", "turn_detection", "tools", "output_modalities", "language", "instructions"),
    "max_output_tokens",  # a client can only lower it
)
"""What a client of `/v1/realtime` may set by default; VOICE_CLIENT_CONFIG overrides it."""
QUESTIONS_MAX = 3
QUESTION_CHARS_MAX = 200
DEFAULT_PORT = 8000
"""Where a server listens if no variable says more: on 127.0.0.1, so that only this machine reaches it."""
CLIENT_SETTINGS = (*SAFE_CLIENT_SETTINGS, "noise_reduction", "reasoning", "transcription_model")


def _redis_url(url: SecretStr) -> SecretStr:
    parse_redis_url(url.get_secret_value())
    return url


def _sentry_dsn(dsn: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(dsn.get_secret_value())
        is_dsn = parts.scheme in ("https", "http") and parts.hostname and parts.username and parts.path.strip("/")
    except ValueError:
        is_dsn = False
    if not is_dsn:
        raise ValueError("must look like https://KEY@HOST/PROJECT")
    return dsn


def _origins(given: tuple[str, ...]) -> tuple[str, ...]:
    for origin in given:
        if origin != "*" and urlsplit(check_url(origin, ("https", "http"))).path.strip("/"):
            raise ValueError("must be * or a comma-separated list of origins such as https://app.example.com")
    return tuple(origin.rstrip("/").lower() for origin in given)


def _bind(text: str) -> str:
    try:
        parse_bind(text)
    except ConfigurationError:
        raise ValueError(BIND_RULE) from None  # a fault of a setting quotes the value itself
    return text


def _header_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
        raise ValueError("must be the name of a header, such as X-Forwarded-For")
    return name


def _questions(text: object) -> object:
    """`"a? | b?"` → `("a?", "b?")`; questions have commas."""
    if not isinstance(text, str):
        return text
    given = tuple(part.strip() for part in text.split("|") if part.strip())
    if len(given) > QUESTIONS_MAX or any(len(question) > QUESTION_CHARS_MAX for question in given):
        raise ValueError(f"must be at most {QUESTIONS_MAX} questions of {QUESTION_CHARS_MAX} characters")
    return given


def _client_settings(names: tuple[str, ...]) -> tuple[str, ...]:
    known = tuple(name.lower() for name in names)
    if known == ("none",):
        return ()
    if not set(known) <= set(CLIENT_SETTINGS):
        raise ValueError(f"must be a list of {', '.join(CLIENT_SETTINGS)}, or none")
    return known


class Limits(Group):
    """The limits of sessions and spending."""

    session_seconds: float = env(
        "MAX_SESSION_DURATION", 600.0, "seconds a session may be connected, all connections together", ge=1, le=3500
    )
    sessions_per_hour: int = env(
        "MAX_SESSIONS_PER_USER_PER_HOUR", 5, "sessions a user may start in any 60 minutes", ge=1, le=1_000_000
    )
    concurrent_per_user: int = env(
        "MAX_CONCURRENT_SESSIONS_PER_USER", 2, "sessions a user may have open, on all instances", ge=1, le=10_000
    )
    concurrent: int = env("MAX_CONCURRENT_SESSIONS", 120, "sessions one process holds", ge=1, le=100_000)
    loop_lag_ms: float = env(
        "MAX_LOOP_LAG_MS",
        limits.LAG_NEWCOMERS_MS_MAX,
        "P95 of the event loop's lag in ms, above which new sessions wait, and are refused after 8 s; 0: never",
        ge=0,
        le=10_000,
    )
    unadmitted: int = env(
        "MAX_UNADMITTED_CONNECTIONS",
        512,
        "connections without a session that one process holds; fewer where the open-file limit is low",
        ge=1,
        le=100_000,
    )
    unadmitted_per_address: int = env(
        "MAX_UNADMITTED_PER_ADDRESS",
        128,
        "the same of one client address; not of private addresses while `TRUSTED_PROXY_HOPS` is 0",
        ge=1,
        le=100_000,
    )
    idle_seconds: float = env(
        "IDLE_TIMEOUT",
        120.0,
        "seconds without speech or text after which a session ends; does not run during a response",
        ge=1,
        le=3500,
    )
    daily_budget_usd: float | None = env(
        "DAILY_BUDGET_USD",
        None,
        "what a day (UTC) may cost, all instances together; when spent, sessions end with 4002 until midnight",
        ge=0,
        le=1_000_000,
    )
    user_daily_budget_usd: float | None = env(
        "USER_DAILY_BUDGET_USD",
        None,
        "what a user may cost on a day (UTC), on all instances; when spent, they get 4002 until midnight",
        ge=0,
        le=1_000_000,
    )
    session_budget_usd: float | None = env(
        "SESSION_BUDGET_USD", None, "what a session may cost; when spent, it ends with 4002", ge=0, le=1_000_000
    )
    prices_file: Path | None = env(
        "VOICE_PRICES_FILE",
        None,
        "a price table (TOML) in place of the one of the package; `free`: everything is free",
    )


class Shared(Group):
    """State shared between instances, and the session webhook."""

    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] | None = env(
        "REDIS_URL",
        None,
        "`redis://`, `rediss://`, `redis+sentinel://h:p,h:p/service/db`, `redis+cluster://h:p,h:p`; unset: in memory",
    )
    redis_enabled: bool = env("REDIS_ENABLED", True, "`false`: in memory, regardless of `REDIS_URL`")
    redis_failure_policy: Annotated[Literal["fallback", "deny"], any_case("fallback", "deny")] = env(
        "REDIS_FAILURE_POLICY", "fallback", "while Redis is unavailable: limits from memory (`fallback`) or `deny`"
    )
    retry_max_attempts: int = env(
        "RETRY_MAX_ATTEMPTS", 3, "attempts of a Redis call whose connection is lost, all within its 250 ms", ge=1, le=20
    )
    retry_backoff_factor: float = env(
        "RETRY_BACKOFF_FACTOR",
        2.0,
        "factor by which each pause between them grows, and each pause before a reconnect to Redis",
        ge=1,
        le=10,
    )
    store_transcripts: bool = env(
        "VOICE_STORE_TRANSCRIPTS", True, "`false`: records hold no text, a resumed session starts without history"
    )
    webhook_url: HttpUrl | None = env(
        "VOICE_WEBHOOK_URL", None, "URL to which each session's record is sent at its end; unset: none"
    )
    webhook_secret: Annotated[SecretStr, strong_secret(BEARER_BYTES_MIN, "HMAC-SHA256")] | None = env(
        "VOICE_WEBHOOK_SECRET", None, "signs these requests (HMAC-SHA256 in `X-Voice-Signature`); unset: unsigned"
    )


class Web(Group):
    """The HTTP side."""

    bind: Annotated[str, AfterValidator(_bind)] | None = env(
        "BIND", None, "where `voice-trio serve` listens: `HOST:PORT`; unset: `PORT`, else 127.0.0.1:8000"
    )
    port: int | None = env("PORT", None, "without `BIND`: listen on this port of all addresses", ge=1, le=65535)
    console: bool = env("VOICE_CONSOLE", False, "serve the console page at `/`")
    console_questions: Annotated[tuple[str, ...], BeforeValidator(_questions)] = env(
        "VOICE_CONSOLE_QUESTIONS",
        (),
        "up to three questions, separated by `|`, that an empty console page offers; unset: it makes some from the "
        "titles of documents",
    )
    allowed_origins: Annotated[CommaList, AfterValidator(_origins)] = env(
        "ALLOWED_ORIGINS", ("*",), "origins whose pages may connect; a request without `Origin` is accepted"
    )
    metrics_token: Annotated[SecretStr, strong_secret(BEARER_BYTES_MIN, "a bearer token")] | None = env(
        "METRICS_TOKEN", None, "bearer that `GET /metrics` requires, if set"
    )
    trusted_proxy_hops: int = env(
        "TRUSTED_PROXY_HOPS",
        0,
        "trusted proxies that append to `CLIENT_ADDRESS_HEADER`; gives the client's address, for limits and logs",
        ge=0,
        le=10,
    )
    client_address_header: Annotated[str, AfterValidator(_header_name)] = env(
        "CLIENT_ADDRESS_HEADER",
        "X-Forwarded-For",
        "header to which these proxies append; `DO-Connecting-IP` on DigitalOcean App Platform",
        max_length=64,
    )
    client_config: Annotated[CommaList, AfterValidator(_client_settings)] = env(
        "VOICE_CLIENT_CONFIG",
        SAFE_CLIENT_SETTINGS,
        "session settings that a client of `/v1/realtime` may change: any of "
        + ", ".join(f"`{name}`" for name in CLIENT_SETTINGS)
        + "; or `none`",
        shown=f"`{','.join(SAFE_CLIENT_SETTINGS)}`",
    )
    client_models: CommaList = env(
        "VOICE_CLIENT_MODELS", (), "models that it may request; unset: it gets `OPENAI_REALTIME_MODEL` for any request"
    )

    @property
    def listen_at(self) -> str:
        """`HOST:PORT`: of BIND, else all addresses with PORT, else port 8000 of this machine only."""
        if self.bind is not None:
            return self.bind
        return f"0.0.0.0:{self.port}" if self.port is not None else f"127.0.0.1:{DEFAULT_PORT}"


class Observability(Group):
    """Logs and error reports."""

    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
        any_case("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    ] = env("LOG_LEVEL", "INFO", "`DEBUG`, `INFO`, `WARNING`, `ERROR`, `CRITICAL`")
    log_format: Annotated[Literal["auto", "json", "pretty"], any_case("auto", "json", "pretty")] = env(
        "LOG_FORMAT", "auto", "`json`, `pretty`, or `auto`: pretty on a terminal"
    )
    watchdog_seconds: int = env(
        "VOICE_WATCHDOG_SECONDS",
        20,
        "a process whose event loop stands still so long writes its tracebacks to a file and ends; `0`: never",
        ge=0,
        le=3600,
    )
    sentry_dsn: Annotated[SecretStr, AfterValidator(_sentry_dsn)] | None = env(
        "SENTRY_DSN", None, "the Sentry project for error reports; unset: none"
    )
    sentry_environment: str = env(
        "SENTRY_ENVIRONMENT", "development", "the environment of these reports", max_length=64
    )
    app_version: str = env(
        "APP_VERSION", voice_trio.__version__, "the release of these reports", shown="package version", max_length=200
    )
