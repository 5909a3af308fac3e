"""Whole turns through a whole session, exact to the millisecond."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.session_fixture import SessionFixture, contexts
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.testing.script import Answer

if TYPE_CHECKING:
    from trio.testing import MockClock


QUESTION = "how warm must the brooder be in winter"


async def test_a_question_is_answered_from_the_documents_without_waiting(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.knowledge.answer_after(0.447)
    await session.ready()
    await session.asks(QUESTION)
    committed = (await session.client.hears("input_audio_buffer.committed")).at
    context = (await session.client.hears("context.injected")).event
    done = await session.client.hears("response.done")
    assert session.requests() == ["conversation.item.create", "response.create"]
    assert session.times("response.create") == [round(committed, 6)]
    assert context["outcome"] == "hidden"
    assert context["waited_ms"] == 0
    best = context["passages"][0]
    assert (best["title"], best["source"]) == ("Brooding", "handbook 1")
    assert done.event["status"] == "completed"


async def test_I2_the_context_stands_after_the_users_item_and_before_the_answer(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    item_id = await session.asks(QUESTION)
    await session.client.hears("response.done")
    kinds = [(item["role"], item["id"] == item_id) for item in session.model.items]
    assert kinds == [("user", True), ("system", False), ("assistant", False)]
    assert "34 degrees" in contexts(session.model.items)[0]


async def test_I3_response_create_leaves_exactly_200_ms_after_the_commit(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.knowledge.hang()
    await session.ready()
    await session.asks(QUESTION)
    committed = (await session.client.hears("input_audio_buffer.committed")).at
    asked = await session.model.hears("response.create")
    assert round(asked.at - committed, 6) == 0.2
    context = (await session.client.hears("context.injected")).event
    assert (context["outcome"], context["waited_ms"], context["passages"]) == ("late", 200, [])


async def test_a_result_that_comes_70_ms_after_the_commit_is_waited_for_70_ms(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.knowledge.answer_after(0.07)
    await session.asks("brooder temperature", words_at=[1.0, 1.1], lasts=1.2)
    committed = (await session.client.hears("input_audio_buffer.committed")).at
    context = await session.client.hears("context.injected")
    assert round(context.at - committed, 6) == 0.07
    assert (context.event["outcome"], context.event["waited_ms"]) == ("waited", 70)


async def test_a_typed_question_is_answered_200_ms_after_it_came_if_the_search_hangs(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.knowledge.hang()
    await session.until(4.0)
    await session.client.type("opening hours of the hatchery?")
    asked = await session.model.hears("response.create")
    assert round(asked.at, 6) == 4.2


async def test_a_typed_question_is_answered_at_once_if_the_search_is_quick(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.knowledge.answer_after(0.03)
    await session.until(1.0)
    await session.client.type("light for layers")
    asked = await session.model.hears("response.create")
    assert round(asked.at, 6) == 1.03
    assert "16 hours" in contexts(session.model.items)[0]


async def test_I5_barge_in_silences_the_answer_and_the_model_learns_what_was_heard(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("A long answer about brooding.", audio_ms=8000, first_audio_after=0.5)
    await session.ready()
    await session.asks(QUESTION)
    first = await session.client.hears("response.audio.delta")
    await trio.sleep(1.5)
    interrupted_at = session.client.now
    await session.asks("stop please")
    flush = await session.client.hears("playback.flush")
    truncate = await session.model.hears("conversation.item.truncate")
    assert round(flush.at, 6) == round(interrupted_at, 6)
    assert flush.event["played_ms"] == truncate.event["audio_end_ms"] == round((flush.at - first.at) * 1000)
    assert session.client.audio_after_flush == []
    assert session.model.heard("response.cancel") == []
    assert session.records[0].status == "cancelled"


async def test_speech_started_and_the_flush_overtake_queued_audio(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("long", audio_ms=60_000, pace=1000.0, chunk_ms=100)
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.audio.delta")
    session.client.stop_reading()
    await trio.sleep(1.0)
    session.model.start_speech()
    await trio.sleep(0.1)
    session.client.read_again()
    flush = await session.client.hears("playback.flush")
    assert round(session.client.now - flush.at, 6) == 0.0
    await trio.sleep(1.0)
    assert session.client.audio_after_flush == []
    assert session.client.types().index("playback.flush") > session.client.types().index(
        "input_audio_buffer.speech_started", 5
    )


async def test_I1_there_are_never_two_active_responses(autojump_clock: MockClock, session: SessionFixture) -> None:
    session.model.interrupt_after(0.7)
    await session.ready()
    for _ in range(4):
        session.soon(session.asks, "and how about ducks in the summer", lasts=0.5, words_at=[0.1] * 7, silence=0.2)
        await trio.sleep(1.0)
    await trio.sleep(10.0)
    errors = [entry.event for entry in session.model.said if entry.type == "error"]
    assert errors == []
    assert session.model.heard("response.create")


async def test_interrupt_is_forwarded_as_a_cancel_by_id(autojump_clock: MockClock, session: SessionFixture) -> None:
    session.model.answers_with("long", audio_ms=8000)
    await session.ready()
    await session.asks(QUESTION)
    created = await session.client.hears("response.created")
    await session.client.hears("response.audio.delta")
    await trio.sleep(1.0)
    await session.client.interrupt()
    cancel = await session.model.hears("response.cancel")
    done = await session.client.hears("response.done")
    assert cancel.event["response_id"] == created.event["response_id"] == done.event["response_id"]
    assert done.event["status"] == "cancelled"


async def test_a_reporting_client_decides_what_was_heard(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    session = SessionFixture(nursery, reports_flush=True)
    session.model.answers_with("long", audio_ms=8000)
    await session.ready()
    await session.asks(QUESTION)
    delta = await session.client.hears("response.audio.delta")
    item_id = delta.event["item_id"]
    await session.client.report(item_id, 0)
    await trio.sleep(2.0)
    await session.client.report(item_id, 1600)  # its network swallowed 400 ms
    await trio.sleep(0.1)
    session.model.start_speech()
    truncate = await session.model.hears("conversation.item.truncate")
    heard = session.client.audio_heard_ms(item_id)
    assert truncate.event["audio_end_ms"] == pytest.approx(heard, abs=1)


async def test_I9_an_answer_of_205_seconds_is_delivered_whole(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("the longest there is", audio_ms=205_000, pace=100_000.0, chunk_ms=1000)
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.done")
    deltas = session.client.heard_of("response.audio.delta")
    assert session.client.audio_received_ms(deltas[0].event["item_id"]) == 205_000


async def test_silence_is_fed_while_the_microphone_is_off_so_that_the_model_hears_the_end(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    await session.until(1.0)
    item_id = session.model.start_speech()
    await session.until(3.05)
    fed = session.model.heard("input_audio_buffer.append")
    assert len(fed) == pytest.approx(20, abs=1)
    session.model.stop_speech(item_id)
    await session.until(6.0)
    assert len(session.model.heard("input_audio_buffer.append")) == len(fed)


async def test_no_silence_is_fed_while_the_client_sends_audio(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.soon(session.client.speak, 3.0)
    await session.until(0.5)
    session.model.start_speech()
    await session.until(2.0)
    assert len(session.model.heard("input_audio_buffer.append")) == pytest.approx(50, abs=1)


async def test_a_search_that_fails_costs_the_turn_its_context_and_nothing_else(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.knowledge.fail(KnowledgeUnavailable("down"))
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.done")
    assert session.last_told("context.injected")["outcome"] == "none"
    assert session.told().count("error") == 0


async def test_two_turns_each_get_their_own_context(autojump_clock: MockClock, session: SessionFixture) -> None:
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.done")
    await trio.sleep(3)
    await session.asks("how many hours of light do layers need")
    await session.client.hears("response.done")
    first, second = contexts(session.model.items)
    assert "34 degrees" in first
    assert "16 hours" in second
    await trio.sleep(3)
    await session.client.end_session()
    await session.over.wait()
    assert (session.summary.turns, session.summary.outcomes["hidden"], session.summary.interruptions) == (2, 2, 0)
    assert session.summary.audio_out_s == pytest.approx(4.0)


async def test_a_function_is_called_from_the_table_and_the_unknown_one_is_answered(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    async def weather(arguments: str) -> str:
        await trio.sleep(0.5)
        return '{"rain":true}'

    session = SessionFixture(nursery, tools={"weather": weather})
    session.model.call_function("weather", "{}")
    session.model.call_function("rocket", "{}")
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.done")
    await session.client.hears("response.done")
    await session.client.hears("response.done")
    outputs = [item["output"] for item in session.model.items if item["type"] == "function_call_output"]
    assert outputs == ['{"rain":true}', '{"error":"there is no function of that name"}']
    assert session.told().count("context.injected") == 1


async def test_failed_and_incomplete_answers_are_errors_the_client_sees(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_next(Answer(status="failed", error_code="server_error"), Answer(status="incomplete"))
    await session.ready()
    await session.asks(QUESTION)
    assert (await session.client.hears("error")).event["error"]["code"] == "answer_failed"
    await trio.sleep(5)
    await session.asks(QUESTION)
    assert (await session.client.hears("error")).event["error"]["code"] == "answer_incomplete"


async def test_sound_in_long_pieces_is_not_mixed_with_silence(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.model.start_speech()
    for _ in range(8):
        await session.client.send(bytes(48 * 500))
        await trio.sleep(0.5)
    assert len(session.model.heard("input_audio_buffer.append")) == 8
