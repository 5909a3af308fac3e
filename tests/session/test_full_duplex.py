"""Whole sessions with a full-duplex upstream, on virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.live_session_fixture import LiveSessionFixture
from voice_trio.conversation.full_duplex.context_feed import GIVEN
from voice_trio.conversation.full_duplex.failures import CONTINUED
from voice_trio.conversation.full_duplex.turn_flow import TYPED
from voice_trio.conversation.turn.history import Said
from voice_trio.session.endings import Ending

if TYPE_CHECKING:
    from trio.testing import MockClock

QUESTION = "how warm must the brooder be in winter"


@pytest.fixture
async def live(autojump_clock: MockClock, nursery: trio.Nursery) -> LiveSessionFixture:
    return LiveSessionFixture(nursery)


async def test_a_question_is_answered_from_passages_that_went_in_while_it_was_asked(
    autojump_clock: MockClock, live: LiveSessionFixture
) -> None:
    live.knowledge.answer_after(0.447)
    await live.ready()
    await live.model.hear_speech(QUESTION, answer="Thirty-four degrees.")
    done = (await live.client.hears("response.done")).event
    context = live.client.heard_of("context.injected")[0].event
    (append, *_) = live.model.heard("session.thinking.append")
    first_word = next(entry for entry in live.model.said if entry.type == "session.output_transcript.delta")

    assert append.event["content"].startswith(GIVEN)
    assert append.at < first_word.at
    assert (context["outcome"], context["passages"][0]["title"], done["status"]) == ("hidden", "Brooding", "completed")
    assert live.told("conversation.item.input_audio_transcription.delta")[3:] == [
        *("input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "input_audio_buffer.committed"),
        *("response.created", "context.injected", "conversation.item.input_audio_transcription.completed"),
        *("response.audio.done", "response.audio_transcript.done", "response.done"),
    ]
    (answer,) = {entry.event["item_id"] for entry in live.client.heard_of("response.audio.delta")}
    assert live.client.audio_received_ms(answer) == 800  # two words, and the pause of 0.4 s after them


async def test_the_upstream_hears_silence_while_the_microphone_is_off(
    autojump_clock: MockClock, live: LiveSessionFixture
) -> None:
    await live.ready()
    before = len(live.model.heard("session.input_audio.append"))
    await trio.sleep(5)
    assert len(live.model.heard("session.input_audio.append")) - before == 50


async def test_a_typed_question_goes_in_after_its_context(autojump_clock: MockClock, live: LiveSessionFixture) -> None:
    await live.ready()
    await live.client.type("how warm must the brooder be")
    await live.model.hears("session.thinking.append")
    question = await live.model.hears("session.thinking.append")
    assert question.event["content"] == TYPED + "how warm must the brooder be"
    await live.model.speak("Thirty-four degrees.")
    assert (await live.client.hears("response.done")).event["status"] == "completed"


async def test_a_stored_session_goes_on_by_a_fork(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    live = LiveSessionFixture(nursery, store=True)
    await live.ready()
    await live.model.hear_speech(QUESTION, answer="Thirty-four degrees.")
    await live.client.hears("response.done")
    live.model.drop()
    await live.client.hears("session.recovered")
    first, second = live.model.heard("session.start")
    assert first.event["session"]["store"] is True
    assert second.event["session"] == {}
    assert live.model.session.settings["model"] == "gpt-live-1.1"


async def test_another_session_begins_with_what_was_said_and_goes_on_with_the_answer(
    autojump_clock: MockClock, live: LiveSessionFixture
) -> None:
    await live.ready()
    await live.model.hear_speech(QUESTION, answer="Thirty-four degrees.")
    await live.client.hears("response.done")
    await trio.sleep(2)
    await live.model.hear_speech("and for the layers in winter", answer="Sixteen hours of light a day and some more")
    await live.client.hears("response.created")
    await live.client.hears("response.created")
    await trio.sleep(1.0)
    live.model.drop()
    await live.client.hears("session.recovered")
    _, second = live.model.heard("session.start")
    said = [(item["role"], item["content"][0]["text"]) for item in second.event["session"]["input"]]
    assert said == [("user", QUESTION), ("assistant", "Thirty-four degrees.")]
    await trio.sleep(2)
    told = [entry.event["content"] for entry in live.model.heard("session.thinking.append") if entry.session == 1]
    assert told[-1].startswith(CONTINUED + "Sixteen")


async def test_the_next_connection_goes_on_with_the_kept_session(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    live = LiveSessionFixture(nursery, store=True, is_resumed=True, upstream_session_id="live_before")
    live.model.stored["live_before"] = {"model": "gpt-live-1.1"}
    await live.ready()
    assert live.model.heard("session.start")[0].event["session"] == {}


async def test_in_place_of_a_kept_session_that_is_gone_the_history_goes_in(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    said = (Said("u1", "user", "How warm?"),)
    live = LiveSessionFixture(nursery, store=True, is_resumed=True, upstream_session_id="live_gone", history=said)
    await live.ready()
    assert live.model.session.settings["input"][0]["content"][0]["text"] == "How warm?"


async def test_the_session_ends_with_its_nursery_and_leaves_nothing_I8(
    autojump_clock: MockClock, live: LiveSessionFixture
) -> None:
    await live.ready()
    await live.client.end_session()
    with trio.fail_after(2):
        await live.over.wait()
    await live.model.session.over.wait()
    assert live.summary is not None
    assert live.summary.ending is Ending.CLIENT_ENDED
