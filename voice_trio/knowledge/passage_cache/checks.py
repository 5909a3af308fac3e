"""Kept passages stay true: what the store has not shown for a while is looked up there again, by its id.

So a passage that was deleted or changed in the store is not cited for longer than `CHECK_SECONDS`, and a process that
starts with the passages of yesterday knows within seconds which of them still hold. While the store does not answer
nothing can be checked and nothing is dropped: that is when kept passages are needed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import structlog
import trio

from voice_trio.errors import KnowledgeUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from voice_trio.conversation.retrieval.passage import Passage

log = structlog.get_logger(__name__)

CHECK_SECONDS = 600.0
"""How long a passage is believed without another look, while the store answers."""
ROUND_SECONDS = 60.0  # between two looks for what is due
BATCH = 100
LOOK_SECONDS_MAX = 5.0


class LooksUp(Protocol):
    """A store that can be asked for passages by their ids."""

    async def look_up(self, ids: Sequence[str]) -> tuple[Passage, ...]:
        """Those of these passages that there are; raises `KnowledgeUnavailable`."""
        ...


class Checkable(Protocol):
    """Where passages are kept."""

    async def unseen_since(self, then: float, limit: int) -> tuple[str, ...]: ...

    async def confirm(self, asked: Sequence[str], found: Iterable[Passage]) -> None: ...


async def keep_true(kept: Checkable, store: LooksUp, *, unix_time: Callable[[], float] = time.time) -> None:
    """Check whatever is due, again and again, until cancelled."""
    while True:
        try:
            await check_once(kept, store, unix_time())
        except KnowledgeUnavailable as error:
            log.info("kept_passages_not_checked", reason=str(error))
        await trio.sleep(ROUND_SECONDS)


async def check_once(kept: Checkable, store: LooksUp, now: float) -> None:
    """Check whatever the store has not shown for `CHECK_SECONDS`; raises `KnowledgeUnavailable` when it cannot.

    Each passage is looked up once: where the clock goes back meanwhile, what was just confirmed is due again.
    """
    asked: set[str] = set()
    while (ids := await kept.unseen_since(now - CHECK_SECONDS, BATCH)) and asked.isdisjoint(ids):
        asked.update(ids)
        try:
            with trio.fail_after(LOOK_SECONDS_MAX):
                found = await store.look_up(ids)
        except trio.TooSlowError as error:
            raise KnowledgeUnavailable("looking up took too long") from error
        await kept.confirm(ids, found)
