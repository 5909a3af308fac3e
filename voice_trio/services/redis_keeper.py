"""Keeps the line to Redis: notices when it is lost, tries again with growing pauses, and tells what was missed.

    keep
    ├─ keep_line      up: look every 3 s; down: probe, tell everything, then up
    └─ hear_news        twice a second: another rollout, sessions wanted elsewhere

The line comes up only in an instant in which there is nothing left to tell, so no decision is made by a Redis that
knows less than this instance.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import structlog
import trio

from voice_trio.errors import StateUnavailable
from voice_trio.services.redis_debts import Given
from voice_trio.services.redis_driver import RedisFailed, RedisFault
from voice_trio.services.redis_line import CALL_SECONDS_MAX
from voice_trio.services.threads import Bulkhead

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from voice_trio.services.ledger import Holdings, Ledger
    from voice_trio.services.redis_debts import Debts
    from voice_trio.services.redis_driver import RedisDriver
    from voice_trio.services.redis_line import RedisLine
    from voice_trio.services.redis_store import RedisStore
    from voice_trio.services.shelf import Purse, RecordShelf, RolloutBoard

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

LOOK_EVERY_SECONDS = 3.0
LOOK_SECONDS_MAX = 6.0
"""For all of one look or probe; health is no older than this and a pause."""
PROBE_PAUSE_SECONDS = 0.25
PROBE_PAUSE_SECONDS_MAX = 3.0
NEWS_EVERY_SECONDS = 0.5
WANTED_MAX = 1_000
ROLLOUT_RENEWED_EVERY = 3_600
BATCH = 100


@dataclass(frozen=True, slots=True)
class Memory:
    """What this instance knows by itself."""

    instance: str
    ledger: Ledger
    shelf: RecordShelf
    purse: Purse
    board: RolloutBoard
    debts: Debts


class ServersMet:
    """Which servers may be spoken to: those that were told everything. Used by worker threads, one writer."""

    def __init__(self) -> None:
        self._known: frozenset[str] = frozenset()
        self._met: set[str] = set()

    def admits(self, run_id: str) -> bool:
        """Whether this server was told everything."""
        return run_id in self._known

    def note(self, run_id: str) -> bool:
        """The probe has met it."""
        self._met.add(run_id)
        return True

    def begin(self) -> None:
        """A probe begins; nobody has been met by it."""
        self._met.clear()

    def trust(self) -> None:
        """Those whom the probe met were told everything."""
        self._known = frozenset(self._met)


class RedisKeeper:
    """`probing` is a driver of its own: more patient than calls are, and open to servers not met before."""

    def __init__(
        self,
        line: RedisLine,
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
            await self._naming_faults(self._pay)

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
            await self._naming_faults(self._pay)

    async def _naming_faults(self, something: Callable[[], Awaitable[None]]) -> None:
        """Whatever fails takes the line down, under the name that fits best."""
        try:
            await something()
        except RedisFailed as failed:
            self._line.go_down(failed.fault)

    async def _look(self) -> None:
        await self._measure()
        await self._pay()

    async def _probe(self) -> None:
        self._servers.begin()
        await self._measure(is_first=True)
        self._owe_everything()
        await self._offer_rollout()
        await self._threads.read(self._working.reset)
        while self._memory.debts.weigh_on_decisions:
            await self._pay_decisions()
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

    def _owe_everything(self) -> None:
        """It may have restarted empty, or be another one."""
        memory, debts = self._memory, self._memory.debts
        debts.granted.update(memory.ledger.users)
        debts.days.update(memory.purse.days)
        debts.deletions.update(memory.shelf.deletions)
        debts.records.update((record.user_id, record.session_id) for record in memory.shelf if record.resumable)

    async def _offer_rollout(self) -> None:
        board = self._memory.board
        board.post(await self._threads.read(self._patient_store.offer_rollout, board.current))

    async def _pay(self) -> None:
        """Tell what is owed now. What fails stays owed."""
        await self._pay_decisions()
        for key in tuple(self._memory.debts.records):
            await self._pay_record(key)

    async def _pay_decisions(self) -> None:
        debts, store = self._memory.debts, self._patient_store
        for user_id in tuple(debts.resets):
            await self._tell(store.reset, user_id)
            debts.resets.discard(user_id)
        for user_id in tuple(debts.deletions):
            await self._tell(store.delete_records, user_id, self._memory.shelf.deleted_at(user_id))
            debts.deletions.discard(user_id)
        await self._pay_grants(tuple(debts.granted))
        for key, given in tuple(debts.given_back.items()):
            await self._tell(store.release if given is Given.EVERYTHING else store.end, *key)
            if debts.given_back.get(key) is given:
                del debts.given_back[key]
        for day in tuple(debts.days):
            await self._pay_day(day)

    async def _pay_grants(self, users: tuple[str, ...]) -> None:
        for start in range(0, len(users), BATCH):
            batch = users[start : start + BATCH]
            # Struck out first: what is granted meanwhile is owed anew.
            self._memory.debts.granted.difference_update(batch)
            holdings = [(user_id, self._memory.ledger.holdings(user_id)) for user_id in batch]
            is_told = False
            try:
                await self._threads.read(_restore, self._patient_store, holdings)
                is_told = True
            finally:
                if not is_told:
                    self._memory.debts.granted.update(batch)

    async def _pay_day(self, day: str) -> None:
        purse = self._memory.purse
        own = purse.own(day)
        total = await self._tell(self._patient_store.spend, day, self._memory.instance, own)
        purse.learn(day, own, total or 0)
        if own == purse.own(day):
            self._memory.debts.days.discard(day)

    async def _pay_record(self, key: tuple[str, str]) -> None:
        shelf = self._memory.shelf
        record = shelf.get(*key)
        if record is not None and await self._tell(self._patient_store.put_record, record) is False:
            shelf.drop(*key)
        if shelf.get(*key) in (record, None):
            self._memory.debts.records.discard(key)

    async def _tell(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """None for what Redis does not understand: it never will, and must not keep the line down."""
        return await self._threads.read(_unless_nonsense(function), *args, **kwargs)

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


def _restore(store: RedisStore, holdings: Iterable[tuple[str, Holdings]]) -> None:
    for user_id, held in holdings:
        if held.slots or held.leases:
            _unless_nonsense(store.restore)(user_id, held)


def _unless_nonsense(function: Callable[P, T]) -> Callable[P, T | None]:
    def tell(*args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return function(*args, **kwargs)
        except RedisFailed as failed:
            if failed.fault is not RedisFault.BROKEN:
                raise
            log.error("redis_untold", what=getattr(function, "__name__", ""), detail=str(failed))
            return None

    return tell
