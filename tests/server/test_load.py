"""The deployed tasks watch how late the process is, and close and open the door by it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest
import structlog.testing
import trio
import trio.testing

from tests.support.gateway_fixture import make_gateway
from voice_trio import limits
from voice_trio.server.process import watch_load
from voice_trio.web.live_sessions import LiveSessions

if TYPE_CHECKING:
    from trio.testing import MockClock

    from voice_trio.session.session import Session


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


@dataclass(eq=False)
class WaitingSession:
    """A session as far as it is asked since when its oldest frame waits."""

    unsent_since: float | None


@pytest.mark.parametrize(
    ("waiting", "flowing", "share"), [(1, 0, 0.1), (3, 0, 0.3), (2, 1, 0.2), (10, 10, 0.5), (0, 20, 0.0)]
)
def test_a_share_of_sessions_waits_and_few_slow_clients_are_no_share(waiting: int, flowing: int, share: float) -> None:
    now, live = 100.0, LiveSessions()
    early, late = now - 1.1 * limits.UNSENT_SECONDS_MAX, now - 0.9 * limits.UNSENT_SECONDS_MAX
    since = [early] * waiting + [None if number % 2 else late for number in range(flowing)]
    with ExitStack() as stack:
        for at in since:
            stack.enter_context(live.track(cast("Session", WaitingSession(at))))
        assert live.unsent_share(now) == share
