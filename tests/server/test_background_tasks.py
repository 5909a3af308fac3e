"""A background task of the process that meets an error of any kind is logged, and the sessions go on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import trio
from structlog.testing import capture_logs

from tests.support.gateway_fixture import make_gateway
from voice_trio.server.process import start_background_tasks
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.rollout import first_rollout
from voice_trio.state.state import Quotas

if TYPE_CHECKING:
    from trio.testing import MockClock

    from voice_trio.settings import Settings
    from voice_trio.state.instance_registry import InstanceInfo
    from voice_trio.state.rollout import Rollout
    from voice_trio.state.session_claims import InstanceRequest


class DefectiveState(MemoryState):
    """A state whose announcements and rollout fail as no state should."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(Quotas.of(settings.limits), first_rollout(settings.access))

    async def announce(self, info: InstanceInfo) -> tuple[InstanceInfo, ...]:
        raise RuntimeError("deadlock detected by _ModuleLock")

    async def wait_request(self) -> InstanceRequest:
        raise MemoryError

    async def wait_rollout_change(self, known: Rollout) -> Rollout:
        raise KeyError("rollout")


async def test_failing_background_tasks_end_neither_the_process_nor_each_other_F58(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    gateway = make_gateway(nursery)
    gateway = replace(gateway, state=DefectiveState(gateway.settings))
    with capture_logs() as logged:
        start_background_tasks(gateway)
        await trio.sleep(10)
    failed = {line["task"] for line in logged if line["event"] == "background_task_failed"}
    assert failed == {"InstanceHeartbeat.run", "follow_requests", "follow_rollout"}
    assert gateway.statistics.lag.percentiles() == (0, 0)  # that task runs on
    nursery.cancel_scope.cancel()
