"""Stories of whole sessions of both protocols: each function tells one, by its name, to the session's end."""

from __future__ import annotations

from typing import Any

import trio

from tests.support.budget_fixture import Budgets
from tests.support.realtime_session_fixture import QUESTION, RealtimeSessionFixture
from tests.support.session_fixture import SESSION_CONFIG, SessionFixture
from voice_trio.conversation.turn.history import Said
from voice_trio.errors import ModelUnavailable
from voice_trio.session.config import RetryPolicy
from voice_trio.session.endings import Ending
from voice_trio.testing.script import Answer

SHORT = Answer(text="Thirty-four degrees.", audio_ms=800, chunk_ms=400, pace=4.0)
LONG = Answer(text="Thirty-four degrees in the first week and then less.", audio_ms=6000, chunk_ms=1000, pace=4.0)


def costed(nursery: trio.Nursery, **how: Any) -> SessionFixture:
    """A session with a bill and `turn.metrics`."""
    return SessionFixture(nursery, cost_meter=Budgets().daily.open(SESSION_CONFIG), metrics=True, **how)


async def weather(arguments: str) -> str:
    await trio.sleep(0.25)
    return f'{{"sun":{arguments}}}'


async def a_spoken_and_a_typed_question(nursery: trio.Nursery) -> SessionFixture:
    history = (Said("old1", "user", "How warm?"), Said("old2", "assistant", "Thirty-four degrees."))
    session = costed(nursery, id_prefix="gw7_", history=history)
    session.model.answers_next(SHORT, SHORT)
    await session.ready()
    session.soon(session.client.speak, 4.0)
    await session.asks(completed_after=0.57)
    await session.client.hears("response.done")
    await trio.sleep(2.0)
    await session.client.ping("p1")
    await session.client.type("And how much light do layers need?")
    await session.client.hears("response.done")
    await trio.sleep(2.0)
    await session.client.end_session()
    return session


async def an_interruption_whose_position_is_reported(nursery: trio.Nursery) -> SessionFixture:
    session = costed(nursery, reports_flush=True)
    session.model.answers_next(LONG, SHORT)
    await session.ready()
    await session.asks(completed_after=0.57)
    added = await session.client.hears("response.audio.delta")
    await trio.sleep(1.03)
    await session.client.report(added.event["item_id"], 1000.0)
    await trio.sleep(0.52)
    await session.asks("and how much light do layers need", completed_after=0.57)
    await session.client.hears("response.done")
    await session.client.hears("response.done")
    await trio.sleep(3.0)
    await session.client.hang_up()
    return session


async def an_interruption_by_the_client_in_a_paced_response(nursery: trio.Nursery) -> SessionFixture:
    session = costed(nursery)
    session.model.answers_next(Answer(text="Long.", audio_ms=20_000, chunk_ms=2000, pace=20.0))
    await session.ready()
    await session.asks(completed_after=0.57)
    delta = await session.client.hears("response.audio.delta")
    await trio.sleep(2.51)
    await session.client.interrupt(delta.event["item_id"], 2400.0)
    await session.client.hears("response.done")
    await trio.sleep(1.0)
    await session.client.detect_language("zh-CN")
    await trio.sleep(1.0)
    await session.client.end_session()
    return session


async def functions_known_and_missing(nursery: trio.Nursery) -> SessionFixture:
    session = costed(nursery, tools={"weather": weather})
    session.model.call_function("weather", "1", text="Let me see.", audio_ms=200)
    session.model.call_function("missing", "2")
    session.model.answers_next(SHORT)
    await session.ready()
    await session.asks(completed_after=0.57)
    for _ in range(3):
        await session.client.hears("response.done")
    await trio.sleep(2.0)
    await session.client.end_session()
    return session


async def wrong_and_too_many_messages(nursery: trio.Nursery) -> SessionFixture:
    session = costed(nursery)
    await session.ready()
    for frame in ("{", "[]", '{"type":"unknown"}', '{"type":"text.input"}', '{"type":"text.input","text":5}', b"\x00"):
        await session.client.send(frame)
        await trio.sleep(0.05)
    for number in range(8):
        await session.client.type(f"question {number}")
        await trio.sleep(0.011)
    await trio.sleep(60.0)
    while session.client.closed_with is None:
        await session.client.send("{")
        await trio.sleep(1.0)
    return session


async def silence_until_the_session_is_idle(nursery: trio.Nursery) -> SessionFixture:
    session = costed(nursery, idle_seconds=5.0)
    await session.ready()
    return session


async def a_session_that_reaches_its_deadline(nursery: trio.Nursery) -> SessionFixture:
    session = costed(nursery, duration_seconds=90.0)
    session.model.answers_next(SHORT, SHORT)
    await session.ready()
    await trio.sleep(80.0)
    await session.asks(completed_after=0.57)
    await session.over.wait()
    return session


