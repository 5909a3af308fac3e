"""How often a sidecar is asked for: not again after its attempts, while the conversation has an upstream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.session_fixture import SESSION_CONFIG, SessionFixture
from voice_trio.errors import ModelRefused, ModelUnavailable

if TYPE_CHECKING:
    from trio.testing import MockClock

    from voice_trio.net.link import Link


class AwaySidecar(SessionFixture):
    error = ModelUnavailable("away")
    dialled = 0

    async def _dial_transcriber(self, nursery: trio.Nursery) -> Link:
        await trio.lowlevel.checkpoint()
        self.dialled += 1
        raise self.error


@pytest.mark.parametrize(
    ("error", "attempts"),
    [(ModelUnavailable("away"), SESSION_CONFIG.retry.attempts_max), (ModelRefused("invalid_api_key"), 1)],
)
async def test_a_sidecar_that_cannot_be_had_is_asked_for_no_more(
    autojump_clock: MockClock, nursery: trio.Nursery, error: ModelUnavailable, attempts: int
) -> None:
    session = AwaySidecar(nursery, sidecar="on")
    session.error = error
    await session.ready()
    await trio.sleep(100.0)
    assert (session.dialled, session.under_test.summary.sidecar) == (attempts, False)
