"""What it costs to relay sound: CPU, latency and memory of a frame up and its echo down, beside plain relays.

    .venv/bin/python -m benchmarks.relay [--peers voice openai splice fastapi fastapi-sansio fastapi-text hypercorn]
        [--upstream plain tls] [--sessions 40 100 200 300] [--seconds 10] [--rounds 3] [--json FILE]

Each session sends a frame of 40 ms as base64 in JSON every 40 ms; a stub upstream answers each frame at once with a
delta of the same sound. The relays share core 0 and take turns: the sessions of one talk for 2 s while those of all
others are silent, so that a moment in which the machine is slow concerns all. The upstream and the callers are one
process on another core, whose CPU is not counted. Run by root, all run at real-time priority unless `--nice` is given.

The gateway is `voice-trio serve` with default settings and a knowledge base; only its limits of sessions are lifted.
`voice` is the voice protocol, `openai` is OpenAI's; `voice@ROOT` is the gateway of another checkout. `splice` copies
bytes between two TCP connections with Trio. `fastapi` is FastAPI on uvicorn with uvloop and `websockets`, which parses
and writes each frame's JSON; `fastapi-text` does not; `fastapi-sansio` has the newer of uvicorn's two implementations
over `websockets`. `hypercorn` is Quart-Trio on hypercorn with trio-websocket. The peers are installed into an
environment of their own.

CPU is that of the relay's process, user and system, divided by the echoes that came back. Memory is its resident size
while all talk, and its slope from the fewest to the most sessions. "flush" is the time from the upstream's
`speech_started` to `playback.flush` at the client (other protocols: to the same event), while all talk and each session
is interrupted every 10 s, which begins another turn with its search. Figures are medians of the rounds; ratios are
medians of each round's ratio.

Last measured on 2026-11-30 on an idle machine of 2 cores, medians of 3 rounds of 4 s, µs a trip: plain upstream, 40 /
200 / 300 sessions: voice 142 / 81 / 75, openai 143 / 83 / 77, splice 120 / 72 / 63, fastapi 171 / 109 / 94. TLS, 200,
one round: voice 92, openai 92, splice 92, fastapi 106. All figures: docs/performance.md.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio
from platformdirs import user_cache_path
from rich.console import Console

from benchmarks.relay_processes import Ends, Peer, Place, ends_process, peer_python, relay_process, write_certificate
from benchmarks.relay_tables import Case, Run, tables
from benchmarks.support import memory_kib, percentile, user_token

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PEERS = ("voice", "openai", "splice", "fastapi", "fastapi-sansio", "fastapi-text", "hypercorn")
WITHOUT_PACKAGES = ("voice", "openai", "splice")
FRAMES_PER_SECOND = 25
LEAD_SECONDS = 0.5
ORDER_SECONDS_MAX = 300.0
"""For an order beyond the time that it says itself: hundreds of sessions are opened, an overloaded relay calms down."""


@dataclass(slots=True)
class Relay:
    """A running relay, and what was seen of it so far: times in seconds, memory in KiB."""

    peer: Peer
    pid: int
    port: int
    cpu: float = 0.0
    seconds: float = 0.0
    others_cpu: float = 0.0
    rss_kib: int = 0
    trips: list[float] = field(default_factory=list)
    flushes: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def run(self, sessions: int) -> Run:
        """The figures."""
        return Run(
            cpu=self.cpu / self.seconds,
            cpu_us_per_trip=self.cpu / max(1, len(self.trips)) * 1e6,
            trip_ms_p50=percentile(self.trips, 0.5) * 1000,
            trip_ms_p99=percentile(self.trips, 0.99) * 1000,
            flush_ms_p50=percentile(self.flushes, 0.5) * 1000,
            flush_ms_p99=percentile(self.flushes, 0.99) * 1000,
            flushes=len(self.flushes),
            rss_kib=self.rss_kib,
            came_back=len(self.trips) / (sessions * FRAMES_PER_SECOND * self.seconds),
            others_cpu=self.others_cpu / self.seconds,
            lost=len(self.lost),
        )


def process_cpu_seconds(pid: int) -> float:
    """CPU time of another process; its clock's id is made of the process id (Linux, `clock_getcpuclockid`)."""
    return time.clock_gettime((~pid << 3) | 2)


async def measure_load(place: Place, upstream: str, sessions: int, options: argparse.Namespace) -> dict[Case, Run]:
    """Start both ends and all relays, open all sessions, and let those of one relay after the other talk."""
    async with ends_process(place, is_tls=upstream == "tls") as (ends, url), AsyncExitStack() as stack:
        relays = []
        for peer in options.peers:
            process, port, versions = await stack.enter_async_context(relay_process(place, peer, url))
            relays.append(Relay(peer, process.pid, port))
            if sessions == options.sessions[0]:
                progress(f"{peer}: {versions or peer.root}")
        await trio.sleep(options.settle)
        await ends.order([callers_of(relay, sessions) for relay in relays])
        with trio.fail_after(ORDER_SECONDS_MAX):
            refusals = (await ends.report())["refusals"]
        for relay, count in zip(relays, refusals, strict=True):
            if count:
                progress(f"{relay.peer}: {count} refusals until {sessions} sessions were open")
        slices = max(1, round(options.seconds / options.slice_seconds))
        for slice_number in range(slices):
            for place_number in range(len(relays)):
                number = (place_number + slice_number) % len(relays)
                await talk(ends, number, relays[number], options)
        for number, relay in enumerate(relays):
            await ends.order({"group": number, "interrupt": options.flush_seconds})
            with trio.fail_after(options.flush_seconds + ORDER_SECONDS_MAX):
                report = await ends.report()
            relay.flushes, relay.lost = report["flushes"], report["lost"]
            for reason, count in Counter(relay.lost).items():
                progress(f"{relay.peer}: {count} connections were closed: {reason}")
        await ends.stop()
    return {Case(str(relay.peer), upstream, sessions): relay.run(sessions) for relay in relays}


