"""The reader process: reads one file after the other, as descriptors and requests come in on standard input.

Started as `python -m voice_trio.knowledge.importing.worker MEMORY_BYTES`. A file may be made to break its reader. So
this process has bounded memory and time, no secrets in its environment, and it may neither write, nor start programs,
nor open sockets. It ends when the other side closes.
"""

from __future__ import annotations

import os
import resource
import socket
import sys
from typing import TYPE_CHECKING

from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.chunks import chunked
from voice_trio.knowledge.importing.messages import (
    ChunksRead,
    ReadDone,
    ReadFailed,
    receive_request,
    to_frame,
)
from voice_trio.knowledge.importing.readers.formats import read_paragraphs
from voice_trio.knowledge.importing.readers.source_file import SourceFile, short_reason

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import msgspec

    from voice_trio.knowledge.importing.messages import ReaderMessage, ReadRequest

BATCH_CHARACTERS = 32_768
# A process whose memory grew to this part of its bound is replaced, so that the next file has all of it.
RETIRE_SHARE = 0.5
# A process that once had this part of its bound was refused more.
EXHAUSTED_SHARE = 0.8
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC
_REFUSED = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "os.remove")
_ALSO_REFUSED = frozenset(("os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.truncate"))


def main() -> None:
    """Serve requests until the other side closes."""
    memory_bytes = int(sys.argv[1])
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    memory_bytes = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    link = socket.socket(fileno=os.dup(0))
    sys.addaudithook(refuse)
    while (received := receive_request(link)) is not None:
        request, descriptor = received
        _bound_computing(request.cpu_seconds)
        link.sendall(to_frame(_answer(request, descriptor, link, memory_bytes)))


def _answer(request: ReadRequest, descriptor: int, link: socket.socket, memory_bytes: int) -> ReadDone | ReadFailed:
    def send(message: msgspec.Struct) -> None:
        link.sendall(to_frame(message))

    try:
        with os.fdopen(descriptor, "rb") as file:
            source = SourceFile(file, request.name, request.stem, request.size, send, request.suffix)
            file.seek(0)
            _read(source, send)
    except UnreadableDocument as error:
        return ReadFailed(str(error), _has_grown(memory_bytes))
    except MemoryError:
        return ReadFailed(f"needs more than {memory_bytes / 1e6:,.0f} MB of memory", retire=True)
    except RecursionError:
        return ReadFailed("nested too deeply", retire=True)
    except Exception as error:  # a library's own errors: this file's, whatever they are
        if _memory("VmPeak") > EXHAUSTED_SHARE * memory_bytes:  # lxml says this in many ways
            return ReadFailed(f"needs more than {memory_bytes / 1e6:,.0f} MB of memory", retire=True)
        problem = f"damaged, or not what its name says: {short_reason(error)}"
        return ReadFailed(problem, _has_grown(memory_bytes))
    return ReadDone(_has_grown(memory_bytes))


def _read(source: SourceFile, send: Callable[[ReaderMessage], None]) -> None:
    batch: list[tuple[str, str, str]] = []
    found, held = False, 0
    for chunk in chunked(read_paragraphs(source)):
        found = True
        batch.append((chunk.title, chunk.text, chunk.source))
        held += len(chunk.text) + len(chunk.title) + len(chunk.source)
        if held > BATCH_CHARACTERS:
            send(ChunksRead(batch))
            batch, held = [], 0
    if batch:
        send(ChunksRead(batch))
    if not found:
        raise UnreadableDocument(source.lost_parts[0] if source.lost_parts else "there is no text in it")


def _has_grown(memory_bytes: int) -> bool:
    return _memory("VmRSS") > RETIRE_SHARE * memory_bytes


def _memory(name: str) -> int:
    """Memory of this process in bytes. `getrusage` would give that of the program which started it."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        values = dict(line.split(":", 1) for line in file)
    return int(values[name].split()[0]) * 1024


def _bound_computing(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + seconds + 1, hard))


def refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: raises `PermissionError` for what no reader of documents needs."""
    if event == "open":
        _, mode, flags = arguments
        is_writing = (isinstance(mode, str) and bool(set(mode) & set("wax+"))) or bool(flags & _WRITING)
    else:
        is_writing = event.startswith(_REFUSED) or event in _ALSO_REFUSED
    if is_writing:
        raise PermissionError(f"a reader process may not do this: {event}")


if __name__ == "__main__":
    main()
