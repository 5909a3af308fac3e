"""What the relay benchmark compares the gateway with: three relays that know nothing of what they pass on.

    .venv/bin/python -m benchmarks.relay_peers splice | fastapi | fastapi-sansio | fastapi-text | hypercorn URL

`benchmarks.relay` starts them; they are of no use on their own. `splice` copies bytes between two TCP connections with
Trio's streams. The others are WebSocket servers: FastAPI on uvicorn and uvloop, which parses and writes each message as
JSON (`fastapi`) or does not (`fastapi-text`), and Quart-Trio on hypercorn. `fastapi-sansio` is `fastapi` with the newer
of uvicorn's two implementations over `websockets`. Each prints its port and its versions.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import ssl
import sys
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import trio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PATH = "/v1/realtime"
RECEIVE_BYTES = 65536
FASTAPI = ("fastapi", "uvicorn", "uvloop", "websockets")
VERSIONS = {
    "splice": ("trio",),
    "fastapi": FASTAPI,
    "fastapi-sansio": FASTAPI,
    "fastapi-text": FASTAPI,
    "hypercorn": ("hypercorn", "quart-trio", "trio-websocket", "trio"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Be one of the relays until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("relay", choices=tuple(VERSIONS))
    parser.add_argument("upstream")
    options = parser.parse_args(arguments)
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    versions = {name: version(name) for name in VERSIONS[options.relay]}
    print(json.dumps({"port": listener.getsockname()[1], "versions": versions}), flush=True)
    RELAYS[options.relay](listener, options.upstream)
    return 0


def splice(listener: socket.socket, upstream_url: str) -> None:
    """Copy bytes both ways, one task for each direction."""
    url = urlsplit(upstream_url)
    host, port = url.hostname or "", url.port or 443
    context = ssl.create_default_context() if url.scheme == "wss" else None

    async def serve(client: trio.SocketStream) -> None:
        upstream: trio.abc.Stream
        if context is None:
            upstream = await trio.open_tcp_stream(host, port)
        else:
            upstream = await trio.open_ssl_over_tcp_stream(host, port, ssl_context=context, https_compatible=True)
        async with client, upstream, trio.open_nursery() as nursery:
            nursery.start_soon(copy, client, upstream, nursery.cancel_scope)
            nursery.start_soon(copy, upstream, client, nursery.cancel_scope)

    async def copy(source: trio.abc.Stream, target: trio.abc.Stream, scope: trio.CancelScope) -> None:
        try:
            while data := await source.receive_some(RECEIVE_BYTES):
                await target.send_all(data)
        except trio.BrokenResourceError:
            pass
        scope.cancel()

    trio.run(trio.serve_listeners, serve, [trio.SocketListener(trio.socket.from_stdlib_socket(listener))])


def fastapi(
    listener: socket.socket,
    upstream_url: str,
    *,
    as_text: bool = False,
    ws: Literal["websockets", "websockets-sansio"] = "websockets",
) -> None:
    """Relay messages between uvicorn's WebSocket and a client of the `websockets` package."""
    import uvicorn
    from fastapi import FastAPI
    from fastapi import WebSocket as FastAPIWebSocket
    from starlette.websockets import WebSocketDisconnect
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    through: Callable[[str], str] = (lambda text: text) if as_text else lambda text: json.dumps(json.loads(text))

    async def relay(client: FastAPIWebSocket) -> None:
        await client.accept()
        async with connect(upstream_url, compression=None, max_size=None) as upstream:

            async def up() -> None:
                while True:
                    await upstream.send(through(await client.receive_text()))

            async def down() -> None:
                while True:
                    await client.send_text(through(await upstream.recv(decode=True)))

            tasks = [asyncio.create_task(up()), asyncio.create_task(down())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            for ending in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(ending, Exception) and not isinstance(ending, ConnectionClosed | WebSocketDisconnect):
                    raise ending

    relay.__annotations__["client"] = FastAPIWebSocket  # a local name, which FastAPI cannot resolve
    app = FastAPI()
    app.add_api_websocket_route(PATH, relay)
    config = uvicorn.Config(app, loop="uvloop", ws=ws, ws_per_message_deflate=False, log_level="warning")
    uvicorn.Server(config).run(sockets=[listener])


def hypercorn(listener: socket.socket, upstream_url: str) -> None:
    """Relay messages between hypercorn's WebSocket and trio-websocket."""
    from hypercorn.config import Config
    from hypercorn.trio import serve
    from quart import websocket
    from quart_trio import QuartTrio
    from trio_websocket import ConnectionClosed, open_websocket_url

    app = QuartTrio(__name__)

    async def relay() -> None:
        async with open_websocket_url(upstream_url) as upstream, trio.open_nursery() as nursery:

            async def up() -> None:
                while True:
                    await upstream.send_message(await websocket.receive())

            nursery.start_soon(up)
            try:
                while True:
                    await websocket.send(await upstream.get_message())
            except ConnectionClosed:
                nursery.cancel_scope.cancel()

    app.websocket(PATH)(relay)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "WARNING"
    trio.run(serve, app, config)


RELAYS: dict[str, Callable[[socket.socket, str], None]] = {
    "splice": splice,
    "fastapi": fastapi,
    "fastapi-sansio": partial(fastapi, ws="websockets-sansio"),
    "fastapi-text": partial(fastapi, as_text=True),
    "hypercorn": hypercorn,
}


if __name__ == "__main__":
    sys.exit(main())
