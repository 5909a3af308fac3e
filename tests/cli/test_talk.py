"""`voice-trio talk`: its keys, what it shows, and what it says where it cannot talk."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from tests.support.browser_driver import running_gateway
from tests.support.deployment import token
from voice_trio.cli.line_editor import LineEditor
from voice_trio.cli.talk_screen import TalkScreen
from voice_trio.client import Ask, InterruptResponse, Leave, Report

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from voice_trio.client import UserAction


def deeds(*pressed: str | bytes) -> Sequence[UserAction]:
    line = LineEditor()
    return [action for keys in pressed for action in line.feed(keys.encode() if isinstance(keys, str) else keys)]


def test_a_line_is_asked_by_enter_and_an_empty_one_interrupts() -> None:
    assert deeds("how ", "warm?", "\n", "\r") == [Ask("how warm?"), InterruptResponse()]


def test_escape_interrupts_and_forgets_the_line_but_an_arrow_is_not_an_escape() -> None:
    assert deeds("how", "\x1b", "\n") == [InterruptResponse(), InterruptResponse()]
    assert deeds("how", "\x1b[A", "\n") == [Ask("how")]


def test_what_is_typed_can_be_corrected() -> None:
    assert deeds("hoo\x7fw\n") == [Ask("how")]
    assert deeds("nonsense\x15how\n") == [Ask("how")]
    assert deeds("\x7f\x7fhow\n") == [Ask("how")]


def test_a_letter_may_come_in_two_pieces() -> None:
    assert deeds("hühner".encode()[:2], "hühner".encode()[2:], "\n") == [Ask("hühner")]


def test_the_end_of_input_leaves_unless_something_is_typed() -> None:
    assert deeds("\x04") == [Leave()]
    assert deeds("how\x04\n") == [Ask("how")]


def test_no_more_is_typed_than_a_gateway_takes() -> None:
    assert deeds("x" * 5000 + "\n") == [Ask("x" * 4000)]


def shown(*, terminal: bool = False, **events: Any) -> str:
    console = Console(force_terminal=terminal, width=200, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.file, TalkScreen(console, muted=False) as screen:
        for event in events.get("told", ()):
            screen.told(event)
        for turn in events.get("over", ()):
            screen.turn_over(turn)
    return console.export_text()


def test_a_turn_that_is_over_stays_with_its_documents_and_its_latency() -> None:
    turn = Report("how warm?", "Thirty-three degrees.", status="cancelled")
    turn.context = {"outcome": "waited", "waited_ms": 12, "passages": [{"title": "Brooding", "source": "s"}]}
    turn.timestamps = {"sound_ended": 1.0, "committed": 1.5, "heard": 1.7}
    text = shown(over=[turn])
    assert "You        how warm?" in text
    assert "Brooding (waited, waited 12 ms)" in text
    assert "Thirty-three degrees. — interrupted" in text
    assert "you stopped → heard 700 ms · question → heard 200 ms" in text


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"type": "error", "error": {"code": "idle", "message": "Nobody spoke."}}, "Nobody spoke."),
        ({"type": "session.expiring", "seconds_left": 60}, "60 seconds are left."),
        ({"type": "budget.warning", "scope": "day", "spent_usd": 8.0, "limit_usd": 10.0}, "8.00 of 10.00 USD"),
        ({"type": "session.recovering"}, "lost; reconnecting"),
        ({"type": "session.waiting", "seconds": 16}, "nothing for 16 seconds"),
    ],
)
def test_what_happens_to_the_session_is_said_in_words(event: dict[str, Any], words: str) -> None:
    assert words in shown(told=[event])


def test_a_session_that_is_described_needs_no_words() -> None:
    assert shown(told=[{"type": "session.updated", "session": {}}]) == ""


# The command itself, as a user meets it: in a terminal, with a sound library that says what the test wants.

_LIBRARY = """
import threading
class PortAudioError(Exception): ...
class _Default: device = (0, 1)
default = _Default()
_ALL = [dict(name="Desk microphone", max_input_channels=1, max_output_channels=0),
        dict(name="Headphones", max_input_channels=0, max_output_channels=2)]
def query_devices(device=None, kind=None):
    if kind is None: return _ALL
    if isinstance(device, str) and not any(device.lower() in each["name"].lower() for each in _ALL):
        raise ValueError(f"No {kind} device matching {device!r}")
    return _ALL[0 if kind == "input" else 1]
def check_input_settings(**given): pass
def check_output_settings(**given):
    if given["device"] == 7: raise PortAudioError("Invalid sample rate")
class _When: outputBufferDacTime, currentTime = 5.01, 5.0
class _Stream:
    latency = 0.01
    def __init__(self, **given):
        self.given, self.thread = given, threading.Thread(target=self.run, daemon=True)
        self.closed = threading.Event()
    def start(self): self.thread.start()
    def close(self): self.closed.set()
    def run(self):
        while not self.closed.wait(0.02):
            self.given["callback"](bytearray(960), 480, _When, None)
