"""Standard output and error through a bounded queue and a writer thread: a reader that stalls stops nothing.

    write ─► queue, at most `LOG_BYTES_QUEUED_MAX` ─► writer thread ─► the descriptor

A pipe holds 64 KiB. Once its reader stalls, a direct write blocks the whole process, and so does a terminal that was
stopped with Ctrl-S. Here only the thread waits. Lines that do not fit are dropped and counted; the count is reported
when the reader goes on. Lines keep their order. At the end of the process the queue gets `LOG_FLUSH_SECONDS_MAX`.
"""

from __future__ import annotations

import atexit
import io
import os
import select
import sys
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import Callable

_LINE_BYTES = 64  # of memory that each line takes besides its text


def queue_standard_streams() -> None:
    """Replace `sys.stdout` and `sys.stderr` by queued ones; call it first in a process that serves.

    Streams that were replaced before are left as they are. A closed descriptor becomes /dev/null: otherwise the next
    socket would get its number, and with it what libraries print.
    """
    _open_closed_descriptors()
    if sys.stdout is None or sys.stdout is sys.__stdout__:
        sys.stdout = QueuedStream(1)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = QueuedStream(2)


def dropped_lines() -> int:
    """How many lines of this process were dropped since its start."""
    return sum(stream.dropped for stream in (sys.stdout, sys.stderr) if isinstance(stream, QueuedStream))


class QueuedStream(io.TextIOBase):
    """A text stream onto `descriptor` whose `write` never waits.

    `on_dropped` is called in the writer thread with the number of lines that were lost, once it can write again.
    """

    def __init__(self, descriptor: int) -> None:
        self.dropped = 0
        self.on_dropped: Callable[[int], object] | None = None
        self._descriptor = descriptor
        self._queue: deque[str] = deque()
        self._queued_bytes = 0
        self._unreported = 0
        self._changed = threading.Condition()
        self._writer = threading.Thread(target=self._run, name=f"writer of descriptor {descriptor}", daemon=True)
        self._writer.start()
        atexit.register(self.drain)

    @property
    def encoding(self) -> str:  # type: ignore[override]  # an attribute there
        """Always UTF-8; what cannot be encoded is written as an escape."""
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]  # an attribute there
        return "backslashreplace"

    def write(self, text: str) -> int:
        """Queue `text`; drop it if the queue is full."""
        if not isinstance(text, str):  # click takes a stream that accepts bytes for a binary one
            raise TypeError(f"a text stream takes str, not {type(text).__name__}")
        size = len(text) + _LINE_BYTES
        with self._changed:
            is_report = threading.current_thread() is self._writer
            if self._queued_bytes + size > limits.LOG_BYTES_QUEUED_MAX and not is_report:
                self._count_dropped(text)
            else:
                self._queue.append(text)
                self._queued_bytes += size
                self._changed.notify_all()
        return len(text)

    def flush(self) -> None:
        """Do nothing: a caller must not wait for the reader."""

    def drain(self, seconds_max: float = limits.LOG_FLUSH_SECONDS_MAX) -> bool:
        """Wait until all is written, at most `seconds_max`; whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._queued_bytes, seconds_max)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def _run(self) -> None:
        while True:
            texts = self._take()
            try:
                _write_all(self._descriptor, "".join(texts).encode("utf-8", "backslashreplace"))
            except (OSError, MemoryError):  # the reader is gone, or the disk is full: later lines may get through
                with self._changed:
                    self._count_dropped(*texts)
            else:
                self._report_dropped()
            finally:
                with self._changed:
                    self._queued_bytes -= sum(len(text) + _LINE_BYTES for text in texts)
                    self._changed.notify_all()

    def _take(self) -> list[str]:
        """The next texts, at most about `LOG_WRITE_BYTES`; they count as queued until they are written."""
        texts: list[str] = []
        size = 0
        with self._changed:
            self._changed.wait_for(lambda: self._queue)
            while self._queue and size < limits.LOG_WRITE_BYTES:
                texts.append(self._queue.popleft())
                size += len(texts[-1])
        return texts

    def _count_dropped(self, *texts: str) -> None:
        lines = sum(max(1, text.count("\n")) for text in texts)
        self.dropped += lines
        self._unreported += lines

    def _report_dropped(self) -> None:
        with self._changed:
            count, self._unreported = self._unreported, 0
        if count and self.on_dropped is not None:
            with suppress(Exception):  # whatever fails there, this thread must go on
                self.on_dropped(count)


def _write_all(descriptor: int, data: bytes) -> None:
    """Write `data`; waits for the reader, also if another process has made the descriptor non-blocking."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()


def _open_closed_descriptors() -> None:
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
