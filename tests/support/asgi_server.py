"""The server's side of ASGI, for tests of WebSockets without sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from voice_trio.web.application import Application

if TYPE_CHECKING:
    from voice_trio.web.gateway import Gateway

HTTP_RESPONSES: dict[str, Any] = {"websocket.http.response": {}}


class AsgiServer:
    """The server of an ASGI application: records what it sends, and queues what it receives."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self._give, self._take = trio.open_memory_channel[dict[str, Any]](100)

    async def send(self, message: Any) -> None:
        await trio.lowlevel.checkpoint()
        self.sent.append(dict(message))

    async def receive(self) -> Any:
        return await self._take.receive()

    def says(self, frame: str | bytes) -> None:
        text, data = (frame, None) if isinstance(frame, str) else (None, frame)
        self._give.send_nowait({"type": "websocket.receive", "text": text, "bytes": data})

    def is_left(self, code: int = 1006) -> None:
        self._give.send_nowait({"type": "websocket.disconnect", "code": code})


class AsgiClient(AsgiServer):
    """A client that connects; `run` serves its connection to the end."""

    def __init__(self, query: str = "", **scope: Any) -> None:
        super().__init__()
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "path": "/v1/ws/voice",
            "query_string": query.encode(),
            "headers": [],
            "client": ("10.0.0.1", 5),
            "extensions": HTTP_RESPONSES,
        } | scope
        self._give.send_nowait({"type": "websocket.connect"})

    async def run(self, gateway: Gateway, application: Application | None = None) -> None:
        await (application or Application(gateway))(self.scope, self.receive, self.send)

    @property
    def closed(self) -> tuple[int, str]:
        return self.sent[-1]["code"], self.sent[-1]["reason"]
