"""A knowledge base, a folder of documents, `voice-trio knowledge` on them, and a Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from tests.support.redis_servers import RedisServer, redis_server
from voice_trio.cli.knowledge import knowledge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "data" / "base.sqlite3"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two documents."""
    place = tmp_path / "docs"
    place.mkdir()
    (place / "hens.md").write_text("# Hens\nHens drink water from zanzibar.\n")
    (place / "ducks.md").write_text("# Ducks\nDucks swim.\n")
    return place


@pytest.fixture
def run(base: Path) -> Callable[..., Result]:
    """Runs a command on a base of its own."""

    def run(*arguments: str | Path, **how: str) -> Result:
        return CliRunner().invoke(knowledge, [str(a) for a in arguments], env={"KNOWLEDGE_PATH": str(base)}, **how)  # type: ignore[arg-type] # input

    return run


@pytest.fixture(scope="module")
def redis_of_module() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def redis(redis_of_module: RedisServer) -> RedisServer:
    """Empty: a test that is run again must not find the instances of its first run."""
    redis_of_module.do("FLUSHALL")
    return redis_of_module
