"""Clients that never say how far they have played get at most a second ahead, so that a cut is heard soon.

Times are exact to the millisecond. Throughout, the model speaks far faster than the sound plays, in pieces of 100 ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.support.send_queue_fixture import SendQueueFixture
from voice_trio import limits
from voice_trio.protocols.audio import audio_ms, decode_audio, encode_audio, split_audio
from voice_trio.session.endings import Ending
from voice_trio.testing.script import Answer, Call

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.support.session_fixture import SessionFixture

LONG = "A long answer about brooding that goes on and on."


async def _ask(session: SessionFixture, *, seconds: float = 3.0, chunk_ms: int = 100, pace: float = 1000.0) -> float:
    """Asks; returns when the first sound of the answer came."""
    session.model.answers_with(LONG, audio_ms=round(seconds * 1000), chunk_ms=chunk_ms, pace=pace)
    await session.ready()
    await session.asks()
    return (await session.client.hears("response.audio.delta")).at


def _arrivals(session: SessionFixture, since: float) -> list[int]:
    """When each piece of sound came, in ms."""
    return [round((entry.at - since) * 1000) for entry in session.client.heard_of("response.audio.delta")]


def _leads(session: SessionFixture) -> list[float]:
    """How much lay unplayed after each piece, in ms, for ears that play without a pause."""
    leads, dry_at = [], float("-inf")
    for entry in session.client.heard_of("response.audio.delta"):
        dry_at = max(dry_at, entry.at) + audio_ms(entry.event["delta"]) / 1000
        leads.append(round((dry_at - entry.at) * 1000, 3))
    return leads


async def test_a_second_goes_at_once_and_the_rest_as_it_is_played(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    first = await _ask(session)
    await trio.sleep(5.0)
    arrivals = _arrivals(session, first)
    assert max(arrivals[:10]) < 2  # the model itself takes 0.1 ms a piece
    assert arrivals[10:] == list(range(100, 2001, 100))
    assert max(_leads(session)) == limits.CLIENT_LEAD_SECONDS_MAX * 1000


async def test_the_events_of_an_answer_keep_their_order_with_its_sound(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    first = await _ask(session)
    done = await session.client.hears("response.done")
    assert round((done.at - first) * 1000) == 2000
    of_answer = [kind for kind in session.client.types() if kind.startswith("response.")]
    assert of_answer[-3:] == ["response.audio.done", "response.audio_transcript.done", "response.done"]
    assert of_answer[-4] == "response.audio.delta"


async def test_what_is_not_of_the_answer_does_not_wait_for_its_sound(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await _ask(session)
    await trio.sleep(0.5)
    asked_at = session.client.now
    await session.client.ping(7)
    question = session.client.heard_of("input_audio_buffer.speech_started")[0].event["item_id"]
    session.model.complete_transcript(question, "how warm must the brooder be, corrected")
    assert round(((await session.client.hears("pong")).at - asked_at) * 1000) == 0
    await trio.sleep(0.001)
    transcripts = session.client.heard_of("conversation.item.input_audio_transcription.completed")
    assert len(transcripts) == 2
    assert round((transcripts[-1].at - asked_at) * 1000) == 0
    assert session.client.heard_of("response.done") == []


async def test_a_client_that_says_how_far_it_is_gets_everything_at_once(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    first = await _ask(session)
    await trio.sleep(0.25)
    item_id = session.client.heard_of("response.audio.delta")[0].event["item_id"]
    await session.client.report(item_id, 250)
    await trio.sleep(0.001)
    assert session.client.audio_received_ms(item_id) == 3000
    assert _arrivals(session, first)[12:] == [250] * 18
    assert len(session.client.heard_of("response.done")) == 1


async def test_who_has_reported_once_is_not_held_in_later_answers(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await _ask(session)
    item_id = session.client.heard_of("response.audio.delta")[0].event["item_id"]
    await session.client.report(item_id, 0)
    await trio.sleep(5.0)
    session.client.forget()
    await session.asks()
    second = await session.client.hears("response.audio.delta")
    await trio.sleep(0.01)
    assert max(_arrivals(session, second.at)) < 4
    assert len(_arrivals(session, second.at)) == 30


async def test_I5_what_was_held_dies_with_its_answer(autojump_clock: MockClock, session: SessionFixture) -> None:
    first = await _ask(session, seconds=30.0)
    await trio.sleep(1.55)
    spoke_at = session.client.now
    session.model.start_speech()
    flush = await session.client.hears("playback.flush")
    assert round((flush.at - spoke_at) * 1000) == 0
    await trio.sleep(40.0)
    assert session.client.audio_after_flush == []
    assert _arrivals(session, first)[-1] == 1500
    assert session.under_test.summary.audio_out_s == pytest.approx(2.5)


async def test_I6_the_model_is_told_what_the_clock_says_was_heard_of_what_was_sent(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await _ask(session, seconds=30.0)
    await trio.sleep(1.55)
    session.soon(session.asks, "stop please")
    truncate = await session.model.hears("conversation.item.truncate")
    flush = await session.client.hears("playback.flush")
    assert truncate.event["audio_end_ms"] == flush.event["played_ms"] == 1550
    assert session.client.audio_received_ms(truncate.event["item_id"]) == 2500


async def test_the_next_answer_has_its_first_second_at_once_again(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await _ask(session, seconds=30.0)
    await trio.sleep(1.55)
    session.client.forget()
    session.soon(session.asks, "and how warm for ducks in the summer")
    second = await session.client.hears("response.audio.delta")
    await trio.sleep(0.2)
    assert len([at for at in _arrivals(session, second.at) if at < 2]) == 10


async def test_after_a_pause_of_the_models_there_is_a_second_to_catch_up(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_next(
        Answer(LONG, audio_ms=1500, pace=1000.0, calls=(Call("unknown", "{}"),), first_audio_after=0.0),
        Answer(LONG, audio_ms=1500, pace=1000.0, first_audio_after=5.0),
    )
    await session.ready()
    await session.asks()
    first = await session.client.hears("response.audio.delta")
    await trio.sleep(12.0)
    arrivals = _arrivals(session, first.at)
    assert arrivals[10:15] == [100, 200, 300, 400, 500]
    resumed = arrivals[15]
    assert resumed > 4000
    assert max(arrivals[15:25]) - resumed < 2
    assert [at - resumed for at in arrivals[25:]] == [100, 200, 300, 400, 500]
    assert max(_leads(session)) == 1000


@pytest.mark.parametrize("chunk_ms", [20, 40, 250, 480, 1000, 3000])
async def test_the_lead_is_never_above_a_second_and_the_sound_never_breaks(
    autojump_clock: MockClock, session: SessionFixture, chunk_ms: int
) -> None:
    first = await _ask(session, seconds=6.0, chunk_ms=chunk_ms)
    item_id = session.client.heard_of("response.audio.delta")[0].event["item_id"]
    await trio.sleep(6.0)
    assert session.client.audio_received_ms(item_id) == 6000
    assert max(_leads(session)) <= 1000
    assert session.client.audio_heard_ms(item_id) == pytest.approx(6000, abs=0.001), "played without a pause"
    assert _arrivals(session, first)[0] == 0


async def test_I9_waiting_for_the_time_to_send_is_not_a_client_that_takes_nothing(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await _ask(session, seconds=60.0)
    done = await session.client.hears("response.done")
    assert done.event["status"] == "completed"
    item_id = session.client.heard_of("response.audio.delta")[0].event["item_id"]
    assert session.client.audio_received_ms(item_id) == 60_000


async def test_I9_a_client_that_stops_taking_what_is_due_is_closed_five_seconds_later(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await _ask(session, seconds=60.0)
    await trio.sleep(1.05)
    stopped_at = session.now
    session.client.stop_reading()
    await session.over.wait()
    assert session.summary.ending is Ending.TOO_SLOW
    assert round(session.ended_at - stopped_at, 3) == 5.05, "the next piece was due 50 ms later"


async def test_a_model_that_speaks_in_real_time_is_passed_on_without_delay(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    first = await _ask(session, pace=1.0)
    await trio.sleep(5.0)
    assert _arrivals(session, first) == list(range(0, 3000, 100))


async def test_a_session_that_ends_does_not_wait_for_what_is_held(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await _ask(session, seconds=60.0)
    ends_at = session.now
    await session.client.end_session()
    await session.over.wait()
    assert round(session.ended_at - ends_at, 3) == 0.0


def test_sound_in_base64_is_cut_into_whole_samples() -> None:
    pcm = bytes(range(256)) * 300  # 1,600 ms
    pieces = split_audio(encode_audio(pcm), 500)
    assert [audio_ms(piece) for piece in pieces] == [500, 500, 500, 100]
    assert b"".join(map(decode_audio, pieces)) == pcm
    assert split_audio("", 500) == [""]


async def test_nothing_is_held_before_the_first_sound_and_nothing_from_who_reports(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    sending = SendQueueFixture(nursery, is_paced=True)
    sending.put_audio("first", 1000.0)
    sending.put_audio("second", 100.0)
    await trio.sleep(0.1)
    sending.queue.stop_pacing()
    sending.put_audio("third", 100.0)
    await trio.testing.wait_all_tasks_blocked()
    assert sending.link.sent == [("first", 0.0), ("second", pytest.approx(0.1)), ("third", pytest.approx(0.1))]


async def test_sound_that_was_being_written_at_a_flush_does_not_count(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    sending = SendQueueFixture(nursery, is_paced=True)
    sending.link.stall()
    sending.put_audio("interrupted", 1000.0)
    await trio.testing.wait_all_tasks_blocked()
    sending.queue.drop_response()
    sending.link.resume()
    await trio.testing.wait_all_tasks_blocked()
    sending.put_audio("next response", 1000.0, "other")
    await trio.testing.wait_all_tasks_blocked()
    assert sending.link.sent == [("interrupted", 0.0), ("next response", 0.0)]


async def test_an_upstream_that_floods_is_replaced_and_the_client_is_not_blamed_F70(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await _ask(session, seconds=300.0)
    await session.client.hears("session.recovered")
    assert (session.under_test.summary.ending, session.under_test.summary.recoveries) == (None, 1)
    await session.over.wait()
    assert session.summary.ending is Ending.UPSTREAM_LOST  # the next one floods as well
