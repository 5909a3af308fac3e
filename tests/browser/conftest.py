"""A person at a browser: Debian's Chromium with a recording for a microphone, and a gateway to point it at."""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.browser_driver import CHROMIUM, Browsers, Desk, Stage, serving
from tests.support.deployment import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from playwright.sync_api import Playwright


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    api = pytest.importorskip("playwright.sync_api", reason="SKIPPED LOUDLY: playwright is not installed")
    if not shutil.which(CHROMIUM):
        pytest.skip("SKIPPED LOUDLY: no chromium on this machine (apt-get install chromium); no page was tried")
    with api.sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One gateway for all tests of a file that want nothing special of it and are refused nothing by it."""
    port = free_port()
    command = [sys.executable, "-m", "tests.support.browser_fixture", str(tmp_path_factory.mktemp("stage"))]
    command += ["--bind", f"127.0.0.1:{port}", "--answer-ms", "800"]
    with serving(command, {}, '{"port"') as (process, _):
        yield Stage(port, process)


@pytest.fixture
def stage(tmp_path: Path) -> Callable[..., AbstractContextManager[Stage]]:
    """Starts gateways: `with stage(answer_ms=…, port=…, VARIABLE="…") as it`."""

    @contextmanager
    def start(*, answer_ms: int = 3000, port: int = 0, **variables: str) -> Iterator[Stage]:
        port = port or free_port()
        command = [sys.executable, "-m", "tests.support.browser_fixture", str(tmp_path)]
        command += ["--bind", f"127.0.0.1:{port}", "--answer-ms", str(answer_ms)]
        with serving(command, variables, '{"port"') as (process, _):
            yield Stage(port, process)

    return start


@pytest.fixture(scope="module")
def browsers(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsers]:
    it = Browsers(playwright, tmp_path_factory.mktemp("browsers"))
    yield it
    it.close()


@pytest.fixture
def desk(browsers: Browsers) -> Iterator[Desk]:
    it = Desk(browsers)
    yield it
    it.leave()