async def an_upstream_that_cannot_be_reached(nursery: trio.Nursery) -> SessionFixture:
    await trio.lowlevel.checkpoint()
    session = costed(nursery, retry=RetryPolicy(backoff_seconds=0.0))
    for _ in range(3):
        session.model.refuse_next_connection(ModelUnavailable("away"))
    return session


async def an_upstream_that_is_lost_in_its_answer(nursery: trio.Nursery) -> SessionFixture:
    session = costed(nursery)
    session.model.answers_next(LONG, SHORT)
    await session.ready()
    await session.asks(completed_after=0.57)
    await session.client.hears("response.audio.delta")
    await trio.sleep(1.07)
    await session.model.drop()
    await session.client.hears("response.done")
    await session.client.hears("response.done")
    await trio.sleep(3.0)
    await session.client.end_session()
    return session


async def responses_that_fail_and_errors(nursery: trio.Nursery) -> SessionFixture:
    session = costed(nursery)
    session.model.fail_next_response()
    session.model.incomplete_next_response(audio_ms=400)
    session.model.fail_next_transcription()
    await session.ready()
    await session.asks(completed_after=0.57)
    await session.client.hears("response.done")
    await trio.sleep(1.0)
    await session.asks("how much light do layers need", completed_after=0.57)
    await session.client.hears("response.done")
    session.model.send_error("server_error")
    session.model.send_error("invalid_value", "vt_unknown")
    await trio.sleep(3.0)
    session.under_test.end(Ending.ENDED_BY_OPERATOR)
    return session


async def a_knowledge_base_that_is_slow(nursery: trio.Nursery) -> SessionFixture:
    session = costed(nursery, search_seconds_max=1.0)
    session.knowledge.answer_after(0.35)
    session.model.answers_next(SHORT, SHORT)
    await session.ready()
    await session.asks(
        "light for layers please now", words_at=[1.21, 1.43, 1.64, 1.95, 2.46], lasts=2.0, completed_after=0.67
    )
    await session.client.hears("response.done")
    await trio.sleep(2.0)
    session.knowledge.answer_after(5.0)
    await session.asks("how much water do the ducks need then", completed_after=0.67)
    await session.client.hears("response.done")
    await trio.sleep(2.0)
    session.under_test.drain()
    return session


async def a_sidecar_that_transcribes(nursery: trio.Nursery) -> SessionFixture:
    session = costed(nursery, sidecar="on")
    session.model.answers_next(SHORT, SHORT)
    await session.ready()
    await trio.sleep(0.1)
    for question in (QUESTION, "how much light do layers need"):
        session.model.transcriber.will_hear(question)
        session.soon(session.client.speak, 3.5)
        await session.asks(question, lasts=3.0, completed_after=0.57)
        await session.client.hears("response.done")
        await trio.sleep(2.0)
    await session.client.end_session()
    return session


async def a_client_that_reads_nothing(nursery: trio.Nursery) -> SessionFixture:
    session = costed(nursery)
    session.model.answers_next(LONG)
    await session.ready()
    session.client.stop_reading()
    await session.asks(completed_after=0.57)
    return session


async def a_session_whose_budget_is_spent(nursery: trio.Nursery) -> SessionFixture:
    budgets = Budgets(SESSION_BUDGET_USD="0.02")
    session = SessionFixture(nursery, cost_meter=budgets.daily.open(SESSION_CONFIG), metrics=True)
    session.model.answers_with("Thirty-four degrees in the first week.", audio_ms=6000, chunk_ms=1000)
    await session.ready()
    while not session.over.is_set():
        await session.asks(completed_after=0.57)
        with trio.move_on_after(8.0):
            await session.over.wait()
    return session


# OpenAI's protocol


def realtime(nursery: trio.Nursery, **how: Any) -> RealtimeSessionFixture:
    return RealtimeSessionFixture(nursery, cost_meter=Budgets().daily.open(SESSION_CONFIG), **how)


async def a_drop_in_client_that_talks(nursery: trio.Nursery) -> SessionFixture:
    session = realtime(nursery)
    session.model.answers_next(SHORT, LONG, SHORT)
    await session.ready()
    shown = {"model": "whisper-1", "language": "en"}
    await session.update("u1", audio={"input": {"transcription": shown}}, instructions="Be kind.")
    await session.append(0.5)
    await trio.sleep(0.1)
    await session.asks(QUESTION, completed_after=0.57)
    await session.client.hears("response.done")
    await trio.sleep(2.0)
    await session.asks("and how much light do layers need", completed_after=0.57)
    await session.client.hears("response.created")
    await trio.sleep(1.13)
    await session.asks("and the ducks", completed_after=0.57)
    await session.client.hears("response.done")
    await session.client.hears("response.done")
    await trio.sleep(2.0)
    await session.client.hang_up()
    return session


