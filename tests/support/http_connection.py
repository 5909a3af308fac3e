"""A client's connection in memory to `server.requests`, and an application that answers what it receives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import trio
from hypercorn.config import Config

from voice_trio.admission.client_address import TrustedProxies
from voice_trio.server.requests import Requests, Services
from voice_trio.server.unadmitted import UnadmittedConnections
from voice_trio.web.hypercorn_bridge import HttpApplication

if TYPE_CHECKING:
    from collections.abc import Iterable

    import h11

    from voice_trio.web.application import Application


class MemoryStream:
    """A `ByteStream` whose client has sent `chunks`, and then nothing more, or the end of its data if `is_ended`."""

    def __init__(self, chunks: Iterable[bytes] = (), *, is_ended: bool = True) -> None:
        self.unsent = 0
        self.sent = b""
        self._give, self._take = trio.open_memory_channel[bytes](10_000)
        for chunk in chunks:
            self.feed(chunk)
        if is_ended:
            self.feed(b"")

    def feed(self, chunk: bytes) -> None:
        self._give.send_nowait(chunk)

    def send_nowait(self, data: bytes) -> None:
        self.sent += data

    async def drain(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive(self) -> bytes:
        return await self._take.receive()

    def close(self) -> None:
        self._give.close()


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with method, path and body; `/silent` never reads its body, `/broken` fails."""
    if scope["path"] == "/broken":
        raise ValueError("a bug")
    body, is_more = b"", scope["path"] != "/silent"
    while is_more:
        message = await receive()
        body, is_more = body + message.get("body", b""), message.get("more_body", False)
    text = f"{scope['method']} {scope['path']} ".encode() + body
    headers = [(b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text, "more_body": False})


def requests_on(stream: MemoryStream, *, peer: str = "8.8.8.8", trusted_hops: int = 0) -> Requests:
    """The requests of a client at `peer`, answered by `echo`."""
    config = Config()
    config.errorlog = None
    config.include_date_header = config.include_server_header = False
    slot = UnadmittedConnections(10, 1, trusted_hops=trusted_hops).add(peer)
    assert slot is not None
    http = HttpApplication(cast("Any", echo), config)
    services = Services(
        application=cast("Application", None), http=http, tls=None, proxies=TrustedProxies(trusted_hops)
    )
    return Requests(stream, slot, services, (peer, 5), ("127.0.0.1", 80))


async def exchange(*chunks: bytes, is_ended: bool = True) -> tuple[bytes, tuple[h11.Request, bytes] | None]:
    """All that a client receives for `chunks`, and the upgrade that they lead to."""
    stream = MemoryStream(chunks, is_ended=is_ended)
    upgrade = await requests_on(stream).serve_until_upgrade()
    return stream.sent, upgrade
