"""What Sentry is to a client: an HTTP server on loopback that takes envelopes apart."""

from __future__ import annotations

import gzip
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "0123456789abcdef0123456789abcdef"


class Receiver(ThreadingHTTPServer):
    """`raw` is everything that came, decompressed; `status` is what it answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.raw: list[bytes] = []
        self.items: list[tuple[str, dict[str, Any]]] = []

    @property
    def dsn(self) -> str:
        return f"http://{KEY}@127.0.0.1:{self.server_address[1]}/7"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [body for kind, body in self.items if kind == "event"]

    @property
    def traces(self) -> list[dict[str, Any]]:
        return [body for kind, body in self.items if kind == "transaction"]

    def take(self, envelope: bytes) -> None:
        """One header line, then pairs of an item's header and its body."""
        self.raw.append(envelope)
        _, _, rest = envelope.partition(b"\n")
        while rest.strip():
            head, _, rest = rest.partition(b"\n")
            header = json.loads(head)
            length = header["length"]
            self.items.append((header["type"], json.loads(rest[:length])))
            rest = rest[length + 1 :]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        is_sentrys = self.path == "/api/7/envelope/" and KEY in self.headers.get("X-Sentry-Auth", "")
        status = self.server.status if is_sentrys else 403
        if status == 200:
            self.server.take(body)
        answer = b"{}"
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Listening while the block runs."""
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
