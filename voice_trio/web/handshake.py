"""What a WebSocket's opening request says: who calls, from where, with which token. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote_plus

from voice_trio.admission.client_address import client_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from voice_trio.web.asgi_link import Scope

QUERY_BYTES_MAX = 32_768
REALTIME = "realtime"
_SUBPROTOCOL_TOKEN = "openai-insecure-api-key."
SECRET_PARAMETERS = frozenset({"token", "resume"})


@dataclass(frozen=True, slots=True)
class Handshake:
    """`token` and `resume` are None where the request has none; `resume` is empty for `?resume=` with nothing."""

    address: str
    origin: str | None
    token: str | None = field(repr=False)
    resume: str | None = field(repr=False)
    subprotocol: str | None = None
    """What to answer of the subprotocols that were offered: `realtime`, or none of them."""
    key: str | None = field(default=None, repr=False)
    """The token where OpenAI's clients put it: a bearer, `api-key`, or a subprotocol."""
    wishes: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The rest of the query."""


def read_handshake(scope: Scope, trusted_hops: int) -> Handshake:
    """The opening request of `scope`; a token in the address wins over one in a header."""
    query = parse_qs(scope.get("query_string", b"")[:QUERY_BYTES_MAX].decode("latin-1"), keep_blank_values=True)
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
        wishes={name: values[0] for name, values in query.items() if name not in SECRET_PARAMETERS},
    )


def _offered_token(subprotocols: Iterable[str]) -> str | None:
    """A browser's WebSocket can send no header but this one."""
    tokens = (name.removeprefix(_SUBPROTOCOL_TOKEN) for name in subprotocols if name.startswith(_SUBPROTOCOL_TOKEN))
    return next(tokens, None) or None


def bearer(authorization: str) -> str | None:
    """The token of an `Authorization: Bearer …` header's value."""
    scheme, _, token = authorization.strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def hide_secrets(scope: Scope) -> None:
    """Take tokens out of the address in `scope`: servers write their access log from this very object."""
    query = bytes(scope.get("query_string", b""))
    kept = [part for part in query.split(b"&") if _name(part) not in SECRET_PARAMETERS]
    scope["query_string"] = b"&".join(kept)


def _name(parameter: bytes) -> str:
    return unquote_plus(parameter.partition(b"=")[0].decode("latin-1")).lower()


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope.get("headers", ()) if key.lower() == name]
