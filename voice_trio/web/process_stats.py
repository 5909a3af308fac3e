"""The statistics of one process as a value; those of several workers can be added up.

Workers exchange them as MessagePack, in which a sketch is encoded as its bins.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import Any, Protocol

import msgspec
import trio
from ddsketch import LogCollapsingLowestDenseDDSketch as Sketch

from voice_trio.observability.minute_series import Minute, last_hour, recent
from voice_trio.observability.percentiles import bins_of, merged_sketch, sketch_of, summary_of


class WorkerFacts(msgspec.Struct, kw_only=True, frozen=True):
    """The present state of one process of an instance; a process without peers has slot 0."""

    slot: int
    pid: int
    instance: str
    started: float
    """Unix seconds."""
    active: int
    places: int
    taken: int
    draining: bool
    unready: str | None
    """Why the process should get no new sessions; None if it is ready."""
    loop_lag_ms: float


class ProcessStats(msgspec.Struct, kw_only=True):
    """Counts since `since` (Unix seconds), latencies by window and stage, minutes by number, users by their hashes."""

    since: float
    active: int
    turns: dict[str, int]
    outcomes: dict[str, int]
    sessions: dict[str, int]
    errors: dict[str, int]
    refusals: dict[str, int]
    totals: dict[str, int]
    talked: set[str]
    admitted: set[str]
    cost_of_ended: Decimal
    latency: dict[str, dict[str, Sketch]]
    minutes: dict[int, Minute]

    def plus(self, other: ProcessStats) -> ProcessStats:
        """The sum of both."""
        return ProcessStats(
            since=min(self.since, other.since),
            active=self.active + other.active,
            turns=_sum(self.turns, other.turns),
            outcomes=_sum(self.outcomes, other.outcomes),
            sessions=_sum(self.sessions, other.sessions),
            errors=_sum(self.errors, other.errors),
            refusals=_sum(self.refusals, other.refusals),
            totals=_sum(self.totals, other.totals),
            talked=self.talked | other.talked,
            admitted=self.admitted | other.admitted,
            cost_of_ended=self.cost_of_ended + other.cost_of_ended,
            latency={
                window: {name: merged_sketch([sketch, other.latency[window][name]]) for name, sketch in stages.items()}
                for window, stages in self.latency.items()
            },
            minutes={
                number: self.minutes.get(number, Minute()).plus(other.minutes.get(number, Minute()))
                for number in self.minutes.keys() | other.minutes.keys()
            },
        )

    def as_json(self, now: float) -> dict[str, Any]:
        """The part of `GET /v1/voice/stats` that is counted; latencies in ms by window, then by stage.

        `now` is Unix time in seconds.
        """
        ended, talks = sum(self.sessions.values()), self.totals.get("talks", 0)
        return {
            "now": round(now, 3),
            "since": int(self.since),
            "sessions": {
                "active": self.active,
                "ended": ended,
                "by_ending": self.sessions,
                "refused": self.refusals,
            },
            "error_rate": round(self.totals.get("failed", 0) / ended, 4) if ended else 0.0,
            "errors": self.errors,
            "turns": self.turns,
            "recent": recent(self.minutes, self.since, now),
            "retrieval": self.outcomes,
            "interruptions": self.totals.get("interruptions", 0),
            "audio_in_s": self.totals.get("audio_in_s", 0),
            "audio_out_s": self.totals.get("audio_out_s", 0),
            "latency_ms": {
                window: {name: summary_of(sketch) for name, sketch in stages.items()}
                for window, stages in self.latency.items()
            },
            "cost": {"per_session_usd": round(float(self.cost_of_ended) / talks, 6) if talks else None},
            "adoption": self._adoption(),
            "minutes": last_hour(self.minutes),
        }

    def _adoption(self) -> dict[str, Any]:
        talked, admitted = len(self.talked), len(self.admitted)
        share = round(min(1.0, talked / admitted), 4) if admitted else None
        return {"users_who_talked_today": talked, "users_admitted_today": admitted, "share": share}


class Snapshot(msgspec.Struct, kw_only=True):
    """The message that a worker sends to a peer."""

    facts: WorkerFacts
    stats: ProcessStats


class WorkerPeers(Protocol):
    """The other workers of an instance; `count` is the configured number of workers, this one included."""

    @property
    def slot(self) -> int: ...

    @property
    def count(self) -> int: ...

    async def ask(self) -> list[Snapshot]:
        """The snapshots of the others, of those that respond within a second."""
        ...


@dataclass(frozen=True, slots=True)
class NoWorkerPeers:
    """The peers of a process that is the only one of its instance."""

    slot: int = 0
    count: int = 1

    async def ask(self) -> list[Snapshot]:
        """No snapshots."""
        await trio.lowlevel.checkpoint()
        return []


def total(first: ProcessStats, *others: ProcessStats) -> ProcessStats:
    """The sum over all processes."""
    return reduce(ProcessStats.plus, others, first)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """As MessagePack."""
    return _ENCODER.encode(snapshot)


def decode_snapshot(data: bytes) -> Snapshot:
    """Raises `msgspec.DecodeError` for anything else."""
    return _DECODER.decode(data)


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return dict(Counter(one) + Counter(other))


def _encode_sketch(sketch: object) -> dict[int, float]:
    if isinstance(sketch, Sketch):
        return bins_of(sketch)
    raise NotImplementedError(f"{type(sketch).__name__} cannot be encoded")


def _decode_sketch(kind: type, bins: Any) -> Sketch:
    if kind is Sketch:
        return sketch_of(bins)
    raise NotImplementedError(f"{kind.__name__} cannot be encoded")


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_encode_sketch)
_DECODER = msgspec.msgpack.Decoder(Snapshot, dec_hook=_decode_sketch)
