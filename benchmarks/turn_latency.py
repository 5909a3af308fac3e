"""Latency of spoken turns against any deployment, as a client hears them: P50, P95 and P99 of every stage.

    .venv/bin/python -m benchmarks.turn_latency QUESTION.wav… --url wss://HOST/v1/ws/voice --token TOKEN [--turns 20]

Plays the recordings in real time, one question after the other. A question begins when the last answer would have been
played out. A session that ends is opened again, which takes a place in the hourly limit. Latencies are this machine's:
they include the network between it and the gateway. `--json` prints one object. Exit status 1 if a turn had no answer.

Last measured: nothing is published, because the figures are those of a deployment. `tests/wire/test_turn_latency.py`
runs it against a gateway with the scripted model.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.support import percentile
from voice_trio.client import VoiceRefused, VoiceUnreachable, connect_voice, read_sound, talk
from voice_trio.client.sounds import BYTES_PER_MS
from voice_trio.client.turns import LATENCIES
from voice_trio.errors import LinkClosed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voice_trio.client import Report, VoiceConnection

PAUSE_SECONDS = 0.5
SHARES = (0.50, 0.95, 0.99)


@dataclass(slots=True)
class MeasuredTurns:
    """The turns so far; latencies in ms, by stage."""

    latencies: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    outcomes: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    sessions: int = 0

    def add(self, report: Report) -> None:
        self.statuses[report.status or "unanswered"] += 1
        self.outcomes[str(report.context.get("outcome", "none told"))] += 1
        if report.was_answered:
            for name, value in report.latency_ms().items():
                self.latencies[name].append(value)

    @property
    def turns(self) -> int:
        return sum(self.statuses.values())

    @property
    def are_all_answered(self) -> bool:
        return set(self.statuses) == {"completed"}

    def as_json(self) -> dict[str, Any]:
        return {
            "turns": self.turns,
            "sessions": self.sessions,
            "statuses": dict(self.statuses),
            "retrieval": dict(self.outcomes),
            "latency_ms": {
                name: {"count": len(values)} | {f"p{share * 100:.0f}": percentile(values, share) for share in SHARES}
                for name, values in self.latencies.items()
            },
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask the questions and print the latencies; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="QUESTION")
    parser.add_argument("--url", default="ws://127.0.0.1:8000/v1/ws/voice")
    parser.add_argument("--token", default=os.environ.get("VOICE_TOKEN"), help="also read from VOICE_TOKEN")
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args(arguments)
    measured = MeasuredTurns()
    questions = itertools.cycle([read_sound(path) for path in options.files])
    try:
        trio.run(measure, measured, options.url, options.token, questions, options.turns)
    except* (VoiceRefused, VoiceUnreachable, LinkClosed) as group:
        print(f"stopped after {measured.turns} turns: {group.exceptions[0]}", file=sys.stderr)
    if options.as_json:
        print(json.dumps(measured.as_json()))
    else:
        show(measured)
    return 0 if measured.turns == options.turns and measured.are_all_answered else 1


async def measure(measured: MeasuredTurns, url: str, token: str | None, questions: Iterator[bytes], turns: int) -> None:
    """Run sessions one after the other until all turns have been measured."""
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("asking", total=turns)
        while measured.turns < turns:
            async with connect_voice(url, token) as voice:
                measured.sessions += 1
                while measured.turns < turns and await ask(voice, next(questions), measured):
                    progress.update(task, completed=measured.turns)


async def ask(voice: VoiceConnection, pcm: bytes, measured: MeasuredTurns) -> bool:
    """One turn; False if the session is over, which counts as a turn only if it ended within one."""
    began_at = trio.current_time()
    report = await talk(voice, pcm)
    if report.closed and "committed" not in report.timestamps:
        return False
    measured.add(report)
    played_at = began_at + report.timestamps.get("first_audio", 0.0) + len(report.audio) / BYTES_PER_MS / 1000
    await trio.sleep_until(played_at + PAUSE_SECONDS)
    return not report.closed


def show(measured: MeasuredTurns) -> None:
    """Print a table of the stages, and what became of the turns."""
    table = Table("stage, ms", *(f"P{share * 100:.0f}" for share in SHARES), "turns", box=None, pad_edge=False)
    for name in LATENCIES:
        if values := measured.latencies.get(name):
            shares = [f"{percentile(values, share):,.0f}" for share in SHARES]
            table.add_row(name.replace("_", " "), *shares, str(len(values)))
    console = Console()
    console.print(table)
    counted = ", ".join(f"{count} {name}" for name, count in (measured.statuses + measured.outcomes).items())
    console.print(f"{measured.turns} turns in {measured.sessions} sessions: {counted}")


if __name__ == "__main__":
    sys.exit(main())
