"""How many sessions one process carries.

    .venv/bin/python -m benchmarks.load capacity [--sessions 10 20 40 60 80] [--seconds 10]

The gateway, as `voice-trio serve` runs it, has one core. The automatic model, in a process of its own, and the callers
share another core, so that their CPU is not counted as the gateway's. Run by root, all run at real-time priority unless
`--nice` is given. Every microphone is open all the time, as in a browser: 2.5 s of a question, then room noise, with an
answer of 4 s over it; a new question every 8 s. The loop's lag is looked at every
20 ms.

Last measured on 2026-11-30 on an idle machine of 2 cores: 130 sessions take 39 % of the core, loop lag 0.3 / 1.2 ms
(P50 / P99), commit → ask 200.3 / 201.1 ms; 160 take 43 %, and the callers' core is full. All rows: docs/operations.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio
from rich.console import Console
from rich.table import Table

from benchmarks.load_callers import CYCLE_FRAMES, Caller, Traffic, make_sounds
from benchmarks.load_processes import OTHER_CORE, gateway_process, model_process, take_core
from benchmarks.support import cpu_seconds, percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

WARM_SECONDS = 5.0
GATEWAY_END_SECONDS_MAX = 15.0
STAGES = ("commit_to_ask", "first_audio_in_to_out")


@dataclass(frozen=True, slots=True)
class Load:
    """What a gateway has to carry."""

    sessions: int
    seconds: float
    warm_seconds: float = WARM_SECONDS
    nice: bool = False


@dataclass(slots=True)
class Run:
    """What one gateway did under a load."""

    cpu: float = 0.0
    """Its share of a core; `others`: the share of the model and the callers."""
    others: float = 0.0
    seconds: float = 0.0
    turns: int = 0
    traffic: Traffic = field(default_factory=Traffic)
    lags: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in STAGES})

    def take(self, seen: dict[str, Any], began: float) -> None:
        """Keep of a gateway's output what happened during the run; `began` is `time.monotonic()`."""
        ended = began + self.seconds
        self.lags = [lag for at, lag in seen["lags"] if began <= at <= ended]
        turns = [durations for at, durations in seen["turns"] if began <= at <= ended]
        self.turns = len(turns)
        self.stages = {name: [each[name] for each in turns if name in each] for name in STAGES}


async def measure(load: Load) -> Run:
    """Start a gateway and a model, let callers come within 4 s, and measure after the first questions."""
    run = Run()
    nice = ["--nice"] if load.nice else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with (
            model_process(*nice) as (model, url),
            gateway_process(folder, url, *nice) as (gateway, port),
        ):
            async with trio.open_nursery() as callers:
                await call(callers, port, load, run.traffic)
                await trio.sleep(load.warm_seconds)
                began = time.monotonic()
                await observe(run, load.seconds, gateway.pid, model.pid)
                callers.cancel_scope.cancel()
            gateway.terminate()
            with trio.fail_after(GATEWAY_END_SECONDS_MAX):
                await gateway.wait()
        run.take(json.loads((folder / "seen").read_text()), began)
    return run


async def call(callers: trio.Nursery, port: int, load: Load, traffic: Traffic) -> None:
    """Start the callers, spread over their cycle; returns when all sessions have begun."""
    sounds, ready = make_sounds(), trio.Semaphore(0)
    for number in range(load.sessions):
        begins_with = number / load.sessions * CYCLE_FRAMES + number * 0.618 % 1
        callers.start_soon(Caller(port, number, begins_with, traffic).run, sounds, ready)
        await trio.sleep(min(0.1, 4 / load.sessions))
    for _ in range(load.sessions):
        await ready.acquire()


async def observe(run: Run, seconds: float, gateway: int, model: int) -> None:
    """Count traffic and CPU for so many seconds; `gateway` and `model` are process ids."""
    began = time.monotonic()
    cpu, others = cpu_seconds(gateway), cpu_seconds(model) + time.process_time()
    run.traffic.counts = True
    await trio.sleep(seconds)
    run.seconds, run.traffic.counts = time.monotonic() - began, False
    run.cpu = (cpu_seconds(gateway) - cpu) / run.seconds
    run.others = (cpu_seconds(model) + time.process_time() - others) / run.seconds


def capacity(options: argparse.Namespace) -> None:
    """Print a row for each number of sessions."""
    names = ("sessions", "gateway's core", "others' core", "turns", "lag P50", "P99", "commit→ask P50", "P99")
    table = Table(*names, "sound through P50", "P99", box=None)
    for sessions in options.sessions:
        run = trio.run(measure, Load(sessions, options.seconds, options.warm, nice=options.nice))
        cells = [str(sessions), f"{run.cpu:.0%}", f"{run.others:.0%}", str(run.turns)]
        for values in (run.lags, *run.stages.values()):
            cells += [f"{percentile(values, share) * 1000:.1f}" for share in (0.5, 0.99)]
        table.add_row(*cells)
        print(*cells, file=sys.stderr)
    Console(width=140).print(table, "Times in ms.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure one of the two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--warm", type=float, default=WARM_SECONDS, help="seconds before the measured ones")
    common.add_argument("--nice", action="store_true", help="take neither cores nor real-time priority")
    one = commands.add_parser("capacity", parents=[common])
    one.add_argument("--sessions", type=int, nargs="+", default=[10, 20, 40, 60, 80])
    one.add_argument("--seconds", type=float, default=10)
    one.set_defaults(measure=capacity)
    options = parser.parse_args(arguments)
    if not options.nice:
        take_core(OTHER_CORE)
    options.measure(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
