"""Whole conversations with upstreams that speak other wires, on virtual time: they go as with OpenAI's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.session_fixture import REALTIME_CONFIG, SessionFixture, contexts
from voice_trio.conversation.turn.history import Said
from voice_trio.session.endings import Ending
from voice_trio.testing.script import Answer

if TYPE_CHECKING:
    from trio.testing import MockClock

QUESTION = "how warm must the brooder be in winter"
PROFILES = ["azure", "flat", "azure-voice-live"]
STREAMING = ["azure", "flat"]
"""Those whose scripted servers transcribe during speech."""
VOICE_LIVE_CONFIG = replace(
    REALTIME_CONFIG,
    model="gpt-realtime",
    transcription_model="azure-speech",
    sidecar_model="gpt-realtime-whisper",
)


@pytest.fixture(params=PROFILES)
async def session(request: pytest.FixtureRequest, autojump_clock: MockClock, nursery: trio.Nursery) -> SessionFixture:
    """A session with an upstream of that profile, and the scripted model in its dialect."""
    return session_with(nursery, request.param)


def session_with(nursery: trio.Nursery, upstream: str) -> SessionFixture:
    model = VOICE_LIVE_CONFIG if upstream == "azure-voice-live" else REALTIME_CONFIG
    return SessionFixture(nursery, upstream=upstream, model=model)


def errors(session: SessionFixture) -> list[object]:
    """Of the upstream and of the client."""
    upstream = [entry.event for entry in session.model.said if entry.type == "error"]
    return upstream + [entry.event for entry in session.client.heard_of("error")]


@pytest.mark.parametrize("session", STREAMING, indirect=True)
async def test_a_question_is_answered_from_the_documents_without_waiting(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.knowledge.answer_after(0.447)
    session.model.answers_with("Thirty-four degrees.", audio_ms=1200)
    await session.ready()
    item_id = await session.asks(QUESTION)
    committed = (await session.client.hears("input_audio_buffer.committed")).at
    context = (await session.client.hears("context.injected")).event
    done = (await session.client.hears("response.done")).event
    assert session.times("response.create") == [round(committed, 6)]
    assert (context["outcome"], done["status"]) == ("hidden", "completed")
    kinds = [(item["role"], item["id"] == item_id) for item in session.model.items]
    assert kinds == [("user", True), ("system", False), ("assistant", False)]
    (answer,) = {entry.event["item_id"] for entry in session.client.heard_of("response.audio.delta")}
    assert session.client.audio_received_ms(answer) == 1200
    words = [entry.event["delta"] for entry in session.client.heard_of("response.audio_transcript.delta")]
    assert "".join(words).strip() == "Thirty-four degrees."
    assert errors(session) == []


async def test_a_typed_question_gets_its_context_before_the_answer(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    await session.client.type("light for layers")
    await session.client.hears("response.done")
    assert session.requests() == ["conversation.item.create", "conversation.item.create", "response.create"]
    assert "16 hours" in contexts(session.model.items)[0]
    assert errors(session) == []


async def test_I3_a_hanging_search_costs_200_ms(autojump_clock: MockClock, session: SessionFixture) -> None:
    session.knowledge.hang()
    await session.ready()
    await session.asks(QUESTION)
    committed = (await session.client.hears("input_audio_buffer.committed")).at
    asked = await session.model.hears("response.create")
    assert round(asked.at - committed, 6) == 0.2


async def test_I5_I6_barge_in_silences_the_answer_and_the_item_is_cut_at_what_was_heard(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("A long answer about brooding.", audio_ms=8000, first_audio_after=0.5)
    await session.ready()
    await session.asks(QUESTION)
    first = await session.client.hears("response.audio.delta")
    await trio.sleep(1.5)
    await session.asks("stop please")
    flush = await session.client.hears("playback.flush")
    truncate = await session.model.hears("conversation.item.truncate")
    assert flush.event["played_ms"] == truncate.event["audio_end_ms"] == round((flush.at - first.at) * 1000)
    await session.model.says("conversation.item.truncated")
    assert session.client.audio_after_flush == []
    assert session.model.heard("response.cancel") == []
    assert errors(session) == []


async def test_interrupt_cancels_by_id(autojump_clock: MockClock, session: SessionFixture) -> None:
    session.model.answers_with("A long answer.", audio_ms=8000, pace=1.0)
    await session.ready()
    await session.client.type("light for layers")
    await session.client.hears("response.audio.delta")
    await session.client.interrupt()
    cancel = (await session.model.hears("response.cancel")).event
    done = (await session.client.hears("response.done")).event
    assert (cancel["response_id"], done["status"]) == (done["response_id"], "cancelled")
    assert errors(session) == []


async def test_a_lost_upstream_is_replaced_and_told_what_was_said(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("Thirty-four degrees.", audio_ms=1000)
    await session.ready()
    await session.client.type(QUESTION)
    await session.client.hears("response.done")
    await trio.sleep(5)
    await session.model.drop()
    await session.client.hears("session.recovered")
    await trio.sleep(0.1)
    told = [(item["role"], item["content"][0]["text"]) for item in session.model.items]
    assert told == [("user", QUESTION), ("assistant", "Thirty-four degrees.")]
    await session.client.type("light for layers")
    await session.client.hears("response.done")
    assert errors(session) == []


@pytest.mark.parametrize("upstream", PROFILES)
async def test_a_resumed_session_tells_its_history_and_runs_functions(
    autojump_clock: MockClock, nursery: trio.Nursery, upstream: str
) -> None:
    history = (Said("u", "user", "Do ducks need water?"), Said("a", "assistant", "Yes, deep water."))
    tools = ({"type": "function", "name": "weather", "parameters": {"type": "object"}},)
    model = replace(VOICE_LIVE_CONFIG if upstream == "azure-voice-live" else REALTIME_CONFIG, tools=tools)
    session = SessionFixture(nursery, upstream=upstream, model=model, history=history, tools={"weather": weather})
    session.model.call_function("weather", '{"at": "noon"}')
    await session.ready()
    await session.client.type("how is the weather")
    for _ in range(2):
        await session.client.hears("response.done")
    told = [item for item in session.model.items if item.get("role") != "system"]
    assert [item["type"] for item in told] == ["message"] * 3 + ["function_call", "function_call_output", "message"]
    assert [item["content"][0]["text"] for item in told[:3]] == [*(each.text for each in history), "how is the weather"]
    assert told[4]["output"] == 'sun at {"at": "noon"}'
    assert errors(session) == []


async def weather(arguments: str) -> str:
    await trio.lowlevel.checkpoint()
    return f"sun at {arguments}"


async def test_a_failed_and_an_incomplete_answer_are_errors_that_the_client_sees(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_next(Answer(status="failed", error_code="server_error"), Answer(status="incomplete"))
    await session.ready()
    for code in ("answer_failed", "answer_incomplete"):
        await session.client.type("light for layers")
        assert (await session.client.hears("error")).event["error"]["code"] == code
        await trio.sleep(5)


async def test_a_server_that_answers_by_itself_is_refused(autojump_clock: MockClock, session: SessionFixture) -> None:
    session.model.ignore_create_response_false()
    await session.over.wait()
    assert session.summary.ending is Ending.UPSTREAM_UNAVAILABLE


async def test_the_budget_of_time_ends_it(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    session = SessionFixture(nursery, upstream="flat", duration_seconds=30.0)
    await session.ready()
    await session.over.wait()
    assert 30.0 <= session.ended_at <= 32.0


async def test_the_sidecar_gives_the_words_of_a_server_that_transcribes_late(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = SessionFixture(nursery, upstream="azure-voice-live", model=VOICE_LIVE_CONFIG, sidecar="auto")
    session.knowledge.answer_after(0.4)
    session.model.transcriber.will_hear(QUESTION)
    await session.ready()
    await trio.sleep(0.1)
    session.soon(session.client.speak, 3.5)
    await session.asks(QUESTION, lasts=3.0)
    assert (await session.client.hears("context.injected")).event["outcome"] == "hidden"
    asked = session.model.transcriber.heard("session.update")[0].event["session"]["audio"]["input"]
    assert asked["transcription"] == {"model": "gpt-realtime-whisper"}
    await session.client.hears("response.done")
    assert "34 degrees" in contexts(session.model.items)[0]
    assert errors(session) == []


async def test_words_of_a_server_that_transcribes_late_are_searched_and_do_not_hold_the_answer(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = session_with(nursery, "azure-voice-live")
    await session.ready()
    await session.asks(QUESTION)
    committed = (await session.client.hears("input_audio_buffer.committed")).at
    asked = await session.model.hears("response.create")
    assert round(asked.at - committed, 6) <= 0.2
    whole = await session.client.hears("conversation.item.input_audio_transcription.completed")
    assert whole.event["transcript"] == QUESTION


async def test_words_that_a_chain_of_models_repeats_are_searched_during_speech(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = SessionFixture(nursery, upstream="flat", dialect="speaches")
    session.knowledge.answer_after(0.447)
    await session.ready()
    await session.asks(QUESTION)
    assert (await session.client.hears("context.injected")).event["outcome"] == "hidden"
    await session.client.hears("response.done")
    deltas = session.client.heard_of("conversation.item.input_audio_transcription.delta")
    assert QUESTION.startswith("".join(entry.event["delta"] for entry in deltas).strip())
    await trio.sleep(30)
    assert session.records[0].said == QUESTION


async def test_a_chain_of_models_is_asked_once_it_has_the_words_and_the_context_stands_before(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    config = replace(REALTIME_CONFIG, transcription_model="whisper-1")
    session = SessionFixture(nursery, upstream="flat", dialect="speaches", model=config)
    session.knowledge.answer_after(0.1)
    await session.ready()
    await session.asks(QUESTION, completed_after=0.7)
    stopped = session.now
    asked = await session.model.hears("response.create")
    assert round(asked.at - stopped, 6) == 0.8  # the transcript, then the search
    answer = await session.client.hears("response.audio_transcript.done")
    assert answer.event["transcript"] == "Thirty-three degrees in the first week."
    assert "34 degrees" in contexts(session.model.items)[0]
    assert session.told("error") == session.told()
