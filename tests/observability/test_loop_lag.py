"""The event loop's lag: reported at once, and an overload only if it lasts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import trio

from tests.support.gateway_fixture import make_gateway
from voice_trio import limits
from voice_trio.observability.loop_lag import LoopLag

if TYPE_CHECKING:
    from trio.testing import MockClock


def test_one_late_look_is_told_and_not_yet_overload() -> None:
    lag = LoopLag()
    lag.note(0.8)
    assert lag.seconds == 0.8
    assert not lag.is_overloaded


async def test_a_loop_that_is_always_late_takes_no_new_sessions(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    gateway = make_gateway(nursery)
    await trio.lowlevel.checkpoint()
    was_ready = gateway.health.unready
    for _ in range(limits.LAG_SAMPLES // 2 + 1):
        gateway.statistics.lag.note(2 * limits.LAG_SECONDS_MAX)
    assert (was_ready, gateway.health.unready, gateway.health.is_ready) == (None, "overloaded", False)


async def test_what_blocks_the_loop_is_measured(nursery: trio.Nursery) -> None:
    lag = LoopLag()
    nursery.start_soon(lag.run)
    await trio.sleep(0.1)
    time.sleep(0.7)  # noqa: ASYNC251  # that is what is measured
    await trio.sleep(0.1)
    assert 0.2 < lag.seconds < 2
