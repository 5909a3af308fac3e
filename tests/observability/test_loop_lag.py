"""The event loop's lag is measured in short samples, and its tail is known."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.observability.loop_lag import LoopLag

if TYPE_CHECKING:
    from trio.testing import MockClock


def test_one_late_step_is_the_longest_lag_and_not_the_tail() -> None:
    lag = LoopLag()
    lag.note(0.8)
    assert (lag.seconds, lag.percentiles()) == (0.8, (0.0, 0.0))


def test_the_tail_is_known_long_before_the_median() -> None:
    lag = LoopLag()
    for number in range(limits.LAG_SAMPLES):
        lag.note(0.04 if number % 10 == 0 else 0.001)
    assert lag.percentiles() == (0.001, 0.04)


async def test_the_samples_cover_five_seconds(autojump_clock: MockClock) -> None:
    lag = LoopLag()
    lag.note(0.8)
    for _ in range(limits.LAG_SAMPLES - 1):
        await lag.sample()
    assert (round(trio.current_time(), 3), lag.seconds) == (4.95, 0.8)
    await lag.sample()
    assert lag.seconds == 0.0


async def test_what_blocks_the_loop_is_measured(nursery: trio.Nursery) -> None:
    lag = LoopLag()
    nursery.start_soon(lag.sample)
    await trio.sleep(0.01)
    time.sleep(0.3)  # noqa: ASYNC251  # that is what is measured
    await trio.sleep(0.01)
    assert 0.2 < lag.seconds < 2
