"""The deployed tasks watch how late the process is, and close and open the door by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog.testing
import trio
import trio.testing

from tests.support.gateway_fixture import make_gateway
from voice_trio import limits
from voice_trio.server.process import watch_load

if TYPE_CHECKING:
    from trio.testing import MockClock


async def test_the_door_closes_while_the_loop_is_late_and_opens_when_that_is_over(
    mock_clock: MockClock, nursery: trio.Nursery
) -> None:
    gateway = make_gateway(nursery)
    nursery.start_soon(watch_load, gateway)
    with structlog.testing.capture_logs() as logs:
        seen = [gateway.health.unready]
        for late in (2 * limits.LAG_SECONDS_MAX, 0.0):
            for _ in range(limits.LAG_SAMPLES):
                await trio.testing.wait_all_tasks_blocked()
                mock_clock.jump(limits.LAG_SAMPLE_SECONDS + late)
            await trio.testing.wait_all_tasks_blocked()
            seen.append(gateway.health.unready)
    assert seen == [None, "overloaded", None]
    assert [entry["event"] for entry in logs] == ["overloaded", "overload_over"]
