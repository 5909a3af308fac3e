"""What observability costs: CPU of metrics, money and log lines as a share of the conversations' they observe.

    .venv/bin/python -m benchmarks.observability [--sessions 8] [--turns 4]

A gateway in a process of its own (`voice-trio serve`, JSON logs at INFO) holds sessions that ask aloud, one question
after the other, in real time; the scripted model and the clients are in this process. The gateway's CPU is read from
its /metrics. Then this process does what observers do for such a turn a thousand times, with the same code, and times
it: the cost meter's look at every event, the statistics, the percentiles, the turn's log line. Exit status 1 if that is
more than 3 %. The same is measured with metrics that workers share (files instead of memory), for OpenTelemetry's spans
with all that its thread does except sending, and for GET /metrics.

Last measured on 2 cores of a shared machine: 0.34 ms of a turn's 78 ms (0.4 %), 0.36 ms as one of several workers,
another 0.50 ms for OpenTelemetry with every turn sampled; GET /metrics 2 ms (docs/operations.md).
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import trio
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from rich.console import Console
from rich.table import Table

from benchmarks.support import gateway_environment, running, user_token
from voice_trio.billing.prices import load_prices
from voice_trio.client import connect_voice, talk
from voice_trio.conversation import commands, events
from voice_trio.conversation.turn.record import Outcome, TurnRecord, TurnTimestamps
from voice_trio.conversation.turn.timeline import LATENCIES
from voice_trio.observability.logs import configure_logs
from voice_trio.observability.prometheus import share_metrics
from voice_trio.observability.tracing import OtelTraces
from voice_trio.protocols.realtime import RealtimeConfig
from voice_trio.session.config import SessionConfig
from voice_trio.session.observers import Observers
from voice_trio.session.spend.daily_budget import DailyBudget
from voice_trio.session.summary import Summary
from voice_trio.session.telemetry.turn_recorder import TurnRecorder
from voice_trio.session.telemetry.turn_reports import TurnLog
from voice_trio.settings import load_settings
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.rollout import first_rollout
from voice_trio.state.state import Quotas
from voice_trio.testing import RuleBasedModel, serve_scripted_model
from voice_trio.testing.sounds import tone_pcm
from voice_trio.web.statistics import Statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

TARGET = 0.03
ANSWER_MS = 4000
TURNS_OBSERVED = 1000
SCRAPES = 100
STAGES_OF_A_TURN = TurnTimestamps(
    speech_started=0, first_word=1.2, speech_stopped=2.5, committed=2.5, context_settled=2.6, asked=2.6,
    response_created=2.65, first_audio_in=3, first_audio_out=3, response_done=5,
)  # fmt: skip
USAGE = {
    "input_token_details": {"text_tokens": 300, "audio_tokens": 200, "cached_tokens": 128},
    "output_token_details": {"text_tokens": 40, "audio_tokens": 80},
}
RECORD = TurnRecord(1, False, "", "", "completed", Outcome.HIDDEN, False, 0, 2, (), 4000, 4000, stages=STAGES_OF_A_TURN)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and compare; returns 1 beyond the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--turns", type=int, default=4)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        turn_ms = trio.run(cpu_of_conversations, Path(folder), options.sessions, options.turns) * 1000
    observers_ms = cpu_of_observers() * 1000
    tracing_ms = trio.run(cpu_of_tracing) * 1000
    scrape_ms = cpu_of_a_scrape() * 1000
    with tempfile.TemporaryDirectory() as folder:
        share_metrics(Path(folder), 0)
        shared_ms = cpu_of_observers() * 1000
        shared_scrape_ms = cpu_of_a_scrape() * 1000
    table = Table("a turn's CPU", "ms", box=None)
    table.add_row(f"the gateway, all of it ({options.sessions} sessions × {options.turns} turns)", f"{turn_ms:.1f}")
    table.add_row("metrics, money, percentiles, log line", f"{observers_ms:.3f}")
    table.add_row(f"share (target {TARGET:.0%})", f"{observers_ms / turn_ms:.2%}")
    table.add_row("the same as one of several workers", f"{shared_ms:.3f}")
    table.add_row(f"share (target {TARGET:.0%})", f"{shared_ms / turn_ms:.2%}")
    table.add_row("OpenTelemetry on top, each turn sampled", f"{tracing_ms:.3f}")
    table.add_row("share", f"{tracing_ms / turn_ms:.2%}")
    table.add_row("one GET /metrics", f"{scrape_ms:.3f}")
    table.add_row("one GET /metrics of several workers, with one's files", f"{shared_scrape_ms:.3f}")
    Console().print(table)
    return 0 if max(observers_ms, shared_ms) / turn_ms <= TARGET else 1


async def cpu_of_conversations(folder: Path, sessions: int, turns: int) -> float:
    """CPU seconds of a gateway for one turn, its share of waiting and admission included."""
    command = [sys.executable, "-m", "voice_trio.cli", "serve", "--bind", "127.0.0.1:0"]
    async with trio.open_nursery() as nursery:
        model = RuleBasedModel(("How warm must the brooder be in the first week?",), answer_ms=ANSWER_MS)
        environ = gateway_environment(await nursery.start(serve_scripted_model, model), folder / "knowledge.sqlite3")
        async with (
            running(command, env=environ, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process,
            trio.open_nursery() as readers,
        ):
            port = await readers.start(read_log, process.stderr)
            before = await trio.to_thread.run_sync(cpu_seconds, port)
            async with trio.open_nursery() as callers:
                for number in range(sessions):
                    callers.start_soon(call, port, f"user{number}", turns)
            used = await trio.to_thread.run_sync(cpu_seconds, port) - before
            readers.cancel_scope.cancel()
        nursery.cancel_scope.cancel()
    return used / (sessions * turns)


async def read_log(
    stream: trio.abc.ReceiveStream, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED
) -> None:
    """Report the port as soon as it is known; read on, so that the process never waits for its log."""
    text = ""
    is_known = False
    async for chunk in stream:
        if not is_known:
            text += chunk.decode()
            if serving := re.search(r'"port": (\d+)', text):
                is_known = True
                task_status.started(int(serving[1]))


async def call(port: int, user: str, turns: int) -> None:
    """Ask aloud, hear the answer out, ask again."""
    async with connect_voice(f"ws://127.0.0.1:{port}/v1/ws/voice", user_token(user)) as voice:
        for _ in range(turns):
            report = await talk(voice, tone_pcm(0, 2500))
            if not report.was_answered:
                raise SystemExit(f"no answer: {report}")
            await trio.sleep(ANSWER_MS / 1000)


def cpu_seconds(port: int) -> float:
    """CPU seconds that the gateway's process has used so far, as its /metrics say."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        found = re.search(r"^process_cpu_seconds_total ([\d.]+)", answer.read().decode(), re.MULTILINE)
    if found is None:
        raise SystemExit("no process_cpu_seconds_total in /metrics")
    return float(found[1])


