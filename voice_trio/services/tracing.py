"""Turns as OpenTelemetry traces, when the standard variables say where to: OTEL_EXPORTER_OTLP_ENDPOINT and its kin.

One trace for each turn, its stages as child spans. Figures only: nothing that was said, no tokens, users as hashes.
Needs the extra `voice-trio[otel]`; without those variables the libraries are never loaded. Everything else (sampler,
service name, headers, batch sizes) is read from the environment by the SDK itself. Spans are sent by the SDK's own
thread; the loop only puts them into its queue, which drops when it is full. Knows nothing of sessions but their ids.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from voice_trio.services.turn_spans import spans_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

    from voice_trio.conversation.records import TurnRecord

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SERVICE_NAME = "voice-trio"
FLUSH_SECONDS_MAX = 2.0
COMPLAIN_EVERY_SECONDS = 60.0
"""A collector that is away makes the library complain at every batch."""

log = structlog.get_logger(__name__)


class Traces(Protocol):
    """Where turns go."""

    def turn(self, record: TurnRecord, session_id: str, user: str) -> None:
        """A turn of that session is over; `user` is a hash. Does not wait."""
        ...


class NoTraces:
    """Nobody collects them."""

    def turn(self, record: TurnRecord, session_id: str, user: str) -> None:
        pass


def start_traces(*, instance: str, version: str, model: str, environ: Mapping[str, str] = os.environ) -> Traces:
    """As the standard variables say; once in a process. A wish that cannot be fulfilled is one warning, no error."""
    if not _is_wanted(environ):
        return NoTraces()
    protocol = next((environ[name] for name in PROTOCOLS if environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        log.warning("traces_not_sent", detail=f"OTEL_EXPORTER_OTLP_PROTOCOL: {protocol} is not built; http/protobuf is")
        return NoTraces()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning("traces_not_sent", detail="OTEL_… is set, but not installed: pip install 'voice-trio[otel]'")
        return NoTraces()
    _hear_complaints()
    named = {"service.version": version, "service.instance.id": instance}
    if "service.name" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", "") and not environ.get("OTEL_SERVICE_NAME"):
        named["service.name"] = SERVICE_NAME
    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    atexit.register(_flush, provider)
    log.info("traces_sent", sampler=provider.sampler.get_description())
    return OtelTraces(provider.get_tracer("voice_trio", version), model)


def _is_wanted(environ: Mapping[str, str]) -> bool:
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    return exporters == "otlp" or (not exporters and any(environ.get(name) for name in ENDPOINTS))


class OtelTraces:
    """Turns over one tracer; which of them are sent is for its sampler to say."""

    def __init__(self, tracer: Tracer, model: str) -> None:
        from opentelemetry.context import Context

        self._tracer = tracer
        self._model = model
        self._nothing = Context()  # a turn has no parent, whatever another library may have left behind

    def turn(self, record: TurnRecord, session_id: str, user: str) -> None:
        """The turn as a span, with its stages as children."""
        spans = spans_of(record)
        if spans is None:
            return
        attributes = _attributes(record) | {
            "gen_ai.request.model": self._model,
            "session.id": session_id,
            "user.hash": user,
        }
        turn = self._tracer.start_span("turn", self._nothing, attributes=attributes, start_time=_nanos(spans.begins))
        if turn.is_recording():
            from opentelemetry.trace import set_span_in_context

            inside = set_span_in_context(turn, self._nothing)
            for name, at in spans.moments:
                turn.add_event(name, timestamp=_nanos(at))
            for name, begins, ends in spans.parts:
                self._tracer.start_span(name, inside, start_time=_nanos(begins)).end(_nanos(ends))
        turn.end(_nanos(spans.ends))


def _attributes(record: TurnRecord) -> dict[str, Any]:
    return {
        "voice.turn": record.turn_id,
        "voice.status": record.status,
        "voice.typed": record.typed,
        "voice.retrieval": record.outcome.value if record.outcome else "none",
        "voice.stale": record.stale,
        "voice.waited_ms": record.waited_ms,
        "voice.queries": record.queries,
        "voice.passages": len(record.passages),
        "voice.heard_ms": record.heard_ms,
        "voice.received_ms": record.received_ms,
    }


def _nanos(unix: float) -> int:
    return int(unix * 1_000_000_000)


def _flush(provider: TracerProvider) -> None:
    """At the end of the process: what waits is sent, for at most 2 s, whatever the collector does."""
    thread = threading.Thread(target=provider.shutdown, daemon=True)
    thread.start()
    thread.join(FLUSH_SECONDS_MAX)


class _Complaints(logging.Handler):
    """What the library complains of is our warning, once a minute: errors are for what people here can mend."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._next_at = -COMPLAIN_EVERY_SECONDS

    def emit(self, record: logging.LogRecord) -> None:
        if self._clock() >= self._next_at:
            self._next_at = self._clock() + COMPLAIN_EVERY_SECONDS
            log.warning("traces_trouble", detail=record.getMessage()[:300])


def _hear_complaints() -> None:
    library = logging.getLogger("opentelemetry")
    library.propagate = False
    library.handlers[:] = [_Complaints()]
