"""A WebSocket's opening request: what an endpoint sees of it, and what is read in it. Pure.

Two implementations wait for the endpoint's answer: `server.upgrade` on a connection of our own, and `web.asgi_link`
under another ASGI server.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, unquote_plus

import msgspec

from voice_trio import limits
from voice_trio.net.link import Link

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping, Sequence
    from contextlib import AbstractContextManager

    import trio

    from voice_trio.admission.client_address import TrustedProxies

    Headers = Sequence[tuple[bytes, bytes]]

REALTIME = "realtime"
_SUBPROTOCOL_TOKEN = "openai-insecure-api-key."
SECRET_PARAMETERS = frozenset({"token", "resume"})


class ClientLink(Link, Protocol):
    """A client's link, which bounds the messages that it receives."""

    bytes_max: int
    """A longer message raises `LinkClosed` (1009) in `receive`; sending and closing still work."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The parts of a request that a handshake is read from, as received: with its secrets."""

    query: bytes = field(repr=False)
    headers: Headers = field(repr=False)
    subprotocols: Sequence[str] = field(repr=False)
    """Those that the client offers, in its order."""
    peer: str = ""
    """The address of the socket's other end, perhaps a proxy."""


def head_of_scope(scope: MutableMapping[str, Any]) -> RequestHead:
    """The head of the request of an ASGI scope."""
    return RequestHead(
        query=bytes(scope.get("query_string", b"")),
        headers=list(scope.get("headers", ())),
        subprotocols=[str(name) for name in scope.get("subprotocols") or ()],
        peer=str((scope.get("client") or ("",))[0]),
    )


class OpeningRequest(Protocol):
    """An opening request that waits for its answer: `accept` or `respond`, once."""

    @property
    def head(self) -> RequestHead:
        """The request itself."""
        ...

    async def accept(self, subprotocol: str | None, *, bytes_max: int) -> ClientLink:
        """Complete the upgrade; `subprotocol` is one of those offered. Raises `LinkClosed`."""
        ...

    async def respond(self, status: int, body: bytes, headers: Headers = ()) -> None:
        """Send a JSON response in place of the upgrade, and close the connection. Raises `LinkClosed`."""
        ...

    def waiting(self, seconds_max: float) -> AbstractContextManager[trio.CancelScope]:
        """A block that waits for the client; it is cancelled after `seconds_max`, or to make room for another one."""
        ...

    @property
    def has_made_room(self) -> bool:
        """Whether such a block was cancelled to make room: the connection should end."""
        ...

    def note_session(self) -> None:
        """A session begins: the connection no longer counts among those without one."""
        ...


@dataclass(frozen=True, slots=True)
class Handshake:
    """`token` and `resume` are None if the request has none; `resume` is "" for an empty `?resume=`."""

    address: str
    origin: str | None
    token: str | None = field(repr=False)
    resume: str | None = field(repr=False)
    subprotocol: str | None = None
    """The subprotocol to select of those offered: `realtime`, or none."""
    key: str | None = field(default=None, repr=False)
    """The token as OpenAI's clients send it: a bearer token, the `api-key` header, or a subprotocol."""
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The query without its secrets; of a repeated parameter the first value."""


def read_handshake(head: RequestHead, proxies: TrustedProxies) -> Handshake:
    """What `head` says; a token in the query takes precedence over one in a header."""
    headers, offered = head.headers, head.subprotocols
    parsed = parse_qs(head.query[: limits.QUERY_BYTES_MAX].decode("latin-1"), keep_blank_values=True)
    # Blanks and newlines around a value come from files and from copying; no value may begin or end with one.
    query = {name: [value.strip() for value in values] for name, values in parsed.items()}
    authorization = bearer(next(iter(header_values(headers, b"authorization")), ""))
    api_key = next(iter(header_values(headers, b"api-key")), "").strip()
    return Handshake(
        address=proxies.client_address(head.peer, headers),
        origin=next(iter(header_values(headers, b"origin")), None),
        token=query.get("token", [""])[0] or authorization,
        resume=query.get("resume", [None])[0],
        subprotocol=REALTIME if REALTIME in offered else None,
        key=authorization or api_key or _offered_token(offered),
        parameters={name: values[0] for name, values in query.items() if name not in SECRET_PARAMETERS},
    )


def _offered_token(subprotocols: Iterable[str]) -> str | None:
    """The subprotocol is the only header that a page can set on a browser's WebSocket."""
    names = [name.strip() for name in subprotocols]
    tokens = (name.removeprefix(_SUBPROTOCOL_TOKEN) for name in names if name.startswith(_SUBPROTOCOL_TOKEN))
    return next(tokens, "").strip() or None


def bearer(authorization: str) -> str | None:
    """The token in the value of an `Authorization: Bearer …` header."""
    scheme, *rest = authorization.split(maxsplit=1) or [""]
    return rest[0].strip() if rest and scheme.lower() == "bearer" else None


def hide_secrets(scope: MutableMapping[str, Any]) -> None:
    """Remove tokens from the query in `scope`, in place: servers write their access logs from this object."""
    query = bytes(scope.get("query_string", b""))
    kept = [part for part in query.split(b"&") if _name(part) not in SECRET_PARAMETERS]
    scope["query_string"] = b"&".join(kept)


def _name(parameter: bytes) -> str:
    return unquote_plus(parameter.partition(b"=")[0].decode("latin-1")).lower()


def header_values(headers: Headers, name: bytes) -> list[str]:
    """The values of every header called `name`, which is lower case, in order."""
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def error_body(code: str, message: str) -> bytes:
    """An error in JSON, in the form of the voice protocol's `error` event."""
    return msgspec.json.encode({"error": {"code": code, "message": message}})


def json_headers(body: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of a JSON response."""
    return [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
