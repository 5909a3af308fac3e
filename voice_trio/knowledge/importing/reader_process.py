"""Reads files in a process of its own, which is kept for many files and replaced when one has broken it.

This side parses nothing of a file: it hands the descriptor over and gets chunks. The process is a new interpreter, not
a fork, because the program that imports may have threads.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from voice_trio import limits
from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.messages import (
    ChunksRead,
    PartLeftOut,
    PartLost,
    ReadDone,
    ReaderMessage,
    ReadFailed,
    ReadProgress,
    ReadRemark,
    ReadRequest,
    receive_message,
    to_frame,
)
from voice_trio.knowledge.sqlite.base import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    Told = PartLost | PartLeftOut | ReadRemark | ReadProgress


@dataclass(frozen=True, slots=True)
class ReaderBounds:
    """What reading one file may take; see `voice_trio.limits` for the reasons."""

    silence_seconds: float = limits.DOCUMENT_SILENCE_SECONDS_MAX
    cpu_seconds: float = limits.DOCUMENT_CPU_SECONDS_MAX
    memory_bytes: int = limits.DOCUMENT_MEMORY_BYTES_MAX
    text_bytes: int = limits.DOCUMENT_TEXT_BYTES_MAX


PASSED_ON = ("LD_LIBRARY_PATH", "PYTHONHOME")
"""Variables without which some interpreters do not start."""
WORKER = (sys.executable, "-P", "-m", "voice_trio.knowledge.importing.worker")


class ReaderProcess:
    """A reader process, started at the first file; a context manager. One file at a time."""

    def __init__(self, bounds: ReaderBounds | None = None, command: Sequence[str] = WORKER) -> None:
        self._bounds = bounds or ReaderBounds()
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None

    def __enter__(self) -> ReaderProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def identity(self) -> int | None:
        """The id of the process, while there is one."""
        return None if self._process is None else self._process.pid

    def cpu_seconds(self, size: int) -> float:
        """How long computing may take for a file of `size` bytes."""
        return self._bounds.cpu_seconds + limits.DOCUMENT_CPU_SECONDS_PER_MB * size / 1e6

    def read(self, descriptor: int, request: ReadRequest, tell: Callable[[Told], None]) -> Iterator[Chunk]:
        """The chunks of one file; `tell` gets parts that were lost or left out, and the progress.

        Raises `UnreadableDocument` with a short reason for whatever goes wrong, also when there are no chunks.
        """
        is_finished = False
        try:
            self._send(descriptor, request)
            for message in self._messages(request):
                match message:
                    case ChunksRead(chunks):
                        yield from (Chunk(title, text, source) for title, text, source in chunks)
                    case ReadDone(retire):
                        is_finished = not retire
                        return
                    case ReadFailed(problem, retire):
                        is_finished = not retire
                        raise UnreadableDocument(problem)
                    case _:
                        tell(message)
        finally:
            # Also when the caller stops early: what this process would still say belongs to this file.
            if not is_finished:
                self.close()

    def close(self) -> None:
        """End the process."""
        process, link = self._process, self._link
        self._process = self._link = None
        if link is not None:
            link.close()
        if process is not None:
            process.kill()
            process.wait()

    def _send(self, descriptor: int, request: ReadRequest) -> None:
        if self._process is not None and self._process.poll() is not None:
            self.close()
        if self._link is None:
            self._start()
        if self._link is None:
            raise UnreadableDocument("the reader process did not start")
        try:
            socket.send_fds(self._link, [to_frame(request)], [descriptor])
        except OSError as error:
            raise UnreadableDocument(self._reason()) from error

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # No secrets, and no directory from which anything could be imported by accident.
            environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
            environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in sys.path)
            self._process = subprocess.Popen(
                [*self._command, str(self._bounds.memory_bytes)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                start_new_session=True,  # Control-C is for this process, which then ends the other one
            )
        ours.settimeout(self._bounds.silence_seconds)
        self._link = ours

    def _messages(self, request: ReadRequest) -> Iterator[ReaderMessage]:
        text_bytes = self._bounds.text_bytes + limits.DOCUMENT_TEXT_BYTES_PER_BYTE * request.size
        received = 0
        while self._link is not None:
            try:
                message = receive_message(self._link)
            except TimeoutError:
                raise UnreadableDocument(f"its reader stood still for {self._bounds.silence_seconds:g} s") from None
            except (msgspec.MsgspecError, OSError):
                message = None
            if message is None:
                raise UnreadableDocument(self._reason())
            received += message[1]
            if received > text_bytes:
                raise UnreadableDocument(f"gives more than {text_bytes / 1e6:,.0f} MB of text")
            yield message[0]

    def _reason(self) -> str:
        """Why the process ended."""
        code = None
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(limits.DOCUMENT_END_SECONDS_MAX)
        if code == -signal.SIGXCPU:
            return "takes too long to read"
        if code == -signal.SIGKILL:
            return "its reader was killed, perhaps for want of memory"
        if code is not None and code < 0:
            return f"its reader crashed ({signal.Signals(-code).name})"
        return "its reader ended without a word" if code is None else f"its reader ended with exit code {code}"
