"""Targets for SDKs: a gateway with or without TLS, and the packages for JavaScript."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.browser_driver import CHROMIUM
from tests.support.node import package_cache
from tests.support.sdk_gateway import sdk_target
from tests.support.sdk_node import prepared_packages

pytest.register_assert_rewrite("tests.support.sdk_expectations")  # so that its assertions show their values

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.sdk_gateway import SdkTarget


@pytest.fixture
async def plain(tmp_path: Path) -> AsyncIterator[SdkTarget]:
    async with sdk_target(tmp_path) as it:
        yield it


@pytest.fixture
async def behind_tls(tmp_path: Path) -> AsyncIterator[SdkTarget]:
    """For npm's `openai`, which takes nothing else."""
    async with sdk_target(tmp_path, tls=True) as it:
        yield it


@pytest.fixture(scope="session")
def packages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where OpenAI's packages for JavaScript are; the first time this fetches them."""
    return prepared_packages(package_cache(request, tmp_path_factory))


@pytest.fixture
def chromium() -> None:
    """Skips, loudly, where there is none. Not in the test itself: within Trio the reason would be lost."""
    pytest.importorskip("playwright.sync_api", reason="SKIPPED LOUDLY: playwright is not installed")
    if not shutil.which(CHROMIUM):
        pytest.skip("SKIPPED LOUDLY: no chromium on this machine (apt-get install chromium); no page was tried")
