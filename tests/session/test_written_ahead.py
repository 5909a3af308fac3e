"""What is written of a turn before it is over, and when (I17): exact times, whole sessions on virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.realtime_session_fixture import RealtimeSessionFixture
from tests.support.session_fixture import SessionFixture
from voice_trio import limits
from voice_trio.session.endings import Ending
from voice_trio.session.spend.cost_meter import CostMeter
from voice_trio.session.telemetry.record_writer import RecordWriter, history_of
from voice_trio.settings import load_settings
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.rollout import first_rollout
from voice_trio.state.session_record import RecordedTurn, SessionRecord
from voice_trio.state.state import Quotas

if TYPE_CHECKING:
    from trio.testing import MockClock

QUESTION = "how warm must the brooder be"
NEW = SessionRecord(session_id="vs_1", user_id="ada", instance="", started=1_800_000_000.0, duration_seconds=600.0)


class Store(MemoryState):
    """Keeps each record it is given with its time; `seconds` is how long a write takes."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__(Quotas(5, 2), first_rollout(load_settings({}).access), store_transcripts=True)
        self.seconds = seconds
        self.written: list[tuple[float, SessionRecord]] = []

    async def put_record(self, record: SessionRecord) -> None:
        await trio.sleep(self.seconds)
        await super().put_record(record)
        self.written.append((trio.current_time(), record))

    @property
    def newest(self) -> SessionRecord:
        return self.written[-1][1]

    def words(self) -> list[tuple[str, str, str]]:
        """Of each turn in the newest record: what was said, what was heard, its status."""
        return [
            (" ".join(item.text for item in turn.said), " ".join(item.text for item in turn.heard), turn.status)
            for turn in self.newest.turns
        ]


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def writer(store: Store) -> RecordWriter:
    return RecordWriter(store, NEW)


@pytest.fixture
async def session(autojump_clock: MockClock, nursery: trio.Nursery, writer: RecordWriter) -> SessionFixture:
    """A session whose record is written to `store`; its knowledge answers at once."""
    fixture = SessionFixture(nursery, observers=(writer,))
    writer.follow(fixture.under_test.open_turns, CostMeter())
    nursery.start_soon(writer.run)
    return fixture


async def test_I17_the_question_is_written_when_its_response_is_asked_for_F62(
    autojump_clock: MockClock, session: SessionFixture, store: Store
) -> None:
    session.model.waits_to_be_told()
    await session.ready()
    await session.asks(QUESTION)
    await session.model.hears("response.create")
    await trio.sleep(limits.RECORD_PAUSE_SECONDS + 0.001)

    assert store.words()[0][0].startswith("how warm must")
    assert store.words()[0][1:] == ("", "open")
    await trio.sleep(1.0)  # the final transcript comes 0.5 s after the commit
    assert store.words() == [(QUESTION, "", "open")]


async def test_I17_no_more_than_two_seconds_of_what_was_heard_are_missing_at_any_moment_F62(
    autojump_clock: MockClock, session: SessionFixture, store: Store
) -> None:
    words = " ".join(f"word{number}" for number in range(100))
    session.model.answers_with(words, audio_ms=20_000, pace=8.0, first_audio_after=0.0)
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.audio.delta")
    began_at, most_missing = trio.current_time(), 0.0
    while trio.current_time() < began_at + 19.0:
        await trio.sleep(0.05)
        heard = session.client.audio_heard_ms(session.client.heard_of("response.audio.delta")[0].event["item_id"])
        written = len(store.words()[0][1].split())
        assert written <= heard / 200 + 1, "words that were not heard"
        most_missing = max(most_missing, heard / 1000 - written / 5)

    # A word has 0.2 s; one that is cut in two is left out.
    assert most_missing < limits.RECORD_LOOK_SECONDS + limits.RECORD_PAUSE_SECONDS + 0.2 + 0.05
    during = [at for at, _ in store.written if began_at + 1.0 < at < began_at + 18.0]
    assert len(during) <= 18.0 / limits.RECORD_LOOK_SECONDS + 2


async def test_I17_an_answer_that_is_complete_is_written_as_far_as_it_was_heard_F62(
    autojump_clock: MockClock, session: SessionFixture, store: Store
) -> None:
    session.model.answers_with("one two three four five six seven eight nine ten", audio_ms=10_000, pace=100.0)
    await session.ready()
    await session.asks(QUESTION)
    done = await session.model.says("response.done")
    await trio.sleep(limits.RECORD_PAUSE_SECONDS + 0.001)

    assert done.event["response"]["status"] == "completed"
    assert store.words()[0][1:] == ("", "open")  # its first word is not heard yet
    await trio.sleep(5.0)
    (said, heard, status), *others = store.words()
    assert (said, status, others) == (QUESTION, "open", [])
    assert "one two" in heard
    assert "seven" not in heard
    await trio.sleep(6.0)
    assert store.words() == [(QUESTION, "one two three four five six seven eight nine ten", "completed")]


async def test_an_open_turn_and_its_report_are_one_turn(
    autojump_clock: MockClock, session: SessionFixture, store: Store
) -> None:
    session.model.answers_with("one two three four five six seven eight nine ten", audio_ms=10_000)
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.audio.delta")
    await trio.sleep(4.0)
    await session.asks("and for ducks")
    await session.client.hears("response.audio.delta")
    await trio.sleep(15.0)

    for _, record in store.written:
        ids = [item.item_id for turn in record.turns for item in (*turn.said, *turn.heard)]
        assert len(ids) == len(set(ids)), record.turns
        assert len(record.turns) <= 2
    assert [status for _, _, status in store.words()] == ["cancelled", "completed"]
    assert len(history_of(store.newest)) == 4


