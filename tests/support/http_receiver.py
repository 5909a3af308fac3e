"""An HTTP server on loopback that takes what is posted to it: what services that are reported to look like."""

from __future__ import annotations

import gzip
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class HttpReceiver(ThreadingHTTPServer):
    """`raw` is everything that was taken, decompressed; `status` is what it answers, `answer` with which body."""

    answer = b"{}"
    content_type = "application/json"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []

    def refuses(self, path: str, headers: Mapping[str, str]) -> int | None:
        """The status for a request that is not meant for it; None if it is."""
        raise NotImplementedError

    def take(self, body: bytes) -> None:
        self.raw.append(body)


class _Handler(BaseHTTPRequestHandler):
    server: HttpReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = self.server.refuses(self.path, headers) or self.server.status
        if status == 200:
            self.server.headers.append(headers)
            self.server.take(body)
        self.send_response(status)
        self.send_header("Content-Type", self.server.content_type)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


R = TypeVar("R", bound=ThreadingHTTPServer)


@contextmanager
def listening(server: R) -> Iterator[R]:
    """Serving while the block runs."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
