"""What Prometheus reads. Names begin with `voice_trio_`; labels have few values, never a person.

One process keeps its values in memory. Several workers of an instance keep theirs in files of a folder that they
share (the multi-process mode of the library), so that whichever of them is asked tells the sums of all. The files are
named for the worker's slot, not for its process: who takes a dead worker's place goes on counting where it stopped.
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

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from voice_trio.state.state import State

EXPOSITION_CONTENT_TYPE = CONTENT_TYPE_LATEST
Registry: TypeAlias = CollectorRegistry
SECONDS_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Fine around 200 ms, the wait for documents, and around a second, which is when people notice."""
SEARCH_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, *SECONDS_BUCKETS)
"""Passages kept at hand, and an embedded base, are searched within milliseconds."""
SESSION_BUCKETS = (5, 15, 30, 60, 120, 180, 300, 420, 600, 900, 1800, 3600)
GAUGES_SECONDS = 1.0
"""How old a gauge of another worker may be."""
_PREFIX = "voice_trio_"
_LEAST_OF = ("process_start_time_seconds", "process_max_fds")
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # where the library looks for it


class Places(Protocol):
    """The places for sessions of a process."""

    @property
    def places_max(self) -> int: ...

    @property
    def is_draining(self) -> bool: ...


class Across(Enum):
    """How the gauges of several workers become one; a dead worker's is gone."""

    SUM = "livesum"
    MOST = "livemax"
    LEAST = "livemin"


def share_metrics(folder: Path, slot: int) -> None:
    """From now on this process counts as worker `slot` of those that share `folder`; before any `Meters` is made."""
    os.environ[_FOLDER] = str(folder)
    shared = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]  # the library's
    shared.is_voice_trio = True
    values.ValueClass = shared


def _is_shared() -> bool:
    """Whether `share_meters` was called. The library goes by its variable alone, so without it that has to go."""
    if getattr(values.ValueClass, "is_voice_trio", False):
        return True
    for name in (_FOLDER, _FOLDER.lower()):
        os.environ.pop(name, None)
    values.ValueClass = values.MutexValue
    return False


def forget_gauges(folder: Path, slot: int) -> None:
    """The worker is dead: what it counted stays, what it was is gone."""
    for path in folder.glob(f"gauge_live*_{slot}.db"):
        with suppress(FileNotFoundError):
            path.unlink()


class PrometheusMetrics:
    """One for each process; counters are there from the start, so that rates have a beginning."""

    def __init__(self, active: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        """What Prometheus is told: after `refresh`."""
        self._own = self.registry
        self._gauges: list[tuple[Gauge, Callable[[], float]]] = []
        self._process: _SharedProcess | None = None
        self._is_shared = _is_shared()
        if self._is_shared:
            self._own = CollectorRegistry()
            MultiProcessCollector(self.registry)  # type: ignore[no-untyped-call]  # the library's
        self.gauge("active_sessions", "Sessions open now.", lambda: float(active()))
        self.sessions = self._counter("sessions", "Sessions that ended, by ending.", "ending")
        self.admitted = self._counter("admitted", "Sessions that were admitted.")
        self.refusals = self._counter("refusals", "Callers refused, by code.", "code")
        self.errors = self._counter("errors", "Errors told to clients, by code.", "code")
        self.turns = self._counter("turns", "Finished turns, by status.", "status")
        self.retrievals = self._counter("retrievals", "Finished turns, by outcome of retrieval.", "outcome")
        self.interruptions = self._counter("interruptions", "Answers that the user interrupted.")
        self.recoveries = self._counter("recoveries", "Times the upstream was lost in mid-session.")
        self.audio = self._counter("audio_seconds", "Seconds of sound, by direction.", "direction")
        self.cost = self._counter("cost_usd", "US dollars spent, by kind, and whether estimated.", "kind", "estimated")
        self.warnings = self._counter("usage_warnings", "Usage that made no sense or had no price, by name.", "name")
        self.stages = self._histogram("stage_seconds", "Latency of a turn, by stage.", SECONDS_BUCKETS, "stage")
        self.searches = self._counter("searches", "Searches asked for turns, by place and result.", "source", "outcome")
        self.search_seconds = self._histogram(
            "search_seconds",
            "How long searches took that came to an end, by place and result.",
            SEARCH_BUCKETS,
            "source",
            "outcome",
        )
        self.durations = self._histogram("session_seconds", "How long sessions were connected.", SESSION_BUCKETS)

    def watch_process(self, places: Places, state: State, workers_wanted: int = 1) -> None:
        """From now on the places, the shared store and the process itself are told too."""
        self.gauge("workers", "Processes that this answer is the sum of.", lambda: 1.0)
        self.gauge("workers_wanted", "Processes there should be.", lambda: float(workers_wanted), Across.MOST)
        self.gauge("places", "Sessions that may be held.", lambda: float(places.places_max))
        self.gauge("draining", "1 while about to end.", lambda: float(places.is_draining), Across.LEAST)
        self.gauge("redis_enabled", "1 if state is to be shared.", lambda: float(state.health.enabled), Across.MOST)
        self.gauge(
            "redis_available", "1 while the shared state answers.", lambda: float(state.health.available), Across.LEAST
        )
        if self._is_shared:
            self._process = _SharedProcess(self._own)
        else:
            ProcessCollector(registry=self.registry)

    def gauge(self, name: str, meaning: str, read: Callable[[], float], across: Across = Across.SUM) -> None:
        """A value that is looked up whenever Prometheus asks, and in other workers once a second."""
        gauge = Gauge(_PREFIX + name, meaning, registry=self._own, multiprocess_mode=across.value)
        if self._is_shared:
            self._gauges.append((gauge, read))
        else:
            gauge.set_function(read)

    def refresh(self) -> None:
        """Look the gauges up for whichever worker is asked; a process that shares nothing has nothing to do."""
        for gauge, read in self._gauges:
            gauge.set(read())
        if self._process is not None:
            self._process.refresh()

    def exposition(self) -> bytes:
        """What `GET /metrics` answers."""
        self.refresh()
        return generate_latest(self.registry)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(_PREFIX + name, meaning, labels, registry=self._own)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(_PREFIX + name, meaning, labels, buckets=buckets, registry=self._own)


class _SharedProcess:
    """What the library's `ProcessCollector` tells of one process, summed: CPU as a counter, the rest as gauges."""

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
                multiprocess_mode=(Across.LEAST if family.name in _LEAST_OF else Across.SUM).value,
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
