"""What it costs to write a session's record ahead of a kill: calls to Redis and CPU of one conversation.

    .venv/bin/python -m benchmarks.written_ahead [--turns 10] [--answer-seconds 8] [--sessions 50]

First a whole session on virtual time: a question of 3 s, an answer that is heard to its end, and so on. Its records are
kept with their times. Then they are written to a real Redis, once for each of `--sessions`, as fast as possible, and
the CPU of this process is measured: encoding, thread, driver, reply. Needs Debian's redis-server.

Last measured on 2 cores of a shared machine, ten turns with answers of 8 s: 101 writes of 3.6 KiB at most, one call to
Redis and 0.22 ms of CPU each; 23 ms of CPU for the conversation, so 1.5 % of a core for 120 sessions (docs/state.md).
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import structlog
import trio
import trio.testing
from rich.console import Console
from rich.table import Table

from benchmarks.state import redis, script_calls
from voice_trio.billing.prices import load_prices
from voice_trio.knowledge.knowledge import MemoryKnowledge
from voice_trio.protocols.realtime import RealtimeConfig
from voice_trio.session.config import SessionConfig
from voice_trio.session.session import Session
from voice_trio.session.spend.daily_budget import DailyBudget
from voice_trio.session.telemetry.record_writer import RecordWriter
from voice_trio.settings import load_settings
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.open_state import open_state
from voice_trio.state.rollout import first_rollout
from voice_trio.state.session_record import SessionRecord, encode_record
from voice_trio.state.state import Quotas
from voice_trio.testing import FakeClient, ScriptedModel
from voice_trio.testing.links import memory_link_pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.net.link import Link

QUESTION = "how warm must the brooder be in the first week"
WORDS_PER_SECOND = 2.5
CONFIG = SessionConfig("vs_bench", RealtimeConfig(model="gpt-realtime-2.1", instructions="Be brief."))
RECORD = SessionRecord(session_id="vs_bench", user_id="ada", instance="", started=0.0, duration_seconds=3600.0)


class Written(MemoryState):
    """Keeps each record that it is given."""

    def __init__(self) -> None:
        super().__init__(Quotas(5, 2), first_rollout(load_settings({}).access))
        self.records: list[SessionRecord] = []

    async def put_record(self, record: SessionRecord) -> None:
        await trio.lowlevel.checkpoint()
        self.records.append(record)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--answer-seconds", type=float, default=8.0)
    parser.add_argument("--sessions", type=int, default=50)
    options = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    clock = trio.testing.MockClock(autojump_threshold=0)
    records, seconds = trio.run(conversation, options.turns, options.answer_seconds, clock=clock)
    with redis() as url:
        calls, cpu_seconds = trio.run(write_all, url, records, options.sessions)
    table = Table(box=None, title=f"a conversation of {options.turns} turns and {seconds:.0f} s")
    ms = cpu_seconds * 1000 / options.sessions
    for name, value in {
        "writes": f"{len(records)}: {len(records) / options.turns:.1f} a turn, one in {seconds / len(records):.1f} s",
        "calls to Redis, each a write": f"{calls / options.sessions / len(records):.2f}",
        "largest record": f"{max(len(encode_record(record)) for record in records) / 1024:.1f} KiB",
        "CPU of a write": f"{ms / len(records):.2f} ms",
        "CPU of the conversation": f"{ms:.0f} ms; of 120 such sessions {120 * ms / 10 / seconds:.1f} % of a core",
    }.items():
        table.add_row(name, value)
    Console().print(table)
    return 0


async def conversation(turns: int, answer_seconds: float) -> tuple[list[SessionRecord], float]:
    """The records of a session on virtual time, and how long it took."""
    state, began_at = Written(), trio.current_time()
    writer = RecordWriter(state, RECORD)
    async with trio.open_nursery() as nursery:
        model = ScriptedModel(nursery)
        ours, theirs = memory_link_pair()
        client = FakeClient(theirs)

        async def dial(nursery: trio.Nursery) -> Link:
            await trio.lowlevel.checkpoint()
            return model.connect()

        config = replace(CONFIG, duration_seconds=3600.0)
        bill = DailyBudget(load_prices(), state, load_settings({}).limits).open(config)
        session = Session(ours, dial, MemoryKnowledge(), config, observers=(writer,), cost_meter=bill)
        writer.follow(session.open_turns, bill)
        nursery.start_soon(client.run)
        nursery.start_soon(session.run)
        nursery.start_soon(writer.run)
        words = " ".join(f"word{number}" for number in range(round(answer_seconds * WORDS_PER_SECOND)))
        model.answers_with(words, audio_ms=round(answer_seconds * 1000))
        await client.hears("session.updated")
        for _ in range(turns):
            await model.hear_speech(QUESTION)
            await client.hears("response.done")
            await trio.sleep(answer_seconds)
        nursery.cancel_scope.cancel()
    return state.records, trio.current_time() - began_at


async def write_all(url: str, records: Sequence[SessionRecord], sessions: int) -> tuple[int, float]:
    """Write the records of that many sessions; returns the scripts that Redis ran and the seconds of CPU here."""
    async with open_state(load_settings({"REDIS_URL": url})) as state:
        started = time.time()
        await state.put_record(msgspec.structs.replace(records[0], started=started))  # connections, scripts
        calls, began_at = script_calls(url), time.process_time()
        for number in range(sessions):
            for record in records:
                await state.put_record(msgspec.structs.replace(record, session_id=f"vs_{number}", started=started))
        return script_calls(url) - calls, time.process_time() - began_at


if __name__ == "__main__":
    sys.exit(main())
