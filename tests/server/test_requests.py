"""The requests of one connection: read within limits, answered in order, none lost; every upgrade is found."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.support.http_connection import MemoryStream, exchange, requests_on
from voice_trio import limits
from voice_trio.server.upgrade import upgrade_error

if TYPE_CHECKING:
    from trio.testing import MockClock

GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"PUT /b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
EMPTY = b"POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n"
HEAD = b"HEAD /d HTTP/1.1\r\nHost: x\r\n\r\n"
H2C = b"GET /e HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n"
UPGRADE = (
    b"GET /v1/ws/voice?token=x HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
ANSWERS = {
    GET: b"GET /livez ",
    POST: b"POST /a hello",
    CHUNKED: b"PUT /b abcde",
    EMPTY: b"POST /c ",
    H2C: b"GET /e ",
}


def ok(text: bytes) -> bytes:
    return b"HTTP/1.1 200 \r\ncontent-length: %d\r\n\r\n%b" % (len(text), text)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in the pieces between `places`, none of them empty."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


@given(
    st.lists(st.sampled_from(list(ANSWERS)), max_size=5), st.binary(max_size=40), st.lists(st.integers(0), max_size=9)
)
def test_requests_are_answered_in_order_up_to_the_upgrade_however_they_are_cut(
    requests: list[bytes], early: bytes, places: list[int]
) -> None:
    async def main() -> None:
        pieces = cut(b"".join(requests) + UPGRADE + early, places)
        sent, upgrade = await exchange(*pieces, is_ended=False)
        assert sent == b"".join(ok(ANSWERS[request]) for request in requests)
        assert upgrade is not None
        assert upgrade[0].target == b"/v1/ws/voice?token=x"
        assert early.startswith(upgrade[1])  # the rest is still in the stream
        assert upgrade_error(upgrade[0]) is None

    trio.run(main)


async def test_a_response_to_head_has_no_body_and_the_next_request_is_answered() -> None:
    sent, _ = await exchange(HEAD + GET)
    assert sent == b"HTTP/1.1 200 \r\ncontent-length: 8\r\n\r\n" + ok(b"GET /livez ")


async def test_a_body_is_asked_for_when_the_client_expects_it() -> None:
    stream = MemoryStream([POST.replace(b"\r\n\r\nhello", b"\r\nExpect: 100-continue\r\n\r\n")], is_ended=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(requests_on(stream).serve_until_upgrade)
        await trio.testing.wait_all_tasks_blocked()
        assert stream.sent == b"HTTP/1.1 100 \r\n\r\n"
        stream.feed(b"hello")
        await trio.testing.wait_all_tasks_blocked()
        assert stream.sent.endswith(ok(b"POST /a hello"))
        nursery.cancel_scope.cancel()


async def test_a_client_of_http_1_0_is_answered_and_the_connection_closed() -> None:
    sent, _ = await exchange(b"GET / HTTP/1.0\r\n\r\n" + GET)
    assert sent == b"HTTP/1.1 200 \r\ncontent-length: 6\r\nConnection: close\r\n\r\nGET / "


async def test_a_half_closed_connection_is_answered_all_the_same() -> None:
    assert (await exchange(POST + GET))[0] == ok(b"POST /a hello") + ok(b"GET /livez ")


async def test_an_application_that_fails_is_a_500_of_this_request_only() -> None:
    sent, _ = await exchange(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
    assert sent == b"HTTP/1.1 500 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


async def test_after_a_body_that_the_application_does_not_read_the_connection_closes() -> None:
    head = b"POST /silent HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    stream = MemoryStream([head], is_ended=False)
    requests = requests_on(stream)
    await requests.serve_until_upgrade()
    assert stream.sent == b"HTTP/1.1 200 \r\ncontent-length: 13\r\nconnection: close\r\n\r\nPOST /silent "
    assert requests.is_unread


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (400, b"GET /\r\n\r\n"),
        (400, b"GET / HTTP/1.1\r\n\r\n"),  # no Host
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
        (400, b"GET /\x80 HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),  # TLS on the plain port
        (400, b"GET / HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"),
        (400, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"),  # and then the client leaves
        (431, b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * limits.HEAD_BYTES_MAX),
        (501, b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n"),
        (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
        (505, b"GET / HTTP/3.0\r\nHost: x\r\n\r\n"),
    ],
)
@pytest.mark.parametrize("before", [b"", GET], ids=["at once", "after a request"])
async def test_what_is_no_request_is_refused_and_the_connection_closed(before: bytes, status: int, sent: bytes) -> None:
    stream = MemoryStream([before + sent])
    requests = requests_on(stream)
    assert await requests.serve_until_upgrade() is None
    response = stream.sent.removeprefix(ok(b"GET /livez "))
    assert response.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nconnection: close\r\n" in response.lower()
    assert response.count(b"content-length") == 1
    assert requests.is_unread


@pytest.mark.parametrize("segment_bytes", [1000, 1 << 20])
async def test_a_head_may_have_32_kib_and_not_one_byte_more_however_it_comes(segment_bytes: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nA: %b\r\n\r\n"
    filler = b"a" * (limits.HEAD_BYTES_MAX - len(head % b""))
    for packet, response in ((head % filler, ok(b"GET / ")), (head % (filler + b"a"), b"HTTP/1.1 431 ")):
        segments = [packet[at : at + segment_bytes] for at in range(0, len(packet), segment_bytes)]
        assert (await exchange(*segments))[0].startswith(response)


async def test_a_slow_head_is_refused_after_ten_seconds(autojump_clock: MockClock) -> None:
    sent, _ = await exchange(b"GET / HT", is_ended=False)
    assert trio.current_time() == 10
    assert sent.startswith(b"HTTP/1.1 408 ")


async def test_a_client_that_says_nothing_is_told_nothing(autojump_clock: MockClock) -> None:
    assert await exchange(is_ended=False) == (b"", None)
    assert trio.current_time() == 10


async def test_between_two_requests_there_may_be_a_minute_but_the_next_head_has_ten_seconds_again(
    autojump_clock: MockClock,
) -> None:
    stream = MemoryStream([GET], is_ended=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(requests_on(stream).serve_until_upgrade)
        await trio.sleep(59)
        stream.feed(GET)
        await trio.sleep(59)
        stream.feed(b"G")
    assert trio.current_time() == 59 + 59 + 10
    assert stream.sent.startswith(ok(b"GET /livez ") * 2 + b"HTTP/1.1 408 ")


async def test_an_idle_connection_is_closed_after_a_minute(autojump_clock: MockClock) -> None:
    sent, _ = await exchange(GET, is_ended=False)
    assert trio.current_time() == 60
    assert sent == ok(b"GET /livez ")


async def test_a_body_may_be_slow_but_not_stand_still(autojump_clock: MockClock) -> None:
    stream = MemoryStream([POST[:-5]], is_ended=False)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(requests_on(stream).serve_until_upgrade)
        await trio.sleep(29)
        stream.feed(b"h")
        await trio.sleep(29)
        assert stream.sent == b""
    assert trio.current_time() == 29 + 30
    assert stream.sent.startswith(b"HTTP/1.1 408 ")


async def test_a_body_may_not_take_for_ever(autojump_clock: MockClock) -> None:
    stream = MemoryStream([POST[:-5].replace(b"5", b"1000")], is_ended=False)

    async def feed() -> None:
        while True:
            await trio.sleep(7)
            stream.feed(b"h")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed)
        await requests_on(stream).serve_until_upgrade()
        nursery.cancel_scope.cancel()
    assert trio.current_time() == 120
    assert stream.sent.startswith(b"HTTP/1.1 408 ")


async def test_behind_a_proxy_each_request_counts_for_its_own_client() -> None:
    def get(client: bytes) -> bytes:
        return GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: %b\r\n\r\n" % client)

    stream = MemoryStream([get(b"9.9.9.9") + get(b"7.7.7.7")])
    requests = requests_on(stream, peer="10.0.0.1", trusted_hops=1)
    await requests.serve_until_upgrade()
    assert stream.sent == ok(b"GET /livez ") * 2
    assert requests._slot.address == "7.7.7.7"


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (b"Version: 13", b"Version: 8", 426),
        (b"Sec-WebSocket-Version: 13\r\n", b"", 426),
        (b"Version: 13", b"Version: 13\r\nSec-WebSocket-Version: 8", 426),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZQ==", 400),
        (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZQ==\xff", 400),
        (b"\r\n\r\n", b"\r\nContent-Length: 6\r\n\r\n", 400),
        (b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 400),
    ],
)
async def test_an_upgrade_that_is_not_valid_is_named(old: bytes, new: bytes, status: int) -> None:
    _, upgrade = await exchange(UPGRADE.replace(old, new), is_ended=False)
    assert upgrade is not None
    error = upgrade_error(upgrade[0])
    assert error is not None
    assert error.status == status
    assert dict(error.headers) == ({b"sec-websocket-version": b"13"} if status == 426 else {})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Upgrade: WebSocket", b"Upgrade: h2c"),
        (b"Connection: keep-alive, Upgrade\r\n", b""),
        (b"GET", b"POST"),
        (b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
async def test_without_each_of_its_signs_a_request_is_no_upgrade(old: bytes, new: bytes) -> None:
    sent, upgrade = await exchange(UPGRADE.replace(old, new, 1))
    assert upgrade is None
    assert sent.startswith(b"HTTP/1.1 200 ")


async def test_a_body_of_no_bytes_is_no_body_and_bytes_above_127_are_only_odd() -> None:
    odd = UPGRADE.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\nSec-WebSocket-Protocol: \xff, realtime\r\n\r\n")
    _, upgrade = await exchange(odd, is_ended=False)
    assert upgrade is not None
    assert upgrade_error(upgrade[0]) is None
