"""Sessions with upstreams whose own turn detection must be off: the gateway detects speech and commits it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.session_fixture import REALTIME_CONFIG, SessionFixture
from voice_trio.conversation.policy import Policy
from voice_trio.speech.energy import EnergyActivity
from voice_trio.testing.dialects.xai import XaiSession

if TYPE_CHECKING:
    from trio.testing import MockClock

QUESTION = "how warm must the brooder be in winter"
XAI_CONFIG = replace(REALTIME_CONFIG, model="grok-voice-latest", transcription_model="grok-transcribe", voice="ara")


@pytest.fixture
async def session(autojump_clock: MockClock, nursery: trio.Nursery) -> SessionFixture:
    return xai(nursery)


def xai(nursery: trio.Nursery) -> SessionFixture:
    policy = Policy(upstream_interrupts=False)
    return SessionFixture(nursery, upstream="xai", model=XAI_CONFIG, policy=policy, new_detector=EnergyActivity)


def server(session: SessionFixture) -> XaiSession:
    live = session.model.session
    assert isinstance(live, XaiSession)
    return live


async def asks(session: SessionFixture, text: str = QUESTION, *, seconds: float = 2.0) -> float:
    """The user says it, and its words come while it is said; returns when the end of speech was found."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transcribe, session, text, seconds)
        await session.client.speak(seconds, loud=True)
        nursery.start_soon(session.client.speak, 0.8)
        stopped = await session.client.hears("input_audio_buffer.speech_stopped")
    return stopped.at


async def transcribe(session: SessionFixture, text: str, seconds: float) -> None:
    words = text.split()
    await trio.sleep(0.4)
    for word in words:
        await trio.sleep((seconds - 0.4) / len(words))
        server(session).hear_words(" " + word)


async def test_the_commit_is_the_request_and_the_context_stands_before_it_I2(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.knowledge.answer_after(0.1)
    session.model.answers_with("Thirty-four degrees.", audio_ms=400)
    await session.ready()
    await asks(session)
    done = (await session.client.hears("response.done")).event
    assert session.requests() == ["conversation.item.create", "input_audio_buffer.commit"]
    assert [item["role"] for item in session.model.items] == ["user", "user", "assistant"]
    assert session.model.items[0]["content"][0]["text"].startswith("<context>")
    assert done["status"] == "completed"
    assert [entry.event["outcome"] for entry in session.client.heard_of("context.injected")] == ["hidden"]


async def test_the_commit_waits_for_context_no_longer_than_allowed_after_the_end_of_speech_I3(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.knowledge.answer_after(30)
    await session.ready()
    stopped = await asks(session)
    await session.client.hears("response.created")
    (commit,) = session.times("input_audio_buffer.commit")
    assert commit - stopped == pytest.approx(0.2, abs=0.001)


async def test_only_speech_is_sent_with_half_a_second_before_it(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    await session.client.speak(5.0)
    assert session.times("input_audio_buffer.append") == []
    await asks(session)
    await session.client.hears("response.created")
    await session.client.speak(5.0)
    heard_ms = server(session).heard_ms
    assert heard_ms == pytest.approx(500 + 2000 + 500, abs=150)


async def test_speech_during_an_answer_cancels_it_by_id_and_nothing_of_it_follows_I5(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("Thirty-four degrees, and then three less each week.", audio_ms=8000, pace=1.0)
    await session.ready()
    await asks(session)
    await session.client.hears("response.created")
    await trio.sleep(2.0)
    first = {entry.event["response_id"] for entry in session.client.heard_of("response.audio.delta")}
    await asks(session, "and for the layers in winter")
    await session.client.hears("playback.flush")
    (cancel,) = session.model.heard("response.cancel")
    assert {cancel.event["response_id"]} == first
    flushed_at = session.client.heard_of("playback.flush")[0].at
    late = [e for e in session.client.heard_of("response.audio.delta") if e.at > flushed_at]
    assert {entry.event["response_id"] for entry in late}.isdisjoint(first)


async def test_a_user_who_goes_on_before_the_commit_says_one_item(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.knowledge.answer_after(30)
    await session.ready()
    await session.client.speak(1.0, loud=True)
    server(session).hear_words("how warm must the")
    await session.client.speak(0.52)  # the end of speech was found, and the wait for context goes on
    await session.client.speak(1.0, loud=True)
    server(session).hear_words(" brooder be")
    await session.client.speak(0.8)
    await session.client.hears("response.done")
    await trio.sleep(5)
    assert len(session.times("input_audio_buffer.commit")) == 1
    assert [(record.status, record.said) for record in session.records] == [
        ("joined", "how warm must the"),
        ("completed", "how warm must the brooder be"),
    ]


async def test_typed_questions_and_functions_are_asked_for_as_ever(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    await session.client.type("light for layers")
    await session.client.hears("response.done")
    assert session.requests()[-1] == "response.create"
    assert "input_audio_buffer.commit" not in session.requests()


async def test_a_lost_upstream_hears_the_sentence_that_is_being_said(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: session.client.speak(2.0, loud=True))
        await trio.sleep(1.0)
        await session.model.drop()
    await session.client.speak(1.0)
    await session.client.hears("response.done")
    assert session.client.heard_of("session.recovered")
    assert len(session.times("input_audio_buffer.commit")) == 1
    assert server(session).heard_ms == pytest.approx(2000 + 500, abs=200)  # all of it, with the silence that ended it


async def test_early_sound_is_heard_once_there_is_an_upstream(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    session = xai(nursery)
    session.upstream_is_away_for(0.4)
    await session.client.speak(2.0, loud=True)
    await session.client.speak(1.0)
    await session.client.hears("response.done")
    assert len(session.times("input_audio_buffer.commit")) == 1
    assert server(session).heard_ms == pytest.approx(2000 + 500, abs=200)
