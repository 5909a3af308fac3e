"""The client's address behind our proxies, also for logs, and whether the origin of a page is allowed."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from voice_trio.settings import Web

log = structlog.get_logger(__name__)

IPV6_NETWORK_BITS = 64
"""The network of one subscriber, who can use every address in it."""
UNKNOWN_ADDRESS = "unknown"


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """Our own proxies: how many of them append an address to `header`, whose name is in lower case."""

    hops: int = 0
    header: bytes = b"x-forwarded-for"

    @classmethod
    def of(cls, web: Web) -> TrustedProxies:
        """As configured."""
        return cls(web.trusted_proxy_hops, web.client_address_header.lower().encode("ascii"))

    def client_address(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The address of the client of a request from `peer` with `headers`; as `client_address`."""
        values = [value.decode("latin-1") for name, value in headers if name.lower() == self.header]
        return client_address(peer, values, self.hops)


def client_address(peer: str, forwarded_for: Sequence[str], trusted_hops: int) -> str:
    """The address under which failed tokens are counted, with `trusted_hops` of our own proxies in front.

    Each trusted proxy appends its peer's address to X-Forwarded-For, so the client is the entry `trusted_hops` places
    from the right. Entries further left come from the client and prove nothing. `forwarded_for` holds the header's
    values, in order. If the list is too short, or the entry is not an address, the request bypassed the proxies: then
    the result is `peer`, the address of the socket. IPv6 addresses are cut to their /64.
    """
    if trusted_hops > 0:
        entries = [entry.strip() for value in forwarded_for for entry in value.split(",")]
        forwarded = _parsed(entries[-trusted_hops]) if len(entries) >= trusted_hops else None
        if forwarded is not None:
            return forwarded
    return _parsed(peer) or peer or UNKNOWN_ADDRESS


def mask_address(address: str) -> str:
    """The network of `address`, for logs: /24 of IPv4, /48 of IPv6; `unknown` for anything else."""
    try:
        parsed = ipaddress.ip_interface(address)
    except ValueError:
        return UNKNOWN_ADDRESS
    bits = 24 if parsed.version == 4 else 48
    return str(ipaddress.ip_network((parsed.ip, bits), strict=False).network_address)


class ForwardedForWarning:
    """Warns that X-Forwarded-For is sent while no proxy is trusted; once in a process, which shares one of these."""

    def __init__(self) -> None:
        self._is_due = True

    def look_at(self, peer: str, headers: Iterable[tuple[bytes, bytes]], trusted_hops: int) -> None:
        """Look at the headers of a request from `peer`."""
        if self._is_due and trusted_hops == 0 and any(name.lower() == b"x-forwarded-for" for name, _ in headers):
            self._is_due = False
            detail = "TRUSTED_PROXY_HOPS is 0: all clients behind a proxy count as one address"
            log.warning("forwarded_for_ignored", client=mask_address(peer), detail=detail)


def origin_is_allowed(origin: str | None, allowed: Sequence[str]) -> bool:
    """Whether a page of `origin` may connect; a client without an Origin header (not a browser) always may."""
    return origin is None or "*" in allowed or origin.rstrip("/").lower() in allowed


def _parsed(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(_without_port(text).partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_NETWORK_BITS), strict=False))


def _without_port(text: str) -> str:
    """`1.2.3.4:567` → `1.2.3.4`, `[::1]:567` → `::1`."""
    text = text.strip().strip('"')
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
