"""What is written ahead under schedules that Hypothesis explores: whatever happens, whenever it is read (I17)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.session_fixture import SessionFixture
from tests.support.session_stories import Story, live, stories
from voice_trio.session.spend.cost_meter import CostMeter
from voice_trio.session.telemetry.record_writer import RecordWriter, history_of
from voice_trio.settings import load_settings
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.rollout import first_rollout
from voice_trio.state.session_record import SessionRecord
from voice_trio.state.state import Quotas
from voice_trio.testing.script import Answer

if TYPE_CHECKING:
    from tests.support.session_fixture import SessionFixture as Session

SECONDS = 30.0
NEW = SessionRecord(session_id="vs_1", user_id="ada", instance="", started=1_800_000_000.0, duration_seconds=600.0)
TEXT = Answer().text
CLOCKS_DIFFER_MS = 100.0
"""Between what the gateway takes for heard and what the client then reports: one piece of sound."""


@dataclass(frozen=True)
class Written:
    """A record, and how much of each of its answers had come out of the client's loudspeaker by then."""

    record: SessionRecord
    heard_ms: dict[str, float]
    received_ms: dict[str, float]


class Store(MemoryState):
    """Keeps each record it is given."""

    def __init__(self) -> None:
        super().__init__(Quotas(5, 2), first_rollout(load_settings({}).access))
        self.session: Session | None = None
        self.written: list[Written] = []

    async def put_record(self, record: SessionRecord) -> None:
        assert self.session is not None
        client = self.session.client
        items = [item.item_id for turn in record.turns for item in turn.heard]
        now_heard = {item_id: client.audio_heard_ms(item_id) for item_id in items}
        self.written.append(Written(record, now_heard, {item: client.audio_received_ms(item) for item in items}))
        await super().put_record(record)


@given(schedule=st.random_module(), story=stories)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_I17_every_record_holds_under_any_schedule(schedule: object, story: Story) -> None:
    trio.run(play, story, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(schedule=st.random_module(), story=stories)
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
def test_I17_every_record_holds_under_very_many_schedules(schedule: object, story: Story) -> None:
    trio.run(play, story, clock=trio.testing.MockClock(autojump_threshold=0))


async def play(story: Story) -> None:
    store = Store()
    writer = RecordWriter(store, NEW)
    async with trio.open_nursery() as nursery:
        session = SessionFixture(
            nursery, observers=(writer,), reports_flush=story.reports, duration_seconds=SECONDS, idle_seconds=1000.0
        )
        store.session = session
        writer.follow(session.under_test.open_turns, CostMeter())
        nursery.start_soon(writer.run)
        await live(session, story)
        await writer.write_last()
        check_that_no_word_is_there_twice(store)
        if "cut" not in {deed.what for deed in story.deeds}:
            check_that_no_word_is_there_before_it_was_heard(store)
        check_that_the_last_one_has_what_was_reported(store, session)
        nursery.cancel_scope.cancel()


def check_that_no_word_is_there_twice(store: Store) -> None:
    for written in store.written:
        told = [said.item_id for said in history_of(written.record)]
        assert len(told) == len(set(told))
        answers = [item.item_id for turn in written.record.turns for item in turn.heard]
        assert len(answers) == len(set(answers)), written.record.turns
        open_turns = [turn for turn in written.record.turns if turn.status == "open"]
        assert len(open_turns) <= 2


def check_that_no_word_is_there_before_it_was_heard(store: Store) -> None:
    for written in store.written:
        for turn in written.record.turns:
            for item in turn.heard:
                heard, received = written.heard_ms[item.item_id], written.received_ms[item.item_id]
                letter_ms = received / len(TEXT)
                assert len(item.text) * letter_ms <= heard + CLOCKS_DIFFER_MS + letter_ms, item


def check_that_the_last_one_has_what_was_reported(store: Store, session: Session) -> None:
    reported = [
        (record.status, [item for item, text in record.heard_items if text])
        for record in session.records
        if record.status != "joined"
    ]
    last = store.written[-1].record
    recorded = [(turn.status, [item.item_id for item in turn.heard]) for turn in last.turns]
    assert recorded[: len(reported)] == reported
    assert last.end_reason is not None
    assert "open" not in {turn.status for turn in last.turns}
