"""A task beside the sessions that fails is logged and runs again; it never ends what runs beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from structlog.testing import capture_logs

from voice_trio import limits
from voice_trio.net.background import contain, keep_running

if TYPE_CHECKING:
    from trio.testing import MockClock


class Failing:
    """A task that fails `times` times, each time `after` seconds from its start, and then returns."""

    def __init__(self, times: int, after: float = 0.0, error: BaseException | None = None) -> None:
        self.began_at: list[float] = []
        self._times = times
        self._after = after
        self._error = error or RuntimeError("broken")

    async def run(self) -> None:
        self.began_at.append(trio.current_time())
        await trio.sleep(self._after)
        if len(self.began_at) <= self._times:
            raise self._error


async def test_a_task_that_fails_runs_again_after_pauses_that_grow_F58(autojump_clock: MockClock) -> None:
    task, began_at = Failing(times=7), trio.current_time()
    with capture_logs() as logged:
        await keep_running(task.run)
    assert [at - began_at for at in task.began_at] == [0, 1, 3, 7, 15, 31, 61, 91]
    assert [(line["event"], line["task"]) for line in logged] == [("background_task_failed", "Failing.run")] * 7
    assert isinstance(logged[0]["exc_info"], RuntimeError)


async def test_a_long_run_resets_the_pause(autojump_clock: MockClock) -> None:
    task, began_at = Failing(times=3, after=limits.BACKGROUND_PROVEN_SECONDS + 1), trio.current_time()
    with capture_logs():
        await keep_running(task.run)
    assert [at - began_at for at in task.began_at] == [0, 62, 124, 186]


async def test_several_failures_of_one_task_are_one_line_F58(autojump_clock: MockClock) -> None:
    async def two_children_fail() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Failing(1).run)
            nursery.start_soon(Failing(1, error=OSError("gone")).run)

    with capture_logs() as logged:
        assert not await contain(two_children_fail)
    assert len(logged) == 1


async def test_cancellation_ends_it_also_while_a_child_fails(autojump_clock: MockClock) -> None:
    async def fails_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("at the end")

    with capture_logs() as logged, trio.move_on_after(5) as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_running, fails_when_cancelled)
            nursery.start_soon(keep_running, Failing(1, after=100).run)
    assert scope.cancelled_caught
    assert [line["event"] for line in logged] == ["background_task_failed"]


async def test_what_is_no_failure_of_the_task_passes(autojump_clock: MockClock) -> None:
    with pytest.raises(SystemExit):
        await keep_running(Failing(1, error=SystemExit()).run)
