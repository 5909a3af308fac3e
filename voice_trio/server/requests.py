"""The HTTP requests of one connection, read and answered in order, up to an upgrade.

The head of every request is read here, with a deadline and a bound. Other code gets only heads that were read in full.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import h11

from voice_trio import limits
from voice_trio.server.head_rules import path_and_query, refusal
from voice_trio.server.http_exchange import BrokenRequest, HttpExchange, respond_with_error
from voice_trio.server.upgrade import is_upgrade
from voice_trio.web.hypercorn_bridge import HttpHead

if TYPE_CHECKING:
    import ssl

    from voice_trio.admission.client_address import TrustedProxies
    from voice_trio.net.byte_stream import ByteStream
    from voice_trio.server.unadmitted import Unadmitted
    from voice_trio.web.application import Application
    from voice_trio.web.hypercorn_bridge import HttpApplication

_DROPPED_HEADERS = (b"upgrade", b"http2-settings")
"""Of an upgrade to another protocol, which is ignored (RFC 9110 §7.8): some clients offer h2c with each request."""


@dataclass(frozen=True, slots=True)
class Services:
    """What a connection needs of its server."""

    application: Application
    http: HttpApplication
    tls: ssl.SSLContext | None
    proxies: TrustedProxies


class Requests:
    """The HTTP requests of one connection, served in order up to an upgrade.

    One state of h11 serves them all, so that no byte between two of them is lost.
    """

    def __init__(
        self,
        stream: ByteStream,
        slot: Unadmitted,
        services: Services,
        client: tuple[str, int],
        server: tuple[str, int],
    ) -> None:
        self.is_unread = False
        """Whether the client may have sent what was not read, when the connection is over."""
        self._is_head = False
        self._stream = stream
        self._slot = slot
        self._services = services
        self._client = client
        self._server = server
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.HEAD_BYTES_MAX)

    async def serve_until_upgrade(self) -> tuple[h11.Request, bytes] | None:
        """The upgrade, and what came behind it; None when the connection is over without one."""
        request = await self._read_head()
        while request is not None:
            if status := self._refusal(request):
                await self._refuse(status)
                return None
            if is_upgrade(request):
                return request, self._http.trailing_data[0]
            if not await self._answer(request) or not await self._wait_for_data():
                return None
            request = await self._read_head()
        return None

    async def _wait_for_data(self) -> bool:
        """Wait for the first byte of the next request; False when the connection is over."""
        data, is_ended = self._http.trailing_data
        if not data and not is_ended:
            with self._slot.idle(limits.KEEP_ALIVE_SECONDS_MAX):
                data = await self._stream.receive()
            self._http.receive_data(data)
        return bool(data)

    async def _read_head(self) -> h11.Request | None:
        """The next head; None when the connection is over, after a response if the client may read one."""
        self._is_head = False
        with self._slot.receiving(limits.REQUEST_HEAD_SECONDS_MAX) as waiting:
            request = await self._parse_head()
        if not waiting.cancelled_caught:
            return request
        if self._http.trailing_data[0]:
            await self._refuse(503 if self._slot.is_released else 408)
        return None

    async def _parse_head(self) -> h11.Request | None:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                await self._refuse(error.error_status_hint)
                return None
            if isinstance(event, h11.Request):
                self._is_head = event.method == b"HEAD"
                return event
            if event is not h11.NEED_DATA:
                return None  # the client has left
            self._http.receive_data(await self._stream.receive())

    def _refusal(self, request: h11.Request) -> int | None:
        """The status that refuses a request by its head alone."""
        if status := refusal(request):
            return status
        proxies = self._services.proxies
        if proxies.hops:
            address = proxies.client_address(self._client[0], request.headers)
            return None if self._slot.set_address(address) else 503
        return None

    async def _refuse(self, status: int) -> None:
        self.is_unread = True
        await respond_with_error(self._http, self._stream, status, is_head=self._is_head)

    async def _answer(self, request: h11.Request) -> bool:
        """Answer one request; True if another one may follow."""
        exchange = HttpExchange(self._http, self._stream, self._slot)
        try:
            await self._services.http.answer(self._http_head(request), exchange)
        except* BrokenRequest:
            pass
        if exchange.is_lost:
            return False
        if exchange.broken_status is not None:
            await self._refuse(exchange.broken_status)
            return False
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        self.is_unread = self._http.their_state is h11.SEND_BODY
        return False

    def _http_head(self, request: h11.Request) -> HttpHead:
        return HttpHead(
            method=request.method.decode("ascii"),
            target=path_and_query(request),
            version=request.http_version.decode("ascii"),
            headers=[header for header in request.headers if header[0] not in _DROPPED_HEADERS],
            client=self._client,
            server=self._server,
            is_tls=self._services.tls is not None,
        )
