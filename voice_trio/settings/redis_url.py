"""Parses REDIS_URL. Pure: makes no connection, and never shows a password.

    redis://[[user]:password@]host[:port][/db]
    rediss://…                                          the same over TLS
    redis+sentinel://[…@]host[:port],host[:port]/service[/db]
    redis+cluster://[…@]host[:port],host[:port]

Options after `?`: `tls=true` (Sentinel, Cluster), `ca=PATH` (certificates to trust instead of the system's),
`sentinel_user`, `sentinel_password` (the credentials for the Sentinels, which do not get those of the servers).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qsl, unquote, urlsplit

REDIS_PORT = 6379
SENTINEL_PORT = 26379
HIDDEN = "***"


class Layout(Enum):
    """The deployment of the Redis servers."""

    SINGLE = "redis"
    SENTINEL = "redis+sentinel"
    CLUSTER = "redis+cluster"


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A parsed REDIS_URL. `hosts` are the Sentinels in that layout; `masked` is safe for logs and health."""

    layout: Layout
    hosts: tuple[tuple[str, int], ...]
    masked: str
    db: int = 0
    service: str = ""
    tls: bool = False
    ca: str | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_user: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)


def parse_redis_url(text: str) -> RedisUrl:
    """Parse a URL; raises `ValueError`, whose message says what is right and does not quote `text`."""
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in ("redis", "rediss", *(layout.value for layout in Layout)):
        raise ValueError("must begin with redis://, rediss://, redis+sentinel:// or redis+cluster://")
    layout = Layout("redis" if scheme == "rediss" else scheme)
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    credentials, _, hosts = authority.rpartition("@")
    user, _, password = credentials.partition(":")
    options = _options(query, layout)
    service, db = _service_and_db([part for part in path.split("/") if part], layout)
    return RedisUrl(
        layout=layout,
        hosts=_hosts(hosts, layout),
        masked=_masked(scheme, user, bool(password), hosts, path, query),
        db=db,
        service=service,
        tls=scheme == "rediss" or options.get("tls", "false").lower() in ("true", "1", "yes"),
        ca=options.get("ca"),
        user=unquote(user) or None,
        password=unquote(password) or None,
        sentinel_user=options.get("sentinel_user"),
        sentinel_password=options.get("sentinel_password"),
    )


def _options(query: str, layout: Layout) -> dict[str, str]:
    known = {"tls", "ca"} | ({"sentinel_user", "sentinel_password"} if layout is Layout.SENTINEL else set())
    options = dict(parse_qsl(query, keep_blank_values=True))
    if not options.keys() <= known:
        raise ValueError(f"must have no other options behind ? than {', '.join(sorted(known))}")
    return options


def _hosts(text: str, layout: Layout) -> tuple[tuple[str, int], ...]:
    usual_port = SENTINEL_PORT if layout is Layout.SENTINEL else REDIS_PORT
    hosts = []
    for part in text.split(","):
        try:
            split = urlsplit(f"//{part.strip()}")
            host, port = split.hostname, split.port or usual_port
        except ValueError:
            host, port = None, 0
        if not host:
            raise ValueError("must name hosts as host:port (several, comma-separated, for Sentinel and Cluster)")
        hosts.append((host, port))
    if layout is Layout.SINGLE and len(hosts) > 1:
        raise ValueError("must name one host; several belong to redis+sentinel:// or redis+cluster://")
    return tuple(hosts)


def _service_and_db(parts: list[str], layout: Layout) -> tuple[str, int]:
    service = ""
    if layout is Layout.SENTINEL:
        if not parts:
            raise ValueError("must name the Sentinel service behind the hosts: redis+sentinel://h:p,h:p/service/db")
        service = unquote(parts.pop(0))
    db = parts.pop(0) if parts else "0"
    if parts or not db.isdecimal():
        raise ValueError("must end in a database number, if in anything")
    if layout is Layout.CLUSTER and int(db):
        raise ValueError("must name no database: a Cluster has only number 0")
    return service, int(db)


def _masked(scheme: str, user: str, has_password: bool, hosts: str, path: str, query: str) -> str:
    shown = f"{user}:{HIDDEN}@" if has_password else f"{user}@" if user else ""
    pairs = [
        (name, HIDDEN if "password" in name else value) for name, value in parse_qsl(query, keep_blank_values=True)
    ]
    behind = "?" + "&".join(f"{name}={value}" for name, value in pairs) if pairs else ""
    return f"{scheme}://{shown}{hosts}{'/' + path if path else ''}{behind}"
