"""Who is calling, as far as the request itself tells: the address behind our proxies, the page's origin. Pure."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

IPV6_NETWORK_BITS = 64
"""What one subscriber is given: whoever holds one such address holds them all."""
UNKNOWN_ADDRESS = "unknown"


def client_address(peer: str, forwarded_for: Sequence[str], trusted_hops: int) -> str:
    """The address to hold failed tokens against, given `trusted_hops` proxies of ours in front of us.

    Each trusted proxy appends the address it was called from to X-Forwarded-For, so the client is the entry that many
    places from the right; whatever stands further left was written by the client and proves nothing. `forwarded_for`
    are the header's values, in order. A list too short, or an entry that is no address, means that somebody came round
    the proxies: then only `peer`, whom the socket vouches for, is believed. IPv6 addresses are cut to their /64.
    """
    if trusted_hops > 0:
        entries = [entry.strip() for value in forwarded_for for entry in value.split(",")]
        named = _parsed(entries[-trusted_hops]) if len(entries) >= trusted_hops else None
        if named is not None:
            return named
    return _parsed(peer) or peer or UNKNOWN_ADDRESS


def origin_is_allowed(origin: str | None, allowed: Sequence[str]) -> bool:
    """Whether a page of `origin` may connect; no Origin header at all (no browser) passes."""
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
