"""Sessions of both protocols on virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.realtime_session_fixture import RealtimeSessionFixture
from tests.support.session_fixture import SessionFixture

if TYPE_CHECKING:
    import trio
    import trio.testing


@pytest.fixture
async def session(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> SessionFixture:
    """A session that is about to connect; time passes only while all tasks wait."""
    return SessionFixture(nursery)


@pytest.fixture
async def passthrough(autojump_clock: trio.testing.MockClock, nursery: trio.Nursery) -> RealtimeSessionFixture:
    """A session with a client of OpenAI's protocol that is about to connect."""
    return RealtimeSessionFixture(nursery)
