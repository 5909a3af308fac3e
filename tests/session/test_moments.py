"""When an answer was heard to begin, and how soon an interruption was told: in the turn's record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from tests.session.test_keeping import turn
from voice_trio.conversation import events as on
from voice_trio.conversation.records import Stages
from voice_trio.session.moments import Moments
from voice_trio.session.turn_log import stages_in_ms

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.session.stage import Stage


def test_the_first_report_tells_when_playing_began_but_never_before_it_was_sent() -> None:
    moments = Moments()
    moments.saw(on.PlaybackPosition("a", 500.0), 9.0)  # of an earlier answer
    moments.saw(on.AudioSent("a", 100.0), 10.0)
    moments.saw(on.PlaybackPosition("a", 0.0), 10.05)
    moments.saw(on.PlaybackPosition("a", 250.0), 10.5)
    moments.saw(on.PlaybackPosition("a", 500.0), 11.5)
    assert moments.complete(turn()).stages.playback_started == 10.25
    moments.saw(on.AudioSent("b", 100.0), 20.0)
    moments.saw(on.PlaybackPosition("b", 60_000.0), 20.5)
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
    assert [record.status for record in stage.records][:1] == ["cancelled"]
    (stages,) = [record.stages for record in stage.records if record.stages.flush_sent is not None]
    assert stages.flush_queued is not None
    assert stages.flush_sent is not None
    assert round(stages.flush_sent - stages.flush_queued, 3) == 0.1


def test_a_turns_log_line_counts_from_its_first_moment() -> None:
    assert stages_in_ms(Stages(speech_started=10.0, committed=12.5, asked=12.512)) == {
        "speech_started": 0,
        "committed": 2500,
        "asked": 2512,
    }
    assert stages_in_ms(Stages()) == {}
