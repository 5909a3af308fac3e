"""What an admission costs with Redis: 200 a second against a real server, with all processes on this machine.

    .venv/bin/python -m benchmarks.state [--rate 200] [--seconds 20] [--processes 2] [--storm 1000]
    .venv/bin/python -m benchmarks.state --memory [--rate 200] [--seconds 20] [--storm 1000]

An admission is what a short session asks of the state: the rollout (a local copy), one script for rate and concurrency,
then a record and the end of the lease. Latency is what a Trio task waits for `admit`, threads and queueing included.
Redis counts the scripts. The storm is `--storm` simultaneous attempts of one user from four processes. Needs Debian's
redis-server. `--memory` measures the state of a single process instead, in this one, without Redis.

Last measured on 2 cores of a shared machine: P50 0.4 ms, P99 0.8 to 1.7 ms while it was otherwise quiet, up to 120 ms
while it was not; one script a call; 9 % of a core for a gateway. The storm took 50 ms and 5 passed (docs/state.md).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
import trio
from rich.console import Console
from rich.table import Table

from benchmarks.support import ROOT
from voice_trio.errors import StateUnavailable
from voice_trio.settings import load_settings
from voice_trio.settings.redis_url import parse_redis_url
from voice_trio.state.open_state import open_state
from voice_trio.state.redis.driver import RedisDriver
from voice_trio.state.session_record import SessionRecord
from voice_trio.state.state import Granted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voice_trio.state.state import State

STORM_PROCESSES = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one table. A child process, called with a task, does its part of the work instead."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--storm", type=int, default=1000)
    parser.add_argument("--memory", action="store_true", help="without Redis, in this process alone")
    parser.add_argument("--task", choices=("rate", "storm"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    if options.task or options.memory:
        measure_rate = partial(admissions, options.url, options.rate, options.seconds)
        measure_storm = partial(storm, options.url, options.storm)
        if options.memory:
            options.processes = 1
            show(options, [trio.run(measure_rate)], [trio.run(measure_storm)])
        else:
            print(json.dumps(trio.run(measure_rate if options.task == "rate" else measure_storm)))
        return 0
    with redis() as url:
        rate = str(options.rate / options.processes)
        evenly = together(options.processes, url, "rate", "--rate", rate, "--seconds", str(options.seconds))
        stormy = together(STORM_PROCESSES, url, "storm", "--storm", str(options.storm // STORM_PROCESSES))
    show(options, evenly, stormy)
    return 0


@contextmanager
def redis() -> Iterator[str]:
    """Start a server on a free port; yields its URL."""
    server = shutil.which("redis-server") or sys.exit("redis-server is needed: apt-get install redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()
            process.wait()


def together(count: int, url: str, task: str, *arguments: str) -> list[dict[str, Any]]:
    """The results of `count` processes that begin the same task at the same time."""
    command = [sys.executable, "-m", "benchmarks.state", "--task", task, "--url", url, *arguments]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.communicate()[0].splitlines()[-1]) for process in processes]


async def begin_together(url: str | None) -> None:
    """Return in all child processes at the same time; at once where there is only this process."""
    if url is not None:
        print("ready", flush=True)
        await trio.to_thread.run_sync(sys.stdin.readline)


async def admissions(url: str | None, rate: float, seconds: float) -> dict[str, Any]:
    """Begin `rate` sessions a second, each of another user, evenly spread. Without a `url` the state is in memory."""
    waits: list[float] = []
    decisions: list[str] = []
    async with open_state(load_settings({"REDIS_URL": url} if url else {})) as state:
        await begin_together(url)
        scripts, cpu = script_calls(url), time.process_time()
        async with trio.open_nursery() as nursery:
            began_at = trio.current_time()
            for number in range(round(rate * seconds)):
                await trio.sleep_until(began_at + number / rate)
                nursery.start_soon(short_session, state, number, waits, decisions)
        return {
            "waits": waits,
            "granted": decisions.count(Granted.__name__),
            "cpu": (time.process_time() - cpu) / seconds,
            "up": state.health.available,
            "scripts": script_calls(url) - scripts,
        }


async def short_session(state: State, number: int, waits: list[float], decisions: list[str]) -> None:
    """Admit a user, write the session's record, end it; appends what was decided and how long that took, in seconds."""
    user, session = f"user{os.getpid()}-{number}", f"s{number}"
    began_at = time.perf_counter()
    await state.rollout()
    try:
        decisions.append(type(await state.admit(user, session)).__name__)
    except StateUnavailable:
        decisions.append("Unavailable")
    waits.append(time.perf_counter() - began_at)
    record = SessionRecord(
        session_id=session, user_id=user, instance="a", started=time.time(), duration_seconds=60.0, revision=1
    )
    await state.put_record(record)
    await state.end(user, session)


async def storm(url: str | None, attempts: int) -> dict[str, Any]:
    """Begin many sessions of one user at once."""
    granted: list[int] = []
    # Only the hourly limit shall decide.
    variables = {"MAX_CONCURRENT_SESSIONS_PER_USER": "1000"} | ({"REDIS_URL": url} if url else {})
    async with open_state(load_settings(variables)) as state:

        async def attempt(number: int) -> None:
            try:
                if isinstance(await state.admit("everybody", f"{state.instance}{number}"), Granted):
                    granted.append(number)
                    await state.end("everybody", f"{state.instance}{number}")
            except StateUnavailable:
                pass

        await begin_together(url)
        began_at = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for number in range(attempts):
                nursery.start_soon(attempt, number)
        return {"granted": len(granted), "seconds": time.perf_counter() - began_at}


def script_calls(url: str | None) -> int:
    """Scripts run so far, as Redis counts them; 0 without Redis."""
    if url is None:
        return 0
    driver = RedisDriver(parse_redis_url(url), seconds_max=1.0, admits=lambda _: True)
    stats = driver.call("INFO", "commandstats")
    driver.reset()
    return int(stats.get("cmdstat_evalsha", {}).get("calls", 0))


def show(options: argparse.Namespace, evenly: list[dict[str, Any]], stormy: list[dict[str, Any]]) -> None:
    """Print the table: `evenly` and `stormy` are the results of the processes of either task."""
    waits = sorted(wait * 1000 for found in evenly for wait in found["waits"])
    cuts = statistics.quantiles(waits, n=1000)
    table = Table(
        box=None, title=f"{options.rate:g} admissions/s for {options.seconds:g} s, processes: {options.processes}"
    )
    rows = {
        "admissions": f"{len(waits):,}, granted {sum(found['granted'] for found in evenly):,}",
        "Redis stayed up for all": "no Redis" if options.memory else str(all(found["up"] for found in evenly)),
        "admit P50 / P95 / P99": f"{cuts[499]:.2f} / {cuts[949]:.2f} / {cuts[989]:.2f} ms",
        "slowest": f"{waits[-1]:.1f} ms",
        "scripts a session (admit, record, end)": f"{max(found['scripts'] for found in evenly) / len(waits):.2f}",
        "CPU of a gateway process": ", ".join(f"{found['cpu']:.0%}" for found in evenly),
        f"of {options.storm} attempts at once, granted": str(sum(found["granted"] for found in stormy)),
        "the storm took": f"{max(found['seconds'] for found in stormy) * 1000:.0f} ms",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
