"""Barge-in and cancellation on OpenAI's protocol: silence, what was heard, and which response a cancel means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.realtime_session_fixture import (
    LONG,
    QUESTION,
    RealtimeSessionFixture,
    finish_speech,
    interrupted,
    truncations,
)
from voice_trio.testing.script import Answer

if TYPE_CHECKING:
    from trio.testing import MockClock


# Interruptions


async def test_I5_after_a_barge_in_no_further_sound_of_the_answer_comes(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    passthrough.model.answers_with(LONG, audio_ms=8000)
    passthrough.model.interrupt_after(0.2)
    await passthrough.ask()
    await passthrough.client.hears("response.created")
    await trio.sleep(1.05)
    passthrough.model.start_speech()
    started = await passthrough.client.hears("input_audio_buffer.speech_started")
    await passthrough.client.hears("response.done")
    assert passthrough.last_told("response.done")["response"]["status"] == "cancelled"
    assert max(passthrough.audio_of(passthrough.response_id())) <= started.at
    assert "response.output_audio.done" in passthrough.told()


async def test_I5_what_was_queued_for_a_slow_client_is_dropped(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    passthrough.model.answers_with(LONG, audio_ms=8000, pace=1000.0)
    await passthrough.ask()
    await passthrough.client.hears("response.created")
    passthrough.client.stop_reading()
    await trio.sleep(2)
    passthrough.model.start_speech()
    await trio.sleep(0.5)
    passthrough.client.read_again()
    await passthrough.client.hears("input_audio_buffer.speech_started")
    await trio.sleep(1)
    after = passthrough.client.types()[passthrough.client.types().index("input_audio_buffer.speech_started") :]
    assert "response.output_audio.delta" not in after


async def test_I6_a_client_that_says_nothing_is_reckoned_to_have_heard_what_the_clock_says(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    item = await interrupted(passthrough)
    assert truncations(passthrough) == []  # the client may still have its say
    await finish_speech(passthrough)
    ((cut, ms),) = truncations(passthrough)
    assert cut == item
    assert abs(ms - 1000) <= 1  # the sound began 0.3 s after response.created
    assert "conversation.item.truncated" not in passthrough.told()
    await passthrough.cut(item, 900, "late")
    told = await passthrough.client.hears("conversation.item.truncated")
    assert (told.event["item_id"], told.event["audio_end_ms"]) == (item, 900)
    assert len(truncations(passthrough)) == 1
    assert passthrough.errors() == []


async def test_I6_the_clients_own_word_comes_first_and_ours_is_dropped(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    item = await interrupted(passthrough)
    await passthrough.cut(item, 700)
    await passthrough.client.hears("conversation.item.truncated")
    await finish_speech(passthrough)
    assert truncations(passthrough) == [(item, 700)]
    await passthrough.cut(item, 600)
    await passthrough.client.hears("conversation.item.truncated")
    assert truncations(passthrough) == [(item, 700)]


async def test_I6_a_clock_that_runs_ahead_is_held_to_what_was_received(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    item = await interrupted(passthrough)
    await passthrough.cut(item, 1_000_000)
    await passthrough.client.hears("conversation.item.truncated")
    ((_, ms),) = truncations(passthrough)
    assert ms == 4100  # four times real time, and a piece more
    assert passthrough.errors() == []


async def test_I6_an_answer_of_which_nothing_was_heard_is_deleted_and_nobody_is_the_wiser(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    passthrough.model.interrupt_after(0.5)
    item = await interrupted(passthrough, after=0.25)  # sound comes at 0.3 s, while the model does not know yet
    await finish_speech(passthrough)
    assert [entry.event["item_id"] for entry in passthrough.model.heard("conversation.item.delete")] == [item]
    assert "conversation.item.deleted" not in passthrough.told()
    await passthrough.cut(item, 0)
    await passthrough.client.hears("conversation.item.truncated")
    await passthrough.send("conversation.item.retrieve", item_id=item)
    shown = (await passthrough.client.hears("conversation.item.retrieved")).event["item"]
    assert (shown["id"], shown["content"]) == (item, [])
    await passthrough.send("conversation.item.delete", item_id=item)
    await passthrough.client.hears("conversation.item.deleted")
    assert passthrough.errors() == []


async def test_speech_may_be_asked_not_to_interrupt(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    detection = {"type": "server_vad", "interrupt_response": False}
    await passthrough.update(audio={"input": {"turn_detection": detection}})
    passthrough.model.answers_next(Answer(audio_ms=4000))
    await passthrough.ask()
    await passthrough.client.hears("response.created")
    await trio.sleep(0.5)
    await passthrough.asks(QUESTION)
    await passthrough.client.hears("response.created")
    statuses = [entry.event["response"]["status"] for entry in passthrough.client.heard_of("response.done")]
    assert statuses == ["completed"]
    assert len(passthrough.audio_of(passthrough.response_id(0))) == 40


async def test_a_cancel_without_an_id_gets_the_one_it_means(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.ask()
    await passthrough.client.hears("response.created")
    await passthrough.send("response.cancel")
    await passthrough.client.hears("response.done")
    (cancel,) = passthrough.model.heard("response.cancel")
    assert cancel.event["response_id"] == passthrough.response_id()


async def test_a_cancel_with_nothing_active_is_an_error_with_the_clients_id(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.send("response.cancel", "nothing")
    error = (await passthrough.client.hears("error")).event["error"]
    assert (error["code"], error["event_id"]) == ("response_cancel_not_active", "nothing")


async def test_a_cancel_before_the_model_has_begun_is_not_lost(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    passthrough.model.answers_with(LONG, created_after=0.5)
    await passthrough.ask()
    await trio.sleep(0.1)
    await passthrough.send("response.cancel")
    await passthrough.client.hears("response.done")
    assert passthrough.last_told("response.done")["response"]["status"] == "cancelled"
    assert passthrough.audio_of(passthrough.response_id()) == []


@pytest.mark.parametrize("stopped_by", ["cancel", "speech"])
async def test_a_held_request_that_nobody_wants_any_more_still_gets_its_response(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture, stopped_by: str
) -> None:
    passthrough.knowledge.hang()
    await passthrough.ready()
    await passthrough.write(QUESTION)
    await passthrough.ask()
    await trio.sleep(0.1)
    if stopped_by == "cancel":
        await passthrough.send("response.cancel")
    else:
        passthrough.model.start_speech()
    await passthrough.client.hears("response.done")
    assert passthrough.last_told("response.done")["response"]["status"] == "cancelled"
    assert passthrough.audio_of(passthrough.response_id()) == []


async def test_an_answer_that_was_due_and_is_cancelled_does_not_come(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    passthrough.knowledge.hang()
    await passthrough.ready()
    await passthrough.asks(QUESTION)
    await passthrough.client.hears("input_audio_buffer.committed")
    await passthrough.send("response.cancel")
    await trio.sleep(5)
    assert passthrough.model.heard("response.create") == []
