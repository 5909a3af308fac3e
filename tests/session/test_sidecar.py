"""A second socket that only transcribes: its words come in time, and nothing of the session hangs on it."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.budget_fixture import Budgets
from tests.support.realtime_session_fixture import RealtimeSessionFixture
from tests.support.session_fixture import SESSION_CONFIG, SessionFixture, contexts
from voice_trio import limits
from voice_trio.errors import ModelRefused, ModelUnavailable
from voice_trio.session.endings import Ending

if TYPE_CHECKING:
    from trio.testing import MockClock

    from voice_trio.session.spend.session_bill import SessionBill

QUESTION = "how warm must the brooder be in winter"
DELTA = "conversation.item.input_audio_transcription.delta"
COMPLETED = "conversation.item.input_audio_transcription.completed"
COMMIT = "input_audio_buffer.commit"
PER_SECOND = Decimal("0.017") / 60  # of the streaming model


async def start_session(
    nursery: trio.Nursery, sidecar: str = "auto", *, refused: bool = True, **how: Any
) -> SessionFixture:
    """A session that is ready, whose model refuses the streaming transcription unless told otherwise."""
    session = SessionFixture(nursery, sidecar=sidecar, **how)
    if refused:
        session.model.refuse_transcription_model()
    await session.ready()
    session.knowledge.answer_after(0.4)
    await trio.sleep(0.1)
    return session


async def ask(session: SessionFixture, text: str = QUESTION, *, heard: str | None = None, **how: Any) -> str:
    """Say it into the microphone; the conversation hears when it begins and ends, the sidecar what it is."""
    session.model.transcriber.will_hear(text if heard is None else heard, **how)
    session.soon(session.client.speak, 3.5)
    return await session.asks(text, lasts=3.0)


async def append_steadily(session: RealtimeSessionFixture, seconds: float) -> None:
    for _ in range(round(seconds / 0.1)):
        await session.append(0.1)
        await trio.sleep(0.1)


async def outcome(session: SessionFixture) -> str:
    return str((await session.client.hears("context.injected")).event["outcome"])


def words_told(session: SessionFixture) -> str:
    return "".join(each.event["delta"] for each in session.client.heard_of(DELTA))


def open_bill() -> tuple[Budgets, SessionBill]:
    budgets = Budgets()
    return budgets, budgets.daily.open(SESSION_CONFIG)


@pytest.mark.parametrize(("sidecar", "expected"), [("auto", "hidden"), ("off", "none")])
async def test_words_during_speech_hide_the_search_where_the_conversation_gives_none(
    autojump_clock: MockClock, nursery: trio.Nursery, sidecar: str, expected: str
) -> None:
    session = await start_session(nursery, sidecar)
    await ask(session)
    assert await outcome(session) == expected
    await session.model.hears("response.create")
    assert bool(contexts(session.model.items)) is (expected == "hidden")


async def test_I2_I3_words_of_the_sidecar_change_nothing_of_the_order(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = await start_session(nursery)
    await ask(session)
    committed = session.now
    await session.model.hears("response.create")
    assert session.requests() == ["conversation.item.create", "response.create"]
    assert session.now - committed <= 0.2


async def test_its_words_are_told_once_under_the_conversations_item_and_its_own_transcript_is_the_last_word(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = await start_session(nursery)
    item_id = await ask(session, heard="how worm must the brooder be in winter")
    final = await session.client.hears(COMPLETED)
    assert words_told(session) == " how worm must the brooder be in winter"
    assert {each.event["item_id"] for each in session.client.heard_of(DELTA)} == {item_id}
    assert (final.event["item_id"], final.event["transcript"]) == (item_id, QUESTION)
    await trio.sleep(5.0)
    assert session.client.heard_of(COMPLETED) == [final]
    await session.client.hears("response.done")
    await trio.sleep(30.0)
    assert session.records[0].said == QUESTION


async def test_it_hears_what_was_said_and_no_silence_and_commits_when_the_conversation_hears_the_end(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = await start_session(nursery)
    await session.client.speak(10.0)
    assert session.model.transcriber.heard_seconds() == 0
    await ask(session)
    stopped = session.now
    await session.model.transcriber.hears(COMMIT)
    assert session.now == stopped
    await session.client.speak(10.0)
    assert session.model.transcriber.heard_seconds() == pytest.approx(3.5, abs=0.1)
    (update,) = session.model.transcriber.heard("session.update")
    assert update.event["session"]["type"] == "transcription"
    assert update.event["session"]["audio"]["input"]["turn_detection"] is None
    assert update.event["session"]["audio"]["input"]["transcription"] == {"model": "gpt-realtime-whisper"}


async def test_the_beginning_that_was_said_before_speech_was_noticed_is_heard_too(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = await start_session(nursery)
    await session.client.speak(2.0)
    item_id = session.model.start_speech(ago_ms=700)
    await trio.sleep(0.01)
    assert session.model.transcriber.heard_seconds() == pytest.approx(0.7, abs=0.05)
    session.model.stop_speech(item_id)
    await session.model.transcriber.hears(COMMIT)


async def test_I4_words_of_one_turn_never_join_the_next(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    session = await start_session(nursery)
    first = await ask(session, "how warm must the brooder be", completed_after=9.0)
    await session.client.hears("response.done")
    await trio.sleep(3.0)
    second = await ask(session, "do ducks need deep water in winter")
    await trio.sleep(12.0)
    told = {
        item_id: "".join(e.event["delta"] for e in session.client.heard_of(DELTA) if e.event["item_id"] == item_id)
        for item_id in (first, second)
    }
    assert told == {first: " how warm must the brooder be", second: " do ducks need deep water in winter"}
    assert len(session.model.transcriber.heard(COMMIT)) == 2


async def test_auto_opens_nothing_where_the_conversation_streams(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = await start_session(nursery, refused=False)
    await ask(session)
    assert await outcome(session) == "hidden"
    assert session.model.transcriber.connections == 0


async def test_where_both_say_words_each_is_told_once(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    session = await start_session(nursery, "on", refused=False)
    await ask(session, first_word_after=0.9)
    assert await outcome(session) == "hidden"
    await session.client.hears(COMPLETED)
    assert words_told(session).split() == QUESTION.split()


async def test_typed_questions_do_not_concern_it(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    session = await start_session(nursery)
    await session.client.type(QUESTION)
    await session.client.hears("response.done")
    assert [each.type for each in session.model.transcriber.received] == ["session.update"]


async def test_a_client_of_openais_protocol_is_told_its_words_like_the_conversations_own(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = RealtimeSessionFixture(nursery, sidecar="auto")
    session.model.refuse_transcription_model()
    await session.ready()
    shown = await session.update(audio={"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}})
    assert shown["audio"]["input"]["transcription"] is not None
    session.knowledge.answer_after(0.4)
    session.model.transcriber.will_hear(QUESTION)
    session.soon(append_steadily, session, 3.5)
    item_id = await session.asks(QUESTION, lasts=3.0)
    await session.client.hears(COMPLETED)
    assert words_told(session) == f" {QUESTION}"
    assert {each.event["item_id"] for each in session.client.heard_of(DELTA)} == {item_id}
    assert {tuple(each.event) for each in session.client.heard_of(DELTA)} == {
        ("event_id", "type", "item_id", "content_index", "delta")
    }
    await session.model.hears("response.create")
    assert contexts(session.model.items)


# It fails, and the session goes on


@pytest.mark.parametrize("trouble", ["refuses the model", "cannot be reached", "is refused", "stalls", "is lost"])
async def test_without_its_words_the_session_goes_on_as_without_a_sidecar(
    autojump_clock: MockClock, nursery: trio.Nursery, trouble: str
) -> None:
    session = SessionFixture(nursery, sidecar="auto")
    session.model.refuse_transcription_model()
    transcriber = session.model.transcriber
    match trouble:
        case "refuses the model":
            transcriber.refuse_model()
        case "cannot be reached":
            transcriber.refuse_next_connections(*[ModelUnavailable("away")] * 99)
        case "is refused":
            transcriber.refuse_next_connections(ModelRefused("invalid_api_key"))
    began = session.now
    await session.ready()
    assert session.now - began < 0.01
    session.knowledge.answer_after(0.4)
    await trio.sleep(0.1)
    if trouble == "stalls":
        transcriber.stall()
    if trouble == "is lost":
        transcriber.refuse_next_connections(*[ModelUnavailable("away")] * 99)
        transcriber.drop()
    for expected in ("none", "hidden" if trouble == "stalls" else "none"):  # who takes nothing is given up after 10 s
        await ask(session)
        assert await outcome(session) == expected
        assert (await session.client.hears(COMPLETED)).event["transcript"] == QUESTION
        await session.client.hears("response.done")
        await trio.sleep(20.0)
    assert session.summaries == []
    assert session.client.heard_of("error") == []


async def test_lost_in_mid_speech_it_is_back_for_the_next_question_and_what_it_heard_is_estimated(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    budgets, bill = open_bill()
    session = await start_session(nursery, cost_meter=bill)
    transcriber = session.model.transcriber
    transcriber.will_hear(QUESTION)
    session.soon(session.client.speak, 3.5)
    session.soon(session.asks, QUESTION, lasts=3.0)
    await trio.sleep(1.5)
    transcriber.drop()
    await session.client.hears("response.done")
    assert bill.cost.is_estimate
    assert bill.costs.estimated_usd / PER_SECOND == pytest.approx(Decimal("1.5"), abs=Decimal("0.1"))
    await trio.sleep(10.0)
    await ask(session)
    await session.client.hears("context.injected")
    assert await outcome(session) == "hidden"
    assert transcriber.connections == 2
    assert budgets.daily.spending.total_usd == bill.cost.usd


async def test_it_is_not_reached_for_for_ever(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    session = await start_session(nursery, idle_seconds=3_000.0, duration_seconds=3_000.0)
    for _ in range(limits.SIDECAR_CONNECTIONS_MAX + 3):
        if session.model.transcriber.connections > len(session.model.transcriber.losses):
            session.model.transcriber.drop()
        await trio.sleep(60.0)
    assert session.model.transcriber.connections == limits.SIDECAR_CONNECTIONS_MAX
    assert session.summaries == []


async def test_when_the_model_is_lost_the_sidecar_goes_on_with_the_next(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = await start_session(nursery)
    await ask(session)
    await session.client.hears("response.done")
    await trio.sleep(5.0)
    session.soon(session.client.speak, 20.0)
    session.model.start_speech()
    await trio.sleep(1.0)
    await session.model.drop()
    await session.client.hears("session.recovered")
    await trio.sleep(1.0)
    session.model.transcriber.will_hear(QUESTION)
    await session.asks(QUESTION, lasts=3.0)
    await session.client.hears("context.injected")
    assert await outcome(session) == "hidden"
    assert session.model.transcriber.connections == 1


@pytest.mark.parametrize("how", ["says goodbye", "is lost"])
async def test_I8_when_the_client_leaves_its_socket_is_closed_within_a_second(
    autojump_clock: MockClock, nursery: trio.Nursery, how: str
) -> None:
    session = await start_session(nursery)
    session.soon(session.asks, QUESTION, lasts=3.0)
    await trio.sleep(1.0)
    left = session.now
    if how == "says goodbye":
        await session.client.hang_up()
    else:
        session.client.lose_connection()
    await session.over.wait()
    await trio.sleep(0.01)
    assert len(session.model.transcriber.losses) == 1
    assert session.now - left < 1.0


async def test_I7_a_stalled_sidecar_delays_no_ending(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    session = await start_session(nursery, duration_seconds=20.0, idle_seconds=100.0)
    session.model.transcriber.stall()
    session.soon(session.client.speak, 30.0)
    session.model.start_speech()
    await session.over.wait()
    assert session.summary.ending is Ending.TIMEOUT
    assert session.now <= 22.0


async def test_I9_what_a_stalled_sidecar_does_not_take_is_bounded(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = await start_session(nursery, duration_seconds=200.0, idle_seconds=300.0)
    transcriber = session.model.transcriber
    transcriber.stall()
    session.soon(session.client.speak, 60.0)
    item_id = session.model.start_speech()
    await trio.sleep(60.0)
    session.model.stop_speech(item_id)
    await trio.sleep(5.0)
    # Given up after ten seconds, reached anew, given what was kept: ten seconds, and what came since.
    assert transcriber.connections == 2
    second = [each for each in transcriber.heard("input_audio_buffer.append") if each.session == 1]
    assert len(second) * 0.04 < 60.0


# Money


async def test_I10_both_transcriptions_are_billed_once_each_by_its_own_model(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    budgets, bill = open_bill()
    session = await start_session(nursery, cost_meter=bill)
    session.model.waits_to_be_told()
    await ask(session, usage={"type": "duration", "seconds": 4})
    await trio.sleep(2.0)
    expected = 4 * PER_SECOND + 4 * Decimal("0.0045") / 60
    assert bill.cost.usd == pytest.approx(expected)
    assert not bill.cost.is_estimate
    asked = Decimal(bill.reserved_micro_usd) / 10**6  # a response that never began
    assert asked > 0
    await session.client.hang_up()
    await session.over.wait()
    assert session.summary.cost.usd == pytest.approx(expected + asked, abs=Decimal("1e-6"))
    assert budgets.daily.spending.total_usd == bill.cost.usd
    assert session.summary.sidecar


async def test_I10_what_was_heard_and_never_billed_is_estimated_when_the_session_ends(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    _, bill = open_bill()
    session = await start_session(nursery, cost_meter=bill)
    session.model.waits_to_be_told()
    await ask(session, completed_after=float("inf"))
    await trio.sleep(2.0)
    before = bill.cost
    reserved = Decimal(bill.reserved_micro_usd) / 10**6  # for the response that was asked for, and for 3 s of speech
    await session.client.hang_up()
    await session.over.wait()
    after = session.summary.cost
    assert (before.is_estimate, after.is_estimate) == (False, True)
    assert reserved > 3 * PER_SECOND
    assert after.usd - before.usd == pytest.approx(reserved + Decimal("0.5") * PER_SECOND, abs=Decimal("1e-5"))


async def test_F59_an_outage_costs_a_session_no_sidecar(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    session = await start_session(nursery, "on")
    await session.asks(QUESTION)
    session.upstream_is_away_for(6.0)
    await session.model.drop()
    session.model.transcriber.drop()
    await session.client.hears("session.recovered")
    await trio.sleep(2.0)
    assert (session.sidecar_dials, session.model.transcriber.is_connected) == (2, True)


# Under any schedule


FOUND_BY_HYPOTHESIS = {
    "F71, I8: the session ends while the sidecar reconnects": (
        [(0.0, "ask"), (0.0, "stall sidecar"), (1.0, "type")],
        "on",
    ),
    "speech on a model whose response went with its connection": (
        [*[(0.0, "ask")] * 6, (0.1, "drop model"), (0.0, "ask")],
        "auto",
    ),
}


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("found", "mode"), FOUND_BY_HYPOTHESIS.values(), ids=list(FOUND_BY_HYPOTHESIS))
def test_schedules_that_once_failed(found: list[tuple[float, str]], mode: str, seed: int) -> None:
    random.seed(seed)
    trio.run(play, found, mode, False, 8.0 + seed / 5, clock=trio.testing.MockClock(autojump_threshold=0))


leaving = st.sampled_from([0.0, 0.1, 1.0, 3.0, 9.9, 10.0, 10.5, 11.0, 12.0])
"""A sidecar that takes nothing is given up after 10 s, and another one is tried 1 s later."""

deeds = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 0.5, 1.0, 3.5, 8.0]),
        st.sampled_from(["ask", "ask", "ask", "type", "drop sidecar", "stall sidecar", "drop model"]),
    ),
    min_size=1,
    max_size=8,
)


@given(
    schedule=st.random_module(),
    deeds=deeds,
    mode=st.sampled_from(["auto", "on"]),
    refused=st.booleans(),
    leaves_after=leaving,
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_I10_under_any_schedule_each_items_words_have_one_source_and_all_that_was_heard_is_billed_once(
    schedule: object, deeds: list[tuple[float, str]], mode: str, refused: bool, leaves_after: float
) -> None:
    trio.run(play, deeds, mode, refused, leaves_after, clock=trio.testing.MockClock(autojump_threshold=0))


async def play(deeds: list[tuple[float, str]], mode: str, refused: bool, leaves_after: float) -> None:
    async with trio.open_nursery() as nursery:
        budgets, bill = open_bill()
        session = await start_session(nursery, mode, refused=refused, cost_meter=bill, duration_seconds=120.0)
        for pause, deed in deeds:
            await trio.sleep(pause)
            if not session.over.is_set():
                await do(session, deed)
        await trio.sleep(leaves_after)
        for item_id in {str(each.event["item_id"]) for each in session.client.heard_of(DELTA)}:
            said = "".join(e.event["delta"] for e in session.client.heard_of(DELTA) if e.event["item_id"] == item_id)
            assert said.isupper() or said.islower(), said
        await session.client.hang_up()
        await session.over.wait()
        assert budgets.daily.spending.total_usd == bill.cost.usd == session.summary.cost.usd
        assert all(name != "usage_malformed" for name in bill.cost.warnings)
        session.model.transcriber.resume()  # who takes nothing does not notice the end either
        await trio.sleep(1.0)
        assert not session.model.transcriber.is_connected
        assert session.model.session is None or session.model.session.over.is_set()
        nursery.cancel_scope.cancel()


async def do(session: SessionFixture, deed: str) -> None:
    """The conversation says words in small letters, the sidecar in capitals."""
    transcriber = session.model.transcriber
    match deed:
        case "ask":
            session.model.transcriber.will_hear(QUESTION.upper())
            session.soon(session.client.speak, 2.5)
            with trio.move_on_after(3.0):
                await session.asks(QUESTION, lasts=2.0)
        case "type":
            await session.client.type(QUESTION)
        case "drop sidecar" if transcriber.is_connected:
            transcriber.drop()
        case "stall sidecar":
            transcriber.stall()
        case "drop model" if session.model.session and not session.model.session.over.is_set():
            await session.model.drop()
