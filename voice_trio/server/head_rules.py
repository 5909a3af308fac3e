"""Which request heads are served. Pure.

h11 has read the head; it lets through what the application behind it reads in another way, or raises on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voice_trio import limits
from voice_trio.web.handshake import header_values

if TYPE_CHECKING:
    import h11

_VERSIONS = (b"1.0", b"1.1")
_LABEL = rb"[a-z0-9_-]{1,63}"
_HOST = re.compile(rb"(" + _LABEL + rb"(\." + _LABEL + rb")*\.?|\[[0-9a-f:.]+\])?(:[0-9]{0,5})?", re.IGNORECASE)
_TARGET = re.compile(rb"(?:https?://[^/?]*)?(/.*)", re.IGNORECASE)


def refusal(request: h11.Request) -> int | None:
    """The status that refuses a request by its head alone; None if it is served."""
    if request.http_version not in _VERSIONS:
        return 505
    if request.method != request.method.upper():
        # Methods are case-sensitive (RFC 9110 §9.1) to h11, but not to the application: it leaves out the body of a
        # `head` that h11 waits for.
        return 501
    headers = list(request.headers)
    # h11 counts only a head of which a part is missing, so a longer one that came in one read would pass.
    if _bytes_of(request) > limits.HEAD_BYTES_MAX:
        return 431
    hosts = [value for name, value in headers if name == b"host"]
    if not _TARGET.fullmatch(request.target) or not all(_HOST.fullmatch(host) for host in hosts):
        return 400
    is_chunked = bool(header_values(headers, b"transfer-encoding"))
    if is_chunked and (request.http_version != b"1.1" or header_values(headers, b"content-length")):
        return 400  # RFC 9112 §6.1: by two different lengths a request is smuggled past a proxy
    return None


def _bytes_of(request: h11.Request) -> int:
    """The size of the head as it is usually written."""
    lines = [len(request.method) + len(request.target) + len("  HTTP/1.1\r\n")]
    lines += [len(name) + len(value) + len(": \r\n") for name, value in request.headers]
    return sum(lines) + len("\r\n")


def path_and_query(request: h11.Request) -> bytes:
    """The target of a request that is served, without the scheme and the host that it may have (RFC 9112 §3.2.2)."""
    found = _TARGET.fullmatch(request.target)
    assert found, "such a target is refused"
    return found[1]
