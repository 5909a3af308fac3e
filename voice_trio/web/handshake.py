"""Reads a WebSocket's opening request: the client's address, its token, and its parameters. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote_plus

from voice_trio import limits
from voice_trio.admission.client_address import client_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from voice_trio.web.asgi_link import Scope

REALTIME = "realtime"
_SUBPROTOCOL_TOKEN = "openai-insecure-api-key."
SECRET_PARAMETERS = frozenset({"token", "resume"})


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


def read_handshake(scope: Scope, trusted_hops: int) -> Handshake:
    """The opening request of `scope`; a token in the query takes precedence over one in a header."""
    query = parse_qs(scope.get("query_string", b"")[: limits.QUERY_BYTES_MAX].decode("latin-1"), keep_blank_values=True)
    client = scope.get("client") or ("",)
    offered = [str(name) for name in scope.get("subprotocols") or ()]
    authorization = bearer(next(iter(_values(scope, b"authorization")), ""))
    return Handshake(
        address=client_address(str(client[0]), _values(scope, b"x-forwarded-for"), trusted_hops),
        origin=next(iter(_values(scope, b"origin")), None),
        token=query.get("token", [""])[0] or authorization,
        resume=query.get("resume", [None])[0],
        subprotocol=REALTIME if REALTIME in offered else None,
        key=authorization or next(iter(_values(scope, b"api-key")), None) or _offered_token(offered),
        parameters={name: values[0] for name, values in query.items() if name not in SECRET_PARAMETERS},
    )


def _offered_token(subprotocols: Iterable[str]) -> str | None:
    """The subprotocol is the only header that a page can set on a browser's WebSocket."""
    tokens = (name.removeprefix(_SUBPROTOCOL_TOKEN) for name in subprotocols if name.startswith(_SUBPROTOCOL_TOKEN))
    return next(tokens, None) or None


def bearer(authorization: str) -> str | None:
    """The token in the value of an `Authorization: Bearer …` header."""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def hide_secrets(scope: Scope) -> None:
    """Remove tokens from the query in `scope`, in place: servers write their access logs from this object."""
    query = bytes(scope.get("query_string", b""))
    kept = [part for part in query.split(b"&") if _name(part) not in SECRET_PARAMETERS]
    scope["query_string"] = b"&".join(kept)


def _name(parameter: bytes) -> str:
    return unquote_plus(parameter.partition(b"=")[0].decode("latin-1")).lower()


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope.get("headers", ()) if key.lower() == name]
