"""The queue before standard output and error: order, bounds, what is dropped, and the end of the process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from voice_trio import limits
from voice_trio.observability.log_stream import QueuedStream

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE = "x" * 999 + "\n"


class Pipe:
    """A pipe whose reader reads only when it is asked to."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()

    def read_until(self, end: bytes) -> bytes:
        read = b""
        while not read.endswith(end):
            read += os.read(self.reading, 65_536)
        return read


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    os.close(pipe.reading)  # a writer thread that still waits gets EPIPE


def test_lines_of_several_threads_arrive_whole_and_in_each_ones_order(pipe: Pipe) -> None:
    stream = QueuedStream(pipe.writing)

    def write(name: str) -> None:
        for number in range(1_000):
            stream.write(f"{name} {number}\n")

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    read = b""
    while read.count(b"\n") < 3_000:
        read += os.read(pipe.reading, 65_536)
    for thread in threads:
        thread.join()
    lines = read.splitlines()
    for name in "abc":
        own = [line.split()[1] for line in lines if line.startswith(name.encode())]
        assert own == [str(number).encode() for number in range(1_000)]


@pytest.mark.timeout(20)
def test_a_reader_that_stalls_costs_lines_and_no_time_and_the_loss_is_reported_F61(pipe: Pipe) -> None:
    stream, reports = QueuedStream(pipe.writing), list[int]()

    def report(count: int) -> None:
        reports.append(count)
        stream.write(f"lost {count}\n")

    stream.on_dropped = report
    count = 3 * limits.LOG_BYTES_QUEUED_MAX // len(LINE)
    for _ in range(count):
        stream.write(LINE)  # without a queue the 66th never returns
    assert 0.6 * count < stream.dropped < 0.7 * count
    assert not reports
    read = pipe.read_until(f"lost {stream.dropped}\n".encode())
    assert reports == [stream.dropped]
    assert read.count(b"x\n") == count - stream.dropped


def test_a_line_that_is_larger_than_the_queue_is_dropped_alone_F61(pipe: Pipe) -> None:
    stream = QueuedStream(pipe.writing)
    stream.write("x" * limits.LOG_BYTES_QUEUED_MAX + "\n")
    stream.write("small\n")
    assert pipe.read_until(b"\n") == b"small\n"
    assert stream.dropped == 1


def test_a_reader_that_is_gone_does_not_end_the_writer_F61(pipe: Pipe) -> None:
    reading, writing = os.pipe()
    stream = QueuedStream(writing)
    os.close(reading)
    stream.write("nobody reads this\n")
    assert stream.drain(5)
    assert stream.dropped == 1
    os.dup2(pipe.writing, writing)  # as a log rotation that gives the process a new pipe
    stream.write("this is read\n")
    assert pipe.read_until(b"\n") == b"this is read\n"


def test_a_descriptor_that_does_not_block_is_waited_for_F61(pipe: Pipe) -> None:
    os.set_blocking(pipe.writing, False)
    stream = QueuedStream(pipe.writing)
    for _ in range(500):
        stream.write(LINE)
    stream.write("end\n")
    assert pipe.read_until(b"end\n").count(b"x\n") == 500


def test_what_cannot_be_encoded_is_escaped(pipe: Pipe) -> None:
    stream = QueuedStream(pipe.writing)
    stream.write("half an emoji: \ud83d\n")
    assert pipe.read_until(b"\n") == b"half an emoji: \\ud83d\n"


_PROGRAM = """
import sys, warnings
from voice_trio.observability.log_stream import queue_standard_streams
queue_standard_streams()
"""


def run(program: str, **how: int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", _PROGRAM + program], timeout=20, check=False, **how)  # type: ignore[call-overload,no-any-return]  # of the stubs


def test_what_was_written_last_is_not_lost_nor_the_traceback_that_ends_the_program_F61() -> None:
    ended = run("print('out'); print('err', file=sys.stderr); 1 / 0", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert ended.returncode == 1
    assert ended.stdout == b"out\n"
    assert ended.stderr.startswith(b"err\nTraceback")
    assert ended.stderr.endswith(b"ZeroDivisionError: division by zero\n")


def test_a_reader_that_stalls_delays_the_end_by_a_second_at_most_F61(pipe: Pipe) -> None:
    program = "for _ in range(300): print('x' * 999, file=sys.stderr)\nimport time; print(time.time())"
    ended = run(program, stdout=subprocess.PIPE, stderr=pipe.writing)
    assert ended.returncode == 0
    assert ended.stdout


def test_a_closed_standard_error_is_no_error_F61() -> None:
    program = _PROGRAM + "print('err', file=sys.stderr); import os; os.write(2, b'raw'); print('fine')"
    command = ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, program]
    ended = subprocess.run(command, timeout=20, check=False, stdout=subprocess.PIPE)
    assert (ended.returncode, ended.stdout) == (0, b"fine\n")


def test_an_error_of_click_is_written_F61() -> None:
    """Click takes a stream that accepts bytes for a binary one, and wraps it."""
    ended = run("import click; click.ClickException('wrong settings').show()", stderr=subprocess.PIPE)
    assert ended.stderr == b"Error: wrong settings\n"