def callers_of(relay: Relay, sessions: int) -> dict[str, Any]:
    """The order to open a relay's sessions."""
    name = relay.peer.name
    return {
        "kind": name if relay.peer.is_gateway else "raw",
        "host": f"127.0.0.1:{relay.port}",
        "port": relay.port,
        "path": "/v1/ws/voice" if name == "voice" else "/v1/realtime",
        "tokens": [user_token(f"u{number}") for number in range(sessions)] if relay.peer.is_gateway else [],
        "sessions": sessions,
    }


async def talk(ends: Ends, number: int, relay: Relay, options: argparse.Namespace) -> None:
    """One slice of a relay's measured time."""
    await ends.order({"group": number, "lead": LEAD_SECONDS, "seconds": options.slice_seconds})
    with trio.fail_after(options.slice_seconds + ORDER_SECONDS_MAX):
        await ends.report()
        began = process_cpu_seconds(relay.pid)
        await ends.report()
        relay.cpu += process_cpu_seconds(relay.pid) - began
        relay.rss_kib = memory_kib(relay.pid, "VmRSS")
        seen = await ends.report()
    relay.seconds += seen["seconds"]
    relay.others_cpu += seen["cpu"] * seen["seconds"]
    relay.trips += seen["trips"]


def measure_all(place: Place, options: argparse.Namespace) -> dict[Case, list[Run]]:
    """All rounds of all cases."""
    runs: dict[Case, list[Run]] = {}
    for number in range(options.rounds):
        for upstream in options.upstream:
            for sessions in options.sessions:
                for case, run in trio.run(measure_load, place, upstream, sessions, options).items():
                    runs.setdefault(case, []).append(run)
                    figures = f"{run.cpu_us_per_trip:.0f} µs, core {run.cpu:.0%}, P99 {run.trip_ms_p99:.1f} ms"
                    back = f"came back {run.came_back:.1%}, lost {run.lost}"
                    progress(f"round {number + 1}: {upstream} {sessions} {case.peer}: {figures}, {back}")
    return runs


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other run of this benchmark has the cores."""
    with (Path(tempfile.gettempdir()) / "voice-trio-relay.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another run to end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def progress(line: str) -> None:
    print(line, file=sys.stderr)


def peer(text: str) -> Peer:
    """`NAME`, or `NAME@ROOT` for the gateway of another checkout."""
    name, _, root = text.partition("@")
    if name not in PEERS or (root and not (Path(root) / "voice_trio").is_dir()):
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(PEERS)}, voice@ROOT, openai@ROOT")
    return Peer(name, Path(root).resolve()) if root else Peer(name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables and, if asked to, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", nargs="+", type=peer, default=[Peer(name) for name in PEERS], metavar="PEER")
    parser.add_argument("--upstream", nargs="+", choices=("plain", "tls"), default=["plain", "tls"])
    parser.add_argument("--sessions", type=int, nargs="+", default=[40, 100, 200, 300])
    parser.add_argument("--seconds", type=float, default=10, help="measured, of each relay in each round")
    parser.add_argument("--slice-seconds", type=float, default=2, help="measured before the next relay has its turn")
    parser.add_argument("--flush-seconds", type=float, default=10, help="seconds of barge-ins after them")
    parser.add_argument("--settle", type=float, default=6, help="seconds before sessions are opened")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    parser.add_argument("--nice", action="store_true", help="take neither cores nor real-time priority")
    parser.add_argument("--no-install", action="store_true", help="ends without uvloop, for voice, openai and splice")
    parser.add_argument("--venv", type=Path, default=user_cache_path("voice-trio") / "relay-peers", help="of the peers")
    options = parser.parse_args(arguments)
    options.slice_seconds = min(options.slice_seconds, options.seconds)
    if options.no_install and any(each.name not in WITHOUT_PACKAGES for each in options.peers):
        parser.error(f"--no-install: only {', '.join(WITHOUT_PACKAGES)} can be measured")
    python = sys.executable if options.no_install else peer_python(options.venv)
    with tempfile.TemporaryDirectory() as name:
        place = Place(Path(name), python, options.nice)
        write_certificate(place)
        with nullcontext() if options.nice else alone():
            runs = measure_all(place, options)
    Console(width=170).print(*tables(runs))
    if options.json:
        rows = [asdict(case) | asdict(run) for case, each in runs.items() for run in each]
        options.json.write_text(json.dumps({"seconds": options.seconds, "rows": rows}, indent=1))
    return 1 if any(run.lost for each in runs.values() for run in each) else 0


if __name__ == "__main__":
    sys.exit(main())
