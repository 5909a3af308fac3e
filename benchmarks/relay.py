"""What it costs to relay sound: CPU and latency of a frame up and its echo down, beside plain relays.

    .venv/bin/python -m benchmarks.relay [--peers voice openai splice fastapi fastapi-text hypercorn]
        [--upstream plain tls] [--sessions 40 100 200 300] [--seconds 10] [--rounds 3] [--json FILE]

Each session sends a frame of 40 ms as base64 in JSON every 40 ms; a stub upstream answers each frame at once with a
delta of the same sound. The relay has core 0. The upstream and the callers are one process on another core, so that
their CPU is not counted. Run by root, all run at real-time priority unless `--nice` is given. The gateway is
`voice-trio serve` with default settings and a knowledge base; only its limits of sessions are lifted. `voice` is the
voice protocol, `openai` is OpenAI's. `splice` copies bytes between two TCP connections with Trio. `fastapi` is FastAPI
on uvicorn with uvloop and `websockets`, which parses and writes each frame's JSON; `fastapi-text` does not. `hypercorn`
is Quart-Trio on hypercorn with trio-websocket. The peers are installed into an environment of their own. CPU is that of
the relay's process, user and system, divided by the echoes that came back.

After the measured seconds the upstream reports speech in one session after the other, twenty a second, while all go on
talking. "flush" is the time from there to `playback.flush` at the client (other protocols: to the same event).

`--root` and `--gateway-python` measure the gateway of another checkout. Memory is the relay's resident size at the end
of the measured seconds; its slope is between the fewest and the most sessions.

Last measured on 2026-11-30 before the gateway had a connection of its own, plain upstream, 40 sessions: voice 522 µs,
openai 490, splice 111, fastapi 213; at 200: splice 92, fastapi 141, and the gateway's core is full.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio
from platformdirs import user_cache_path
from rich.console import Console
from rich.table import Table

from benchmarks.relay_processes import (
    Place,
    ends_process,
    needs_packages,
    peer_python,
    relay_process,
    write_certificate,
)
from benchmarks.support import ROOT, memory_kib, percentile, user_token

if TYPE_CHECKING:
    from collections.abc import Sequence

PEERS = ("voice", "openai", "splice", "fastapi", "fastapi-text", "hypercorn")
PATHS = {"voice": "/v1/ws/voice"}
OPENAI_PATH = "/v1/realtime"
FRAMES_PER_SECOND = 25


@dataclass(frozen=True, slots=True)
class Case:
    """One relay under one load."""

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
    lost: list[str] = field(default_factory=list)


def process_cpu_seconds(pid: int) -> float:
    """CPU time of another process: its clock id is made of its process id (Linux's `clock_getcpuclockid`)."""
    return time.clock_gettime((~pid << 3) | 2)


async def measure(place: Place, case: Case, options: argparse.Namespace) -> tuple[Run, str]:
    """Start both ends and the relay, let all sessions talk, measure; returns also the relay's versions."""
    async with (
        ends_process(place) as (ends, upstream_url),
        relay_process(place, case.peer, upstream_url) as (relay, port, versions),
    ):
        await ends.order(order_for(case, port, options))
        with trio.fail_after(options.seconds + options.warm + options.flush_seconds + 90):
            await ends.report()
            began = process_cpu_seconds(relay.pid)
            seen = await ends.report()
            cpu = process_cpu_seconds(relay.pid) - began
            rss_kib = memory_kib(relay.pid, "VmRSS")
            after = await ends.report()
    trips, flushes = seen["trips"], after["flushes"]
    run = Run(
        cpu=cpu / seen["seconds"],
        cpu_us_per_trip=cpu / max(1, len(trips)) * 1e6,
        trip_ms_p50=percentile(trips, 0.5) * 1000,
        trip_ms_p99=percentile(trips, 0.99) * 1000,
        flush_ms_p50=percentile(flushes, 0.5) * 1000,
        flush_ms_p99=percentile(flushes, 0.99) * 1000,
        flushes=len(flushes),
        rss_kib=rss_kib,
        came_back=len(trips) / (case.sessions * FRAMES_PER_SECOND * seen["seconds"]),
        others_cpu=seen["cpu"],
        lost=after["lost"],
    )
    return run, versions


def order_for(case: Case, port: int, options: argparse.Namespace) -> dict[str, Any]:
    """What the callers are to do."""
    is_gateway = case.peer in ("voice", "openai")
    return {
        "kind": case.peer if is_gateway else "raw",
        "host": f"127.0.0.1:{port}",
        "port": port,
        "path": PATHS.get(case.peer, OPENAI_PATH),
        "tokens": [user_token(f"u{number}") for number in range(case.sessions)] if is_gateway else [],
        "sessions": case.sessions,
        "warm": options.warm,
        "seconds": options.seconds,
        "flush_seconds": options.flush_seconds,
    }


def median_of(runs: Sequence[Run]) -> Run:
    """Each figure's median."""
    names = [name for name in Run.__dataclass_fields__ if name != "lost"]
    lost = [line for run in runs for line in run.lost]
    return Run(**{name: statistics.median(getattr(run, name) for run in runs) for name in names}, lost=lost)


def measure_all(place: Place, options: argparse.Namespace) -> dict[Case, Run]:
    """The medians of all cases; in each round the peers take turns under each load."""
    cases = [Case(p, u, s) for u in options.upstream for s in options.sessions for p in options.peers]
    runs: dict[Case, list[Run]] = {case: [] for case in cases}
    for number in range(options.rounds):
        for case in cases:
            run, versions = trio.run(measure, replace(place, tls=case.upstream == "tls"), case, options)
            runs[case].append(run)
            if number == 0 and versions and case.sessions == options.sessions[0]:
                print(f"{case.peer}: {versions}", file=sys.stderr)
            figures = f"{run.cpu_us_per_trip:.0f} µs, core {run.cpu:.0%}, P99 {run.trip_ms_p99:.1f} ms"
            line = f"round {number + 1}: {case.upstream} {case.sessions} {case.peer}: {figures}"
            print(f"{line}, came back {run.came_back:.1%}, lost {len(run.lost)}", file=sys.stderr)
    return {case: median_of(each) for case, each in runs.items()}


def ratio(medians: dict[Case, Run], case: Case, peer: str) -> str:
    """CPU of a round trip ÷ that of `peer` under the same load."""
    other = medians.get(replace(case, peer=peer))
    return f"{medians[case].cpu_us_per_trip / other.cpu_us_per_trip:.2f}" if other else ""


def p99_over_splice(medians: dict[Case, Run], case: Case) -> str:
    other = medians.get(replace(case, peer="splice"))
    return f"{medians[case].trip_ms_p99 - other.trip_ms_p99:+.1f}" if other else ""


def tables(medians: dict[Case, Run], options: argparse.Namespace) -> list[Table]:
    """One row for each case; and one for each peer's memory."""
    names = ("upstream", "sessions", "relay", "µs a trip", "÷ fastapi", "÷ splice", "÷ plain", "core", "P50", "P99")
    table = Table(*names, "P99-splice", "flush P50", "P99", "RSS MiB", "back", "others", box=None)
    for case, run in medians.items():
        plain = medians.get(replace(case, upstream="plain")) if case.upstream == "tls" else None
        table.add_row(
            case.upstream,
            str(case.sessions),
            case.peer,
            f"{run.cpu_us_per_trip:.0f}",
            ratio(medians, case, "fastapi"),
            ratio(medians, case, "splice"),
            f"{run.cpu_us_per_trip / plain.cpu_us_per_trip:.2f}" if plain else "",
            f"{run.cpu:.0%}",
            f"{run.trip_ms_p50:.1f}",
            f"{run.trip_ms_p99:.1f}",
            p99_over_splice(medians, case),
            f"{run.flush_ms_p50:.1f}",
            f"{run.flush_ms_p99:.1f}",
            f"{run.rss_kib / 1024:.0f}",
            f"{run.came_back:.1%}",
            f"{run.others_cpu:.0%}",
        )
    few, many = min(options.sessions), max(options.sessions)
    memory = Table("upstream", "relay", f"KiB a session, {few} to {many}", box=None)
    if many > few:
        for case in medians:
            if case.sessions == many:
                grown = medians[case].rss_kib - medians[replace(case, sessions=few)].rss_kib
                memory.add_row(case.upstream, case.peer, f"{grown / (many - few):.0f}")
    return [table, memory]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables and, if asked to, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--upstream", nargs="+", choices=("plain", "tls"), default=["plain", "tls"])
    parser.add_argument("--sessions", type=int, nargs="+", default=[40, 100, 200, 300])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--warm", type=float, default=2, help="seconds before the measured ones")
    parser.add_argument("--flush-seconds", type=float, default=10, help="seconds of barge-ins after them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    parser.add_argument("--nice", action="store_true", help="take neither cores nor real-time priority")
    parser.add_argument("--no-install", action="store_true", help="ends without uvloop; no peers but the splice")
    parser.add_argument("--venv", type=Path, default=user_cache_path("voice-trio") / "relay-peers")
    parser.add_argument("--gateway-python", default=sys.executable, help="of another environment")
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout, whose gateway is measured")
    options = parser.parse_args(arguments)
    if options.no_install and needs_packages(options.peers):
        parser.error("--no-install: only voice, openai and splice can be measured")
    python = sys.executable if options.no_install else peer_python(options.venv)
    with tempfile.TemporaryDirectory() as name:
        place = Place(Path(name), python, options.gateway_python, options.root.resolve(), options.nice)
        write_certificate(place)
        medians = measure_all(place, options)
    console = Console(width=170)
    console.print(*tables(medians, options), "CPU in µs of the relay's process for a frame and its echo; times in ms.")
    if options.json:
        rows = [asdict(case) | asdict(run) for case, run in medians.items()]
        options.json.write_text(json.dumps({"rounds": options.rounds, "seconds": options.seconds, "rows": rows}))
    return 1 if any(run.lost for run in medians.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
