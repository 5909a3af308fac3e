"""Who stands ready for an SDK: a gateway, plain or behind TLS, and the packages for JavaScript."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.sdk.gateway import desk
from tests.sdk.node import prepared_packages

pytest.register_assert_rewrite("tests.sdk.expectations")  # so that what fails says what it saw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.sdk.gateway import Desk


@pytest.fixture
async def plain(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(tmp_path) as it:
        yield it


@pytest.fixture
async def behind_tls(tmp_path: Path) -> AsyncIterator[Desk]:
    """For npm's `openai`, which takes nothing else."""
    async with desk(tmp_path, tls=True) as it:
        yield it


@pytest.fixture(scope="session")
def packages(request: pytest.FixtureRequest) -> Path:
    """Where OpenAI's packages for JavaScript are; the first time this fetches them."""
    config: Any = request.config
    return prepared_packages(config.cache.mkdir("sdk"))
