"""What an OpenTelemetry collector is to an exporter: OTLP over HTTP on loopback, its protobuf taken apart."""

from __future__ import annotations

import gzip
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.common.v1.common_pb2 import KeyValue


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """Times in seconds; ids as bytes, `parent` empty for a root."""

    name: str
    trace: bytes
    id: bytes
    parent: bytes
    begins: float
    ends: float
    attributes: dict[str, Any]
    events: tuple[str, ...]


class Collector(ThreadingHTTPServer):
    """`raw` is everything that came, decompressed; `status` is what it answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.resources: list[dict[str, Any]] = []
        self.spans: list[ReceivedSpan] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def turns(self) -> list[ReceivedSpan]:
        return [span for span in self.spans if not span.parent]

    def parts_of(self, turn: ReceivedSpan) -> list[ReceivedSpan]:
        return [span for span in self.spans if (span.trace, span.parent) == (turn.trace, turn.id)]

    def take(self, body: bytes) -> None:
        self.raw.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(_values(resource.resource.attributes))
            for scope in resource.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        ReceivedSpan(
                            name=span.name,
                            trace=span.trace_id,
                            id=span.span_id,
                            parent=span.parent_span_id,
                            begins=span.start_time_unix_nano / 1e9,
                            ends=span.end_time_unix_nano / 1e9,
                            attributes=_values(span.attributes),
                            events=tuple(event.name for event in span.events),
                        )
                    )


def _values(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair) for pair in pairs}


def _value(pair: KeyValue) -> Any:
    kind = pair.value.WhichOneof("value")
    return getattr(pair.value, kind) if kind else None


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        is_otlp = self.path == "/v1/traces" and self.headers["Content-Type"] == "application/x-protobuf"
        status = self.server.status if is_otlp else 404
        if status == 200:
            self.server.headers.append(dict(self.headers.items()))
            self.server.take(body)
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def collector() -> Iterator[Collector]:
    """Listening while the block runs."""
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