async def a_drop_in_client_that_writes_and_asks(nursery: trio.Nursery) -> SessionFixture:
    session = realtime(nursery)
    session.model.answers_with("Ducks need water.", audio_ms=800, chunk_ms=400)
    await session.ready()
    await session.answer_when_asked()
    await session.write("How deep must the water be for ducks?", id="w1")
    await trio.sleep(0.05)
    await session.ask("a1", metadata={"topic": "ducks"})
    await trio.sleep(0.05)
    await session.ask("a2")
    await trio.sleep(0.05)
    await session.client.hears("response.done")
    await session.ask("o1", conversation="none", input=[])
    await trio.sleep(0.05)
    await session.client.hears("response.done")
    await session.send("conversation.item.retrieve", "i1", item_id="w1")
    await trio.sleep(0.05)
    await session.send("conversation.item.delete", "d1", item_id="w1")
    await trio.sleep(0.05)
    await session.send("conversation.item.delete", "d2", item_id="nowhere")
    await trio.sleep(0.05)
    await session.send("response.cancel", "c1")
    await trio.sleep(0.05)
    await session.send("input_audio_buffer.commit", "b1")
    await trio.sleep(0.05)
    await session.send("unknown.event", "x1")
    await trio.sleep(0.05)
    await session.client.send("{")
    await trio.sleep(0.05)
    await session.update("u2", voice="none such")
    await trio.sleep(1.0)
    await session.client.hang_up()
    return session


async def a_drop_in_client_that_cancels_and_truncates(nursery: trio.Nursery) -> SessionFixture:
    session = realtime(nursery, id_prefix="gw7_")
    session.model.answers_with("Thirty-four degrees and then less.", audio_ms=6000, chunk_ms=1000)
    await session.ready()
    await session.ask("a1")
    await session.client.hears("response.output_audio.delta")
    await trio.sleep(1.21)
    await session.send("response.cancel", "c1")
    await session.client.hears("response.done")
    await session.cut(session.answer_item(), 1100, "t1")
    await trio.sleep(0.5)
    await session.cut(session.answer_item(), 900, "t2")
    await trio.sleep(0.5)
    await session.ask("a2")
    await session.client.hears("response.created")
    await trio.sleep(0.5)
    await session.model.drop()
    return session


async def a_drop_in_client_with_a_preset_to_its_deadline(nursery: trio.Nursery) -> SessionFixture:
    session = realtime(
        nursery, preset={"type": "realtime", "instructions": "Say little."}, duration_seconds=30.0, idle_seconds=100.0
    )
    await session.ready()
    return session


async def a_drop_in_client_whose_session_is_switched_off(nursery: trio.Nursery) -> SessionFixture:
    session = realtime(nursery)
    session.model.answers_with("Thirty-four degrees and then less.", audio_ms=6000, chunk_ms=1000)
    await session.ready()
    await session.ask("a1")
    await session.client.hears("response.output_audio.delta")
    await trio.sleep(0.3)
    session.under_test.end(Ending.SWITCHED_OFF)
    return session


# Handshakes


async def a_server_that_refuses_the_transcription_model(nursery: trio.Nursery) -> SessionFixture:
    session = costed(nursery, sidecar="auto")
    session.model.refuse_transcription_model()
    session.model.answers_next(SHORT)
    await session.ready()
    await trio.sleep(0.1)
    session.model.transcriber.will_hear(QUESTION)
    session.soon(session.client.speak, 3.5)
    await session.asks(QUESTION, lasts=3.0, completed_after=0.57)
    await session.client.hears("response.done")
    await trio.sleep(2.0)
    await session.client.end_session()
    return session


async def a_server_that_refuses_the_key(nursery: trio.Nursery) -> SessionFixture:
    await trio.lowlevel.checkpoint()
    session = costed(nursery, retry=RetryPolicy(backoff_seconds=0.0))
    session.model.refuse_key()
    return session


async def a_server_that_never_gets_ready(nursery: trio.Nursery) -> SessionFixture:
    await trio.lowlevel.checkpoint()
    session = costed(nursery, retry=RetryPolicy(backoff_seconds=0.0, attempts_max=2))
    session.model.never_ready()
    return session


async def a_server_that_insists_on_responding_by_itself(nursery: trio.Nursery) -> SessionFixture:
    await trio.lowlevel.checkpoint()
    session = costed(nursery, retry=RetryPolicy(backoff_seconds=0.0))
    session.model.ignore_create_response_false()
    return session


async def a_drop_in_client_whose_server_cannot_be_reached(nursery: trio.Nursery) -> SessionFixture:
    await trio.lowlevel.checkpoint()
    session = realtime(nursery, retry=RetryPolicy(backoff_seconds=0.0, attempts_max=1))
    session.model.refuse_next_connection(ModelUnavailable("away"))
    return session


async def an_upstream_that_takes_nothing(nursery: trio.Nursery) -> SessionFixture:
    session = costed(nursery, recovery_seconds=1.0)
    await session.ready()
    session.upstream_is_away_for(100.0)
    session.model.stall()
    await session.client.type("How much light do layers need?")
    return session
