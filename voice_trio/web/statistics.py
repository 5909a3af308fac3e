"""What this process has seen of its sessions: counts, and the latency of turns' stages. Bounded, whatever happens.

Sessions report here as their `Observer`; `/v1/voice/stats` and `/metrics` read it. Knows nothing of HTTP.
"""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict, deque
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Gauge, Histogram
from prometheus_client import Counter as Total

from voice_trio.session.endings import Ending

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.conversation.records import Stages, TurnRecord
    from voice_trio.session.summary import Summary

TURNS_REMEMBERED = 2_000
"""Of each stage: percentiles are over the last so many turns."""
USERS_REMEMBERED = 10_000
SECONDS_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)

STAGES = {
    "speech_to_first_word": ("speech_started", "first_word"),
    "silence_to_commit": ("speech_stopped", "committed"),
    "commit_to_ask": ("committed", "asked"),
    "ask_to_response": ("asked", "response_created"),
    "commit_to_first_audio_in": ("committed", "first_audio_in"),
    "commit_to_first_audio_out": ("committed", "first_audio_out"),
    "first_audio_in_to_out": ("first_audio_in", "first_audio_out"),
}
"""Each latency, and the two stages of a turn between which it lies."""

_FAILURES = frozenset({Ending.UPSTREAM_UNAVAILABLE, Ending.UPSTREAM_LOST, Ending.CRASHED, Ending.TOO_SLOW})


class Statistics:
    """An `Observer`. `active` tells how many sessions live now."""

    def __init__(self, active: Callable[[], int], *, unix_time: Callable[[], float] = time.time) -> None:
        self.registry = CollectorRegistry()
        self.transcription_fallback = False
        """Whether the last session that was ready had to do with the second-best transcription model."""
        self.upstream_failed = False
        """Whether the last session that tried could not reach the model."""
        self._unix_time = unix_time
        self._started_at = unix_time()
        self._active = active
        self._durations: dict[str, deque[float]] = {name: deque(maxlen=TURNS_REMEMBERED) for name in STAGES}
        self._turns: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._sessions: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._refusals: Counter[str] = Counter()
        self._totals: Counter[str] = Counter()
        self._users: OrderedDict[str, None] = OrderedDict()
        self._users_day = self._today()
        self._meters = _Meters(self.registry, active)

    def session_ready(self, summary: Summary) -> None:
        """The model was reached; health follows at once, not when the session ends."""
        self.transcription_fallback = summary.transcription_fallback
        self.upstream_failed = False

    def turn_finished(self, record: TurnRecord) -> None:
        """Count a turn and the stages it had; one that goes on as the next turn is not one."""
        if record.status == "joined":
            return
        self._turns[record.status] += 1
        self._meters.turns.labels(record.status).inc()
        if record.outcome is not None:
            self._outcomes[record.outcome.value] += 1
            self._meters.retrievals.labels(record.outcome.value).inc()
        for name, seconds in durations_of(record.stages).items():
            self._durations[name].append(seconds)
            self._meters.stages.labels(name).observe(seconds)

    def session_ended(self, summary: Summary) -> None:
        """Count a session by how it ended."""
        ending = summary.ending or Ending.CRASHED
        self._sessions[ending.value.name] += 1
        self._meters.sessions.labels(ending.value.name).inc()
        self._errors.update(summary.errors)
        for code, count in summary.errors.items():
            self._meters.errors.labels(code).inc(count)
        self._totals["audio_in_s"] += round(summary.audio_in_s)
        self._totals["audio_out_s"] += round(summary.audio_out_s)
        self._totals["interruptions"] += summary.interruptions
        self._totals["failed"] += ending in _FAILURES
        if summary.was_ready:
            self.session_ready(summary)
            self._remember(summary.user)
        if ending in (Ending.UPSTREAM_UNAVAILABLE, Ending.UPSTREAM_LOST):
            self.upstream_failed = True

    def refused(self, code: str) -> None:
        """Count a caller who did not get a session."""
        self._refusals[code] += 1
        self._meters.refusals.labels(code).inc()

    def as_json(self) -> dict[str, Any]:
        """Everything, for the stats page; latencies in ms over the last 2,000 turns each."""
        ended = sum(self._sessions.values())
        self._forget_yesterday()
        return {
            "since": int(self._started_at),
            "sessions": {
                "active": self._active(),
                "ended": ended,
                "by_ending": dict(self._sessions),
                "refused": dict(self._refusals),
            },
            "error_rate": round(self._totals["failed"] / ended, 4) if ended else 0.0,
            "errors": dict(self._errors),
            "turns": dict(self._turns),
            "retrieval": dict(self._outcomes),
            "interruptions": self._totals["interruptions"],
            "audio_in_s": self._totals["audio_in_s"],
            "audio_out_s": self._totals["audio_out_s"],
            "latency_ms": {name: _percentiles_ms(values) for name, values in self._durations.items()},
            "adoption": {"users_who_talked_today": len(self._users)},
        }

    def _remember(self, user: str) -> None:
        self._forget_yesterday()
        self._users[user] = None
        if len(self._users) > USERS_REMEMBERED:
            self._users.popitem(last=False)

    def _forget_yesterday(self) -> None:
        if self._today() != self._users_day:
            self._users_day = self._today()
            self._users.clear()

    def _today(self) -> int:
        return int(self._unix_time() // 86_400)


class _Meters:
    """The same, as Prometheus wants it."""

    def __init__(self, registry: CollectorRegistry, active: Callable[[], int]) -> None:
        name = "voice_trio_"
        gauge = Gauge(name + "active_sessions", "Sessions open now.", registry=registry)
        gauge.set_function(lambda: float(active()))
        self.sessions = Total(name + "sessions", "Sessions that ended, by ending.", ["ending"], registry=registry)
        self.refusals = Total(name + "refusals", "Callers refused, by code.", ["code"], registry=registry)
        self.errors = Total(name + "errors", "Errors told to clients, by code.", ["code"], registry=registry)
        self.turns = Total(name + "turns", "Finished turns, by status.", ["status"], registry=registry)
        self.retrievals = Total(name + "retrievals", "Finished turns, by outcome.", ["outcome"], registry=registry)
        self.stages = Histogram(
            name + "stage_seconds", "Latency by stage.", ["stage"], buckets=SECONDS_BUCKETS, registry=registry
        )


def durations_of(stages: Stages) -> dict[str, float]:
    """The latencies in seconds of the stages that a turn had."""
    found: dict[str, float] = {}
    for name, (first, last) in STAGES.items():
        begins, ends = getattr(stages, first), getattr(stages, last)
        if begins is not None and ends is not None:
            found[name] = max(0.0, ends - begins)
    return found


def percentile(ordered: list[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed; `ordered` is not empty."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _percentiles_ms(values: deque[float]) -> dict[str, float | int]:
    if not values:
        return {"count": 0}
    ordered = sorted(values)
    shares = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
    return {"count": len(ordered)} | {
        name: round(percentile(ordered, share) * 1000, 1) for name, share in shares.items()
    }
