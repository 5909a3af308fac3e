"""One HTTP request and its response on a connection of our own; h11 knows the format of both."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import h11
import trio

from voice_trio import limits
from voice_trio.web.handshake import error_body, json_headers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.net.byte_stream import ByteStream
    from voice_trio.server.unadmitted import Unadmitted

_MESSAGES = {
    400: "This is no valid HTTP request.",
    408: "The request did not arrive in time.",
    431: "The head of the request is too large.",
    501: "This method is not known.",
    503: "Too many connections. Try again later.",
    505: "Only HTTP/1.1 is served.",
}


class BrokenRequest(Exception):
    """The body of a request broke off, is malformed, or came too slowly: the connection cannot go on."""


class HttpExchange:
    """The request that `http` has just parsed, and the response to it."""

    def __init__(self, http: h11.Connection, stream: ByteStream, slot: Unadmitted) -> None:
        self._http = http
        self._stream = stream
        self._slot = slot
        self._deadline = trio.current_time() + limits.BODY_SECONDS_MAX
        self.broken_status: int | None = None
        """The status for a client whose request was broken; then no other response leaves."""
        self.is_lost = False
        """Whether the client is gone, so that nothing more is sent."""
        # Of a request without a body this is already its end, so that a response never comes before the request's end.
        self._next_event: h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED] | None = None
        with suppress(BrokenRequest):  # the next look finds the same
            self._next_event = self._parse()

    async def receive_body(self) -> bytes | None:
        """The next part of the body, None at its end. Raises `BrokenRequest`, and `OSError`."""
        while True:
            event, self._next_event = self._next_event, None
            if event is None:
                event = self._parse()
            if isinstance(event, h11.Data):
                return bytes(event.data)
            if event is not h11.NEED_DATA:
                return None
            await self._receive()

    async def send_head(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Send the status line and the headers. While the request's body is not read to its end, also that the
        connection closes."""
        if self._http.their_state is h11.SEND_BODY:
            headers = [*headers, (b"connection", b"close")]
        await self._send(h11.Response(status_code=status, headers=list(headers)))

    async def send_body(self, data: bytes) -> None:
        """Send a part of the body."""
        await self._send(h11.Data(data=data))

    async def send_end(self) -> None:
        """End the body."""
        await self._send(h11.EndOfMessage())

    def _parse(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        try:
            return self._http.next_event()
        except h11.RemoteProtocolError as error:
            self.broken_status = error.error_status_hint
            raise BrokenRequest from error

    async def _receive(self) -> None:
        if self._http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[]))
        seconds = min(limits.BODY_SILENCE_SECONDS_MAX, max(0.0, self._deadline - trio.current_time()))
        with self._slot.receiving(seconds) as timeout:
            self._http.receive_data(await self._stream.receive())
        if timeout.cancelled_caught:
            self.broken_status = 503 if self._slot.is_released else 408
            raise BrokenRequest

    async def _send(self, event: h11.Event) -> None:
        if self.broken_status is not None or self.is_lost:
            return
        try:
            await _send(self._http, self._stream, event)
        except OSError:  # hypercorn would log a traceback: it takes this for an error of the application
            self.is_lost = True


async def respond_with_error(http: h11.Connection, stream: ByteStream, status: int, *, is_head: bool = False) -> None:
    """Respond to a request that cannot be served, and announce the end of the connection. HEAD gets no body."""
    if http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
        return
    message = _MESSAGES.get(status, _MESSAGES[400])
    body = error_body("bad_request", message)
    headers = [*json_headers(body), (b"connection", b"close")]
    await _send(http, stream, h11.Response(status_code=status, headers=headers))
    if not is_head:
        await _send(http, stream, h11.Data(data=body))
    await _send(http, stream, h11.EndOfMessage())


async def _send(http: h11.Connection, stream: ByteStream, event: h11.Event) -> None:
    if data := http.send(event):
        stream.send_nowait(data)
        with trio.move_on_after(limits.RESPONSE_SEND_SECONDS_MAX) as timeout:
            await stream.drain()
        if timeout.cancelled_caught:
            raise TimeoutError("the client does not read")  # an OSError