RawInputStream = RawOutputStream = _Stream
"""


@pytest.fixture
def library(tmp_path: Path) -> dict[str, str]:
    """An environment in which the sound library is one that the test wrote."""
    (tmp_path / "sounddevice.py").write_text(_LIBRARY)
    return {**os.environ, "PYTHONPATH": str(tmp_path), "COLUMNS": "120"}


def run(environ: dict[str, str], *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "voice_trio.cli", "talk", *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_devices_are_listed_with_the_numbers_they_are_asked_for_by(library: dict[str, str]) -> None:
    code, text = run(library, "--list-devices")
    assert code == 0
    assert [line.split()[:2] for line in text.splitlines()[1:]] == [["0", "Desk"], ["1", "Headphones"]]
    assert "default microphone" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--input", "nonsense"), "no microphone is called 'nonsense'; --list-devices shows the devices"),
        (("--output", "nonsense"), "no loudspeaker is called 'nonsense'"),
        (("--output", "7"), "the loudspeaker does not support 24 kHz mono: Invalid sample rate"),
        (("--url", "ws://127.0.0.1:9/v1/ws/voice"), "cannot reach ws://127.0.0.1:9/v1/ws/voice"),
    ],
)
def test_what_stands_in_the_way_is_said_before_a_session_is_begun(
    library: dict[str, str], arguments: tuple[str, ...], words: str
) -> None:
    code, text = run(library, *arguments)
    assert code == 1
    assert words in text
    assert "Traceback" not in text


def test_a_muted_microphone_need_not_exist(library: dict[str, str]) -> None:
    _, text = run(library, "--mute", "--input", "nonsense", "--url", "ws://127.0.0.1:9/v1/ws/voice")
    assert "cannot reach" in text


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("raise OSError('PortAudio library not found')", "PortAudio is not on this machine"),
        ("raise ImportError('no module')", "pip install 'voice-trio[talk]'"),
    ],
)
def test_without_the_library_it_says_what_to_install(tmp_path: Path, fault: str, words: str) -> None:
    (tmp_path / "sounddevice.py").write_text(fault)
    code, text = run({**os.environ, "PYTHONPATH": str(tmp_path)}, "--list-devices")
    assert code == 1
    assert words in text
    assert "Traceback" not in text


class Terminal:
    """A user's terminal with the command in it."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._descriptor = descriptor
        self._shown = ""

    def types(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def shows(self, words: str, *, seconds: float = 20.0) -> None:
        """Waits for words; colours and the cursor's travels are left out."""
        gives_up_at = time.monotonic() + seconds
        while words not in self._shown:
            ready, _, _ = select.select([self._descriptor], [], [], max(0.0, gives_up_at - time.monotonic()))
            assert ready, f"{words!r} was not shown, but: {self._shown[-800:]}"
            self._shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(self._descriptor, 65536).decode())

    def has_echo(self) -> bool:
        return bool(termios.tcgetattr(self._descriptor)[3] & termios.ECHO)


@contextmanager
def terminal(environ: dict[str, str], *arguments: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "voice_trio.cli", "talk", *arguments]
    environ = {**environ, "TERM": "xterm"}
    with subprocess.Popen(
        command, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as process:
        try:
            yield Terminal(ours, process)
        finally:
            process.kill()
            os.close(ours)
            os.close(theirs)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A gateway with an automatic model behind it: its address, and the process that logs."""
    with running_gateway(tmp_path, answer_ms=4000) as gateway:
        yield gateway.url, gateway.process


@pytest.mark.parametrize("leaving", ["ctrl-c", "ctrl-d", "terminated"])
def test_a_conversation_by_hand_and_every_way_to_leave_it(
    library: dict[str, str], gateway: tuple[str, subprocess.Popen[str]], leaving: str
) -> None:
    address, server = gateway
    with terminal(library, "--url", address, "--token", token()) as user:
        user.shows("Enter or Esc interrupts")
        assert not user.has_echo()
        user.types("how warm must it be?")
        user.shows("› how warm must it be?")
        user.types("\n")
        user.shows("Assistant")
        user.types("\x1b")
        user.shows("interrupted")
        if leaving == "ctrl-d":
            user.types("\x04")
        else:
            user.process.send_signal(signal.SIGINT if leaving == "ctrl-c" else signal.SIGTERM)
        assert user.process.wait(10) == 0
        assert user.has_echo()
    assert server.stdout is not None
    ended = next(line for line in server.stdout if "session_ended" in line)
    assert "client_ended" in ended


def test_a_refusal_is_told_in_the_gateways_words(
    library: dict[str, str], gateway: tuple[str, subprocess.Popen[str]]
) -> None:
    code, text = run(library, "--url", gateway[0], "--token", "nonsense")
    assert code == 1
    assert "refused: " in text
    assert "Traceback" not in text
