"""What the relay benchmark reports: the figures of a run, their medians, and the tables."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Case:
    """One relay under one load; `upstream` is "plain" or "tls"."""

    peer: str
    upstream: str
    sessions: int


@dataclass(slots=True)
class Run:
    """What one relay did: times in ms, CPU as a share of a core, memory in KiB."""

    cpu: float
    cpu_us_per_trip: float
    trip_ms_p50: float
    trip_ms_p99: float
    flush_ms_p50: float
    flush_ms_p99: float
    flushes: int
    rss_kib: int
    came_back: float
    """The share of the frames sent that came back within the time."""
    others_cpu: float
    lost: int
    """Connections that were closed."""


Runs: TypeAlias = "dict[Case, list[Run]]"
COLUMNS = ("upstream", "sessions", "relay", "µs a trip", "÷ fastapi", "÷ splice", "÷ plain", "core", "P50", "P99")
MORE_COLUMNS = ("P99 - splice's", "flush P50", "P99", "RSS MiB", "came back", "others")


def median(runs: Sequence[Run], figure: Callable[[Run], float]) -> float:
    return statistics.median(map(figure, runs))


def compared(runs: Runs, case: Case, other: Case, compare: Callable[[Run, Run], float]) -> float:
    """The median of what each round says of `case` beside `other`; NaN if that was not measured."""
    return statistics.median(map(compare, runs[case], runs[other])) if other in runs else math.nan


def cpu_ratio(run: Run, other: Run) -> float:
    return run.cpu_us_per_trip / other.cpu_us_per_trip


def shown(value: float, form: str) -> str:
    return "" if math.isnan(value) else format(value, form)


def tables(runs: Runs) -> list[Table | str]:
    """A row for each case, and one for the memory of each relay."""
    table = Table(*COLUMNS, *MORE_COLUMNS, box=None)
    for case in sorted(runs, key=lambda case: (case.upstream, case.sessions)):
        table.add_row(case.upstream, str(case.sessions), case.peer, *cells(runs, case))
    return [
        table,
        "",
        memory_table(runs),
        "",
        "CPU in µs of the relay's process for a frame and its echo; times in ms.",
    ]


def cells(runs: Runs, case: Case) -> list[str]:
    """The figures of one case."""
    each, splice = runs[case], replace(case, peer="splice")
    plain = replace(case, upstream="plain") if case.upstream == "tls" else replace(case, peer="")
    return [
        f"{median(each, lambda run: run.cpu_us_per_trip):.0f}",
        shown(compared(runs, case, replace(case, peer="fastapi"), cpu_ratio), ".2f"),
        shown(compared(runs, case, splice, cpu_ratio), ".2f"),
        shown(compared(runs, case, plain, cpu_ratio), ".2f"),
        f"{median(each, lambda run: run.cpu):.0%}",
        f"{median(each, lambda run: run.trip_ms_p50):.1f}",
        f"{median(each, lambda run: run.trip_ms_p99):.1f}",
        shown(compared(runs, case, splice, lambda run, other: run.trip_ms_p99 - other.trip_ms_p99), "+.1f"),
        f"{median(each, lambda run: run.flush_ms_p50):.1f}",
        f"{median(each, lambda run: run.flush_ms_p99):.1f}",
        f"{median(each, lambda run: run.rss_kib) / 1024:.0f}",
        f"{median(each, lambda run: run.came_back):.1%}",
        f"{median(each, lambda run: run.others_cpu):.0%}",
    ]


def memory_table(runs: Runs) -> Table:
    """What a session adds to each relay's resident size, from the fewest to the most sessions."""
    few, many = min(case.sessions for case in runs), max(case.sessions for case in runs)
    table = Table("upstream", "relay", f"KiB a session, {few} to {many}", box=None)
    for case in sorted(runs, key=lambda case: case.upstream):
        if case.sessions == many > few:
            grown = compared(runs, case, replace(case, sessions=few), lambda run, other: run.rss_kib - other.rss_kib)
            table.add_row(case.upstream, case.peer, shown(grown / (many - few), ".0f"))
    return table
