"""Several processes on one listening socket: starts the workers, replaces dead ones, and ends them together.

    run_workers
    ├─ watch_signals            first: all drain; second: all end at once
    └─ supervise slot 0 … N-1   start a worker, wait for its end, start the next one

The parent serves no connections; a worker is `voice_trio.cli.worker`, an ordinary server. All workers accept from the
one socket, the least loaded first, so a worker that dies or hangs affects its own connections only. With one socket for
each (SO_REUSEPORT) the kernel would assign connections by hash, and those of a hanging worker would wait.

Commands to workers go over a pair of sockets, not by signals: a terminal or a supervisor may signal the whole group,
and then each worker would receive the same command twice. When the parent is gone that connection ends, and the
workers drain.
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

from voice_trio import limits
from voice_trio.server.shared import open_shared_folder
from voice_trio.server.signals import ReceivedSignals, drain_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.server.shared import SharedFolder

HEARTBEAT = b"s"
"""All that a worker sends: once it serves, and again every `HEARTBEAT_SECONDS`."""
DRAIN = b"d"
END_AT_ONCE = b"x"


log = structlog.get_logger(__name__)


async def run_workers(count: int, listener: socket.socket, arguments: Sequence[str]) -> int:
    """Serve on `listener` with `count` workers, each given `arguments` too, until a signal; returns the exit code.

    0 after an orderly end; 128 plus the signal's number when a second signal cut it short; the first worker's own code
    if it could not start (it has reported why); 1 when later none could start, or one was killed at the end. Closes
    the listener.
    """
    with listener, open_shared_folder(count) as folder:
        pool = _WorkerPool(count, listener, folder, arguments)
        async with trio.open_nursery() as nursery:
            await nursery.start(pool.watch_signals, nursery)
            try:
                await pool.serve()
            finally:
                pool.kill()
            nursery.cancel_scope.cancel(reason="all workers are gone")
    return pool.exit_code


class _WorkerProcess:
    """One process, and the parent's end of the socket pair to it."""

    def __init__(self, process: trio.Process, connection: socket.socket) -> None:
        self.process = process
        self._connection = connection

    def send(self, command: bytes) -> None:
        with suppress(OSError):  # it has just died
            self._connection.send(command)

    async def wait_serving(self) -> bool:
        """True at the first heartbeat, False when it died before; kills it after `WORKER_START_SECONDS_MAX`."""
        with trio.move_on_after(limits.WORKER_START_SECONDS_MAX), suppress(OSError):
            await trio.lowlevel.wait_readable(self._connection)
            return self._connection.recv(1) == HEARTBEAT
        self.process.kill()
        return False

    async def wait(self) -> int:
        """Its exit code; a process that stops sending heartbeats is killed."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._kill_if_silent)
                code = await self.process.wait()
                nursery.cancel_scope.cancel(reason="it has ended")
        finally:
            self._connection.close()
        return code

    async def _kill_if_silent(self) -> None:
        silences = 0
        while silences < limits.HEARTBEAT_SILENCES_MAX:
            is_silent = True
            with trio.move_on_after(limits.HEARTBEAT_SILENCE_SECONDS_MAX):
                await trio.lowlevel.wait_readable(self._connection)
                is_silent = False
            if not is_silent and not self._received():
                return  # it is ending
            silences = silences + 1 if is_silent else 0
        log.error("worker_hangs", pid=self.process.pid)
        self.process.kill()

    def _received(self) -> bytes:
        with suppress(OSError):
            return self._connection.recv(64)
        return b""


class _WorkerPool:
    """The workers by their slots."""

    def __init__(self, count: int, listener: socket.socket, folder: SharedFolder, arguments: Sequence[str]) -> None:
        self.exit_code = 0
        self._count = count
        self._listener = listener
        self._address = listener.getsockname()
        self._folder = folder
        self._arguments = tuple(arguments)
        self._workers: dict[int, _WorkerProcess] = {}
        self._serving: set[int] = set()
        self._has_served = False
        self._failed_starts = 0
        self._ending = trio.Event()
        self._last_command = b""

    async def watch_signals(
        self, nursery: trio.Nursery, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Until cancelled."""
        received = ReceivedSignals()
        with trio.open_signal_receiver(*drain_signals()) as signals:
            task_status.started()
            async for number in signals:
                name = signal.Signals(number).name
                if received.ends_at_once(number):
                    log.warning("stopping_workers_at_once", signal=name)
                    self.exit_code = 128 + number
                    self._send_all(END_AT_ONCE)
                    nursery.start_soon(self._kill_after, limits.WORKER_ABRUPT_SECONDS_MAX)
                elif not self._ending.is_set():
                    log.info("stopping_workers", signal=name)
                    self._end()
                    nursery.start_soon(self._kill_after, limits.WORKER_DRAIN_SECONDS_MAX)

    async def serve(self) -> None:
        """Until all are gone. The first worker starts alone, so that an error common to all is reported once."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._supervise, 0)
            async with trio.open_nursery() as starting:
                for slot in range(1, self._count):
                    starting.start_soon(nursery.start, self._supervise, slot)
            if not self._ending.is_set():
                log.info("serving", host=self._address[0], port=self._address[1], workers=self._count)

    def kill(self) -> None:
        """Kill all workers that still run."""
        for worker in self._workers.values():
            worker.process.kill()

    async def _supervise(self, slot: int, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep a worker in `slot` until the end; `started` once the first one serves, or the end has begun."""
        pause, has_started = limits.WORKER_PAUSE_SECONDS, False
        while not self._ending.is_set():
            worker = self._workers[slot] = await self._start_worker(slot)
            worker.send(self._last_command)  # sent to the others while this one was starting
            began_at = trio.current_time()
            if await worker.wait_serving():
                self._note_serving(slot)
                if not has_started:
                    has_started = True
                    task_status.started()
            code = await worker.wait()
            self._note_end(slot, code)
            if trio.current_time() - began_at > limits.WORKER_PROVEN_SECONDS:
                pause = limits.WORKER_PAUSE_SECONDS
            with trio.move_on_after(pause):
                await self._ending.wait()
            pause = min(2 * pause, limits.WORKER_PAUSE_SECONDS_MAX)
        if not has_started:
            task_status.started()

    async def _start_worker(self, slot: int) -> _WorkerProcess:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs, self._listener.dup() as listener:  # `_end` may close the listener meanwhile
            fds = (listener.fileno(), theirs.fileno())
            command = [sys.executable, "-P", "-m", "voice_trio.cli.worker"]
            command += ["--slot", str(slot), "--count", str(self._count), "--folder", str(self._folder.path)]
            command += ["--listener", str(fds[0]), "--parent", str(fds[1]), *self._arguments]
            # The worker imports from the same paths as this process: `-P` leaves the working directory out.
            paths = os.pathsep.join(path for path in sys.path if path)
            environ = os.environ | {"PYTHONPATH": paths}
            # Ctrl-C goes to the whole group, and would raise KeyboardInterrupt within the worker's imports.
            ignore_sigint = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
            process = await trio.lowlevel.open_process(command, pass_fds=fds, env=environ, preexec_fn=ignore_sigint)
            return _WorkerProcess(process, ours)

    def _note_serving(self, slot: int) -> None:
        self._serving.add(slot)
        self._has_served = True
        self._failed_starts = 0

    def _note_end(self, slot: int, code: int) -> None:
        has_served = slot in self._serving
        self._serving.discard(slot)
        del self._workers[slot]
        self._folder.forget_worker(slot)
        if self._ending.is_set():
            return
        if not self._has_served:  # no worker ever did, and this one has reported why
            self.exit_code = code if code > 0 else 1
            self._end()
            return
        log.error("worker_died", slot=slot, exit_code=code, left=len(self._serving))
        self._failed_starts += not has_served
        if self._failed_starts >= limits.WORKER_STARTS_MAX and not self._serving:
            log.error("workers_cannot_start", failed=self._failed_starts)
            self.exit_code = 1
            self._end()

    def _end(self) -> None:
        self._ending.set()
        self._listener.close()  # otherwise new connections wait in its backlog once the workers have closed theirs
        self._send_all(DRAIN)

    def _send_all(self, command: bytes) -> None:
        self._last_command = command
        for worker in self._workers.values():
            worker.send(command)

    async def _kill_after(self, seconds: float) -> None:
        await trio.sleep(seconds)
        log.error("workers_killed", slots=sorted(self._workers))
        self.exit_code = self.exit_code or 1
        self.kill()
