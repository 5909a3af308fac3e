"""The example of docs/clients.md is a program: it is run as it stands there, against a gateway."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.browser_driver import running_gateway
from tests.support.deployment import token

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A gateway with an automatic model behind it."""
    with running_gateway(tmp_path_factory.mktemp("gateway"), answer_ms=500) as gateway:
        yield gateway.url


def run_example(url: str, token: str) -> str:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    environ = {**os.environ, "VOICE_URL": url, "VOICE_TOKEN": token}
    done = subprocess.run(
        [sys.executable, "-c", example], env=environ, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_asks_and_is_answered(url: str) -> None:
    documents, answer, closed = run_example(url, token()).splitlines()
    assert "Brooding" in documents
    assert len(answer) > len("answer: ")
    assert "Session ended" in closed


def test_the_example_tells_why_it_was_refused(url: str) -> None:
    assert run_example(url, "nonsense").startswith("refused: token_invalid")
