"""Heads that h11 reads and the application behind it does not, or not in the same way; found by random connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.http_connection import MemoryStream, exchange, requests_on

if TYPE_CHECKING:
    from voice_trio.server.requests import Requests

GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"


def head(method: bytes = b"GET", target: bytes = b"/", host: bytes = b"x") -> bytes:
    return method + b" " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (501, head(method=b"head")),  # to the application it is HEAD, and has no body
        (501, head(method=b"Get")),
        (400, head(target=b"?x")),
        (400, head(target=b"*")),
        (400, head(target=b"livez")),
        (400, head(target=b"http://[x")),
        (400, head(target=b"ftp://x/")),
        (400, head(host=b"a..b")),
        (400, head(host=b".")),
        (400, head(host=b"a" * 64)),
        (400, head(host=b"a b")),
        (400, head(host=b"\xff")),
        (400, head(host=b"x:port")),
    ],
)
async def test_what_the_application_cannot_read_is_refused(status: int, sent: bytes) -> None:
    response, _ = await exchange(sent + GET)
    assert response.startswith(b"HTTP/1.1 %d " % status)
    assert response.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("host", [b"", b"x", b"x:80", b"a_b.c-d.", b"127.0.0.1:8000", b"[::1]:8000", b":80"])
async def test_a_host_may_be_a_name_or_an_address(host: bytes) -> None:
    assert (await exchange(head(host=host)))[0].endswith(b"GET / ")


@pytest.mark.parametrize("target", [b"http://y/livez", b"HTTPS://y:80/livez", b"http:///livez", b"/livez"])
async def test_a_target_may_name_the_host_too(target: bytes) -> None:
    assert (await exchange(head(target=target)))[0].endswith(b"GET /livez ")


async def test_a_refused_head_request_gets_no_body_and_a_broken_one_behind_it_does() -> None:
    refused, _ = await exchange(head(method=b"HEAD", host=b"."))
    assert refused.startswith(b"HTTP/1.1 400 ")
    assert refused.endswith(b"\r\n\r\n")
    behind, _ = await exchange(head(method=b"HEAD") + b"nonsense\r\n\r\n")
    assert behind.count(b"HTTP/1.1") == 2
    assert behind.endswith(b"}}")


class LostClient(MemoryStream):
    """Sends a request, and is gone when the response comes."""

    def send_nowait(self, data: bytes) -> None:
        raise BrokenPipeError


async def test_a_client_that_is_gone_is_no_failure_of_the_application() -> None:
    """A send that raises would be logged by hypercorn with a traceback: a line for each client that leaves early."""
    requests: Requests = requests_on(LostClient([GET + GET]))
    assert await requests.serve_until_upgrade() is None
