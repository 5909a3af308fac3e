"""Fixtures for tests in a browser: Debian's Chromium with a recording as its microphone, and gateways."""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.browser_driver import CHROMIUM, BrowserDriver, BrowserGateway, Browsers, running_process
from tests.support.deployment import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Playwright

    from tests.support.browser_driver import StartGateway


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    api = pytest.importorskip("playwright.sync_api", reason="SKIPPED LOUDLY: playwright is not installed")
    if not shutil.which(CHROMIUM):
        pytest.skip("SKIPPED LOUDLY: no chromium on this machine (apt-get install chromium); no page was tested")
    with api.sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserGateway]:
    """One gateway for all tests of a module that need no settings of their own and expect no refusal."""
    port = free_port()
    command = [sys.executable, "-m", "tests.support.browser_fixture", str(tmp_path_factory.mktemp("stage"))]
    command += ["--bind", f"127.0.0.1:{port}", "--answer-ms", "800"]
    with running_process(command, {}, '{"port"') as (process, _):
        yield BrowserGateway(port, process)


@pytest.fixture
def start_gateway(tmp_path: Path) -> StartGateway:
    """Starts gateways: `with start_gateway(answer_ms=…, port=…, VARIABLE="…") as gateway`."""

    @contextmanager
    def start(*, answer_ms: int = 3000, port: int = 0, **variables: str) -> Iterator[BrowserGateway]:
        port = port or free_port()
        command = [sys.executable, "-m", "tests.support.browser_fixture", str(tmp_path)]
        command += ["--bind", f"127.0.0.1:{port}", "--answer-ms", str(answer_ms)]
        with running_process(command, variables, '{"port"') as (process, _):
            yield BrowserGateway(port, process)

    return start


@pytest.fixture(scope="module")
def browsers(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsers]:
    it = Browsers(playwright, tmp_path_factory.mktemp("browsers"))
    yield it
    it.close()


@pytest.fixture
def driver(browsers: Browsers) -> Iterator[BrowserDriver]:
    it = BrowserDriver(browsers)
    yield it
    it.close()
