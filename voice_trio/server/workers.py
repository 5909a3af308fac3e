"""Several processes on one listening socket: starts them, replaces those that die, and ends them all together.

    run_workers
    ├─ watch signals        first: all drain; second: all end at once
    └─ keep slot 0 … N-1    start a worker, wait for its end, start another one

The parent serves nobody; a worker is `voice_trio.cli.worker`, an ordinary server. All accept from the one socket, the
freest first, so a worker that dies or hangs costs only those it talks to. (With sockets of their own, by SO_REUSEPORT,
callers are spread by chance, and those whom the kernel gave to one that hangs wait.) What workers are told goes over a
pair of sockets, not by signals: a terminal or a supervisor may signal the whole group, and then each would hear the
same wish twice. When the parent is gone that line ends, and the workers drain.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import structlog
import trio

from voice_trio.observability.prometheus import forget_gauges
from voice_trio.server.least_loaded_accept import ABSENT, Loads
from voice_trio.server.shared_folder import shared_folder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SERVING = b"s"
"""A worker's only word: when it serves, and again every `ALIVE_EVERY_SECONDS`."""
DRAIN = b"d"
END_AT_ONCE = b"x"

PAUSE_SECONDS = 0.5
"""Before a dead worker is replaced; twice as long each time, until one has served for `PROVEN_SECONDS`."""
PAUSE_SECONDS_MAX = 30.0
PROVEN_SECONDS = 60.0
STARTS_MAX = 5
"""So many starts in a row may fail while nobody serves."""
START_SECONDS_MAX = 60.0
DRAIN_SECONDS_MAX = 15.0
"""A worker is gone 10 s after it was told; one that is not is killed."""
ABRUPT_SECONDS_MAX = 2.0
ALIVE_EVERY_SECONDS = 5.0
SILENCE_SECONDS_MAX = 15.0
SILENCES_MAX = 2
"""A worker that hangs is killed after so many in a row; the first one may be a pause of the whole machine."""

log = structlog.get_logger(__name__)


async def run_workers(count: int, listener: socket.socket, arguments: Sequence[str]) -> int:
    """Serve on `listener` with `count` workers, each given `arguments` too, until a signal; returns the exit code.

    0 after an orderly end; 128 plus the signal's number when a second signal cut it short; that of the first worker
    if it could not start (it has said why); 1 when later none could, or one had to be killed. Closes the listener.
    """
    with listener, shared_folder() as folder:
        Loads.make(folder, count)
        crew = _Crew(count, listener, folder, arguments)
        async with trio.open_nursery() as nursery:
            await nursery.start(crew.watch_signals, nursery)
            try:
                await crew.serve()
            finally:
                crew.kill()
            nursery.cancel_scope.cancel(reason="all workers are gone")
    return crew.exit_code


