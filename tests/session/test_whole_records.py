"""Records as a whole: of a session that is written, and of a turn with its searches, its playback and its flush."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from tests.support.turn_records import turn
from voice_trio import limits
from voice_trio.billing.prices import Cost
from voice_trio.conversation import commands, events
from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.conversation.turn.record import SearchRecord, TurnTimestamps
from voice_trio.conversation.turn.snapshot import OpenTurn
from voice_trio.session.endings import Ending
from voice_trio.session.observers import FlushQueued, FlushSent, Observer
from voice_trio.session.spend.cost_meter import CostMeter
from voice_trio.session.summary import Summary
from voice_trio.session.telemetry.finished_turns import FinishedTurns
from voice_trio.session.telemetry.record_writer import RecordWriter
from voice_trio.session.telemetry.turn_recorder import TurnRecorder
from voice_trio.settings import load_settings
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.rollout import first_rollout
from voice_trio.state.session_record import RecordedItem, RecordedTurn, SessionRecord
from voice_trio.state.state import Quotas

if TYPE_CHECKING:
    from trio.testing import MockClock

    from voice_trio.conversation.turn.record import TurnRecord

NEW = SessionRecord(session_id="vs_1", user_id="ada", instance="old", started=5.0, duration_seconds=600.0)


class Meter(CostMeter):
    @property
    def reserved_micro_usd(self) -> int:
        return 70


def recorded(number: int, status: str = "completed") -> RecordedTurn:
    said, heard = RecordedItem(item_id=f"u{number}", text="hello"), RecordedItem(item_id=f"a{number}", text="hello to")
    return RecordedTurn(said=(said,), heard=(heard,), status=status)


async def test_a_record_that_is_taken_up_goes_on_and_an_end_closes_it(autojump_clock: MockClock) -> None:
    await trio.lowlevel.checkpoint()
    state = MemoryState(Quotas(5, 2), first_rollout(load_settings({}).access))
    before = msgspec.structs.replace(
        NEW, turns=(recorded(1, "open"),), turn_count=4, usage={"input_tokens": 5}, cost_micro_usd=100, revision=7
    )
    before = msgspec.structs.replace(before, reserved_micro_usd=20, connected_seconds=30.0, end_reason="lost")
    clock = [1_000.0]
    writer = RecordWriter(state, before, clock=lambda: clock[0])
    assert (writer.record, writer.cost_before_micro_usd) == (None, 120)
    open_turns = [OpenTurn(2, (("u2", " how warm "), ("x", "")), (("a2", "it is"),))]
    writer.follow(lambda: tuple(open_turns), Meter())
    summary = Summary("vs_1", "ada", cost=Cost(Decimal("0.00003")))
    summary.usages = {"r1": ("response", {"input_tokens": "3", "part": {"audio": 2.0, "share": 0.5}, "kind": "x"})}
    writer.session_ready(summary)
    clock[0] += 10.0
    said, heard = RecordedItem(item_id="u2", text="how warm"), RecordedItem(item_id="a2", text="it is")
    ready = msgspec.structs.replace(
        before,
        instance=state.instance,
        end_reason=None,
        turns=(recorded(1, "lost"), RecordedTurn(said=(said,), heard=(heard,), status="open")),
        turn_count=5,
        usage={"input_tokens": 8, "part.audio": 2},
        cost_micro_usd=150,
        reserved_micro_usd=70,
        revision=1_000_001,
    )
    assert writer.record == ready
    open_turns.clear()
    summary.usages["r2"] = ("response", None)
    summary.usages["r3"] = ("response", {"input_tokens": 1})
    writer.on_command(commands.ReportTurn(turn("cancelled", 2)), 0.0)
    summary.ending = Ending.CLIENT_ENDED
    writer.session_ended(summary)
    await writer.write_last()
    assert await state.record("ada", "vs_1") == msgspec.structs.replace(
        ready,
        turns=(recorded(1, "lost"), recorded(2, "cancelled")),
        usage={"input_tokens": 9, "part.audio": 2},
        reserved_micro_usd=0,
        connected_seconds=40.0,
        end_reason="client_ended",
        resumable=False,
        revision=1_000_002,
    )


def test_finished_turns_are_counted_corrected_and_dropped_from_the_oldest() -> None:
    turns = FinishedTurns(msgspec.structs.replace(NEW, turns=(recorded(1),), turn_count=3))
    turns.add(turn("joined", 2))
    turns.correct("u3", " hello there ")
    turns.add(turn(number=3))
    turns.correct("u1", "hi")
    turns.correct("unknown", "x")
    assert turns.count == 4
    assert [[(item.item_id, item.text) for item in (*each.said, *each.heard)] for each in turns] == [
        [("u1", "hi"), ("a1", "hello to")],
        [("u3", "hello there"), ("a3", "hello to")],
    ]
    long = "x" * (limits.RECORD_ITEM_CHARACTERS_MAX + 5)
    (item,) = turns.recorded((("u", long),), (), "open").said
    assert item.text == long[:-5]
    turns = FinishedTurns(NEW)
    fitting = limits.RECORD_BYTES_MAX // (limits.RECORD_ITEM_CHARACTERS_MAX + 32 + 5)
    for number in range(fitting + 3):
        turns.add(replace(turn(number=number), said_items=((f"u{number:04}", long),), heard_items=()))
    assert [each.said[0].item_id for each in turns] == [f"u{number:04}" for number in range(3, fitting + 3)]
    assert turns.count == fitting + 3


class Reported(Observer):
    def __init__(self) -> None:
        self.records: list[TurnRecord] = []

    def on_turn(self, record: TurnRecord) -> None:
        self.records.append(record)


PASSAGE = Passage("p", "t", "x", "s")


def test_a_turn_is_completed_with_its_searches_its_playback_and_its_flush() -> None:
    reported, over = Reported(), list[Any]()
    summary = Summary("s", transcription_fallback=True)
    recorder = TurnRecorder(summary, (reported,), over.append)
    recorder.on_command(commands.StartSearch(1, 11, "how"), 1.0)
    recorder.on_command(commands.StartSearch(1, 12, "how", local=True), 1.5)
    recorder.on_event(events.SearchFinished(12, (PASSAGE,)), 1.75)
    recorder.on_event(events.SearchFinished(99, (PASSAGE,)), 1.75)
    recorder.on_command(commands.ReportTurn(turn("joined")), 2.0)
    recorder.on_command(commands.StartSearch(2, 13, "how warm"), 2.0)
    recorder.on_command(commands.StartSearch(3, 14, "next"), 2.5)
    recorder.on_event(events.SearchFailed(13), 2.5)
    recorder.on_audio_sent(3.0)
    recorder.on_audio_sent(4.0)
    recorder.on_event(events.PlaybackPosition("a", 0.5), 3.5)
    recorder.on_event(events.PlaybackPosition("a", 900.0), 5.0)
    recorder.on_event(FlushQueued(), 5.0)
    recorder.on_command(commands.ReportTurn(turn("cancelled", 2)), 5.0)
    joined = replace(turn("joined"), transcription_fallback=True)
    searches = (
        SearchRecord(1.0, None, "unfinished", False),
        SearchRecord(1.5, 0.25, "found", True),
        SearchRecord(2.0, 0.5, "failed", False),
    )
    ended = replace(
        turn("cancelled", 2),
        transcription_fallback=True,
        searches=searches,
        stages=TurnTimestamps(playback_started=3.4995),
    )
    assert (reported.records, over) == ([joined], [joined, ended])
    recorder.on_event(FlushSent(5.0), 5.25)
    flushed = replace(ended.stages, flush_queued=5.0, flush_sent=5.25)
    assert reported.records[1:] == [replace(ended, stages=flushed)]
    recorder.on_event(events.SearchFinished(14, ()), 6.0)
    recorder.on_event(FlushQueued(), 6.0)
    recorder.on_event(FlushSent(6.0), 6.5)
    recorder.on_command(commands.ReportTurn(turn(number=3)), 7.0)
    third = reported.records[2]
    assert third.searches == (SearchRecord(2.5, 3.5, "nothing", False),)
    assert third.stages == TurnTimestamps(flush_queued=6.0, flush_sent=6.5)
    assert over[2] == third


def test_a_turn_whose_flush_does_not_leave_waits_for_the_next_turn_or_the_end_and_no_longer() -> None:
    reported = Reported()
    recorder = TurnRecorder(Summary("s"), (reported,))
    recorder.on_event(FlushSent(0.5), 0.5)  # of nothing that was queued
    for number in (1, 2):
        recorder.on_event(FlushQueued(), float(number))
        recorder.on_command(commands.ReportTurn(turn("cancelled", number)), float(number))
    assert [record.turn_id for record in reported.records] == [1, 2]
    recorder.on_event(FlushSent(1.0), 3.0)
    recorder.on_event(FlushQueued(), 4.0)
    recorder.on_command(commands.ReportTurn(turn("cancelled", 3)), 4.0)
    assert len(reported.records) == 2
    recorder.session_closing(5.0)
    assert [record.turn_id for record in reported.records] == [1, 2, 3]
    assert {record.stages.flush_sent for record in reported.records} == {None}
    recorder.session_closing(5.0)
    assert len(reported.records) == 3
