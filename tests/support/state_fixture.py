"""A state under a clock that tests move, for the contract that every kind of shared state keeps."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voice_trio.state.rollout import Rollout

if TYPE_CHECKING:
    from tests.support.redis_servers import RedisServer
    from voice_trio.state.state import State

ROLLOUT = Rollout(enabled=True, percent=100, beta_users=(), plans=("elite",), version=0)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Subject:
    """A state, and the clock that its limits go by."""

    state: State
    clock: Clock
    redis: RedisServer | None = None
    began: int = field(default_factory=lambda: int(time.time()) - 1000)  # now, not when tests were collected

    async def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        if self.redis is not None:
            unix = self.began + self.clock.now  # for Redis compares with when sessions started
            self.redis.do("SET", "voice:test:clock", str(round(unix * 1_000_000)))
