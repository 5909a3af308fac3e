"""What Prometheus reads of one process. Names begin with `voice_trio_`; labels have few values, never a person."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.services.state import State
    from voice_trio.session.capacity import Capacity

SECONDS_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
"""Fine around 200 ms, the wait for documents, and around a second, which is when people notice."""
SESSION_BUCKETS = (5, 15, 30, 60, 120, 180, 300, 420, 600, 900, 1800, 3600)
_PREFIX = "voice_trio_"


class Meters:
    """One registry for each process; counters are there from the start, so that rates have a beginning."""

    def __init__(self, active: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
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
        self.durations = self._histogram("session_seconds", "How long sessions were connected.", SESSION_BUCKETS)

    def watch_process(self, capacity: Capacity, state: State) -> None:
        """From now on the places, the shared store and the process itself are told too."""
        self.gauge("places", "Sessions this process may hold.", lambda: float(capacity.places_max))
        self.gauge("draining", "1 while the process is about to end.", lambda: float(capacity.is_draining))
        self.gauge("redis_enabled", "1 if state is to be shared.", lambda: float(state.health.enabled))
        self.gauge("redis_available", "1 while the shared state answers.", lambda: float(state.health.available))
        ProcessCollector(registry=self.registry)

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """A value that is looked up whenever Prometheus asks."""
        Gauge(_PREFIX + name, meaning, registry=self.registry).set_function(read)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(_PREFIX + name, meaning, labels, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(_PREFIX + name, meaning, labels, buckets=buckets, registry=self.registry)
