"""What an OpenTelemetry collector is to an exporter: OTLP over HTTP on loopback, its protobuf taken apart."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.http_receiver import HttpReceiver, listening

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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


class Collector(HttpReceiver):
    """Keeps the spans, and the resources they are of."""

    answer = ExportTraceServiceResponse().SerializeToString()
    content_type = "application/x-protobuf"

    def __init__(self) -> None:
        super().__init__()
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

    def refuses(self, path: str, headers: Mapping[str, str]) -> int | None:
        return None if path == "/v1/traces" and headers.get("content-type") == self.content_type else 404

    def take(self, body: bytes) -> None:
        super().take(body)
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


@contextmanager
def collector() -> Iterator[Collector]:
    """Listening while the block runs."""
    with listening(Collector()) as server:
        yield server
