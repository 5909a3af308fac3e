"""Drop-in clients where it is tight: what crosses, what is late, what is too much. Most of these were bugs once."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.realtime_session_fixture import LONG, QUESTION, RealtimeSessionFixture, finish_speech, interrupted
from tests.support.session_fixture import contexts
from voice_trio.session.endings import Ending
from voice_trio.testing.script import Answer

if TYPE_CHECKING:
    from trio.testing import MockClock

MIB = 1024 * 1024


def statuses(passthrough: RealtimeSessionFixture) -> list[str]:
    return [entry.event["response"]["status"] for entry in passthrough.client.heard_of("response.done")]


def queries(passthrough: RealtimeSessionFixture) -> list[str]:
    return [query.text for query in passthrough.knowledge.queries]


# What crosses


async def test_speech_before_the_response_has_begun_cancels_it_when_it_appears(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    passthrough.model.answers_next(Answer(text=LONG, audio_ms=20_000, created_after=0.5))
    await passthrough.ask()
    await trio.sleep(0.2)
    passthrough.model.start_speech()
    await passthrough.client.hears("response.created")
    await passthrough.client.hears("response.done")
    assert passthrough.times("response.cancel") == [pytest.approx(0.5)]
    assert statuses(passthrough) == ["cancelled"]


async def test_a_slow_beginning_costs_the_next_question_nothing(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    passthrough.model.answers_next(Answer(text=LONG, audio_ms=2000, created_after=6.0))
    await passthrough.asks(QUESTION)
    await trio.sleep(0.5)
    await passthrough.asks("and for ducks in the summer")
    await trio.sleep(30)
    assert statuses(passthrough) == ["cancelled", "completed"]
    assert passthrough.errors() == []


async def test_a_commit_by_hand_that_crosses_the_models_own_leaves_the_promised_answer(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    item = passthrough.model.start_speech()
    passthrough.model.hear_piece(item, QUESTION)
    await trio.sleep(0.5)
    passthrough.model.stall()
    await passthrough.send("input_audio_buffer.commit", "mine")
    await trio.sleep(0.05)
    passthrough.model.stop_speech(item)
    passthrough.model.resume()
    await passthrough.client.hears("response.done")
    assert statuses(passthrough) == ["completed"]
    assert [error["event_id"] for error in passthrough.errors()] == ["mine"]


async def test_nothing_overtakes_a_commit_that_waits_behind_its_sound(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.listen_by_hand()
    passthrough.model.stall()
    for _ in range(3):
        await passthrough.append(1.0)
    await passthrough.send("input_audio_buffer.commit")
    await passthrough.write("Answer in French.")
    await passthrough.send("session.update", session={"type": "realtime", "instructions": "New."})
    await passthrough.ask()
    await trio.sleep(0.1)
    before = len(passthrough.model.received)
    passthrough.model.resume()
    await passthrough.client.hears("response.created")
    kinds = [entry.type for entry in passthrough.model.received[before:] if entry.type != "input_audio_buffer.append"]
    assert kinds[:3] == ["input_audio_buffer.commit", "conversation.item.create", "session.update"]
    assert kinds[-1] == "response.create"


async def test_each_commit_is_waited_for_by_itself(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.listen_by_hand()
    await passthrough.append(1.0)
    await passthrough.send("input_audio_buffer.commit")
    await passthrough.client.hears("input_audio_buffer.committed")
    await trio.sleep(2.9)
    passthrough.model.stall()
    await passthrough.append(1.0)
    await passthrough.send("input_audio_buffer.commit")
    await passthrough.ask()
    await trio.sleep(0.5)  # the first commit's time is over by now
    passthrough.model.resume()
    await passthrough.client.hears("response.created")
    kinds = [entry.type for entry in passthrough.model.received]
    assert kinds.index("response.create") > len(kinds) - 1 - kinds[::-1].index("input_audio_buffer.commit")


# What was not meant


async def test_speech_that_is_cleared_away_is_over(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    passthrough = RealtimeSessionFixture(nursery, idle_seconds=20.0)
    await passthrough.ready()
    passthrough.model.start_speech()
    await trio.sleep(0.3)
    await passthrough.send("input_audio_buffer.clear")
    await passthrough.client.hears("input_audio_buffer.cleared")
    await passthrough.write(QUESTION)
    await passthrough.ask()
    await passthrough.client.hears("response.done")
    assert queries(passthrough)
    await passthrough.over.wait()
    assert passthrough.ended_at < 40


async def test_I5_the_next_barge_in_is_one(autojump_clock: MockClock, passthrough: RealtimeSessionFixture) -> None:
    await passthrough.ready()
    passthrough.model.start_speech()
    await passthrough.client.hears("input_audio_buffer.speech_started")
    await passthrough.send("input_audio_buffer.clear")
    await passthrough.client.hears("input_audio_buffer.cleared")
    passthrough.model.answers_with(LONG, audio_ms=8000)
    passthrough.model.interrupt_after(0.4)
    await passthrough.ask()
    await passthrough.client.hears("response.created")
    await trio.sleep(1.05)
    passthrough.model.start_speech()
    started = await passthrough.client.hears("input_audio_buffer.speech_started")
    await trio.sleep(1)
    assert max(passthrough.audio_of(passthrough.response_id())) <= started.at


async def test_I4_words_that_were_cleared_away_are_not_searched_for_what_comes_after(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.listen_by_hand()
    passthrough.model.hear_piece("item_a", "turkeys and their feed prices last year")
    await passthrough.append(2.0)
    await passthrough.send("input_audio_buffer.clear")
    await passthrough.client.hears("input_audio_buffer.cleared")
    passthrough.model.hear_piece("item_a", " late words")
    for word in QUESTION.split():
        passthrough.model.hear_piece("item_b", " " + word)
    await trio.sleep(0.3)
    assert "brooder" in queries(passthrough)[-1]
    assert "turkeys" not in queries(passthrough)[-1]


async def test_late_words_of_an_earlier_item_open_no_turn(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.listen_by_hand()
    items = []
    for _ in range(2):
        await passthrough.append(1.0)
        await passthrough.send("input_audio_buffer.commit")
        items.append((await passthrough.client.hears("input_audio_buffer.committed")).event["item_id"])
        if len(items) == 1:
            await passthrough.ask()
            await passthrough.client.hears("response.done")
    passthrough.model.hear_piece(items[0], "turkeys")
    passthrough.model.hear_piece(items[1], QUESTION)
    passthrough.model.complete_transcript(items[1], QUESTION)
    await trio.sleep(0.05)
    await passthrough.ask()
    await passthrough.client.hears("response.done")
    assert len(contexts([entry.event for entry in passthrough.model.heard("conversation.item.create")])) == 1


# What is written


async def test_a_word_of_the_systems_after_the_question_leaves_it_a_question(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.write(QUESTION)
    french = [{"type": "input_text", "text": "Answer in French."}]
    await passthrough.send("conversation.item.create", item={"type": "message", "role": "system", "content": french})
    await passthrough.ask()
    await passthrough.client.hears("response.done")
    assert queries(passthrough)


async def test_what_is_written_while_the_user_speaks_is_part_of_the_question(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    passthrough.model.start_speech()
    await passthrough.client.hears("input_audio_buffer.speech_started")
    await passthrough.write(QUESTION)
    await passthrough.ask()
    await trio.sleep(0.05)
    assert queries(passthrough)


async def test_an_item_nobody_heard_may_still_be_named(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    passthrough.model.interrupt_after(0.5)
    item = await interrupted(passthrough, after=0.25)
    await finish_speech(passthrough)
    await passthrough.client.hears("response.done")
    await passthrough.write("And then?", id="mine")
    text = [{"type": "input_text", "text": "x"}]
    message = {"type": "message", "role": "user", "content": text}
    await passthrough.send("conversation.item.create", previous_item_id=item, item=message)
    await passthrough.ask(conversation="none", input=[{"type": "item_reference", "id": item}, message])
    await trio.sleep(5)
    assert passthrough.errors() == []


# What runs aside


async def test_a_response_aside_may_use_all_sixteen_pairs(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    full = {f"key{number}": "value" for number in range(16)}
    await passthrough.ready()
    for _ in range(20):
        await passthrough.ask(conversation="none", metadata=full)
        await passthrough.client.hears("response.done")
    assert set(statuses(passthrough)) == {"completed"}
    assert passthrough.errors() == []
    assert "response.cancel" not in passthrough.requests()


async def test_who_only_asks_aside_is_not_idle(autojump_clock: MockClock, passthrough: RealtimeSessionFixture) -> None:
    await passthrough.ready()
    for _ in range(6):
        passthrough.model.answers_next(Answer(text=LONG, audio_ms=60_000, pace=2.0))
        await passthrough.ask(conversation="none")
        await trio.sleep(30)
    assert not passthrough.over.is_set()


async def test_a_server_that_stops_lets_it_finish(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    passthrough.model.answers_next(Answer(text=LONG, audio_ms=4000, pace=1.0))
    await passthrough.ask(conversation="none")
    await passthrough.client.hears("response.created")
    passthrough.under_test.drain()
    closed = await passthrough.client.is_closed()
    assert statuses(passthrough) == ["completed"]
    assert (closed.code, closed.reason) == (1012, "Server restarting")


# What goes wrong


async def test_a_refused_transcription_model_is_not_asked_for_again(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    preset = {"type": "realtime", "instructions": "Be merry.", "audio": {"input": {"transcription": {}}}}
    passthrough = RealtimeSessionFixture(nursery, preset=preset)
    passthrough.model.refuse_transcription_model()
    await passthrough.ready()
    assert passthrough.last_told("session.created")["session"]["instructions"] == "Be merry."
    shown = await passthrough.update(audio={"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}})
    assert shown["audio"]["input"]["transcription"] == {"model": "gpt-transcribe"}


async def test_an_id_like_ours_is_still_the_clients(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.send("conversation.item.delete", "vt_u1", item_id="nowhere")
    assert (await passthrough.client.hears("error")).event["error"]["event_id"] == "vt_u1"


async def test_what_was_refused_never_shows_as_granted(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.ask()
    await passthrough.client.hears("response.done")
    passthrough.model.stall()
    change = {"type": "realtime", "instructions": "NEVER GRANTED", "audio": {"output": {"voice": "ash"}}}
    await passthrough.send("session.update", "bad", session=change)
    for number in range(70):
        await passthrough.send("session.update", f"u{number}", session={"type": "realtime"})
    await trio.sleep(0.1)
    passthrough.model.resume()
    await trio.sleep(5)
    assert passthrough.last_told("session.updated")["session"]["instructions"] == ""
    assert {error["code"] for error in passthrough.errors()} == {"cannot_update_voice", "rate_limit_exceeded"}
    told = len(passthrough.errors()) + len(passthrough.client.heard_of("session.updated"))
    assert told >= 65 + 1  # those beyond the bound are complained of, though not each by itself


@pytest.mark.parametrize("depth", [90, 120, 900, 947, 992, 5000])
@pytest.mark.parametrize("kind", ["session.update", "response.create"])
async def test_I11_deep_nesting_crashes_nobody(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture, kind: str, depth: int
) -> None:
    await passthrough.ready()
    parameters = '{"a":' * depth + "1" + "}" * depth
    tools = f'"tools":[{{"type":"function","name":"x","parameters":{parameters}}}]'
    asked = f'"session":{{"type":"realtime",{tools}}}' if kind == "session.update" else f'"response":{{{tools}}}'
    await passthrough.client.send(f'{{"type":"{kind}",{asked}}}')
    if depth > 100:
        assert (await passthrough.client.hears("error")).event["error"]["type"] == "invalid_request_error"
    elif kind == "session.update":
        await passthrough.client.hears("session.updated")
    shown = await passthrough.update(instructions="Still here.")
    assert shown["instructions"] == "Still here."


# What is too much


async def test_a_history_of_many_items_is_read_more_slowly_and_whole(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    for number in range(300):
        await passthrough.write(f"Item {number}", id=f"i{number}")
    await passthrough.ask()
    await passthrough.client.hears("response.done")
    assert len(passthrough.model.heard("conversation.item.create")) >= 300
    assert passthrough.errors() == []


async def test_I8_who_leaves_while_it_is_not_heeded_is_gone_at_once(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    await passthrough.append(200.0)  # beyond the first minute, sound is heeded at twice its pace
    await trio.sleep(1)
    left = passthrough.now
    await passthrough.client.hang_up()
    await passthrough.over.wait()
    assert passthrough.ended_at - left < 1


async def test_I8_who_leaves_before_the_model_is_there_is_gone_at_once(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    passthrough.model.never_ready()
    await trio.sleep(0.1)
    await passthrough.send("session.update", session={"type": "realtime"})
    await trio.sleep(0.5)
    left = passthrough.now
    await passthrough.client.hang_up()
    await passthrough.over.wait()
    assert passthrough.ended_at - left < 1


async def test_I9_large_items_are_neither_hoarded_nor_remembered(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    passthrough.model.stall()

    async def flood() -> None:
        for number in range(40):
            await passthrough.send("conversation.item.create", item=picture_item(2 * MIB, f"i{number}"))

    passthrough.soon(flood)
    await trio.sleep(3)
    queued = passthrough.under_test._upstream._queue.bytes
    assert queued < 8 * MIB
    remembered = passthrough.under_test._core._out._sent.values()  # type: ignore[attr-defined]
    assert all(len(str(getattr(command, "body", ""))) < 100 for command in remembered)  # its type at most
    passthrough.model.resume()
    while len(passthrough.model.heard("conversation.item.create")) < 40:  # noqa: ASYNC110  # the model's log is no event
        await trio.sleep(1)


def picture_item(size: int, item_id: str | None = None) -> dict[str, Any]:
    picture = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * size}
    return {"type": "message", "role": "user", "content": [picture], **({"id": item_id} if item_id else {})}


SMALL_THINGS = ",".join(["{}"] * 1_000_000)


@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"session.update","session":{"type":"realtime","tools":[' + SMALL_THINGS + "]}}",
        '{"type":"response.create","response":{"input":[' + SMALL_THINGS + "]}}",
        '{"type":"conversation.item.create","item":{"type":"message","role":"user","content":[' + SMALL_THINGS + "]}}",
        json.dumps({"type": "session.update", "session": {"type": "realtime", "instructions": "x" * MIB}}),
        json.dumps({"type": "session.update", "session": {"instructions": "ü" * (MIB // 2)}}, ensure_ascii=False),
        json.dumps({"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "x" * MIB}]}}),
        "x" * (MIB + 1),
        bytes(MIB + 1),
    ],
    ids=["tools", "input", "content", "instructions", "not ASCII", "text", "no JSON", "binary"],
)  # fmt: skip
async def test_I11_a_large_message_without_sound_or_picture_ends_the_session_before_all_is_decoded(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture, frame: str | bytes
) -> None:
    await passthrough.ready()
    began = time.perf_counter()
    await passthrough.client.send(frame)
    closed = await passthrough.client.is_closed()
    assert time.perf_counter() - began < 0.5
    assert (closed.code, closed.reason) == (1009, "Message over the limit")
    assert [error["code"] for error in passthrough.errors()] == ["invalid_value"]
    await passthrough.over.wait()
    assert passthrough.summary.ending is Ending.TOO_BIG


async def test_a_message_of_a_mebibyte_may_be_of_any_type(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    frame = '{"type":"input_audio_buffer.clear","event_id":"e"}'
    await passthrough.client.send(frame + " " * (MIB - len(frame)))
    await passthrough.client.hears("input_audio_buffer.cleared")
    assert passthrough.errors() == []


async def test_a_picture_may_be_large(autojump_clock: MockClock, passthrough: RealtimeSessionFixture) -> None:
    await passthrough.ready()
    await passthrough.send("conversation.item.create", item=picture_item(3 * MIB))
    await passthrough.client.hears("conversation.item.done")
    assert passthrough.errors() == []
