"""Fixtures for tests in a browser: Debian's Chromium with a recording as its microphone, and gateways."""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.support.browser_driver import CHROMIUM, BrowserDriver, Browsers, running_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Playwright

    from tests.support.browser_driver import BrowserGateway, StartGateway


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
    with running_gateway(tmp_path_factory.mktemp("stage"), answer_ms=800) as started:
        yield started


@pytest.fixture
def start_gateway(tmp_path: Path) -> StartGateway:
    """Starts gateways: `with start_gateway(answer_ms=…, port=…, VARIABLE="…") as gateway`."""
    return partial(running_gateway, tmp_path)


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
