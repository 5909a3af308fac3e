"""Drop-in clients where it is tight: what crosses, what is late, what is too much. Most of these were bugs once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.session.test_passthrough import LONG, QUESTION, finish_speech, interrupted
from tests.support.realtime_session_fixture import DropInStage
from tests.support.session_fixture import contexts
from voice_trio.testing.script import Answer

if TYPE_CHECKING:
    from trio.testing import MockClock

MIB = 1024 * 1024


@pytest.fixture
async def stage(autojump_clock: MockClock, nursery: trio.Nursery) -> DropInStage:
    return DropInStage(nursery)


def statuses(stage: DropInStage) -> list[str]:
    return [entry.event["response"]["status"] for entry in stage.client.heard_of("response.done")]


def queries(stage: DropInStage) -> list[str]:
    return [query.text for query in stage.knowledge.queries]


# What crosses


async def test_speech_before_the_response_has_begun_cancels_it_when_it_appears(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    stage.model.answers_next(Answer(text=LONG, audio_ms=20_000, created_after=0.5))
    await stage.ask()
    await trio.sleep(0.2)
    stage.model.start_speech()
    await stage.client.hears("response.created")
    await stage.client.hears("response.done")
    assert stage.times("response.cancel") == [pytest.approx(0.5)]
    assert statuses(stage) == ["cancelled"]


async def test_a_slow_beginning_costs_the_next_question_nothing(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    stage.model.answers_next(Answer(text=LONG, audio_ms=2000, created_after=6.0))
    await stage.asks(QUESTION)
    await trio.sleep(0.5)
    await stage.asks("and for ducks in the summer")
    await trio.sleep(30)
    assert statuses(stage) == ["cancelled", "completed"]
    assert stage.errors() == []


async def test_a_commit_by_hand_that_crosses_the_models_own_leaves_the_promised_answer(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    item = stage.model.start_speech()
    stage.model.hear_piece(item, QUESTION)
    await trio.sleep(0.5)
    stage.model.stall()
    await stage.send("input_audio_buffer.commit", "mine")
    await trio.sleep(0.05)
    stage.model.stop_speech(item)
    stage.model.resume()
    await stage.client.hears("response.done")
    assert statuses(stage) == ["completed"]
    assert [error["event_id"] for error in stage.errors()] == ["mine"]


async def test_nothing_overtakes_a_commit_that_waits_behind_its_sound(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    await stage.listen_by_hand()
    stage.model.stall()
    for _ in range(3):
        await stage.append(1.0)
    await stage.send("input_audio_buffer.commit")
    await stage.write("Answer in French.")
    await stage.send("session.update", session={"type": "realtime", "instructions": "New."})
    await stage.ask()
    await trio.sleep(0.1)
    before = len(stage.model.received)
    stage.model.resume()
    await stage.client.hears("response.created")
    kinds = [entry.type for entry in stage.model.received[before:] if entry.type != "input_audio_buffer.append"]
    assert kinds[:3] == ["input_audio_buffer.commit", "conversation.item.create", "session.update"]
    assert kinds[-1] == "response.create"


async def test_each_commit_is_waited_for_by_itself(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    await stage.listen_by_hand()
    await stage.append(1.0)
    await stage.send("input_audio_buffer.commit")
    await stage.client.hears("input_audio_buffer.committed")
    await trio.sleep(2.9)
    stage.model.stall()
    await stage.append(1.0)
    await stage.send("input_audio_buffer.commit")
    await stage.ask()
    await trio.sleep(0.5)  # the first commit's time is over by now
    stage.model.resume()
    await stage.client.hears("response.created")
    kinds = [entry.type for entry in stage.model.received]
    assert kinds.index("response.create") > len(kinds) - 1 - kinds[::-1].index("input_audio_buffer.commit")


# What was not meant


async def test_speech_that_is_cleared_away_is_over(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    stage = DropInStage(nursery, idle_seconds=20.0)
    await stage.ready()
    stage.model.start_speech()
    await trio.sleep(0.3)
    await stage.send("input_audio_buffer.clear")
    await stage.client.hears("input_audio_buffer.cleared")
    await stage.write(QUESTION)
    await stage.ask()
    await stage.client.hears("response.done")
    assert queries(stage)
    await stage.over.wait()
    assert stage.ended_at < 40


async def test_I5_the_next_barge_in_is_one(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    stage.model.start_speech()
    await stage.client.hears("input_audio_buffer.speech_started")
    await stage.send("input_audio_buffer.clear")
    await stage.client.hears("input_audio_buffer.cleared")
    stage.model.answers_with(LONG, audio_ms=8000)
    stage.model.interrupt_after(0.4)
    await stage.ask()
    await stage.client.hears("response.created")
    await trio.sleep(1.05)
    stage.model.start_speech()
    started = await stage.client.hears("input_audio_buffer.speech_started")
    await trio.sleep(1)
    assert max(stage.audio_of(stage.response_id())) <= started.at


async def test_I4_words_that_were_cleared_away_are_not_searched_for_what_comes_after(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    await stage.listen_by_hand()
    stage.model.hear_piece("item_a", "turkeys and their feed prices last year")
    await stage.append(2.0)
    await stage.send("input_audio_buffer.clear")
    await stage.client.hears("input_audio_buffer.cleared")
    stage.model.hear_piece("item_a", " late words")
    for word in QUESTION.split():
        stage.model.hear_piece("item_b", " " + word)
    await trio.sleep(0.3)
    assert "brooder" in queries(stage)[-1]
    assert "turkeys" not in queries(stage)[-1]


async def test_late_words_of_an_earlier_item_open_no_turn(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    await stage.listen_by_hand()
    items = []
    for _ in range(2):
        await stage.append(1.0)
        await stage.send("input_audio_buffer.commit")
        items.append((await stage.client.hears("input_audio_buffer.committed")).event["item_id"])
        if len(items) == 1:
            await stage.ask()
            await stage.client.hears("response.done")
    stage.model.hear_piece(items[0], "turkeys")
    stage.model.hear_piece(items[1], QUESTION)
    stage.model.complete_transcript(items[1], QUESTION)
    await trio.sleep(0.05)
    await stage.ask()
    await stage.client.hears("response.done")
    assert len(contexts([entry.event for entry in stage.model.heard("conversation.item.create")])) == 1


# What is written


async def test_a_word_of_the_systems_after_the_question_leaves_it_a_question(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    await stage.write(QUESTION)
    french = [{"type": "input_text", "text": "Answer in French."}]
    await stage.send("conversation.item.create", item={"type": "message", "role": "system", "content": french})
    await stage.ask()
    await stage.client.hears("response.done")
    assert queries(stage)


async def test_what_is_written_while_the_user_speaks_is_part_of_the_question(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    stage.model.start_speech()
    await stage.client.hears("input_audio_buffer.speech_started")
    await stage.write(QUESTION)
    await stage.ask()
    await trio.sleep(0.05)
    assert queries(stage)


async def test_an_item_nobody_heard_may_still_be_named(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    stage.model.interrupt_after(0.5)
    item = await interrupted(stage, after=0.25)
    await finish_speech(stage)
    await stage.client.hears("response.done")
    await stage.write("And then?", id="mine")
    text = [{"type": "input_text", "text": "x"}]
    message = {"type": "message", "role": "user", "content": text}
    await stage.send("conversation.item.create", previous_item_id=item, item=message)
    await stage.ask(conversation="none", input=[{"type": "item_reference", "id": item}, message])
    await trio.sleep(5)
    assert stage.errors() == []


# What runs aside


async def test_a_response_aside_may_use_all_sixteen_pairs(autojump_clock: MockClock, stage: DropInStage) -> None:
    full = {f"key{number}": "value" for number in range(16)}
    await stage.ready()
    for _ in range(20):
        await stage.ask(conversation="none", metadata=full)
        await stage.client.hears("response.done")
    assert set(statuses(stage)) == {"completed"}
    assert stage.errors() == []
    assert "response.cancel" not in stage.requests()


async def test_who_only_asks_aside_is_not_idle(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    for _ in range(6):
        stage.model.answers_next(Answer(text=LONG, audio_ms=60_000, pace=2.0))
        await stage.ask(conversation="none")
        await trio.sleep(30)
    assert not stage.over.is_set()


async def test_a_server_that_stops_lets_it_finish(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    stage.model.answers_next(Answer(text=LONG, audio_ms=4000, pace=1.0))
    await stage.ask(conversation="none")
    await stage.client.hears("response.created")
    stage.session.drain()
    closed = await stage.client.is_closed()
    assert statuses(stage) == ["completed"]
    assert (closed.code, closed.reason) == (1012, "Server restarting")


# What goes wrong


async def test_a_refused_transcription_model_is_not_asked_for_again(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    preset = {"type": "realtime", "instructions": "Be merry.", "audio": {"input": {"transcription": {}}}}
    stage = DropInStage(nursery, preset=preset)
    stage.model.refuse_transcription_model()
    await stage.ready()
    assert stage.last_told("session.created")["session"]["instructions"] == "Be merry."
    shown = await stage.update(audio={"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}})
    assert shown["audio"]["input"]["transcription"] == {"model": "gpt-transcribe"}


async def test_an_id_like_ours_is_still_the_clients(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    await stage.send("conversation.item.delete", "vt_u1", item_id="nowhere")
    assert (await stage.client.hears("error")).event["error"]["event_id"] == "vt_u1"


async def test_what_was_refused_never_shows_as_granted(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    await stage.ask()
    await stage.client.hears("response.done")
    stage.model.stall()
    change = {"type": "realtime", "instructions": "NEVER GRANTED", "audio": {"output": {"voice": "ash"}}}
    await stage.send("session.update", "bad", session=change)
    for number in range(70):
        await stage.send("session.update", f"u{number}", session={"type": "realtime"})
    await trio.sleep(0.1)
    stage.model.resume()
    await trio.sleep(5)
    assert stage.last_told("session.updated")["session"]["instructions"] == ""
    assert {error["code"] for error in stage.errors()} == {"cannot_update_voice", "rate_limit_exceeded"}
    told = len(stage.errors()) + len(stage.client.heard_of("session.updated"))
    assert told >= 65 + 1  # those beyond the bound are complained of, though not each by itself


@pytest.mark.parametrize("depth", [90, 120, 900, 947, 992, 5000])
@pytest.mark.parametrize("kind", ["session.update", "response.create"])
async def test_I11_deep_nesting_crashes_nobody(
    autojump_clock: MockClock, stage: DropInStage, kind: str, depth: int
) -> None:
    await stage.ready()
    parameters = '{"a":' * depth + "1" + "}" * depth
    tools = f'"tools":[{{"type":"function","name":"x","parameters":{parameters}}}]'
    asked = f'"session":{{"type":"realtime",{tools}}}' if kind == "session.update" else f'"response":{{{tools}}}'
    await stage.client.send(f'{{"type":"{kind}",{asked}}}')
    if depth > 100:
        assert (await stage.client.hears("error")).event["error"]["type"] == "invalid_request_error"
    elif kind == "session.update":
        await stage.client.hears("session.updated")
    shown = await stage.update(instructions="Still here.")
    assert shown["instructions"] == "Still here."


# What is too much


async def test_a_history_of_many_items_is_read_more_slowly_and_whole(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    for number in range(300):
        await stage.write(f"Item {number}", id=f"i{number}")
    await stage.ask()
    await stage.client.hears("response.done")
    assert len(stage.model.heard("conversation.item.create")) >= 300
    assert stage.errors() == []


async def test_I8_who_leaves_while_it_is_not_heeded_is_gone_at_once(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    await stage.ready()
    await stage.append(200.0)  # beyond the first minute, sound is heeded at twice its pace
    await trio.sleep(1)
    left = stage.now
    await stage.client.hang_up()
    await stage.over.wait()
    assert stage.ended_at - left < 1


async def test_I8_who_leaves_before_the_model_is_there_is_gone_at_once(
    autojump_clock: MockClock, stage: DropInStage
) -> None:
    stage.model.never_ready()
    await trio.sleep(0.1)
    await stage.send("session.update", session={"type": "realtime"})
    await trio.sleep(0.5)
    left = stage.now
    await stage.client.hang_up()
    await stage.over.wait()
    assert stage.ended_at - left < 1


async def test_I9_large_items_are_neither_hoarded_nor_remembered(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    stage.model.stall()

    async def flood() -> None:
        for number in range(40):
            await stage.write("x" * (2 * MIB), id=f"i{number}")

    stage.soon(flood)
    await trio.sleep(3)
    queued = stage.session._upstream.queued_bytes
    assert queued < 8 * MIB
    remembered = stage.session._core._out._sent.values()  # type: ignore[attr-defined]
    assert all(not getattr(command, "body", None) for command in remembered)
    stage.model.resume()
    while len(stage.model.heard("conversation.item.create")) < 40:  # noqa: ASYNC110  # the model's log is no event
        await trio.sleep(1)


@pytest.mark.parametrize("kind", ["session.update", "response.create", "conversation.item.create"])
async def test_I11_a_large_message_of_small_things_is_refused_before_it_is_read(
    autojump_clock: MockClock, stage: DropInStage, kind: str
) -> None:
    await stage.ready()
    small: dict[str, str] = {
        "session.update": '"session":{"type":"realtime","tools":[%s]}',
        "response.create": '"response":{"input":[%s]}',
        "conversation.item.create": '"item":{"type":"message","role":"user","content":[%s]}',
    }
    frame = '{"type":"%s",%s}' % (kind, small[kind] % ",".join(["{}"] * 1_000_000))  # noqa: UP031  # braces abound
    began = time.perf_counter()
    for _ in range(3):
        await stage.client.send(frame)
        await stage.client.hears("error")
    assert time.perf_counter() - began < 1.0
    before = stage.now
    await stage.client.send(frame)
    await stage.update()
    assert stage.now - before > 0.5  # it has to wait for what it makes others wait


async def test_a_picture_may_be_large(autojump_clock: MockClock, stage: DropInStage) -> None:
    await stage.ready()
    picture: dict[str, Any] = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * (3 * MIB)}
    await stage.send("conversation.item.create", item={"type": "message", "role": "user", "content": [picture]})
    await stage.client.hears("conversation.item.done")
    assert stage.errors() == []
