"""The type checker proves the dispatch: on a copy, an event routed to the wrong handler or to none fails mypy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import voice_trio

PACKAGE = Path(voice_trio.__file__).parent
MANAGED, PASSTHROUGH = "managed/conversation.py", "passthrough/conversation.py"
MYPY_SECONDS_MAX = 180.0

# Module, what stands there, what stands there instead, and the event that then goes to the wrong handler or to none.
MISTAKES = [
    (MANAGED, "self._on_speech_stopped(event)", "self._on_speech_started(event)", "SpeechStopped"),
    (MANAGED, "case events.TranscriptFailed():", "case events.AudioCleared():", "TranscriptFailed"),
    ("managed/failures.py", "case events.UpstreamLost():", "case events.UpstreamReady():", "UpstreamLost"),
    (MANAGED, "case events.CommitOverdue():", "case events.WaitOver():", "CommitOverdue"),
    ("managed/response_handlers.py", "case events.FunctionCalled():", "case events.ResponseDone():", "FunctionCalled"),
    (PASSTHROUGH, "self._on_speech_stopped(event)", "self._on_speech_started(event)", "SpeechStopped"),
    (PASSTHROUGH, "case events.SearchFailed():", "case events.AudioSent():", "SearchFailed"),
    (PASSTHROUGH, "case events.ResponseStalled():", "case events.WaitOver():", "ResponseStalled"),
    (
        "passthrough/response_handlers.py",
        "case events.ResponseDone():",
        "case events.FunctionCalled():",
        "ResponseDone",
    ),
    (
        "passthrough/request_handlers.py",
        "case requests.ItemDeleteRequested():",
        "case requests.ForwardedEvent():",
        "ItemDeleteRequested",
    ),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pure core in a package of its own, which mypy has found right."""
    root = tmp_path_factory.mktemp("copy")
    package = root / "voice_trio"
    shutil.copytree(PACKAGE / "conversation", package / "conversation", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__init__.py").touch()
    for module in ("errors.py", "limits.py"):  # all that the core imports of the package
        shutil.copy(PACKAGE / module, package / module)
    (root / "mypy.ini").write_text("[mypy]\nstrict = True\n")
    assert check(root) == ""
    return root


@pytest.fixture(scope="module")
def complaints(copy: Path) -> str:
    """What mypy says of the copy with all the mistakes in it."""
    for name, right, wrong, _ in MISTAKES:
        path = copy / "voice_trio" / "conversation" / name
        text = path.read_text()
        assert text.count(right) == 1
        path.write_text(text.replace(right, wrong))
    return check(copy)


@pytest.mark.timeout(2 * MYPY_SECONDS_MAX)
@pytest.mark.parametrize(("name", "event"), [(name, event) for name, _, _, event in MISTAKES])
def test_an_event_that_goes_to_the_wrong_handler_or_to_none_fails_mypy(complaints: str, name: str, event: str) -> None:
    in_module = [line for line in complaints.splitlines() if f"/{name}:" in line]
    wrong_type = re.compile(rf'has incompatible type "(?:[^"]* )?{event}(?: [^"]*)?"; expected')
    assert [line for line in in_module if wrong_type.search(line)]


def check(root: Path) -> str:
    """mypy's complaints about the copy, strict; its cache stands beside it."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir", str(root / "cache")]
    done = subprocess.run(  # our own interpreter, and paths of ours
        [*command, "-p", "voice_trio.conversation"],
        cwd=root,
        env={**os.environ, "MYPYPATH": str(root), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=MYPY_SECONDS_MAX,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout
