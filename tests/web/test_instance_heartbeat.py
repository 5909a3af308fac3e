"""A gateway announces itself regularly, at once when it drains, and withdraws at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from tests.support.gateway_fixture import make_gateway
from voice_trio import limits
from voice_trio.web.instance_heartbeat import InstanceHeartbeat

if TYPE_CHECKING:
    from trio.testing import MockClock


async def test_who_is_there_says_so_again_and_again_and_at_once_when_it_drains(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    gateway = make_gateway(nursery)
    attendance = InstanceHeartbeat(gateway)
    nursery.start_soon(attendance.run)
    await trio.sleep(3.5 * limits.ANNOUNCE_INTERVAL_SECONDS)
    (one,) = await gateway.state.instances()
    assert (one.instance, one.active, one.places, one.worker) == (gateway.state.instance, 0, 5, None)
    assert one.seen_seconds == limits.ANNOUNCE_INTERVAL_SECONDS / 2
    assert not one.draining
    gateway.drain()
    await trio.sleep(0.01)
    (one,) = await gateway.state.instances()
    assert one.draining
    assert one.seen_seconds < 0.1
    await trio.sleep(limits.ANNOUNCE_INTERVAL_SECONDS)
    assert len(await gateway.state.instances()) == attendance.known == 1


async def test_who_ends_is_there_no_longer(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    gateway = make_gateway(nursery)
    async with trio.open_nursery() as running:
        running.start_soon(InstanceHeartbeat(gateway).run)
        await trio.sleep(1)
        assert len(await gateway.state.instances()) == 1
        running.cancel_scope.cancel()
    assert await gateway.state.instances() == ()