def cpu_of_observers(turns: int = TURNS_OBSERVED) -> float:
    """CPU seconds of all observers for one turn."""
    settings = load_settings({"LOG_FORMAT": "json"})
    configure_logs(settings.observability, io.StringIO())
    statistics = Statistics(lambda: 8)
    state = MemoryState(Quotas(5, 2), first_rollout(settings.access))
    daily_budget = DailyBudget(load_prices(), state, settings.limits, on_cost=statistics.count_cost)
    config = SessionConfig("vs_bench", RealtimeConfig(model="gpt-realtime-2.1", instructions="Be brief." * 50))
    bill = daily_budget.open(config)
    log = structlog.get_logger("bench").bind(session_id="vs_bench")
    observers = Observers(bill, TurnRecorder(Summary("vs_bench"), (TurnLog(log, bill), statistics)))
    began = time.process_time()
    for turn in range(turns):
        for event in events_of_a_turn(turn):
            for handle in observers.by_event.get(type(event), ()):
                handle(event, 0.0)
        for command in (
            commands.CountUsage("transcription", f"i{turn}", {"type": "duration", "seconds": 2.5}),
            commands.CountUsage("response", f"r{turn}", USAGE),
            commands.ReportTurn(replace(RECORD, turn_id=turn)),
        ):
            for handle in observers.by_command.get(type(command), ()):
                handle(command, 0.0)
    return (time.process_time() - began) / turns


def events_of_a_turn(turn: int) -> list[events.Event]:
    """About 40 pieces of sound, 20 of text and 10 of transcript."""
    return [
        events.SpeechStarted(f"i{turn}", 0),
        *[events.TranscriptDelta(f"i{turn}", " word")] * 10,
        events.SpeechStopped(f"i{turn}", 2500),
        events.ResponseCreated(f"r{turn}"),
        *[events.ResponseTranscriptDelta(f"r{turn}", "a", " word")] * 20,
        *[events.ResponseAudioDelta(f"r{turn}", "a", "", 100.0)] * 40,
        *[events.AudioSent("a", 100.0)] * 40,
    ]


async def cpu_of_tracing(turns: int = TURNS_OBSERVED) -> float:
    """CPU seconds for one turn's spans, the thread's share included: collected, encoded and thrown away."""
    await trio.lowlevel.checkpoint()  # async because spans read Trio's clock

    class Encoding(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            encode_spans(spans).SerializeToString()
            return SpanExportResult.SUCCESS

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Encoding()))
    traces = OtelTraces(provider.get_tracer("bench"), "gpt-realtime-2.1")
    began = time.process_time()
    for turn in range(turns):
        traces.turn(replace(RECORD, turn_id=turn), "vs_bench", "0" * 32)
    provider.shutdown()
    return (time.process_time() - began) / turns


def cpu_of_a_scrape() -> float:
    """CPU seconds of one GET /metrics after a day on which everything happened."""
    statistics = Statistics(lambda: 8)
    for name in LATENCIES:
        statistics.metrics.stages.labels(name).observe(0.1)
    began = time.process_time()
    for _ in range(SCRAPES):
        statistics.metrics.exposition()
    return (time.process_time() - began) / SCRAPES


if __name__ == "__main__":
    sys.exit(main())
