"""The watchdog ends a process whose loop stands still in any way, and no process that was only stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from voice_trio.server.watchdog import EXIT_STOOD_STILL, watching

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import re, resource, socket, sys, time, threading, trio
from voice_trio.server.watchdog import watching

def never_returns():
    {stand_still}

async def main():
    async with watching(2):
        await trio.sleep(1.5)
        print("begins", flush=True)
        never_returns()
        await trio.sleep({then_sleeps})
        print("went on", flush=True)

trio.run(main)
"""


def start(stand_still: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(stand_still=stand_still, then_sleeps=0)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"TMPDIR": str(folder)},
    )


@pytest.mark.parametrize(
    ("stand_still", "code"),
    [
        pytest.param("time.sleep(60)", EXIT_STOOD_STILL, id="a blocking call"),
        pytest.param(
            "lock = threading.Lock(); lock.acquire(); lock.acquire()",
            EXIT_STOOD_STILL,
            id="a deadlock",
        ),
        pytest.param("while True: pass", None, id="a loop in Python"),
        pytest.param("re.match('(a+)+$', 'a' * 60 + 'b')", -signal.SIGPROF, id="a loop that holds Python's lock"),
    ],
)
def test_a_loop_that_stands_still_ends_the_process_with_its_tracebacks_in_a_file_F67(
    tmp_path: Path, stand_still: str, code: int | None
) -> None:
    with start(stand_still, tmp_path) as process:
        output, _ = process.communicate(timeout=30)
    assert process.returncode in ((code,) if code is not None else (EXIT_STOOD_STILL, -signal.SIGPROF))
    (file,) = tmp_path.glob("voice-trio-*.traceback")
    assert str(file) in output  # it was named at the start
    assert "in never_returns" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_a_process_without_memory_ends_F67(tmp_path: Path) -> None:
    take_all = """
    resource.setrlimit(resource.RLIMIT_AS, (400_000_000, 400_000_000))
    held = []
    for size in (1 << 20, 1 << 16, 1 << 12):
        try:
            while True: held.append(bytearray(size))
        except MemoryError: pass
    main.held = held
"""
    program = PROGRAM.format(stand_still=take_all.strip(), then_sleeps=60)
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, timeout=30, check=False, env=os.environ | {"TMPDIR": str(tmp_path)})
    assert ended.returncode == EXIT_STOOD_STILL


def test_a_process_that_was_stopped_goes_on_F67(tmp_path: Path) -> None:
    with start("time.sleep(1)", tmp_path) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "begins\n":
            pass
        process.send_signal(signal.SIGSTOP)
        time.sleep(5)
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=20)[0] == "went on\n"
    assert process.returncode == 0
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_after_an_orderly_end(tmp_path: Path) -> None:
    with start("pass", tmp_path) as process:
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert re.search("watchdog.*seconds=2", output)
    assert not list(tmp_path.iterdir())


async def test_a_watchdog_that_is_stopped_before_its_first_step_leaves_no_timer_behind_F67(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    async with watching(20):
        pass
    await trio.testing.wait_all_tasks_blocked()
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    assert os.listdir(tmp_path) == []
