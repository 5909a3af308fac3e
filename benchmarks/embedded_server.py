"""How quickly the embedded server answers, and what memory a session takes.

    .venv/bin/python -m benchmarks.embedded_server [--rounds 5] [--at-once 4] [--idle 100]

The server is a process of its own, `voice-trio embedded`, with the demo's handbook. This process is the client:
espeak-ng says questions, which are appended in real time, and their context is sent as the gateway sends it. Times are
taken at the client's end of a loopback socket. Exit status 1 if a target is missed.

    first audio    from sending response.create to the first output_audio.delta; one user, and several at once
    last words     from the commit to the final transcript
    idle session   growth of the server's resident memory over many sessions that have each heard 2 s of silence

Last measured on a quiet machine (in brackets: a busy one): first audio 20 ms (43) for one user, 16 ms (67) for four at
once, last words 9 ms (23), all medians; an idle session takes 0.16 MiB (0.13). See docs/embedded.md.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio
from rich.console import Console
from rich.table import Table

from benchmarks.support import memory_kib, running
from voice_trio.demo import handbook_folder
from voice_trio.embedded.speech.synthesis.espeak import SpeakingStyle
from voice_trio.embedded.speech.synthesis.voice import pcm_of
from voice_trio.errors import LinkClosed
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.protocols.audio import BYTES_PER_MS, encode_audio
from voice_trio.testing.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from voice_trio.net.link import Link

FIRST_AUDIO_MS_MAX = 300.0
IDLE_BYTES_MAX = 2 * 1024 * 1024
QUESTIONS = (
    ("01-brooding", "how warm should the brooder be in the first week"),
    ("04-layer-calcium", "how much calcium should layer feed contain"),
    ("19-lighting", "how many hours of light do laying hens need"),
    ("06-incubation", "what is the right incubation temperature for chicken eggs"),
)
PIECE_MS = 40
LISTENING = {
    "type": "realtime",
    "audio": {
        "input": {
            "transcription": {"model": "gpt-realtime-whisper"},
            "turn_detection": {"type": "server_vad", "create_response": False},
        }
    },
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all and print one table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="times each question is asked")
    parser.add_argument("--at-once", type=int, default=4, help="users who ask at once")
    parser.add_argument("--idle", type=int, default=100, help="idle sessions to open")
    options = parser.parse_args(arguments)
    return trio.run(bench, options.rounds, options.at_once, options.idle)


async def bench(rounds: int, at_once: int, idle: int) -> int:
    """The exit status: 0 if all targets were met."""
    table = Table(title="voice-trio embedded")
    for name in ("figure", "median", "95 %", "most", "target"):
        table.add_column(name, justify="left" if name == "figure" else "right")
    async with server(ears=at_once, sessions=idle + at_once + 1) as (process, url):
        alone = await first_audio_ms(url, 1, rounds * len(QUESTIONS))
        together = await first_audio_ms(url, at_once, rounds)
        idle_bytes = await idle_session_bytes(url, process.pid, idle)
    met = True
    for name, timings in (("alone", alone), (f"{at_once} at once", together)):
        first_audio, last_words = [each[0] for each in timings], [each[1] for each in timings]
        met &= statistics.median(first_audio) <= FIRST_AUDIO_MS_MAX
        table.add_row(f"first audio, {name}", *milliseconds(first_audio), f"≤ {FIRST_AUDIO_MS_MAX:.0f} ms")
        table.add_row(f"last words, {name}", *milliseconds(last_words), "")
    met &= idle_bytes <= IDLE_BYTES_MAX
    table.add_row(f"idle session, of {idle}", f"{idle_bytes / 1024:.0f} KiB", "", "", "< 2 MiB")
    Console(width=100).print(table)
    return 0 if met else 1


def milliseconds(values: list[float]) -> tuple[str, str, str]:
    """Median, 95th percentile and maximum."""
    late = statistics.quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]
    return f"{statistics.median(values):.0f} ms", f"{late:.0f} ms", f"{max(values):.0f} ms"


async def first_audio_ms(url: str, at_once: int, rounds: int) -> list[tuple[float, float]]:
    """For each question: ms from response.create to the first sound, and from the commit to the final transcript."""
    timings: list[tuple[float, float]] = []

    async def ask_often(number: int) -> None:
        async with calling(url) as client:
            for turn in range(rounds):
                document, question = QUESTIONS[(number + turn) % len(QUESTIONS)]
                timings.append(await ask(client, document, question))

    async with trio.open_nursery() as nursery:
        for number in range(at_once):
            nursery.start_soon(ask_often, number)
    return timings


async def ask(client: Client, document: str, question: str) -> tuple[float, float]:
    """One spoken question, answered half way and then cancelled: its two timings."""
    await client.speak(
        bytes(300 * BYTES_PER_MS) + pcm_of(question, SpeakingStyle("en-us", 150)) + bytes(900 * BYTES_PER_MS)
    )
    committed = await client.hears("input_audio_buffer.committed")
    completed = await client.hears("conversation.item.input_audio_transcription.completed")
    text = (handbook_folder() / f"{document}.md").read_text(encoding="utf-8")
    await client.put(f'<context>\n<passage title="{document}" source="handbook">{text}</passage>\n</context>')
    asked_at = client.now
    await client.send("response.create")
    sound = await client.hears("response.output_audio.delta")
    await client.send("response.cancel")
    await client.hears("response.done")
    client.forget()
    return 1000 * (sound.at - asked_at), 1000 * (completed.at - committed.at)


async def idle_session_bytes(url: str, pid: int, count: int) -> float:
    """Resident bytes of the server for each open session that has heard silence and sends nothing more."""
    async with calling(url) as first:  # loads what is loaded once
        await first.speak(bytes(2000 * BYTES_PER_MS), faster=20)
        before = memory_kib(pid, "VmRSS")
        async with trio.open_nursery() as nursery:
            measured = trio.Event()
            for _ in range(count):
                await nursery.start(_idle, url, measured)
            await trio.sleep(2)
            after = memory_kib(pid, "VmRSS")
            measured.set()
    return 1024 * (after - before) / count


async def _idle(url: str, until: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
    async with calling(url) as client:
        await client.speak(bytes(2000 * BYTES_PER_MS), faster=20)
        task_status.started()
        await until.wait()


class Client(Recorder):
    """A Realtime client that records the server's events."""

    def __init__(self, link: Link) -> None:
        super().__init__(kept=1000)
        self._link = link

    async def read(self) -> None:
        while True:
            try:
                self.record(json.loads(await self._link.receive()))
            except LinkClosed:
                return

    async def send(self, kind: str, **fields: Any) -> None:
        await self._link.send(json.dumps({"type": kind, **fields}))

    async def put(self, text: str) -> None:
        item = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": text}]}
        await self.send("conversation.item.create", item=item)

    async def speak(self, pcm: bytes, *, faster: float = 1.0) -> None:
        start = trio.current_time()
        for number, at in enumerate(range(0, len(pcm), PIECE_MS * BYTES_PER_MS)):
            await trio.sleep_until(start + number * PIECE_MS / 1000 / faster)
            await self.send("input_audio_buffer.append", audio=encode_audio(pcm[at : at + PIECE_MS * BYTES_PER_MS]))


@asynccontextmanager
async def calling(url: str) -> AsyncIterator[Client]:
    """A session with `LISTENING` in force."""
    async with trio.open_nursery() as nursery:
        link = await open_link(nursery, url)
        client = Client(link)
        nursery.start_soon(client.read)
        await client.send("session.update", session=LISTENING)
        await client.hears("session.updated")
        yield client
        await link.aclose()
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def server(ears: int, sessions: int) -> AsyncIterator[tuple[trio.Process, str]]:
    """The server as a process, and the URL it serves."""
    command = [sys.executable, "-m", "voice_trio.cli", "embedded", "--bind", "127.0.0.1:0"]
    command += ["--ears", str(ears), "--sessions", str(sessions)]
    async with running(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        output = b""
        while (found := re.search(rb"at (ws://\S+)\n", output)) is None:
            if not (data := await process.stderr.receive_some()):
                raise SystemExit(f"the server did not start:\n{output.decode()}")
            output += data
        yield process, found[1].decode()


if __name__ == "__main__":
    sys.exit(main())