async def test_a_question_that_goes_on_is_one_turn_throughout(
    autojump_clock: MockClock, session: SessionFixture, store: Store
) -> None:
    session.model.waits_to_be_told()
    await session.ready()
    await session.asks("how warm must")
    await session.asks("the brooder be")
    await trio.sleep(1.0)

    assert store.words() == [("how warm must the brooder be", "", "open")]
    assert [said.text for said in history_of(store.newest)] == ["how warm must", "the brooder be"]


async def test_what_is_being_said_is_written_before_it_is_committed(
    autojump_clock: MockClock, session: SessionFixture, store: Store
) -> None:
    await session.ready()
    session.soon(session.asks, "how warm must the brooder be in winter and in summer", lasts=8.0)
    await trio.sleep(4.0)

    assert store.words()[0][0].startswith("how warm must the")


async def test_a_transcript_that_comes_after_its_turn_is_in_the_record(
    autojump_clock: MockClock, session: SessionFixture, store: Store
) -> None:
    session.model.answers_with("Thirty-four.", audio_ms=200, first_audio_after=0.0)
    await session.ready()
    await session.asks("how warm must it be", completed_after=3.0)
    await trio.sleep(2.5)
    before = store.words()
    await trio.sleep(1.0)

    assert before[0][1:] == ("Thirty-four.", "completed")
    assert store.words() == [("how warm must it be", "Thirty-four.", "completed")]


async def test_a_slow_store_delays_no_response_and_gets_the_newest_state(
    autojump_clock: MockClock, session: SessionFixture, store: Store
) -> None:
    store.seconds = 7.0
    session.model.answers_with("Thirty-four.", audio_ms=200, first_audio_after=0.0)
    await session.ready()
    for _ in range(3):
        await session.asks(QUESTION)
        committed_at = trio.current_time()
        await session.model.hears("response.create")
        assert trio.current_time() - committed_at <= 0.2
        await session.client.hears("response.done")
        await trio.sleep(1.0)
    await trio.sleep(14.2)

    assert [status for _, _, status in store.words()] == ["completed"] * 3
    assert len(store.written) <= 4


async def test_the_rate_of_writes_is_bounded_whatever_the_client_does(
    autojump_clock: MockClock, session: SessionFixture, store: Store
) -> None:
    await session.ready()
    began_at = trio.current_time()
    for number in range(300):
        await session.client.type(f"question {number}")
        await trio.sleep(0.01)
    seconds = trio.current_time() - began_at

    assert len(store.written) <= seconds / limits.RECORD_PAUSE_SECONDS + 2


async def test_silence_costs_no_write(autojump_clock: MockClock, session: SessionFixture, store: Store) -> None:
    session.model.answers_with("Thirty-four.", audio_ms=200)
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.done")
    await trio.sleep(5.0)
    count = len(store.written)
    await trio.sleep(200.0)

    assert len(store.written) == count


async def test_at_the_end_no_turn_is_open(
    autojump_clock: MockClock, session: SessionFixture, store: Store, writer: RecordWriter
) -> None:
    session.model.answers_with("one two three four", audio_ms=10_000)
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.audio.delta")
    await trio.sleep(3.0)
    session.under_test.end(Ending.CLIENT_LEFT)
    await session.over.wait()
    await writer.write_last()

    assert [status for _, _, status in store.words()] == ["ended"]
    assert store.newest.end_reason == "client_left"


async def test_where_no_words_may_be_kept_the_money_and_the_number_of_turns_are(
    autojump_clock: MockClock, session: SessionFixture, store: Store
) -> None:
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.audio.delta")
    await trio.sleep(1.0)
    kept = store.newest.without_text()

    assert (kept.turns, kept.turn_count, kept.usage["total_tokens"] > 0) == ((), 1, True)


async def test_a_turn_on_openais_protocol_is_written_ahead_too(
    autojump_clock: MockClock, nursery: trio.Nursery, store: Store, writer: RecordWriter
) -> None:
    session = RealtimeSessionFixture(nursery, observers=(writer,))
    writer.follow(session.under_test.open_turns, CostMeter())
    nursery.start_soon(writer.run)
    session.model.answers_with("one two three four five six seven eight nine ten", audio_ms=10_000, pace=100.0)
    await session.ready()
    await session.update()
    await session.asks(QUESTION)
    await session.client.hears("response.output_audio.delta")
    await trio.sleep(limits.RECORD_PAUSE_SECONDS + 0.001)
    assert store.words()[0][1:] == ("", "open")
    await trio.sleep(5.0)
    assert store.words()[0][1].startswith("one two")
    assert "seven" not in store.words()[0][1]
    await session.asks("and for ducks")
    await trio.sleep(20.0)
    assert [status for _, _, status in store.words()] == ["cancelled", "completed"]
    for _, record in store.written:
        ids = [item.item_id for turn in record.turns for item in (*turn.said, *turn.heard)]
        assert len(ids) == len(set(ids)), record.turns


def test_a_record_that_is_taken_up_has_no_open_turn_and_outranks_what_its_last_connection_still_writes() -> None:
    left = SessionRecord(
        session_id="vs_1",
        user_id="ada",
        cost_micro_usd=500,
        reserved_micro_usd=70,
        instance="a",
        started=0.0,
        duration_seconds=600.0,
        revision=41,
        turns=(RecordedTurn(status="completed"), RecordedTurn(status="open")),
    )
    again = left.taken_up()

    assert [turn.status for turn in again.turns] == ["completed", "lost"]
    assert (again.cost_micro_usd, again.reserved_micro_usd) == (570, 0)
    assert left.revision + 100_000 < again.revision < again.taken_up().revision
