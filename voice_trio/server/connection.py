"""One accepted connection, from its first byte to its end.

    serve_connection       contains every failure of this connection
    ├─ Requests            reads one request head after the other, up to an upgrade
    │  └─ HttpExchange     any other request: answered by the HTTP application
    └─ UpgradeRequest      answered by an endpoint, which then has the connection

A kept-alive connection may carry an upgrade after any number of other requests.
"""

from __future__ import annotations

from contextlib import suppress
from socket import SHUT_WR
from typing import TYPE_CHECKING

import structlog
import trio

from voice_trio import limits
from voice_trio.errors import LinkClosed
from voice_trio.net.byte_stream import TcpStream
from voice_trio.net.tls import open_tls
from voice_trio.server.requests import Requests
from voice_trio.server.upgrade import UpgradeRequest, path_of, upgrade_error
from voice_trio.web.hypercorn_bridge import describe_failure

if TYPE_CHECKING:
    import socket

    import h11

    from voice_trio.net.byte_stream import ByteStream
    from voice_trio.server.requests import Services
    from voice_trio.server.unadmitted import Unadmitted

log = structlog.get_logger(__name__)


async def serve_connection(accepted: socket.socket, slot: Unadmitted, services: Services) -> None:
    """Serve `accepted`, which this closes, to its end; raises nothing but cancellation."""
    try:
        with accepted:
            await _serve(accepted, slot, services)
    except* (OSError, LinkClosed):
        pass  # the client is gone, or there is no TLS with it
    except* Exception as failures:  # a failing connection ends nothing but itself
        log.warning("connection_failed", client=slot.masked_address, error=describe_failure(failures))
    finally:
        slot.release()


async def _serve(accepted: socket.socket, slot: Unadmitted, services: Services) -> None:
    client, server = accepted.getpeername()[:2], accepted.getsockname()[:2]
    stream: ByteStream
    if services.tls is None:
        stream = TcpStream(accepted)
    else:
        with slot.receiving(limits.TLS_HANDSHAKE_SECONDS_MAX) as timeout:
            stream = await open_tls(accepted, services.tls, server_side=True)
        if timeout.cancelled_caught:
            return
    try:
        requests = Requests(stream, slot, services, client, server)
        upgrade = await requests.serve_until_upgrade()
        is_unread = requests.is_unread
        del requests  # a session needs no memory of it
        if upgrade is not None:
            is_unread = await _serve_websocket(*upgrade, stream, slot, services, client[0])
        if is_unread and not slot.is_released:
            await _wait_for_the_end(accepted, stream, slot)
    finally:
        stream.close()


async def _serve_websocket(
    request: h11.Request, early: bytes, stream: ByteStream, slot: Unadmitted, services: Services, peer: str
) -> bool:
    """Answer an upgrade and serve its WebSocket; True if it was refused, so that what the client sent is unread."""
    async with trio.open_nursery() as nursery:
        upgrade = UpgradeRequest(request, early, stream, slot, nursery, peer)
        if (error := upgrade_error(request)) is not None:
            with suppress(LinkClosed):
                await upgrade.respond_with_error(error)
        else:
            await services.application.endpoint(path_of(request))(upgrade)
        nursery.cancel_scope.cancel(reason="connection over")
    return upgrade.was_refused


async def _wait_for_the_end(accepted: socket.socket, stream: ByteStream, slot: Unadmitted) -> None:
    """Read until the client closes: a close with unread data is a reset, which may overtake the response."""
    with slot.receiving(limits.LINGER_SECONDS_MAX):
        await stream.drain()
        if isinstance(stream, TcpStream):  # under TLS the end of the data is a message of its own, sent at the close
            accepted.shutdown(SHUT_WR)
        while await stream.receive():
            pass
