"""What Sentry is to a client: an HTTP server on loopback that takes envelopes apart."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.support.http_receiver import HttpReceiver, listening

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KEY = "0123456789abcdef0123456789abcdef"


class Receiver(HttpReceiver):
    """Keeps each envelope's items."""

    def __init__(self) -> None:
        super().__init__()
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

    def refuses(self, path: str, headers: Mapping[str, str]) -> int | None:
        return None if path == "/api/7/envelope/" and KEY in headers.get("x-sentry-auth", "") else 403

    def take(self, envelope: bytes) -> None:
        """One header line, then pairs of an item's header and its body."""
        super().take(envelope)
        _, _, rest = envelope.partition(b"\n")
        while rest.strip():
            head, _, rest = rest.partition(b"\n")
            header = json.loads(head)
            length = header["length"]
            self.items.append((header["type"], json.loads(rest[:length])))
            rest = rest[length + 1 :]


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Listening while the block runs."""
    with listening(Receiver()) as server:
        yield server
