"""Ends a process whose event loop stands still, and writes where each thread was.

    _feed     a task of the loop, once a second; it must get some memory, because without it nothing is served either
    _watch    a thread: counts seconds without a feed; at the limit it writes all tracebacks and ends the process
    SIGPROF   the same after that much CPU time, by the kernel: for a loop that holds Python's lock all the time

The thread counts its own ticks, and the timer counts CPU time. So a process that was stopped (SIGSTOP, a suspended
laptop, a debugger that is attached) goes on. The tracebacks go to a file: standard error may be what stands still.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import tempfile
import threading
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Never

import structlog
import trio

from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = structlog.get_logger(__name__)

EXIT_STOOD_STILL = 70
"""The exit code of a process that its watchdog ended; with the CPU timer it is killed by SIGPROF instead."""


@asynccontextmanager
async def watching(seconds: int) -> AsyncIterator[None]:
    """End the process when its event loop, in the main thread, stands still for `seconds` within the block; 0: never.

    The file is removed after the block.
    """
    if not seconds:
        yield
        return
    path, file = _open_file()
    log.info("watchdog", seconds=seconds, tracebacks=str(path) if path else "nowhere: no folder can be written")
    watchdog = Watchdog(seconds, file)
    with file:
        watchdog.start()
        try:
            yield
        finally:
            watchdog.stop()
            if path is not None:
                path.unlink(missing_ok=True)


class Watchdog:
    """Watches from `start` to `stop`."""

    def __init__(self, seconds: int, file: BinaryIO) -> None:
        self._seconds = seconds
        self._file = file
        self._feeds = 0
        self._feeding = trio.CancelScope()
        self._is_stopped = False

    def start(self) -> None:
        """Watch the loop that runs now. Its feeder is no child of the caller, whose errors so stay what they are."""
        faulthandler.register(signal.SIGPROF, self._file, all_threads=True, chain=True)
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        trio.lowlevel.spawn_system_task(self._feed)

    async def _feed(self) -> None:
        with self._feeding:
            while not self._is_stopped:  # it may be stopped before its first step: a timer set then would never end
                with suppress(MemoryError):
                    bytearray(limits.WATCHDOG_MEMORY_BYTES)  # freed at once
                    self._feeds += 1
                    signal.setitimer(signal.ITIMER_PROF, self._seconds)
                await trio.sleep(limits.WATCHDOG_FEED_SECONDS)

    def stop(self) -> None:
        """Stop watching."""
        self._is_stopped = True
        self._feeding.cancel(reason="the process ends")
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.unregister(signal.SIGPROF)

    def _watch(self) -> None:
        seen, silent = self._feeds, 0
        while not self._is_stopped:
            time.sleep(limits.WATCHDOG_FEED_SECONDS)
            if self._feeds != seen:
                seen, silent = self._feeds, 0
            else:
                silent += 1
            if silent * limits.WATCHDOG_FEED_SECONDS >= self._seconds and not self._is_stopped:
                self._end()

    def _end(self) -> Never:
        # Neither a log line nor an orderly end: both may need what is missing, be it memory or the loop.
        with suppress(OSError):
            faulthandler.dump_traceback(self._file, all_threads=True)
        os._exit(EXIT_STOOD_STILL)


def _open_file() -> tuple[Path | None, BinaryIO]:
    """A new file in the folder for temporary files, and its path; /dev/null and None if no folder can be written."""
    try:
        descriptor, path = tempfile.mkstemp(".traceback", f"voice-trio-{os.getpid()}-")
        return Path(path), open(descriptor, "wb", buffering=0)
    except OSError:
        return None, open(os.devnull, "wb", buffering=0)
