"""Who is there, through Redis; while it is away, this process alone. Nothing is decided by it, so nothing is owed."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from voice_trio.state.instance_registry import OwnInstance
from voice_trio.state.redis.driver import RedisFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.state.instance_registry import InstanceInfo
    from voice_trio.state.redis.connection import RedisConnection
    from voice_trio.state.redis.store import RedisStore


class RedisInstanceRegistry:
    """The part of `State` that knows who is there."""

    def __init__(self, line: RedisConnection, store: RedisStore, instance: str, clock: Callable[[], float]) -> None:
        self._line = line
        self._store = store
        self._instance = instance
        self._own = OwnInstance(clock)

    async def announce(self, presence: InstanceInfo) -> tuple[InstanceInfo, ...]:
        """This process is there; returns who is."""
        self._own.say(presence)
        try:
            return await self._line.ask(self._store.announce, self._instance, presence)
        except RedisFailed:
            return self._own.present

    async def present(self) -> tuple[InstanceInfo, ...]:
        """Who is there."""
        try:
            return await self._line.ask(self._store.announce, self._instance, None)
        except RedisFailed:
            return self._own.present

    async def withdraw(self) -> None:
        """This process ends; if Redis cannot be told, it finds out within 30 s."""
        self._own.forget()
        with suppress(RedisFailed):
            await self._line.ask(self._store.withdraw, self._instance)
