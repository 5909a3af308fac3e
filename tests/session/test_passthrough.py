"""Clients of OpenAI's own protocol: the answers, and what stands between them and the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import trio

from tests.support.realtime_session_fixture import (
    ANSWERED,
    QUESTION,
    SPEECH_EVENTS,
    RealtimeSessionFixture,
)
from tests.support.session_fixture import REALTIME_CONFIG, UNIX_TIME, contexts
from voice_trio.session.endings import Ending
from voice_trio.testing.script import Answer

if TYPE_CHECKING:
    from trio.testing import MockClock


# What it sees


async def test_the_session_looks_as_if_nobody_stood_between(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    assert passthrough.told() == ["session.created"]
    session = passthrough.last_told("session.created")["session"]
    assert session["instructions"] == ""
    assert session["tools"] == []
    assert session["expires_at"] == UNIX_TIME + 600
    assert session["audio"]["input"]["transcription"] is None
    assert session["audio"]["input"]["turn_detection"]["create_response"] is True
    asked = passthrough.model.heard("session.update")[0].event["session"]
    assert asked["audio"]["input"]["turn_detection"]["create_response"] is False


async def test_I2_a_spoken_turn_is_answered_after_its_context_and_looks_like_openais_own(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.asks(QUESTION)
    await passthrough.client.hears("response.done")
    await trio.sleep(0.1)
    assert passthrough.requests() == ["conversation.item.create", "response.create"]
    assert len(contexts([entry.event for entry in passthrough.model.heard("conversation.item.create")])) == 1
    assert passthrough.told("session.created") == [
        *SPEECH_EVENTS,
        "conversation.item.added",
        "conversation.item.done",
        *[kind for kind in ANSWERED if kind != "rate_limits.updated" or kind in passthrough.told()],
    ]


async def test_nothing_of_ours_is_ever_seen(autojump_clock: MockClock, passthrough: RealtimeSessionFixture) -> None:
    await passthrough.ready()
    for _ in range(2):
        await passthrough.asks(QUESTION)
        await passthrough.client.hears("response.done")
        await trio.sleep(3)
    for entry in passthrough.client.heard:
        text = msgspec.json.encode(entry.event).decode()
        assert '"vt' not in text
        assert "<context>" not in text
        assert REALTIME_CONFIG.instructions not in text


async def test_items_follow_each_other_as_if_the_context_were_not_there(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    first = await passthrough.asks(QUESTION)
    await passthrough.client.hears("response.done")
    await trio.sleep(3)
    answer = passthrough.answer_item()
    second = await passthrough.asks(QUESTION)
    await passthrough.client.hears("response.done")
    before = {
        entry.event["item"]["id"]: entry.event["previous_item_id"]
        for entry in passthrough.client.heard_of("conversation.item.added")
    }
    assert before == {first: None, answer: first, second: answer, passthrough.answer_item(): second}
    assert passthrough.last_told("input_audio_buffer.committed")["previous_item_id"] == answer


async def test_the_clients_own_metadata_and_event_ids_come_back(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.write("ducks", id="mine_1")
    await passthrough.ask("ask_1", metadata={"topic": "ducks"})
    await passthrough.client.hears("response.done")
    assert passthrough.last_told("response.created")["response"]["metadata"] == {"topic": "ducks"}
    assert passthrough.last_told("response.done")["response"]["metadata"] == {"topic": "ducks"}
    assert passthrough.client.heard_of("conversation.item.added")[0].event["item"]["id"] == "mine_1"
    await passthrough.send("conversation.item.delete", "delete_1", item_id="nowhere")
    assert (await passthrough.client.hears("error")).event["error"]["event_id"] == "delete_1"


async def test_sixteen_pairs_of_metadata_are_all_the_clients(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    full = {f"key{number}": "value" for number in range(16)}
    await passthrough.ready()
    await passthrough.ask(metadata=full)
    await passthrough.client.hears("response.done")
    assert passthrough.last_told("response.created")["response"]["metadata"] == full
    assert passthrough.errors() == []


async def test_transcription_is_told_to_those_who_asked_for_it(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.asks(QUESTION)
    await passthrough.client.hears("response.done")
    await trio.sleep(3)
    assert not [kind for kind in passthrough.client.types() if "transcription" in kind]
    shown = await passthrough.update(audio={"input": {"transcription": {"model": "whisper-1", "language": "en"}}})
    assert shown["audio"]["input"]["transcription"] == {"model": REALTIME_CONFIG.transcription_model, "language": "en"}
    await passthrough.asks(QUESTION)
    await passthrough.client.hears("conversation.item.input_audio_transcription.completed")
    assert len(passthrough.client.heard_of("conversation.item.input_audio_transcription.delta")) == len(
        QUESTION.split()
    )


# Endings


async def test_I7_the_cap_is_openais_own_error_and_close(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    passthrough = RealtimeSessionFixture(nursery, duration_seconds=100.0)
    await passthrough.ready()
    closed = await passthrough.client.is_closed()
    assert (closed.code, closed.reason) == (1001, "Session duration limit reached")
    assert passthrough.errors()[-1]["code"] == "session_expired"
    assert not [
        kind for kind in passthrough.client.types() if kind.startswith("session.") and kind != "session.created"
    ]
    await passthrough.over.wait()
    assert passthrough.ended_at <= 102.0


async def test_a_lost_model_ends_the_session_because_only_the_client_could_tell_another_one_everything(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.model.drop()
    closed = await passthrough.client.is_closed()
    assert closed.code == 1011
    assert passthrough.errors()[-1]["type"] == "server_error"
    await passthrough.over.wait()
    assert passthrough.summary.ending is Ending.UPSTREAM_LOST


async def test_the_companys_troubles_with_openai_are_not_told_in_openais_words(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    passthrough.model.send_error("insufficient_quota", message="Quota of org-acme used up, see https://billing")
    await passthrough.client.is_closed()
    assert "acme" not in msgspec.json.encode([entry.event for entry in passthrough.client.heard]).decode()
    assert passthrough.errors()[-1]["code"] == "server_error"


async def test_errors_about_what_it_never_sent_are_not_told(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.asks(QUESTION)
    await passthrough.client.hears("response.created")
    context = passthrough.model.heard("conversation.item.create")[0].event
    passthrough.model.send_error("invalid_value", event_id=context["event_id"])
    await passthrough.client.hears("response.done")
    assert passthrough.errors() == []


async def test_a_server_that_begins_to_answer_by_itself_is_left(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    passthrough.model.ignore_create_response_false()
    await passthrough.send(
        "session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
    )
    assert (await passthrough.client.is_closed()).code == 1011


async def test_each_turn_is_recorded_with_what_was_said_and_heard(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    passthrough.model.answers_next(Answer(text="Thirty three degrees.", audio_ms=1000))
    await passthrough.asks(QUESTION)
    await passthrough.client.hears("response.done")
    await trio.sleep(5)
    (record,) = passthrough.records
    assert (record.said, record.answer.strip(), record.status) == (QUESTION, "Thirty three degrees.", "completed")
    assert (record.heard_ms, record.received_ms) == (1000, 1000)
    assert record.outcome is not None
    assert passthrough.summary_so_far().usages


async def test_I10_what_runs_aside_is_paid_for_too(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.ask()
    await passthrough.ask(conversation="none")
    for _ in range(2):
        await passthrough.client.hears("response.done")
    kinds = [kind for kind, _ in passthrough.summary_so_far().usages.values()]
    assert kinds == ["response", "response"]
