"""The stage, set on virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.session_fixture import Stage

if TYPE_CHECKING:
    import trio
    import trio.testing


@pytest.fixture
async def stage(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> Stage:
    """A session that is about to connect; time passes only when everybody waits."""
    return Stage(nursery)
