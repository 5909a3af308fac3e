"""Keeps a session's record in the shared state: written when the session is ready, after each turn and at its end.

Writing is a task of its own, so the session never waits for it. After a slow write only the newest state is written.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
import trio

from voice_trio.billing.spending import micro_usd
from voice_trio.billing.usage import read_number
from voice_trio.conversation.turn.history import History, Said
from voice_trio.errors import StateUnavailable
from voice_trio.session.endings import Ending
from voice_trio.session.observers import Observer
from voice_trio.state.session_record import RecordedItem, RecordedTurn, SessionRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voice_trio.conversation.turn.record import TurnRecord
    from voice_trio.session.summary import Summary
    from voice_trio.state.state import State

NOT_TO_BE_RESUMED = frozenset({Ending.CLIENT_ENDED, Ending.TIMEOUT, Ending.BUDGET_EXHAUSTED})


class RecordWriter(Observer):
    """An observer; `run` writes what it has seen. `record` is that of a new session, or of the one that is resumed."""

    def __init__(self, state: State, record: SessionRecord, *, clock: Callable[[], float] = trio.current_time) -> None:
        self._state = state
        self._clock = clock
        self._ready_at: float | None = None
        self._connected_before = record.connected_seconds
        self._cost_before = record.cost_micro_usd
        self._summary: Summary | None = None
        self._record = msgspec.structs.replace(record, instance=state.instance, end_reason=None)
        self._changed = trio.Event()

    def session_ready(self, summary: Summary) -> None:
        self._ready_at = self._clock()
        self._summary = summary
        self._note()

    def on_turn(self, record: TurnRecord) -> None:
        if record.status == "joined":
            return
        turn = RecordedTurn(said=_words(record.said_items), heard=_words(record.heard_items), status=record.status)
        self._record = msgspec.structs.replace(self._record, turns=(*self._record.turns, turn))
        self._note()

    def session_ended(self, summary: Summary) -> None:
        ending = summary.ending
        usage = dict(self._record.usage)
        for _, counts in summary.usages.values():
            for name, count in _counts(counts or {}).items():
                usage[name] = usage.get(name, 0) + count
        self._record = msgspec.structs.replace(
            self._record,
            usage=usage,
            end_reason=ending.value.name if ending else None,
            resumable=ending not in NOT_TO_BE_RESUMED,
        )
        self._note()

    # One slot, not a queue: each write holds the whole record, so a newer one makes an older one superfluous. A store
    # that is slow or away costs intermediate states and never the last one, and memory does not grow.

    async def run(self) -> None:
        """Write each new state, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            await self._write()

    @property
    def record(self) -> SessionRecord | None:
        """The session as it stands; None if it was never ready."""
        return None if self._ready_at is None else self._record

    async def write_last(self) -> None:
        """Write the end, if the session was ever ready; the caller bounds it."""
        if self._ready_at is not None:
            await self._write()

    async def _write(self) -> None:
        with suppress(StateUnavailable):
            await self._state.put_record(self._record)

    def _note(self) -> None:
        connected = 0.0 if self._ready_at is None else self._clock() - self._ready_at
        spent = 0 if self._summary is None else micro_usd(self._summary.cost.usd)
        self._record = msgspec.structs.replace(
            self._record,
            connected_seconds=self._connected_before + connected,
            cost_micro_usd=self._cost_before + spent,
            revision=self._record.revision + 1,
        )
        self._changed.set()


def history_of(record: SessionRecord) -> tuple[Said, ...]:
    """The words of a stored session for the next upstream, in order, each item once."""
    history = History()
    for turn in record.turns:
        for words in turn.said:
            history.tell(Said(words.item_id, "user", words.text))
        for words in turn.heard:
            history.tell(Said(words.item_id, "assistant", words.text))
    return tuple(history)


def _words(items: tuple[tuple[str, str], ...]) -> tuple[RecordedItem, ...]:
    return tuple(RecordedItem(item_id=item_id, text=text) for item_id, text in items if text)


def _counts(usage: Mapping[str, object], prefix: str = "") -> dict[str, int]:
    """Every whole number in a usage, by its path, however it is written."""
    counts: dict[str, int] = {}
    for name, value in usage.items():
        if isinstance(value, dict):
            counts |= _counts(value, f"{prefix}{name}.")
        elif (number := read_number(value)) is not None and number == int(number):
            counts[prefix + name] = int(number)
    return counts
