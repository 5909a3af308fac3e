"""Supervises the connection to Redis: checks it, reconnects with growing pauses, and replays pending writes.

    run
    ├─ _maintain      up: check every 3 s; down: probe, replay every pending write, then mark up
    └─ _poll          four times a second: a changed rollout, requests of other instances

The connection is marked up only in an instant without pending writes that affect decisions. So no Redis decides that
knows less than this instance.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog
import trio

from voice_trio import limits
from voice_trio.errors import StateUnavailable
from voice_trio.net.background import contain, keep_running
from voice_trio.net.threads import Bulkhead
from voice_trio.state.redis.driver import RedisFailed, RedisFault
from voice_trio.state.redis.pending_writes import LocalState, WriteReplay
from voice_trio.state.session_claims import InstanceRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voice_trio.state.redis.connection import RedisConnection
    from voice_trio.state.redis.driver import RedisDriver
    from voice_trio.state.redis.store import RedisStore

log = structlog.get_logger(__name__)


class KnownServers:
    """The servers that calls may reach: those to which every pending write was replayed.

    Worker threads read it; only the supervisor writes.
    """

    def __init__(self) -> None:
        self._known: frozenset[str] = frozenset()
        self._probed: set[str] = set()
        self._is_collecting = True
        self.complete_since = ""
        """From when Redis decides, as it said when everything had been written to it."""

    def admits(self, run_id: str) -> bool:
        """Whether calls may reach this server."""
        return run_id in self._known

    def admits_probe(self, run_id: str) -> bool:
        """Whether the probe may reach it; a server that appears after `freeze` would miss the first replayed writes."""
        if self._is_collecting:
            self._probed.add(run_id)
        return run_id in self._probed

    def begin(self) -> None:
        """Begin a probe, which has reached no server yet."""
        self._probed.clear()
        self._is_collecting = True

    def freeze(self) -> None:
        """Admit no further server to this probe: the replay begins."""
        self._is_collecting = False

    def accept_probed(self) -> None:
        """Admit the probed servers, and no others, to calls: the replay is complete."""
        self._known = frozenset(self._probed)


class RedisSupervisor:
    """Keeps `connection` up.

    `probing` is a second driver: it waits longer than calls do, and may reach servers that calls may not reach yet.
    """

    def __init__(
        self,
        connection: RedisConnection,
        working: RedisDriver,
        probing: RedisDriver,
        store: Callable[[RedisDriver], RedisStore],
        servers: KnownServers,
        local: LocalState,
        backoff_factor: float,
    ) -> None:
        self._connection = connection
        self._working = working
        self._probing = probing
        self._store = store(working)
        self._probe_store = store(probing)
        self._servers = servers
        self._local = local
        self._backoff_factor = backoff_factor
        self._threads = Bulkhead(limits.REDIS_SUPERVISOR_THREADS_MAX)
        self._replay = WriteReplay(local, self._probe_store, self._threads)
        requests = trio.open_memory_channel[InstanceRequest](limits.REDIS_REQUESTS_QUEUED_MAX)
        self._request_sender, self.requests = requests
        self.info: dict[str, Any] = {}
        """The reply of Redis to INFO at the last check."""
        self.instances_known = 1
        """This one, and those that were announced beside it."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled; reports as started after the first check of Redis."""
        await contain(self._reconnect)
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_running, self._maintain)
            nursery.start_soon(keep_running, self._poll)

    async def flush(self) -> None:
        """Write what is pending, if Redis is up. The caller bounds the time."""
        if self._connection.is_up:
            await self._marking_down(self._replay.replay)

    async def _maintain(self) -> None:
        pause = 0.0  # a restarted server is usually back at once
        while True:
            if self._connection.is_up:
                pause = 0.0
                with trio.move_on_after(limits.REDIS_CHECK_INTERVAL_SECONDS):
                    await self._connection.wait_down()
                if self._connection.is_up:
                    await self._marking_down(self._check)
            else:
                await trio.sleep(pause)
                pause = min(
                    max(pause * self._backoff_factor, limits.REDIS_PROBE_PAUSE_SECONDS),
                    limits.REDIS_PROBE_PAUSE_SECONDS_MAX,
                )
                await self._reconnect()

    async def _reconnect(self) -> None:
        await self._marking_down(self._probe)
        if self._connection.is_up:
            log.info("redis_up", version=self.info.get("redis_version"))
            await self._marking_down(self._replay.replay)

    async def _marking_down(self, step: Callable[[], Awaitable[None]]) -> None:
        """Run `step`; a failure marks the connection down with its fault."""
        try:
            await step()
        except RedisFailed as failed:
            self._connection.mark_down(failed.fault)

    async def _check(self) -> None:
        await self._check_latency()
        await self._replay.replay()

    async def _probe(self) -> None:
        self._servers.begin()
        await self._check_latency(is_probe=True)
        self._servers.freeze()
        self._replay.mark_all_pending()
        await self._offer_rollout()
        await self._threads.read(self._working.reset)
        complete_since = await self._restore()
        # No await between the last pending write and `mark_up`: no decision can come in between.
        self._servers.complete_since = complete_since
        self._servers.accept_probed()
        self._connection.mark_up()

    async def _restore(self) -> str:
        """Write what affects decisions, and give the other instances time for it if Redis lost its data."""
        seconds = limits.REDIS_RESTORE_SECONDS if self.instances_known > 1 else 0.0
        complete_since, seconds_left = await self._threads.read(self._probe_store.complete, seconds)
        complete_at = trio.current_time() + seconds_left
        while True:
            while self._local.pending.affect_decisions:
                await self._replay.replay_decisions()
            if trio.current_time() >= complete_at:
                return complete_since
            await trio.sleep_until(complete_at)

    async def _check_latency(self, *, is_probe: bool = False) -> None:
        """Read INFO and write a key; raise `RedisFailed` if that fails or takes too long.

        While Redis is up, too long is longer than a call may take. A Redis that is to be used again must be much
        faster: a call may need a new connection and two replies. Otherwise a slow Redis would be up and down in turns.
        """
        with trio.move_on_after(limits.REDIS_CHECK_SECONDS_MAX) as check_scope:
            if is_probe:
                await self._threads.read(self._probing.reset)
            await self._threads.read(self._probing.connect_all)
            self.info = await self._threads.read(self._probe_store.info)
            seconds = await self._threads.read(self._probe_store.probe, self._local.instance)
            if is_probe and seconds > limits.REDIS_ROUND_TRIP_SECONDS_MAX:  # once more: this process may have been late
                seconds = await self._threads.read(self._probe_store.probe, self._local.instance)
            if seconds > (limits.REDIS_ROUND_TRIP_SECONDS_MAX if is_probe else limits.REDIS_CALL_SECONDS_MAX):
                raise RedisFailed(RedisFault.SLOW)
        if check_scope.cancelled_caught:
            raise RedisFailed(RedisFault.SLOW)

    async def _offer_rollout(self) -> None:
        rollout = self._local.rollout
        rollout.set(await self._threads.read(self._probe_store.offer_rollout, rollout.current))

    async def _poll(self) -> None:
        renewed_at = trio.current_time()
        rollout = self._local.rollout
        while True:
            await trio.sleep(limits.REDIS_POLL_SECONDS)
            try:
                version, complete, requests = await self._connection.call(self._store.poll, self._local.instance)
                for request in requests:
                    with suppress(trio.WouldBlock):  # a takeover goes on without an answer
                        self._request_sender.send_nowait(request)
                if complete != self._servers.complete_since:
                    self._connection.mark_down(RedisFault.RESTARTED)
                    continue
                is_old = trio.current_time() - renewed_at > limits.REDIS_ROLLOUT_RENEW_SECONDS
                if version != rollout.current.version or is_old:
                    rollout.set(await self._connection.call(self._store.offer_rollout, rollout.current))
                    renewed_at = trio.current_time()
            except StateUnavailable:
                pass  # the last known document stays in force
