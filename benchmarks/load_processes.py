"""The processes that the load benchmark measures: a gateway on a core of its own, and a model for it.

    .venv/bin/python -m benchmarks.load_processes gateway | model

`benchmarks.load` starts them; they are of no use on their own.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING
from unittest.mock import patch

import pybase64
import trio

from benchmarks.load_callers import SPEECH_LOUDNESS, noise
from benchmarks.support import gateway_environment, running
from voice_trio.conversation.turn.timeline import latencies
from voice_trio.knowledge.sqlite.base import Chunk, KnowledgeWriter
from voice_trio.net.listeners import open_listener
from voice_trio.observability.logs import configure_logs
from voice_trio.server.server import run_server
from voice_trio.settings import load_settings
from voice_trio.testing import RuleBasedModel, scripted_response, serve_scripted_model
from voice_trio.web.statistics import Statistics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from voice_trio.conversation.turn.record import TurnRecord

QUESTION = "How warm must the brooder be in the first week?"
ANSWER_MS = 4000
START_SECONDS_MAX = 20.0
LOOK_SECONDS = 0.02
GATEWAY_CORE, OTHER_CORE = 0, (os.cpu_count() or 1) - 1

Timed = list[tuple[float, float]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Be one of the two processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("process", choices=("gateway", "model"))
    parser.add_argument("--nice", action="store_true", help="take neither a core nor priority")
    options = parser.parse_args(arguments)
    if not options.nice:
        take_core(GATEWAY_CORE if options.process == "gateway" else OTHER_CORE)
    if options.process == "model":
        with noise_as_answers():
            trio.run(serve_model)
    else:
        serve_gateway()
    return 0


def take_core(number: int) -> None:
    """Keep this process on one core and, if it may, let it run before all other work of the machine."""
    os.sched_setaffinity(0, {number})
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def serve_gateway() -> None:
    """Serve until SIGTERM; then print the loop's lags and the turns' latencies in seconds, each with its time."""
    settings = load_settings()
    configure_logs(settings.observability)
    lags: Timed = []
    turns: list[tuple[float, dict[str, float]]] = []
    count_turn = Statistics.on_turn

    def note_turn(self: Statistics, record: TurnRecord) -> None:
        turns.append((time.monotonic(), latencies(record.stages)))
        count_turn(self, record)

    async def serve() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(note_lags, lags)
            await run_server(settings, open_listener("127.0.0.1:0"))
            nursery.cancel_scope.cancel()

    with patch.object(Statistics, "on_turn", note_turn):
        trio.run(serve)
    print(json.dumps({"lags": lags, "turns": turns}))


async def note_lags(lags: Timed) -> None:
    """Append (time, how late the loop woke), both in seconds, every `LOOK_SECONDS`."""
    while True:
        due = trio.current_time() + LOOK_SECONDS
        await trio.sleep_until(due)
        lags.append((time.monotonic(), trio.current_time() - due))


def noise_as_answers() -> AbstractContextManager[object]:
    """Within it scripted models answer with noise instead of a plain tone."""
    sound = noise(ANSWER_MS, SPEECH_LOUDNESS)

    @cache
    def encoded(start_ms: int, duration_ms: int) -> str:
        return pybase64.b64encode(sound[start_ms * 48 : (start_ms + duration_ms) * 48]).decode()

    return patch.object(scripted_response, "tone", encoded)


async def serve_model() -> None:
    """Print the model's URL and serve until the process is ended."""
    async with trio.open_nursery() as nursery:
        model = RuleBasedModel((QUESTION,), answer_ms=ANSWER_MS)
        print(await nursery.start(serve_scripted_model, model), flush=True)


@asynccontextmanager
async def model_process(*flags: str) -> AsyncIterator[tuple[trio.Process, str]]:
    """A model's process and its URL."""
    command = [sys.executable, "-m", "benchmarks.load_processes", "model", *flags]
    async with running(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process, (await process.stdout.receive_some(200)).decode().strip()


@asynccontextmanager
async def gateway_process(folder: Path, model_url: str, *flags: str) -> AsyncIterator[tuple[trio.Process, int]]:
    """A gateway's process and its port; what it prints at its end is in the file `seen` of `folder`."""
    fill_knowledge(folder / "knowledge.sqlite3")
    environ = gateway_environment(
        model_url, folder / "knowledge.sqlite3", MAX_CONCURRENT_SESSIONS="1000", MAX_LOOP_LAG_MS="0"
    )
    command = [sys.executable, "-m", "benchmarks.load_processes", "gateway", *flags]
    with (folder / "log").open("w") as log, (folder / "seen").open("w") as seen:
        async with running(command, env=environ, stdout=seen, stderr=log) as process:
            with trio.fail_after(START_SECONDS_MAX):
                while (serving := re.search(r'"port": (\d+)', (folder / "log").read_text())) is None:  # noqa: ASYNC110  # in another process: one can only look
                    await trio.sleep(0.1)
            yield process, int(serving[1])


def fill_knowledge(path: Path) -> None:
    """Fifty passages, all found by the question."""
    with KnowledgeWriter(path) as writer:
        for number in range(50):
            text = f"In house {number} the brooder must be at 34 degrees in the first week, and at 30 in the third."
            writer.import_chunks(f"Brooding {number}", "1", [Chunk(f"Brooding {number}", text, f"{number}.md")])


if __name__ == "__main__":
    sys.exit(main())
