"""Both ends of the relay benchmark in one process: a stub upstream that echoes sound, and the callers of every relay.

    .venv/bin/python -m benchmarks.relay_ends [--certificate FILE --key FILE]

`benchmarks.relay` starts it; it is of no use on its own. It needs nothing but the standard library and, if there,
uvloop. Orders come on standard input, one JSON object a line; reports leave on standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import json
import random
import resource
import ssl
import sys
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from benchmarks.relay_sockets import Caller, Seen, Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

FRAME_SECONDS, TICK_SECONDS = 0.04, 0.001
CONNECTING_MAX = 4
RETRY_SECONDS = 4.0  # a gateway allows 20 attempts a minute
READY_SECONDS_MAX = 90.0
TURN_SECONDS = 10.0
"""Between two barge-ins of one session."""
SPEECH_SECONDS = 0.05
SILENT_SECONDS_MAX = 8.0
"""Then the upstream says a word to sessions that wait for their turn."""
QUIET_SECONDS, QUIET_SECONDS_MAX = 0.2, 15.0
"""Without an echo a relay has nothing more to do; one that is overloaded is waited for so long."""


class Group:
    """The callers of one relay."""

    def __init__(self, order: dict[str, Any], connections: list[Upstream]) -> None:
        self.seen = Seen()
        self.refusal, self.refusals = "none", 0
        self._active_at = 0.0
        self._order = order
        self._connections = connections
        self._callers: list[Caller] = []

    async def connect(self) -> None:
        """Open all sessions, each with a response in progress; few at a time.

        A caller that is refused tries again: while many sessions are opened at once, a gateway may refuse some.
        """
        places = asyncio.Semaphore(CONNECTING_MAX)

        async def connect(number: int) -> Caller:
            async with places:
                while True:
                    try:
                        return await self._connect_one(number)
                    except ConnectionRefusedError as refusal:
                        self.refusals += 1
                        self.refusal = str(refusal)
                        await asyncio.sleep(RETRY_SECONDS)

        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                self._callers = await asyncio.gather(*(connect(number) for number in range(self._order["sessions"])))
        except TimeoutError as error:
            raise ConnectionRefusedError(f"not ready in time; last refusal: {self.refusal}") from error

    async def _connect_one(self, number: int) -> Caller:
        _, caller = await asyncio.get_running_loop().create_connection(
            lambda: Caller(self._order, number, self.seen, self._connections), "127.0.0.1", self._order["port"]
        )
        await caller.ready
        return caller

    async def talk(self, lead: float, seconds: float) -> None:
        """All talk for `lead` + `seconds`; what is seen in the latter is reported."""
        self.seen.trips.clear()
        async with self._talking():
            await asyncio.sleep(lead)
            say({"at": "began"})
            cpu, began, self.seen.counts = time.process_time(), time.perf_counter(), True
            await asyncio.sleep(seconds)
            self.seen.counts = False
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            say({"at": "ended"})
        await self._wait_quiet()
        say({"seconds": seconds, "cpu": cpu / seconds, "trips": self.seen.trips, "lost": self.seen.lost})

    async def interrupt(self, seconds: float) -> None:
        """All talk, and the upstream reports speech in one session after the other; the callers time the flushes."""
        loop, number = asyncio.get_running_loop(), 0
        async with self._talking():
            due, until = loop.time(), loop.time() + seconds
            while due < until:
                upstream = self._callers[number % len(self._callers)].upstream
                number += 1
                if upstream is not None and upstream.is_responding:
                    upstream.interrupt()
                    if self._order["kind"] != "raw":
                        loop.call_later(SPEECH_SECONDS, upstream.finish_barge_in)
                due += TURN_SECONDS / len(self._callers)
                await asyncio.sleep(min(due, until) - loop.time())
        await self._wait_quiet()
        say({"flushes": self.seen.flushes, "lost": self.seen.lost})

    @asynccontextmanager
    async def _talking(self) -> AsyncIterator[None]:
        speaking = asyncio.create_task(speak(self._callers))
        yield
        self._active_at = time.perf_counter()
        speaking.cancel()
        with suppress(asyncio.CancelledError):
            await speaking

    async def keep_alive(self) -> None:
        """Let the upstream say a word in all sessions, if they have been silent for long."""
        if time.perf_counter() - self._active_at > SILENT_SECONDS_MAX:
            self._active_at = time.perf_counter()
            for caller in self._callers:
                if caller.upstream is not None:
                    caller.upstream.say_word()
                await asyncio.sleep(TICK_SECONDS)

    async def _wait_quiet(self) -> None:
        """Wait until the relay has nothing more to do, because another one is measured next."""
        began = time.perf_counter()
        while time.perf_counter() - began < QUIET_SECONDS_MAX:
            echoes = self.seen.echoes
            await asyncio.sleep(QUIET_SECONDS)
            if self.seen.echoes == echoes:
                return


async def speak(callers: Sequence[Caller]) -> None:
    """Send each caller's frame every 40 ms, all at different moments of it."""
    loop, chance = asyncio.get_running_loop(), random.Random(11)
    due = sorted((loop.time() + chance.random() * FRAME_SECONDS, number) for number in range(len(callers)))
    times, turn = [at for at, _ in due], [callers[number] for _, number in due]
    place = 0
    while True:
        now = loop.time()
        while times[place] <= now:
            turn[place].speak()
            times[place] += FRAME_SECONDS
            place = (place + 1) % len(turn)
        await asyncio.sleep(TICK_SECONDS)


async def run(options: argparse.Namespace) -> None:
    """Serve the stub upstream, connect the callers of the first order, then do what each further order says."""
    loop = asyncio.get_running_loop()
    connections: list[Upstream] = []
    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
    server = await loop.create_server(lambda: Upstream(connections), "127.0.0.1", 0, ssl=context, backlog=256)
    say({"port": server.sockets[0].getsockname()[1]})
    groups = [Group(each, connections) for each in json.loads(await loop.run_in_executor(None, sys.stdin.readline))]
    for group in groups:
        await group.connect()
    say({"refusals": [group.refusals for group in groups]})
    gc.collect()
    gc.freeze()
    gc.disable()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        for each in groups:
            await each.keep_alive()
        order = json.loads(line)
        group = groups[order["group"]]
        if "interrupt" in order:
            await group.interrupt(order["interrupt"])
        else:
            await group.talk(order["lead"], order["seconds"])


def say(report: dict[str, Any]) -> None:
    print(json.dumps(report), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Be both ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--certificate", help="PEM; the upstream then speaks TLS")
    parser.add_argument("--key", help="its private key")
    options = parser.parse_args(arguments)
    files_max = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files_max, files_max))
    try:
        factory = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(run(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