class _Worker:
    """One process and the line to it."""

    def __init__(self, process: trio.Process, line: socket.socket) -> None:
        self.process = process
        self._line = line

    def tell(self, word: bytes) -> None:
        with suppress(OSError):  # it has just died
            self._line.send(word)

    async def wait_serving(self) -> bool:
        """Whether it came so far; False when it died on the way. One that takes a minute is killed."""
        with trio.move_on_after(START_SECONDS_MAX), suppress(OSError):
            await trio.lowlevel.wait_readable(self._line)
            return self._line.recv(1) == SERVING
        self.process.kill()
        return False

    async def wait(self) -> int:
        """Its exit code; one that hangs is killed."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._kill_if_silent)
                code = await self.process.wait()
                nursery.cancel_scope.cancel(reason="it has ended")
        finally:
            self._line.close()
        return code

    async def _kill_if_silent(self) -> None:
        silences = 0
        while silences < SILENCES_MAX:
            is_silent = True
            with trio.move_on_after(SILENCE_SECONDS_MAX):
                await trio.lowlevel.wait_readable(self._line)
                is_silent = False
            if not is_silent and not self._heard():
                return  # it is ending
            silences = silences + 1 if is_silent else 0
        log.error("worker_hangs", pid=self.process.pid)
        self.process.kill()

    def _heard(self) -> bytes:
        with suppress(OSError):
            return self._line.recv(64)
        return b""


class _Crew:
    """The workers by their slots."""

    def __init__(self, count: int, listener: socket.socket, folder: Path, arguments: Sequence[str]) -> None:
        self.exit_code = 0
        self._count = count
        self._listener = listener
        self._address = listener.getsockname()
        self._folder = folder
        self._arguments = tuple(arguments)
        self._workers: dict[int, _Worker] = {}
        self._serving: set[int] = set()
        self._has_served = False
        self._failed_starts = 0
        self._ending = trio.Event()
        self._last_word = b""

    async def watch_signals(
        self, nursery: trio.Nursery, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Until cancelled."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                name = signal.Signals(number).name
                if self._ending.is_set():
                    log.warning("stopping_workers_at_once", signal=name)
                    self.exit_code = 128 + number
                    self._tell_all(END_AT_ONCE)
                    nursery.start_soon(self._kill_after, ABRUPT_SECONDS_MAX)
                else:
                    log.info("stopping_workers", signal=name)
                    self._end()
                    nursery.start_soon(self._kill_after, DRAIN_SECONDS_MAX)

    async def serve(self) -> None:
        """Until all are gone. The first worker goes ahead, so that what is wrong with all of them is said once."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._keep, 0)
            async with trio.open_nursery() as starting:
                for slot in range(1, self._count):
                    starting.start_soon(nursery.start, self._keep, slot)
            if not self._ending.is_set():
                log.info("serving", host=self._address[0], port=self._address[1], workers=self._count)

    def kill(self) -> None:
        """Whoever is left."""
        for worker in self._workers.values():
            worker.process.kill()

    async def _keep(self, slot: int, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Have a worker in that slot until all end; `started` once the first one serves, or all are to end."""
        pause, is_told = PAUSE_SECONDS, False
        while not self._ending.is_set():
            worker = self._workers[slot] = await self._hire(slot)
            worker.tell(self._last_word)  # that was said while it was being hired
            began_at = trio.current_time()
            if await worker.wait_serving():
                self._note_serving(slot)
                if not is_told:
                    is_told = True
                    task_status.started()
            code = await worker.wait()
            self._note_end(slot, code)
            if trio.current_time() - began_at > PROVEN_SECONDS:
                pause = PAUSE_SECONDS
            with trio.move_on_after(pause):
                await self._ending.wait()
            pause = min(2 * pause, PAUSE_SECONDS_MAX)
        if not is_told:
            task_status.started()

    async def _hire(self, slot: int) -> _Worker:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs, self._listener.dup() as listener:  # the end may close ours meanwhile
            fds = (listener.fileno(), theirs.fileno())
            command = [sys.executable, "-P", "-m", "voice_trio.cli.worker"]
            command += ["--slot", str(slot), "--count", str(self._count), "--folder", str(self._folder)]
            command += ["--listener", str(fds[0]), "--parent", str(fds[1]), *self._arguments]
            # It imports what we would, wherever we were started: `-P` leaves the working directory out.
            paths = os.pathsep.join(path for path in sys.path if path)
            environ = os.environ | {"PYTHONPATH": paths}
            # A Ctrl-C goes to the whole group, and would burst into the worker's imports.
            deafen = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
            process = await trio.lowlevel.open_process(command, pass_fds=fds, env=environ, preexec_fn=deafen)
            return _Worker(process, ours)

    def _note_serving(self, slot: int) -> None:
        self._serving.add(slot)
        self._has_served = True
        self._failed_starts = 0

    def _note_end(self, slot: int, code: int) -> None:
        has_served = slot in self._serving
        self._serving.discard(slot)
        del self._workers[slot]
        forget_gauges(self._folder, slot)
        Loads(self._folder, slot).set(ABSENT)
        if self._ending.is_set():
            return
        if not self._has_served:  # nobody ever did, and it has said why
            self.exit_code = code if code > 0 else 1
            self._end()
            return
        log.error("worker_died", slot=slot, exit_code=code, left=len(self._serving))
        self._failed_starts += not has_served
        if self._failed_starts >= STARTS_MAX and not self._serving:
            log.error("workers_cannot_start", failed=self._failed_starts)
            self.exit_code = 1
            self._end()

    def _end(self) -> None:
        self._ending.set()
        self._listener.close()  # or callers would wait in it once the workers have closed theirs
        self._tell_all(DRAIN)

    def _tell_all(self, word: bytes) -> None:
        self._last_word = word
        for worker in self._workers.values():
            worker.tell(word)

    async def _kill_after(self, seconds: float) -> None:
        await trio.sleep(seconds)
        log.error("workers_killed", slots=sorted(self._workers))
        self.exit_code = self.exit_code or 1
        self.kill()
