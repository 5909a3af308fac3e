"""The opening request is read, and its secrets are removed."""

from __future__ import annotations

from typing import Any

import pytest

from voice_trio.admission.client_address import TrustedProxies
from voice_trio.web.handshake import Handshake, bearer, head_of_scope, hide_secrets, read_handshake


def scope(query: bytes = b"", *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"query_string": query, "headers": list(headers), "client": ("10.0.0.1", 5)}


def read(scope: dict[str, Any], trusted_hops: int) -> Handshake:
    return read_handshake(head_of_scope(scope), TrustedProxies(trusted_hops))


def test_the_token_in_the_address_wins_over_the_header() -> None:
    shaken = read(scope(b"token=a.b.c&x=1", (b"Authorization", b"Bearer d.e.f")), 0)
    assert (shaken.token, shaken.address, shaken.origin, shaken.resume) == ("a.b.c", "10.0.0.1", None, None)


def test_an_empty_token_in_the_address_counts_as_none() -> None:
    assert read(scope(b"token=", (b"authorization", b"bearer  d.e.f ")), 0).token == "d.e.f"
    assert read(scope(b"token="), 0).token is None


@pytest.mark.parametrize(
    ("query", "header", "offered"),
    [
        (b"token=%0Aa.b.c%20%0D%0A", None, ""),
        (b"token=+a.b.c+", None, ""),
        (b"token=%20%0A", (b"authorization", b"Bearer \ta.b.c\r\n"), ""),
        (b"", (b"authorization", b" bearer  a.b.c "), ""),
        (b"", (b"api-key", b"a.b.c \n"), ""),
        (b"", (b"api-key", b" "), "openai-insecure-api-key.a.b.c "),
    ],
)
def test_blanks_and_newlines_around_a_token_do_not_matter_F19(
    query: bytes, header: tuple[bytes, bytes] | None, offered: str
) -> None:
    request = scope(query, *([header] if header else [])) | {"subprotocols": [" realtime", offered]}
    shaken = read(request, 0)
    assert "a.b.c" in (shaken.token, shaken.key)
    assert shaken.token in ("a.b.c", None)
    assert shaken.key in ("a.b.c", None)


def test_blanks_around_a_resume_token_do_not_matter_F19() -> None:
    assert read(scope(b"resume=r.e.s%0A"), 0).resume == "r.e.s"
    assert read(scope(b"resume=%0A"), 0).resume == ""


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "abc"])
def test_other_authorizations_are_no_token(header: str) -> None:
    assert bearer(header) is None


def test_resume_origin_and_the_address_behind_a_proxy() -> None:
    shaken = read(scope(b"resume=r1", (b"Origin", b"https://a.example"), (b"X-Forwarded-For", b"1.1.1.1, 2.2.2.2")), 1)
    assert (shaken.resume, shaken.origin, shaken.address) == ("r1", "https://a.example", "2.2.2.2")


def test_its_rendering_shows_no_token() -> None:
    assert "a.b.c" not in repr(read(scope(b"token=a.b.c&resume=r.e.s"), 0))


@pytest.mark.parametrize(
    ("query", "left"),
    [
        (b"token=a.b.c", b""),
        (b"x=1&Token=a&%74oken=b&resume=c&y=2", b"x=1&y=2"),
        (b"x=1", b"x=1"),
        (b"", b""),
    ],
)
def test_secrets_leave_the_address_in_place(query: bytes, left: bytes) -> None:
    shown = scope(query)
    hide_secrets(shown)
    assert shown["query_string"] == left


def test_a_request_without_client_or_query_is_read_as_well() -> None:
    shaken = read({"headers": [(b"authorization", b"\xff\xfe")]}, 0)
    assert shaken.token is None
    assert shaken.address == "unknown"
