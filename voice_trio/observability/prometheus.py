"""The metrics for Prometheus. Names begin with `voice_trio_`; labels have few values and never identify a person.

A single process keeps its values in memory. The workers of an instance keep theirs in files of a shared folder, which
is the multi-process mode of prometheus_client. So any worker can return the sums of all. A file is named after the
worker's slot, not its process: the replacement of a dead worker continues its counts.
"""

from __future__ import annotations

import os
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeAlias

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector

from voice_trio.observability.log_stream import dropped_lines
from voice_trio.observability.logs import suppressed_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voice_trio.state.state import State

EXPOSITION_CONTENT_TYPE = CONTENT_TYPE_LATEST
Registry: TypeAlias = CollectorRegistry
SECONDS_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Fine around 200 ms, the wait for documents, and around 1 s, where a delay becomes noticeable."""
SEARCH_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, *SECONDS_BUCKETS)
"""The passage cache and the embedded base return within milliseconds."""
SESSION_BUCKETS = (5, 15, 30, 60, 120, 180, 300, 420, 600, 900, 1800, 3600)
_PREFIX = "voice_trio_"
_MINIMUM_OF = ("process_start_time_seconds", "process_max_fds")
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the variable that prometheus_client reads


class SessionCapacity(Protocol):
    """The number of sessions that a process may hold."""

    @property
    def places_max(self) -> int: ...

    @property
    def is_draining(self) -> bool: ...

    @property
    def is_overloaded(self) -> bool: ...


class GaugeMerge(Enum):
    """How the gauges of several workers are merged; those of dead workers are excluded."""

    SUM = "livesum"
    MAXIMUM = "livemax"
    MINIMUM = "livemin"


def share_metrics(folder: Path, slot: int) -> None:
    """Make this process worker `slot` of those that share `folder`; call it before any `PrometheusMetrics` is made."""
    os.environ[_FOLDER] = str(folder)
    shared = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]  # untyped in prometheus_client
    shared.is_voice_trio = True
    values.ValueClass = shared


def _is_shared() -> bool:
    """Whether `share_metrics` was called. The library goes by its variable alone, so without it that has to go."""
    if getattr(values.ValueClass, "is_voice_trio", False):
        return True
    for name in (_FOLDER, _FOLDER.lower()):
        os.environ.pop(name, None)
    values.ValueClass = values.MutexValue
    return False


def forget_gauges(folder: Path, slot: int) -> None:
    """Delete the gauges of a dead worker; its counters stay."""
    for path in folder.glob(f"gauge_live*_{slot}.db"):
        with suppress(FileNotFoundError):
            path.unlink()


class PrometheusMetrics:
    """The metrics of one process; counters start at 0, so that rates are right from the first event."""

    def __init__(self, active: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        """The registry that Prometheus reads, after `refresh`."""
        self._own = self.registry
        self._gauges: list[tuple[Gauge, Callable[[], float]]] = []
        self._process: _SharedProcess | None = None
        self._is_shared = _is_shared()
        if self._is_shared:
            self._own = CollectorRegistry()
            MultiProcessCollector(self.registry)  # type: ignore[no-untyped-call]  # untyped in prometheus_client
        self.gauge("active_sessions", "Open sessions.", lambda: float(active()))
        self.sessions = self._counter("sessions", "Ended sessions, by ending.", "ending")
        self.admitted = self._counter("admitted", "Admitted sessions.")
        self.refusals = self._counter("refusals", "Refused clients, by code and plan.", "code", "plan")
        self.failed_tokens = self._counter("failed_operator_tokens", "Operators' tokens that did not verify.", "kind")
        self.errors = self._counter("errors", "Errors sent to clients, by code.", "code")
        self.turns = self._counter("turns", "Finished turns, by status.", "status")
        self.retrievals = self._counter("retrievals", "Finished turns, by outcome of retrieval.", "outcome")
        self.interruptions = self._counter("interruptions", "Responses that the user interrupted.")
        self.recoveries = self._counter("recoveries", "Upstream connections lost during a session.")
        self.audio = self._counter("audio_seconds", "Seconds of audio, by direction.", "direction")
        self.cost = self._counter("cost_usd", "US dollars spent, by kind and whether estimated.", "kind", "estimated")
        self.warnings = self._counter(
            "usage_warnings", "Reported usage that is invalid or has no price, by name.", "name"
        )
        self.stages = self._histogram("stage_seconds", "Latency of a turn, by stage.", SECONDS_BUCKETS, "stage")
        self.searches = self._counter("searches", "Searches for turns, by source and outcome.", "source", "outcome")
        self.search_seconds = self._histogram(
            "search_seconds",
            "Duration of completed searches, by source and outcome.",
            SEARCH_BUCKETS,
            "source",
            "outcome",
        )
        self.durations = self._histogram("session_seconds", "Connected time of sessions.", SESSION_BUCKETS)

    def watch_process(self, places: SessionCapacity, state: State, workers_wanted: int = 1) -> None:
        """Add gauges of the session capacity, the shared state and the process itself."""
        self.gauge("workers", "Worker processes that the values are summed over.", lambda: 1.0)
        self.gauge("workers_wanted", "Configured worker processes.", lambda: float(workers_wanted), GaugeMerge.MAXIMUM)
        self.gauge("places", "Sessions that the process may hold.", lambda: float(places.places_max))
        self.gauge(
            "draining",
            "1 while draining before the process ends.",
            lambda: float(places.is_draining),
            GaugeMerge.MINIMUM,
        )
        self.gauge(
            "overloaded",
            "1 while new sessions are refused, so that open ones are not delayed.",
            lambda: float(places.is_overloaded),
            GaugeMerge.MINIMUM,
        )
        self.gauge(
            "redis_enabled", "1 if shared state is configured.", lambda: float(state.health.enabled), GaugeMerge.MAXIMUM
        )
        self.gauge(
            "redis_available",
            "1 while the shared state is available.",
            lambda: float(state.health.available),
            GaugeMerge.MINIMUM,
        )
        self.gauge("log_lines_dropped", "Log lines lost because their reader stalled.", lambda: float(dropped_lines()))
        self.gauge("log_lines_suppressed", "Repeated log lines left out.", lambda: float(suppressed_lines()))
        if self._is_shared:
            self._process = _SharedProcess(self._own)
        else:
            ProcessCollector(registry=self.registry)

    def gauge(self, name: str, meaning: str, read: Callable[[], float], merge: GaugeMerge = GaugeMerge.SUM) -> None:
        """Add a gauge that is read at each scrape, and once a second in other workers."""
        gauge = Gauge(_PREFIX + name, meaning, registry=self._own, multiprocess_mode=merge.value)
        if self._is_shared:
            self._gauges.append((gauge, read))
        else:
            gauge.set_function(read)

    def refresh(self) -> None:
        """Write the gauges for the other workers; no effect in a single process."""
        for gauge, read in self._gauges:
            gauge.set(read())
        if self._process is not None:
            self._process.refresh()

    def exposition(self) -> bytes:
        """The body of `GET /metrics`."""
        self.refresh()
        return generate_latest(self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(_PREFIX + name, meaning, labels, registry=self._own)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(_PREFIX + name, meaning, labels, buckets=buckets, registry=self._own)


class _SharedProcess:
    """The metrics of prometheus_client's `ProcessCollector`, summed over workers: CPU a counter, the rest gauges."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._collector = ProcessCollector(registry=None)
        self._cpu = Counter(
            "process_cpu_seconds", "Total user and system CPU time spent in seconds.", registry=registry
        )
        self._cpu_counted = 0.0
        self._gauges = {
            family.name: Gauge(
                family.name,
                family.documentation,
                registry=registry,
                multiprocess_mode=(GaugeMerge.MINIMUM if family.name in _MINIMUM_OF else GaugeMerge.SUM).value,
            )
            for family in self._collector.collect()
            if family.type == "gauge"
        }

    def refresh(self) -> None:
        for family in self._collector.collect():
            value = family.samples[0].value
            if family.type == "gauge":
                self._gauges[family.name].set(value)
            else:
                self._cpu.inc(max(0.0, value - self._cpu_counted))
                self._cpu_counted = value
