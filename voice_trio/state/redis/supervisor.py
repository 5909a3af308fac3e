"""Keeps the line to Redis: notices when it is lost, tries again with growing pauses, and tells what was missed.

    keep
    ├─ keep_line      up: look every 3 s; down: probe, tell everything, then up
    └─ hear_news      twice a second: another rollout, sessions wanted elsewhere

The line comes up only in an instant in which there is nothing left to tell, so no decision is made by a Redis that
knows less than this instance.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog
import trio

from voice_trio.errors import StateUnavailable
from voice_trio.net.threads import Bulkhead
from voice_trio.state.redis.connection import CALL_SECONDS_MAX
from voice_trio.state.redis.driver import RedisFailed, RedisFault
from voice_trio.state.redis.pending_writes import Memory, WriteReplay

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voice_trio.state.redis.connection import RedisConnection
    from voice_trio.state.redis.driver import RedisDriver
    from voice_trio.state.redis.store import RedisStore

log = structlog.get_logger(__name__)

LOOK_EVERY_SECONDS = 3.0
LOOK_SECONDS_MAX = 6.0
"""For all of one look or probe; health is no older than this and a pause."""
PROBE_PAUSE_SECONDS = 0.25
PROBE_PAUSE_SECONDS_MAX = 3.0
NEWS_EVERY_SECONDS = 0.5
WANTED_MAX = 1_000
ROLLOUT_RENEWED_EVERY = 3_600


class ServersMet:
    """Which servers may be spoken to: those that were told everything. Used by worker threads, one writer."""

    def __init__(self) -> None:
        self._known: frozenset[str] = frozenset()
        self._met: set[str] = set()
        self._is_meeting = True

    def admits(self, run_id: str) -> bool:
        """Whether this server was told everything."""
        return run_id in self._known

    def note(self, run_id: str) -> bool:
        """Whether the probe may speak to it: who comes later than the meeting may have been told only a part."""
        if self._is_meeting:
            self._met.add(run_id)
        return run_id in self._met

    def begin(self) -> None:
        """A probe begins; nobody has been met by it."""
        self._met.clear()
        self._is_meeting = True

    def end_meeting(self) -> None:
        """Those who were met are told everything now."""
        self._is_meeting = False

    def trust(self) -> None:
        """Those whom the probe met were told everything."""
        self._known = frozenset(self._met)


class RedisSupervisor:
    """`probing` is a driver of its own: more patient than calls are, and open to servers not met before."""

    def __init__(
        self,
        line: RedisConnection,
        working: RedisDriver,
        probing: RedisDriver,
        store: Callable[[RedisDriver], RedisStore],
        servers: ServersMet,
        memory: Memory,
        backoff_factor: float,
    ) -> None:
        self._line = line
        self._working = working
        self._probing = probing
        self._store = store(working)
        self._patient_store = store(probing)
        self._servers = servers
        self._memory = memory
        self._backoff_factor = backoff_factor
        self._threads = Bulkhead(2)
        self._payments = WriteReplay(memory, self._patient_store, self._threads)
        self._wanted, self.wanted = trio.open_memory_channel[str](WANTED_MAX)
        self.info: dict[str, Any] = {}
        """What Redis said of itself when it was last looked at."""

    async def keep(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; started once Redis was looked at for the first time."""
        await self._try_again()
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._keep_line)
            nursery.start_soon(self._hear_news)

    async def settle(self) -> None:
        """Tell what can be told before the process ends; the caller bounds it."""
        if self._line.is_up:
            await self._naming_faults(self._payments.pay)

    async def _keep_line(self) -> None:
        pause = 0.0  # a restarted server is back at once
        while True:
            if self._line.is_up:
                pause = 0.0
                with trio.move_on_after(LOOK_EVERY_SECONDS):
                    await self._line.wait_down()
                if self._line.is_up:
                    await self._naming_faults(self._look)
            else:
                await trio.sleep(pause)
                pause = min(max(pause * self._backoff_factor, PROBE_PAUSE_SECONDS), PROBE_PAUSE_SECONDS_MAX)
                await self._try_again()

    async def _try_again(self) -> None:
        await self._naming_faults(self._probe)
        if self._line.is_up:
            log.info("redis_up", version=self.info.get("redis_version"))
            await self._naming_faults(self._payments.pay)

    async def _naming_faults(self, something: Callable[[], Awaitable[None]]) -> None:
        """Whatever fails takes the line down, under the name that fits best."""
        try:
            await something()
        except RedisFailed as failed:
            self._line.go_down(failed.fault)

    async def _look(self) -> None:
        await self._measure()
        await self._payments.pay()

    async def _probe(self) -> None:
        self._servers.begin()
        await self._measure(is_first=True)
        self._servers.end_meeting()
        self._payments.owe_everything()
        await self._offer_rollout()
        await self._threads.read(self._working.reset)
        while self._memory.debts.weigh_on_decisions:
            await self._payments.pay_decisions()
        # Nothing may be awaited between the last debt and this.
        self._servers.trust()
        self._line.come_up()

    async def _measure(self, *, is_first: bool = False) -> None:
        """That Redis can be written to, and fast enough; what it says of itself."""
        with trio.move_on_after(LOOK_SECONDS_MAX) as patience:
            if is_first:
                await self._threads.read(self._probing.reset)
            await self._threads.read(self._probing.meet)
            self.info = await self._threads.read(self._patient_store.info)
            if await self._threads.read(self._patient_store.probe, self._memory.instance) > CALL_SECONDS_MAX:
                raise RedisFailed(RedisFault.SLOW)
        if patience.cancelled_caught:
            raise RedisFailed(RedisFault.SLOW)

    async def _offer_rollout(self) -> None:
        board = self._memory.board
        board.post(await self._threads.read(self._patient_store.offer_rollout, board.current))

    async def _hear_news(self) -> None:
        renewed_at = trio.current_time()
        while True:
            await trio.sleep(NEWS_EVERY_SECONDS)
            try:
                version, wanted = await self._line.ask(self._store.news, self._memory.instance)
                for session_id in wanted:
                    with suppress(trio.WouldBlock):  # it is asked for again
                        self._wanted.send_nowait(session_id)
                is_old = trio.current_time() - renewed_at > ROLLOUT_RENEWED_EVERY
                if version != self._memory.board.current.version or is_old:
                    offered = self._memory.board.current
                    self._memory.board.post(await self._line.ask(self._store.offer_rollout, offered))
                    renewed_at = trio.current_time()
            except StateUnavailable:
                pass  # the document known last stays in force
