"""When an answer was heard to begin, and how soon an interruption was told: in the turn's record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from tests.support.turn_records import turn
from voice_trio.billing.prices import Cost
from voice_trio.conversation import commands, events
from voice_trio.conversation.turn.record import TurnTimestamps
from voice_trio.session.observers import FlushQueued, FlushSent, Observer
from voice_trio.session.summary import Summary
from voice_trio.session.telemetry.turn_recorder import TurnRecorder
from voice_trio.session.telemetry.turn_reports import turn_fields

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.support.session_fixture import SessionFixture
    from voice_trio.conversation.turn.record import TurnRecord


class Reports(Observer):
    def __init__(self) -> None:
        self.records: list[TurnRecord] = []

    def on_turn(self, record: TurnRecord) -> None:
        self.records.append(record)


def report(recorder: TurnRecorder, turn_id: int = 1) -> None:
    recorder.on_command(commands.ReportTurn(replace(turn(), turn_id=turn_id)), 0.0)


def test_the_first_report_tells_when_playing_began_but_never_before_it_was_sent() -> None:
    reports = Reports()
    told = reports.records
    recorder = TurnRecorder(Summary("s"), [reports])
    recorder.on_event(events.PlaybackPosition("a", 500.0), 9.0)  # of an earlier answer
    recorder.on_audio_sent(10.0)
    recorder.on_event(events.PlaybackPosition("a", 0.0), 10.05)
    recorder.on_event(events.PlaybackPosition("a", 250.0), 10.5)
    recorder.on_event(events.PlaybackPosition("a", 500.0), 11.5)
    report(recorder)
    assert told[-1].stages.playback_started == 10.25
    recorder.on_audio_sent(20.0)
    recorder.on_event(events.PlaybackPosition("b", 60_000.0), 20.5)
    report(recorder)
    assert told[-1].stages.playback_started == 20.0
    report(recorder)
    assert told[-1].stages.playback_started is None


async def test_an_interruption_is_timed_from_the_word_to_the_wire(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("A long answer about brooding.", audio_ms=60_000, pace=1000.0, chunk_ms=100)
    await session.ready()
    await session.asks()
    await session.client.hears("response.audio.delta")
    session.client.stop_reading()
    await trio.sleep(1.0)
    session.model.start_speech()
    await trio.sleep(0.1)
    session.client.read_again()  # the word to fall silent has waited for a tenth of a second
    await session.client.hears("playback.flush")
    await session.asks("what about the night")
    await trio.sleep(100.0)
    cut, *others = session.records
    assert cut.status == "cancelled"
    assert not [record for record in others if record.stages.flush_sent is not None]
    stages = cut.stages
    assert stages.flush_queued is not None
    assert stages.flush_sent is not None
    assert round(stages.flush_sent - stages.flush_queued, 3) == 0.1


def test_a_record_waits_for_the_word_to_be_sent_but_not_for_ever() -> None:
    reports = Reports()
    told = reports.records
    recorder = TurnRecorder(Summary("s"), [reports])
    recorder.on_event(FlushQueued(), 10.0)
    report(recorder, 1)
    assert told == []
    recorder.on_event(FlushSent(10.0), 10.2)
    report(recorder, 2)
    recorder.on_event(FlushQueued(), 20.0)
    recorder.on_event(FlushSent(20.0), 20.1)
    report(recorder, 3)
    recorder.on_event(FlushQueued(), 30.0)
    report(recorder, 4)
    report(recorder, 5)  # the client takes nothing meanwhile
    recorder.on_event(FlushSent(30.0), 39.0)
    recorder.on_event(FlushQueued(), 40.0)
    report(recorder, 6)
    recorder.session_closing(41.0)
    assert [(one.turn_id, one.stages.flush_queued, one.stages.flush_sent) for one in told] == [
        *((1, 10.0, 10.2), (2, None, None), (3, 20.0, 20.1)),
        *((4, None, None), (5, None, None), (6, None, None)),
    ]


def test_a_turns_log_line_counts_from_its_first_moment() -> None:
    stages = TurnTimestamps(speech_started=10.0, committed=12.5, asked=12.512)
    assert turn_fields(replace(turn(), stages=stages), Cost())["stages_ms"] == {
        "speech_started": 0,
        "committed": 2500,
        "asked": 2512,
    }
    assert turn_fields(turn(), Cost())["stages_ms"] == {}
