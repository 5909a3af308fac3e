"""Announces this process in the shared state every 10 s, and at once when it drains; withdraws it at the end."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.observability.prometheus import GaugeMerge
from voice_trio.state.instance_registry import InstanceInfo

if TYPE_CHECKING:
    from typing import Never

    from voice_trio.web.gateway import Gateway


class InstanceHeartbeat:
    """The heartbeat of one gateway; `run` is its task."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._host = socket.gethostname()
        self._known = 1
        gateway.statistics.metrics.gauge(
            "instances", "Processes that share the state.", lambda: float(self._known), GaugeMerge.MAXIMUM
        )

    @property
    def known(self) -> int:
        """How many processes there were at the last heartbeat."""
        return self._known

    async def run(self) -> Never:
        """Announce until cancelled, then withdraw."""
        state, capacity = self._gateway.state, self._gateway.capacity
        try:
            while True:
                was_draining = capacity.is_draining
                self._gateway.statistics.sample_active()
                self._known = len(await state.announce(self._instance_info()))
                with trio.move_on_after(limits.ANNOUNCE_INTERVAL_SECONDS):
                    if not was_draining:
                        await capacity.wait_draining()
                        continue
                    await trio.sleep_forever()
        finally:
            with trio.move_on_after(limits.DISCONNECT_SECONDS_MAX, shield=True):
                await state.withdraw()

    def _instance_info(self) -> InstanceInfo:
        gateway = self._gateway
        return InstanceInfo(
            instance=gateway.state.instance,
            host=self._host,
            pid=os.getpid(),
            worker=gateway.peers.slot if gateway.peers.count > 1 else None,
            version=gateway.settings.observability.app_version,
            started=gateway.statistics.started_at,
            active=len(gateway.live),
            places=gateway.capacity.places_max,
            draining=gateway.capacity.is_draining,
            loop_lag_ms=round(gateway.statistics.lag.seconds * 1000, 1),
        )
