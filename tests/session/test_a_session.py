"""Whole turns through a whole session, exact to the millisecond."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.session_fixture import UNIX_TIME, Stage, contexts
from voice_trio.errors import KnowledgeUnavailable, LinkClosed, ModelUnavailable
from voice_trio.session.endings import Ending
from voice_trio.testing.script import Answer

if TYPE_CHECKING:
    from trio.testing import MockClock

    from voice_trio.net.link import Link

QUESTION = "how warm must the brooder be in winter"


async def test_a_client_is_ready_once_the_model_has_promised_not_to_answer_by_itself(
    autojump_clock: MockClock, stage: Stage
) -> None:
    await stage.ready()
    assert stage.told() == ["connection.ready", "session.created", "session.updated"]
    assert stage.last_told("connection.ready") == {
        "type": "connection.ready",
        "session_id": "sess_test",
        "resume_token": "resume-me",
        "expires_at": UNIX_TIME + 600,
        "protocol": 1,
    }
    update = stage.model.heard("session.update")[0].event["session"]
    assert update["audio"]["input"]["turn_detection"]["create_response"] is False
    assert "instructions" not in stage.last_told("session.updated")["session"]


async def test_a_question_is_answered_from_the_documents_without_waiting(
    autojump_clock: MockClock, stage: Stage
) -> None:
    stage.knowledge.answer_after(0.447)
    await stage.ready()
    await stage.asks(QUESTION)
    committed = (await stage.client.hears("input_audio_buffer.committed")).at
    context = (await stage.client.hears("context.injected")).event
    done = await stage.client.hears("response.done")
    assert stage.requests() == ["conversation.item.create", "response.create"]
    assert stage.times("response.create") == [round(committed, 6)]
    assert context["outcome"] == "hidden"
    assert context["waited_ms"] == 0
    assert context["passages"][0] == {"title": "Brooding", "source": "handbook 1"}
    assert done.event["status"] == "completed"


async def test_I2_the_context_stands_after_the_users_item_and_before_the_answer(
    autojump_clock: MockClock, stage: Stage
) -> None:
    await stage.ready()
    item_id = await stage.asks(QUESTION)
    await stage.client.hears("response.done")
    kinds = [(item["role"], item["id"] == item_id) for item in stage.model.items]
    assert kinds == [("user", True), ("system", False), ("assistant", False)]
    assert "34 degrees" in contexts(stage.model.items)[0]


async def test_I3_response_create_leaves_exactly_200_ms_after_the_commit(
    autojump_clock: MockClock, stage: Stage
) -> None:
    stage.knowledge.hang()
    await stage.ready()
    await stage.asks(QUESTION)
    committed = (await stage.client.hears("input_audio_buffer.committed")).at
    asked = await stage.model.hears("response.create")
    assert round(asked.at - committed, 6) == 0.2
    context = (await stage.client.hears("context.injected")).event
    assert (context["outcome"], context["waited_ms"], context["passages"]) == ("late", 200, [])


async def test_a_result_that_comes_70_ms_after_the_commit_is_waited_for_70_ms(
    autojump_clock: MockClock, stage: Stage
) -> None:
    await stage.ready()
    stage.knowledge.answer_after(0.07)
    await stage.asks("brooder temperature", words_at=[1.0, 1.1], lasts=1.2)
    committed = (await stage.client.hears("input_audio_buffer.committed")).at
    context = await stage.client.hears("context.injected")
    assert round(context.at - committed, 6) == 0.07
    assert (context.event["outcome"], context.event["waited_ms"]) == ("waited", 70)


async def test_a_typed_question_is_answered_200_ms_after_it_came_if_the_search_hangs(
    autojump_clock: MockClock, stage: Stage
) -> None:
    await stage.ready()
    stage.knowledge.hang()
    await stage.until(4.0)
    await stage.client.type("opening hours of the hatchery?")
    asked = await stage.model.hears("response.create")
    assert round(asked.at, 6) == 4.2


async def test_a_typed_question_is_answered_at_once_if_the_search_is_quick(
    autojump_clock: MockClock, stage: Stage
) -> None:
    await stage.ready()
    stage.knowledge.answer_after(0.03)
    await stage.until(1.0)
    await stage.client.type("light for layers")
    asked = await stage.model.hears("response.create")
    assert round(asked.at, 6) == 1.03
    assert "16 hours" in contexts(stage.model.items)[0]


async def test_audio_before_ready_is_kept_and_sent_when_ready(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    stage = Stage(nursery)
    stage.model.never_ready()
    await stage.client.speak(2.0, binary=True)
    assert stage.model.heard("input_audio_buffer.append") == []
    stage.model.behave()  # the first attempt times out, the next is answered
    await stage.ready()
    await trio.sleep(0.01)
    audio = stage.model.heard("input_audio_buffer.append")
    assert len(audio) == 50


async def test_of_audio_before_ready_the_newest_five_seconds_are_kept(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    stage = Stage(nursery)
    stage.model.never_ready()
    await stage.client.speak(7.0)
    stage.model.behave()
    await stage.ready()
    await trio.sleep(0.01)
    assert len(stage.model.heard("input_audio_buffer.append")) == 125


async def test_I5_barge_in_silences_the_answer_and_the_model_learns_what_was_heard(
    autojump_clock: MockClock, stage: Stage
) -> None:
    stage.model.answers_with("A long answer about brooding.", audio_ms=8000, first_audio_after=0.5)
    await stage.ready()
    await stage.asks(QUESTION)
    first = await stage.client.hears("response.audio.delta")
    await trio.sleep(1.5)
    interrupted_at = stage.client.now
    await stage.asks("stop please")
    flush = await stage.client.hears("playback.flush")
    truncate = await stage.model.hears("conversation.item.truncate")
    assert round(flush.at, 6) == round(interrupted_at, 6)
    assert flush.event["played_ms"] == truncate.event["audio_end_ms"] == round((flush.at - first.at) * 1000)
    assert stage.client.audio_after_flush == []
    assert stage.model.heard("response.cancel") == []
    assert stage.records[0].status == "cancelled"


async def test_speech_started_and_the_flush_overtake_queued_audio(autojump_clock: MockClock, stage: Stage) -> None:
    stage.model.answers_with("long", audio_ms=60_000, pace=1000.0, chunk_ms=100)
    await stage.ready()
    await stage.asks(QUESTION)
    await stage.client.hears("response.audio.delta")
    stage.client.stop_reading()
    await trio.sleep(1.0)
    stage.model.start_speech()
    await trio.sleep(0.1)
    stage.client.read_again()
    flush = await stage.client.hears("playback.flush")
    assert round(stage.client.now - flush.at, 6) == 0.0
    await trio.sleep(1.0)
    assert stage.client.audio_after_flush == []
    assert stage.client.types().index("playback.flush") > stage.client.types().index(
        "input_audio_buffer.speech_started", 5
    )


async def test_I1_there_are_never_two_active_responses(autojump_clock: MockClock, stage: Stage) -> None:
    stage.model.interrupt_after(0.7)
    await stage.ready()
    for _ in range(4):
        stage.soon(stage.asks, "and how about ducks in the summer", lasts=0.5, words_at=[0.1] * 7, silence=0.2)
        await trio.sleep(1.0)
    await trio.sleep(10.0)
    errors = [entry.event for entry in stage.model.said if entry.type == "error"]
    assert errors == []
    assert stage.model.heard("response.create")


async def test_interrupt_is_forwarded_as_a_cancel_by_id(autojump_clock: MockClock, stage: Stage) -> None:
    stage.model.answers_with("long", audio_ms=8000)
    await stage.ready()
    await stage.asks(QUESTION)
    created = await stage.client.hears("response.created")
    await stage.client.hears("response.audio.delta")
    await trio.sleep(1.0)
    await stage.client.interrupt()
    cancel = await stage.model.hears("response.cancel")
    done = await stage.client.hears("response.done")
    assert cancel.event["response_id"] == created.event["response_id"] == done.event["response_id"]
    assert done.event["status"] == "cancelled"


async def test_a_reporting_client_decides_what_was_heard(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    stage = Stage(nursery, reports_flush=True)
    stage.model.answers_with("long", audio_ms=8000)
    await stage.ready()
    await stage.asks(QUESTION)
    delta = await stage.client.hears("response.audio.delta")
    item_id = delta.event["item_id"]
    await stage.client.report(item_id, 0)
    await trio.sleep(2.0)
    await stage.client.report(item_id, 1600)  # its network swallowed 400 ms
    await trio.sleep(0.1)
    stage.model.start_speech()
    truncate = await stage.model.hears("conversation.item.truncate")
    heard = stage.client.audio_heard_ms(item_id)
    assert truncate.event["audio_end_ms"] == pytest.approx(heard, abs=1)


async def test_I7_the_session_ends_after_exactly_600_seconds_and_the_client_is_told_before(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    stage = Stage(nursery, idle_seconds=10_000)
    await stage.ready()
    closed = await stage.client.is_closed()
    notices = [(round(entry.at, 6), entry.type) for entry in stage.client.heard if entry.at > 1]
    assert notices == [(540.0, "session.expiring"), (590.0, "session.expiring"), (600.0, "session.timeout")]
    assert [entry.event["seconds_left"] for entry in stage.client.heard_of("session.expiring")] == [60, 10]
    assert (closed.code, closed.reason) == (1000, "Session duration limit reached")
    await stage.over.wait()
    assert stage.now == 600.0
    assert stage.summary.ending is Ending.TIMEOUT
    assert stage.summary.duration_s == 600.0


async def test_I7_a_client_that_takes_nothing_does_not_hold_the_session_beyond_the_grace(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    stage = Stage(nursery, idle_seconds=10_000, duration_seconds=30)
    await stage.ready()
    await stage.until(28.0)
    stage.client.stop_reading()
    await stage.over.wait()
    assert stage.now == 32.0


async def test_idleness_ends_a_session_120_seconds_after_the_last_word(autojump_clock: MockClock, stage: Stage) -> None:
    stage.model.answers_with("short", audio_ms=3000, first_audio_after=0.0)
    await stage.ready()
    await stage.asks(QUESTION)
    first = await stage.client.hears("response.audio.delta")
    closed = await stage.client.is_closed()
    assert (closed.code, closed.reason) == (1000, "Idle")
    assert stage.last_told("error")["error"]["code"] == "idle"
    assert stage.now == pytest.approx(first.at + 3.0 + 120.0, abs=0.001)


async def test_session_end_ends_it_at_once(autojump_clock: MockClock, stage: Stage) -> None:
    await stage.ready()
    await stage.until(5.0)
    await stage.client.end_session()
    closed = await stage.client.is_closed()
    await stage.over.wait()
    assert (closed.code, closed.reason) == (1000, "Session ended")
    assert stage.now == 5.0
    assert stage.model.losses[-1].code == 1000


async def test_I8_a_client_that_hangs_up_takes_everything_with_it_at_once(
    autojump_clock: MockClock, stage: Stage
) -> None:
    await stage.ready()
    stage.knowledge.hang()
    await stage.asks(QUESTION, lasts=2.0)
    await stage.client.hang_up()
    await stage.over.wait()
    assert stage.now < 3.0
    assert stage.summary.ending is Ending.CLIENT_LEFT
    assert len(stage.model.losses) == 1


async def test_I8_a_client_that_is_reset_in_mid_answer_takes_everything_with_it(
    autojump_clock: MockClock, stage: Stage
) -> None:
    stage.model.answers_with("long", audio_ms=20_000)
    await stage.ready()
    await stage.asks(QUESTION)
    await stage.client.hears("response.audio.delta")
    before = stage.now
    stage.client.lose_connection()
    await stage.over.wait()
    assert stage.now - before < 1.0
    assert stage.summary.ending is Ending.CLIENT_LEFT
    assert stage.records[-1].status == "ended"


async def test_I8_an_upstream_that_is_lost_ends_the_session_with_a_reason(
    autojump_clock: MockClock, stage: Stage
) -> None:
    await stage.ready()
    for _ in range(3):
        stage.model.refuse_next_connection(ModelUnavailable("no"))
    await stage.until(3.0)
    await stage.model.drop()
    closed = await stage.client.is_closed()
    assert (closed.code, closed.reason) == (1011, "OpenAI connection failed")
    assert stage.last_told("error")["error"]["code"] == "upstream_unavailable"
    await stage.over.wait()
    assert stage.summary.ending is Ending.UPSTREAM_LOST
    assert stage.now == pytest.approx(3.0 + 1.125, abs=0.38)  # two pauses of 0.5 and 1 s, each less up to half


async def test_I9_a_client_that_takes_nothing_for_five_seconds_is_closed_with_a_reason(
    autojump_clock: MockClock, stage: Stage
) -> None:
    stage.model.answers_with("long", audio_ms=100_000, pace=1000.0)
    await stage.ready()
    await stage.asks(QUESTION)
    await stage.client.hears("response.audio.delta")
    stage.client.stop_reading()
    stalled_at = stage.now
    await stage.over.wait()
    assert stage.summary.ending is Ending.TOO_SLOW
    assert stage.now - stalled_at <= 5.0 + 2.0


async def test_I9_more_than_240_seconds_of_unsent_audio_ends_the_session(
    autojump_clock: MockClock, stage: Stage
) -> None:
    stage.model.answers_with("endless", audio_ms=300_000, pace=100_000.0, chunk_ms=1000)
    await stage.ready()
    stage.client.stop_reading()
    await stage.asks(QUESTION)
    await stage.over.wait()
    assert stage.summary.ending is Ending.TOO_SLOW


async def test_I9_an_answer_of_205_seconds_is_delivered_whole(autojump_clock: MockClock, stage: Stage) -> None:
    stage.model.answers_with("the longest there is", audio_ms=205_000, pace=100_000.0, chunk_ms=1000)
    await stage.ready()
    await stage.asks(QUESTION)
    await stage.client.hears("response.done")
    deltas = stage.client.heard_of("response.audio.delta")
    assert stage.client.audio_received_ms(deltas[0].event["item_id"]) == 205_000


async def test_silence_is_fed_while_the_microphone_is_off_so_that_the_model_hears_the_end(
    autojump_clock: MockClock, stage: Stage
) -> None:
    await stage.ready()
    await stage.until(1.0)
    item_id = stage.model.start_speech()
    await stage.until(3.05)
    fed = stage.model.heard("input_audio_buffer.append")
    assert len(fed) == pytest.approx(20, abs=1)
    stage.model.stop_speech(item_id)
    await stage.until(6.0)
    assert len(stage.model.heard("input_audio_buffer.append")) == len(fed)


async def test_no_silence_is_fed_while_the_client_sends_audio(autojump_clock: MockClock, stage: Stage) -> None:
    await stage.ready()
    stage.soon(stage.client.speak, 3.0)
    await stage.until(0.5)
    stage.model.start_speech()
    await stage.until(2.0)
    assert len(stage.model.heard("input_audio_buffer.append")) == pytest.approx(50, abs=1)


async def test_a_server_that_refuses_the_streaming_transcription_gets_another_once(
    autojump_clock: MockClock, stage: Stage
) -> None:
    stage.model.refuse_transcription_model()
    await stage.ready()
    assert stage.session.summary.transcription_fallback is True
    models = [
        entry.event["session"]["audio"]["input"]["transcription"]["model"]
        for entry in stage.model.heard("session.update")
    ]
    assert models == ["gpt-realtime-whisper", "gpt-transcribe"]


async def test_a_server_that_insists_on_answering_by_itself_is_refused(autojump_clock: MockClock, stage: Stage) -> None:
    stage.model.ignore_create_response_false()
    closed = await stage.client.is_closed()
    assert (closed.code, closed.reason) == (1011, "OpenAI connection failed")
    assert stage.model.connections == 1
    assert stage.model.heard("input_audio_buffer.append") == []


@pytest.mark.parametrize("trouble", ["refuse_key", "quota"])
async def test_a_wrong_key_or_an_empty_account_is_not_tried_twice(
    autojump_clock: MockClock, stage: Stage, trouble: str
) -> None:
    getattr(stage.model, trouble)()
    closed = await stage.client.is_closed()
    assert closed.code == 1011
    assert stage.model.connections == 1
    await stage.over.wait()
    assert stage.summary.was_ready is False


async def test_a_server_that_never_gets_ready_is_tried_three_times(autojump_clock: MockClock, stage: Stage) -> None:
    stage.model.never_ready()
    await stage.over.wait()
    assert stage.model.connections == 3
    assert stage.summary.ending is Ending.UPSTREAM_UNAVAILABLE
    assert stage.now == pytest.approx(24 + 1.5, abs=0.8)


async def test_a_search_that_fails_costs_the_turn_its_context_and_nothing_else(
    autojump_clock: MockClock, stage: Stage
) -> None:
    stage.knowledge.fail(KnowledgeUnavailable("down"))
    await stage.ready()
    await stage.asks(QUESTION)
    await stage.client.hears("response.done")
    assert stage.last_told("context.injected")["outcome"] == "none"
    assert stage.told().count("error") == 0


async def test_two_turns_each_get_their_own_context(autojump_clock: MockClock, stage: Stage) -> None:
    await stage.ready()
    await stage.asks(QUESTION)
    await stage.client.hears("response.done")
    await trio.sleep(3)
    await stage.asks("how many hours of light do layers need")
    await stage.client.hears("response.done")
    first, second = contexts(stage.model.items)
    assert "34 degrees" in first
    assert "16 hours" in second
    await trio.sleep(3)
    await stage.client.end_session()
    await stage.over.wait()
    assert (stage.summary.turns, stage.summary.outcomes["hidden"], stage.summary.interruptions) == (2, 2, 0)
    assert stage.summary.audio_out_s == pytest.approx(4.0)


async def test_a_function_is_called_from_the_table_and_the_unknown_one_is_answered(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    async def weather(arguments: str) -> str:
        await trio.sleep(0.5)
        return '{"rain":true}'

    stage = Stage(nursery, tools={"weather": weather})
    stage.model.call_function("weather", "{}")
    stage.model.call_function("rocket", "{}")
    await stage.ready()
    await stage.asks(QUESTION)
    await stage.client.hears("response.done")
    await stage.client.hears("response.done")
    await stage.client.hears("response.done")
    outputs = [item["output"] for item in stage.model.items if item["type"] == "function_call_output"]
    assert outputs == ['{"rain":true}', '{"error":"there is no function of that name"}']
    assert stage.told().count("context.injected") == 1


async def test_failed_and_incomplete_answers_are_errors_the_client_sees(
    autojump_clock: MockClock, stage: Stage
) -> None:
    stage.model.answers_next(Answer(status="failed", error_code="server_error"), Answer(status="incomplete"))
    await stage.ready()
    await stage.asks(QUESTION)
    assert (await stage.client.hears("error")).event["error"]["code"] == "answer_failed"
    await trio.sleep(5)
    await stage.asks(QUESTION)
    assert (await stage.client.hears("error")).event["error"]["code"] == "answer_incomplete"


async def test_draining_lets_the_answer_finish_and_closes_with_1012(autojump_clock: MockClock, stage: Stage) -> None:
    stage.model.answers_with("short", audio_ms=3000, first_audio_after=0.0)
    await stage.ready()
    await stage.asks(QUESTION)
    first = await stage.client.hears("response.audio.delta")
    await trio.sleep(1.0)
    stage.session.drain()
    closed = await stage.client.is_closed()
    assert stage.last_told("session.draining") == {"type": "session.draining", "resume_token": "resume-me"}
    assert (closed.code, closed.reason) == (1012, "Server restarting, resume")
    assert stage.client.now == pytest.approx(first.at + 3.0, abs=0.11)


async def test_draining_waits_eight_seconds_at_most(autojump_clock: MockClock, stage: Stage) -> None:
    stage.model.answers_with("long", audio_ms=30_000, first_audio_after=0.0)
    await stage.ready()
    await stage.asks(QUESTION)
    await stage.client.hears("response.audio.delta")
    started = stage.now
    stage.session.drain()
    await stage.over.wait()
    assert stage.now - started == pytest.approx(8.0)


async def test_draining_ends_a_silent_session_at_once(autojump_clock: MockClock, stage: Stage) -> None:
    await stage.ready()
    await stage.until(2.0)
    stage.session.drain()
    closed = await stage.client.is_closed()
    assert stage.now == 2.0
    assert closed.code == 1012
    assert stage.told()[-1] == "session.draining"


async def test_cancelled_from_outside_it_still_says_goodbye(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with trio.open_nursery() as outside:
        stage = Stage(outside)
        await stage.ready()
        nursery.start_soon(stage.client.run)  # one that outlives the cancellation
        outside.cancel_scope.cancel()
    closed = await stage.client.is_closed()
    assert closed.code == 1012
    assert stage.summary.ending is Ending.DRAINING


async def test_a_bug_ends_the_session_with_1011_and_no_traceback_for_the_client(
    autojump_clock: MockClock, stage: Stage
) -> None:
    stage.expects_crash = True
    await stage.ready()
    stage.knowledge.fail(RuntimeError("bug with sk-secret"))
    await stage.asks(QUESTION, lasts=2.6)
    closed = await stage.client.is_closed()
    assert closed.code == 1011
    assert closed.reason == "Internal error"
    assert "secret" not in str([entry.event for entry in stage.client.heard])
    await stage.over.wait()
    assert stage.summary.ending is Ending.CRASHED


async def test_draining_a_session_that_is_saying_goodbye_changes_nothing(
    autojump_clock: MockClock, stage: Stage
) -> None:
    await stage.ready()
    stage.client.stop_reading()
    stage.session.end(Ending.IDLE)
    await trio.sleep(0.5)
    stage.session.drain()
    await stage.over.wait()
    assert stage.summary.ending is Ending.IDLE


async def test_I8_a_client_that_hangs_up_after_a_burst_of_sound_is_noticed_within_a_second(
    autojump_clock: MockClock, stage: Stage
) -> None:
    await stage.ready()
    for _ in range(7):
        await stage.client.send(bytes(48 * 2000))
    await trio.sleep(3.5)  # all of it is read by now, but for what is still being paid for
    at = stage.now
    await stage.client.hang_up()
    await stage.over.wait()
    assert stage.ended_at - at <= 1.0


async def test_sound_in_long_pieces_is_not_mixed_with_silence(autojump_clock: MockClock, stage: Stage) -> None:
    await stage.ready()
    stage.model.start_speech()
    for _ in range(8):
        await stage.client.send(bytes(48 * 500))
        await trio.sleep(0.5)
    assert len(stage.model.heard("input_audio_buffer.append")) == 8


class ShieldedLink:
    """A server whose sends cannot be cancelled: they end when the kernel gives the client up."""

    def __init__(self, link: Link, kernel_seconds: float) -> None:
        self._link = link
        self._kernel_seconds = kernel_seconds

    async def send(self, message: str | bytes) -> None:
        with trio.move_on_after(self._kernel_seconds, shield=True) as kernel:
            await self._link.send(message)
        if kernel.cancelled_caught:
            raise LinkClosed

    async def receive(self) -> str | bytes:
        return await self._link.receive()

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        await self._link.aclose(code, reason)


async def test_I7_a_server_that_shields_its_sends_does_not_hold_the_upstream_beyond_the_grace(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    stage = Stage(nursery, wrap=lambda link: ShieldedLink(link, 60.0), duration_seconds=10)
    stage.model.answers_with("long", audio_ms=100_000, pace=1000.0)
    await stage.ready()
    stage.soon(stage.asks, QUESTION)
    await stage.until(9.0)
    stage.client.stop_reading()
    stage.model.start_speech()
    await stage.until(12.5)
    assert stage.session.is_over
    assert stage.summary.duration_s <= 12.0
    assert len(stage.model.losses) == 1


async def test_a_setting_the_server_refuses_is_named_and_is_no_matter_of_transcription(
    autojump_clock: MockClock, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.model.behaviour.refused_transcription_models = {"gpt-realtime-whisper", "gpt-transcribe"}
    await stage.over.wait()
    assert stage.summary.ending is Ending.UPSTREAM_UNAVAILABLE
    assert stage.model.connections == 1
    assert "session.audio.input.transcription.model" in capsys.readouterr().out


async def test_an_error_of_the_servers_own_during_the_handshake_is_no_refusal(
    autojump_clock: MockClock, stage: Stage
) -> None:
    stage.model.never_ready()
    await stage.model.hears("session.update")
    stage.model.send_error("server_error")
    stage.model.behave()  # the attempt times out, the next one is answered
    await stage.ready()
    assert stage.session.summary.transcription_fallback is False
