"""Keeps a session's record in the shared state: a little ahead of what a kill could lose (I17).

Writing is a task of its own, so the session never waits for it. After a slow write only the newest state is written.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, TypeAlias, assert_never

import msgspec
import trio

from voice_trio import limits
from voice_trio.billing.spending import micro_usd
from voice_trio.billing.usage import read_number
from voice_trio.conversation import commands, events
from voice_trio.conversation.turn.history import History, Said
from voice_trio.errors import StateUnavailable
from voice_trio.session.endings import Ending
from voice_trio.session.observers import Observer, UpstreamSessionKept
from voice_trio.session.spend.cost_meter import CostMeter
from voice_trio.session.telemetry.finished_turns import FinishedTurns
from voice_trio.state.session_record import OPEN, SessionRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voice_trio.conversation.turn.snapshot import OpenTurn
    from voice_trio.session.summary import Summary
    from voice_trio.state.session_record import Usage
    from voice_trio.state.state import State

    RecordedCommand: TypeAlias = (
        commands.BeginTurn | commands.CreateResponse | commands.CreateClientResponse | commands.ReportTurn
    )

NOT_TO_BE_RESUMED = frozenset({Ending.CLIENT_ENDED, Ending.TIMEOUT, Ending.BUDGET_EXHAUSTED, Ending.ENDED_BY_OPERATOR})


# When the record is written. At once after what decides how the conversation goes on: a commit, `response.create`, a
# final transcript, `response.done`, a turn that is over, and the session's beginning and end. Beside that, while a turn
# is open, the record is compared with the conversation every `RECORD_LOOK_SECONDS`, and written if more has been said
# or heard. So sound costs no call: neither a frame of it nor a word makes this observer do anything.
#
# An open turn is the last one of the record, with the status `open`; its report takes its place. The conversation is
# asked for it only when a write begins, so each write has the newest state.


class RecordWriter(Observer):
    """An observer; `run` writes what it has seen. `record` is that of a new session, or of the one that is resumed."""

    event_types: ClassVar = (
        events.SpeechCommitted,
        events.TextInput,
        events.TranscriptCompleted,
        events.ResponseDone,
        events.UpstreamLost,
        UpstreamSessionKept,
    )
    command_types: ClassVar = (
        commands.BeginTurn,
        commands.CreateResponse,
        commands.CreateClientResponse,
        commands.ReportTurn,
    )

    def __init__(self, state: State, record: SessionRecord, *, clock: Callable[[], float] = trio.current_time) -> None:
        self._state = state
        self._clock = clock
        self._before = record = record.taken_up() if record.revision else record
        self._record = msgspec.structs.replace(record, instance=state.instance, end_reason=None)
        self._written_revision = record.revision
        self._turns = FinishedTurns(record)
        self._usage = record.usage
        self._counted: set[str] = set()
        self._unreported: set[int] = set()
        self._open_turns: Callable[[], tuple[OpenTurn, ...]] | None = None
        self._meter = CostMeter()
        self._ready_at: float | None = None
        self._summary: Summary | None = None
        self._changed = trio.Event()

    def follow(self, open_turns: Callable[[], tuple[OpenTurn, ...]], meter: CostMeter) -> None:
        """Write ahead what `open_turns` returns, the turns that are not reported yet, and what `meter` has reserved."""
        self._open_turns, self._meter = open_turns, meter

    @property
    def record(self) -> SessionRecord | None:
        """The session as of the newest write, or of its end; None if it was never ready."""
        return None if self._ready_at is None else self._record

    @property
    def cost_before_micro_usd(self) -> int:
        """What the session cost before this connection."""
        return self._before.cost_micro_usd

    def session_ready(self, summary: Summary) -> None:
        self._ready_at = self._clock()
        self._summary = summary
        self._revise(self._drafted())
        self._changed.set()

    def on_event(self, event: object, now: float) -> None:
        """The conversation handles the event next; words and cost are read when the write begins."""
        if isinstance(event, events.TranscriptCompleted):
            self._turns.correct(event.item_id, event.transcript)
        elif isinstance(event, UpstreamSessionKept):
            self._record = msgspec.structs.replace(self._record, upstream_session_id=event.session_id)
        self._changed.set()

    def on_command(self, command: RecordedCommand, now: float) -> None:
        match command:
            case commands.BeginTurn(turn_id):
                self._unreported.add(turn_id)
            case commands.ReportTurn(record):
                self._unreported.discard(record.turn_id)
                self._turns.add(record)
            case commands.CreateResponse() | commands.CreateClientResponse():
                pass
            case _:
                assert_never(command)
        self._changed.set()

    def session_ended(self, summary: Summary) -> None:
        ending = summary.ending
        self._summary = summary
        self._record = msgspec.structs.replace(
            self._record,
            end_reason=ending.value.name if ending else None,
            resumable=ending not in NOT_TO_BE_RESUMED,
        )
        self._revise(self._drafted())

    # One slot, not a queue: each write holds the whole record, so a newer one makes an older one superfluous. A store
    # that is slow or away costs intermediate states and never the last one, and memory does not grow.

    async def run(self) -> None:
        """Write each new state, until cancelled."""
        while True:
            goes_on = self._unreported and self._open_turns is not None
            with trio.move_on_after(limits.RECORD_LOOK_SECONDS if goes_on else math.inf):
                await self._changed.wait()
            self._changed = trio.Event()
            if self._look():
                await self._write()
                await trio.sleep(limits.RECORD_PAUSE_SECONDS)

    async def write_last(self) -> None:
        """Write the end, if the session was ever ready; the caller bounds it."""
        if self._ready_at is not None:
            self._look()
            await self._write()

    async def _write(self) -> None:
        self._written_revision = self._record.revision
        with suppress(StateUnavailable):
            await self._state.put_record(self._record)

    def _look(self) -> bool:
        """Bring the record up to date; True if it has something that is not written yet."""
        if self._ready_at is None:
            return False
        drafted = self._drafted()
        if drafted != self._record:
            self._revise(drafted)
        return self._record.revision != self._written_revision

    def _drafted(self) -> SessionRecord:
        """The record with what the conversation and the bill say now; equal to the last one if that is nothing new."""
        is_over = self._record.end_reason is not None
        status = "ended" if is_over else OPEN
        ahead = () if self._open_turns is None else self._open_turns()
        open_turns = [self._turns.recorded(turn.said_items, turn.heard_items, status) for turn in ahead]
        cost = 0 if self._summary is None else micro_usd(self._summary.cost.usd)
        return msgspec.structs.replace(
            self._record,
            turns=(*self._turns, *open_turns),
            turn_count=self._turns.count + len(open_turns),
            usage=self._total_usage(),
            cost_micro_usd=self._before.cost_micro_usd + cost,
            reserved_micro_usd=0 if is_over else self._meter.reserved_micro_usd,
        )

    def _revise(self, record: SessionRecord) -> None:
        connected = 0.0 if self._ready_at is None else self._clock() - self._ready_at
        self._record = msgspec.structs.replace(
            record, connected_seconds=self._before.connected_seconds + connected, revision=record.revision + 1
        )

    def _total_usage(self) -> Usage:
        """All usage so far; what was counted before is not counted anew at each look."""
        usages = {} if self._summary is None else self._summary.usages
        for source_id in [source_id for source_id in usages if source_id not in self._counted]:
            self._counted.add(source_id)
            _, usage = usages[source_id]
            for name, count in _counts(usage or {}).items():
                self._usage = {**self._usage, name: self._usage.get(name, 0) + count}
        return self._usage


def history_of(record: SessionRecord) -> tuple[Said, ...]:
    """The words of a stored session for the next upstream, in order, each item once."""
    history = History()
    for turn in record.turns:
        for words in turn.said:
            history.tell(Said(words.item_id, "user", words.text))
        for words in turn.heard:
            history.tell(Said(words.item_id, "assistant", words.text))
    return tuple(history)


def _counts(usage: Mapping[str, object], prefix: str = "") -> dict[str, int]:
    """Every whole number in a usage, by its path, however it is written."""
    counts: dict[str, int] = {}
    for name, value in usage.items():
        if isinstance(value, dict):
            counts |= _counts(value, f"{prefix}{name}.")
        elif (number := read_number(value)) is not None and number == int(number):
            counts[prefix + name] = int(number)
    return counts
