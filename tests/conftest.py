"""Hooks for the whole suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import structlog

from tests.support.redis_servers import NOT_TESTED, require_redis_server

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


# These tests run on real clocks, sockets and processes, on machines that do other work as well. One that fails is run a
# second time, and the summary names it. Tests on virtual time run once: there a failure is a bug.
SERVICES = ("auth", "billing", "knowledge", "observability", "state")
REAL_CLOCKS = (
    "browser",
    "cli",
    "conformance",
    "deploy",
    "embedded",
    "examples",
    "net",
    "sdk",
    "spoken",
    "wire",
    *SERVICES,
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    folders = [config.rootpath / "tests" / name for name in REAL_CLOCKS]
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in folders):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture
def redis_is_here() -> None:
    """For tests that start their servers themselves."""
    require_redis_server()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Without redis-server the summary says so in one line, not in one for each test that is skipped."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple) and NOT_TESTED in report.longrepr[2]:
        report.longrepr = ("tests/support/redis_servers.py", 1, report.longrepr[2])
    return report


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A server that a test runs in this process sets up the logs; the next test finds them as they were."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
