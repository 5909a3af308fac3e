"""When an answer was heard to begin, and how soon an interruption was told: in the turn's record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from tests.session.test_record_writer import turn
from voice_trio.conversation import events
from voice_trio.conversation.turn.record import TurnTimestamps
from voice_trio.session.telemetry.playback_timestamps import PlaybackTimestamps
from voice_trio.session.telemetry.turn_log import stages_in_ms

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.support.session_fixture import Stage
    from voice_trio.conversation.turn.record import TurnRecord


def test_the_first_report_tells_when_playing_began_but_never_before_it_was_sent() -> None:
    moments = PlaybackTimestamps(lambda record: None)
    moments.saw(events.PlaybackPosition("a", 500.0), 9.0)  # of an earlier answer
    moments.saw(events.AudioSent("a", 100.0), 10.0)
    moments.saw(events.PlaybackPosition("a", 0.0), 10.05)
    moments.saw(events.PlaybackPosition("a", 250.0), 10.5)
    moments.saw(events.PlaybackPosition("a", 500.0), 11.5)
    assert moments.complete(turn()).stages.playback_started == 10.25
    moments.saw(events.AudioSent("b", 100.0), 20.0)
    moments.saw(events.PlaybackPosition("b", 60_000.0), 20.5)
    assert moments.complete(turn()).stages.playback_started == 20.0
    assert moments.complete(turn()).stages.playback_started is None


async def test_an_interruption_is_timed_from_the_word_to_the_wire(autojump_clock: MockClock, stage: Stage) -> None:
    stage.model.answers_with("A long answer about brooding.", audio_ms=60_000, pace=1000.0, chunk_ms=100)
    await stage.ready()
    await stage.asks()
    await stage.client.hears("response.audio.delta")
    stage.client.stop_reading()
    await trio.sleep(1.0)
    stage.model.start_speech()
    await trio.sleep(0.1)
    stage.client.read_again()  # the word to fall silent has waited for a tenth of a second
    await stage.client.hears("playback.flush")
    await stage.asks("what about the night")
    await trio.sleep(100.0)
    cut, *others = stage.records
    assert cut.status == "cancelled"
    assert not [record for record in others if record.stages.flush_sent is not None]
    stages = cut.stages
    assert stages.flush_queued is not None
    assert stages.flush_sent is not None
    assert round(stages.flush_sent - stages.flush_queued, 3) == 0.1


def test_a_record_waits_for_the_word_to_be_sent_but_not_for_ever() -> None:
    told: list[TurnRecord] = []
    moments = PlaybackTimestamps(told.append)

    def over(turn_id: int) -> None:
        moments.hand_on(moments.complete(replace(turn(), turn_id=turn_id)))

    moments.silencing()
    over(1)
    assert told == []
    moments.flushed(10.0, 10.2)
    over(2)
    moments.silencing()
    moments.flushed(20.0, 20.1)
    over(3)
    moments.silencing()
    over(4)
    over(5)  # the client takes nothing meanwhile
    moments.flushed(30.0, 39.0)
    moments.silencing()
    over(6)
    moments.close()
    assert [(one.turn_id, one.stages.flush_queued, one.stages.flush_sent) for one in told] == [
        *((1, 10.0, 10.2), (2, None, None), (3, 20.0, 20.1)),
        *((4, None, None), (5, None, None), (6, None, None)),
    ]


def test_a_turns_log_line_counts_from_its_first_moment() -> None:
    assert stages_in_ms(TurnTimestamps(speech_started=10.0, committed=12.5, asked=12.512)) == {
        "speech_started": 0,
        "committed": 2500,
        "asked": 2512,
    }
    assert stages_in_ms(TurnTimestamps()) == {}
