"""A server that notes the requests it gets, and the reading of responses: HTTP as bytes, for tests of proxies."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import trio

END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Head:
    """A head as it came: its first line, and its headers in order, with names in lower case."""

    first: str
    headers: list[tuple[str, str]]

    @classmethod
    def parse(cls, data: bytes) -> Head:
        first, *lines = data.decode("latin-1").split("\r\n")
        return cls(first, [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)])

    @property
    def path(self) -> str:
        return self.first.split()[1]

    @property
    def status(self) -> int:
        return int(self.first.split()[1])

    def values(self, name: str) -> list[str]:
        return [value for found, value in self.headers if found == name]


@dataclass(frozen=True, slots=True)
class Response:
    """A response with its body."""

    status: int
    body: bytes = field(repr=False)


class HttpStub:
    """Answers 200 to requests without a body, and 101 to an upgrade, whatever to; after that it echoes."""

    def __init__(self) -> None:
        self.heads: list[Head] = []
        self.is_checked = False
        """Whether a health check has come; those are not among `heads`."""

    async def serve(self, stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError):  # a proxy resets the connections that it no longer needs
            await self._serve(stream)

    async def _serve(self, stream: trio.SocketStream) -> None:
        data = b""
        while chunk := await stream.receive_some():
            data += chunk
            while END in data:
                head_bytes, _, data = data.partition(END)
                head = Head.parse(head_bytes)
                if head.path == "/readyz":
                    self.is_checked = True
                else:
                    self.heads.append(head)
                if head.values("upgrade"):
                    await stream.send_all(_switching(head))
                    await _echo(stream, data)
                    return
                await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def _switching(head: Head) -> bytes:
    upgrade = head.values("upgrade")[0]
    # The answer to the key that the tests send, which is RFC 6455's example.
    accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    return f"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: {upgrade}\r\n{accept}\r\n\r\n".encode("latin-1")


async def _echo(stream: trio.SocketStream, data: bytes) -> None:
    await stream.send_all(data)
    while chunk := await stream.receive_some():
        await stream.send_all(chunk)


async def receive_head(stream: trio.abc.ReceiveStream) -> Head:
    """The head of a response, byte by byte, so that what follows stays in the stream."""
    data = b""
    while not data.endswith(END):
        data += await _receive(stream, 1)
    return Head.parse(data.removesuffix(END))


async def receive_response(stream: trio.abc.ReceiveStream) -> Response:
    """One response, whose length its head gives."""
    head = await receive_head(stream)
    length = int(head.values("content-length")[0])
    body = b""
    while len(body) < length:
        body += await _receive(stream, length - len(body))
    return Response(head.status, body)


async def _receive(stream: trio.abc.ReceiveStream, bytes_max: int) -> bytes:
    data = await stream.receive_some(bytes_max)
    assert data, "the connection was closed within a response"
    return bytes(data)
