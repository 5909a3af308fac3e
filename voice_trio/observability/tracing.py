"""Turns as OpenTelemetry traces, if a standard variable such as OTEL_EXPORTER_OTLP_ENDPOINT is set.

Each turn is one trace with its stages as child spans: numbers only, no spoken text, no tokens, users as hashes. It
needs the extra `voice-trio[otel]`; without the variables the libraries are never loaded. The SDK reads everything else
(sampler, service name, headers, batch sizes) from the environment, and sends spans in its own thread. The event loop
only puts them into the SDK's queue, which drops spans when full. Knows nothing of sessions but their ids.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

import structlog

from voice_trio import limits
from voice_trio.observability.turn_spans import spans_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

    from voice_trio.conversation.turn.record import TurnRecord

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SERVICE_NAME = "voice-trio"
HEADERS_LOGGER = "opentelemetry.util.re"
MALFORMED_HEADERS = "OTEL_EXPORTER_OTLP_HEADERS is malformed: name=value, separated by commas, values URL-encoded"
SECRET_CHARS_MIN = 4
URL_USER = re.compile(r"//[^/@\s]+@")

log = structlog.get_logger(__name__)


class Traces(Protocol):
    """The receiver of turns."""

    def turn(self, record: TurnRecord, session_id: str, user: str) -> None:
        """Trace a completed turn; `user` is a hash. Does not wait."""
        ...


class NoTraces:
    """Traces nothing."""

    def turn(self, record: TurnRecord, session_id: str, user: str) -> None:
        pass


def start_traces(*, instance: str, version: str, model: str, environ: Mapping[str, str] = os.environ) -> Traces:
    """Start traces as the standard variables say, once in a process; an unusable value is a warning, no error."""
    if not _is_configured(environ):
        return NoTraces()
    protocol = next((environ[name] for name in PROTOCOLS if environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        log.warning(
            "traces_not_sent", detail=f"OTEL_EXPORTER_OTLP_PROTOCOL: {protocol} is not supported; http/protobuf is"
        )
        return NoTraces()
    named = {"service.version": version, "service.instance.id": instance}
    if "service.name" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", "") and not environ.get("OTEL_SERVICE_NAME"):
        named["service.name"] = SERVICE_NAME
    _capture_sdk_warnings(environ)
    try:
        provider = _provider(named)
    except ImportError:
        log.warning(
            "traces_not_sent",
            detail="OTEL_… is set without OpenTelemetry: pip install 'voice-trio[otel]'",
        )
        return NoTraces()
    except (ValueError, RuntimeError) as error:  # its text may quote a value, and a value may be a secret
        set_ones = ", ".join(sorted(name for name in environ if name.startswith("OTEL_")))
        detail = f"OpenTelemetry does not accept the value of one of {set_ones} ({type(error).__name__})"
        log.warning("traces_not_sent", detail=detail)
        return NoTraces()
    atexit.register(_flush, provider)
    log.info("traces_sent", sampler=provider.sampler.get_description())
    return OtelTraces(provider.get_tracer("voice_trio", version), model)


def _is_configured(environ: Mapping[str, str]) -> bool:
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    return exporters == "otlp" or (not exporters and any(environ.get(name) for name in ENDPOINTS))


def _provider(named: dict[str, str]) -> TracerProvider:
    """A provider that the SDK configures from the environment; raises the SDK's errors for invalid values."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class OtelTraces:
    """Traces turns with one tracer, whose sampler decides which are sent."""

    def __init__(self, tracer: Tracer, model: str) -> None:
        from opentelemetry.context import Context

        self._tracer = tracer
        self._model = model
        self._no_parent = Context()  # a turn has no parent span, also if another library has set one

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
        turn = self._tracer.start_span("turn", self._no_parent, attributes=attributes, start_time=_nanos(spans.begins))
        if turn.is_recording():
            from opentelemetry.trace import set_span_in_context

            inside = set_span_in_context(turn, self._no_parent)
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
    """Send what is queued at the end of the process, for at most 2 s."""
    thread = threading.Thread(target=provider.shutdown, daemon=True)
    thread.start()
    thread.join(limits.FLUSH_SECONDS_MAX)


class _SdkWarnings(logging.Handler):
    """Logs the warnings and errors of the SDK as one warning a minute: the operator of the gateway cannot fix them."""

    def __init__(self, environ: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._environ = environ
        self._clock = clock
        self._next_at = -limits.SDK_WARNING_SECONDS

    def emit(self, record: logging.LogRecord) -> None:
        if self._clock() >= self._next_at:
            self._next_at = self._clock() + limits.SDK_WARNING_SECONDS
            is_of_headers = record.name == HEADERS_LOGGER  # it quotes the malformed value, which is a key
            detail = MALFORMED_HEADERS if is_of_headers else _without_secrets(record.getMessage(), self._environ)
            log.warning("traces_failed", detail=detail[:300])


def _without_secrets(text: str, environ: Mapping[str, str]) -> str:
    """`text` without values of OTEL headers, whole or in parts, encoded or decoded, and without the user of a URL."""
    secrets: set[str] = set()
    for name, value in environ.items():
        if name.startswith("OTEL_") and name.endswith("HEADERS"):
            parts = {value, *value.split(",")}
            parts |= {part.split(mark, 1)[1] for part in parts for mark in "=: " if mark in part}
            secrets |= {part.strip() for part in parts} | {unquote(part).strip() for part in parts}
    secrets = {secret for secret in secrets if len(secret) >= SECRET_CHARS_MIN}
    for secret in sorted(secrets, key=len, reverse=True):  # one part may contain another
        text = text.replace(secret, "***")
    return URL_USER.sub("//***@", text)


def _capture_sdk_warnings(environ: Mapping[str, str]) -> None:
    library = logging.getLogger("opentelemetry")
    library.propagate = False
    library.handlers[:] = [_SdkWarnings(environ)]
