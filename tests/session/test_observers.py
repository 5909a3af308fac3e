"""One list of observers: each sees the types it names, once and in order, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import trio

from tests.support.budget_fixture import Budgets
from tests.support.session_fixture import SESSION_CONFIG, SessionFixture
from tests.support.turn_records import turn
from voice_trio.conversation import commands, events
from voice_trio.session.endings import Ending
from voice_trio.session.observers import FlushQueued, Observer, Observers
from voice_trio.session.summary import Summary
from voice_trio.session.telemetry.turn_recorder import TurnRecorder

if TYPE_CHECKING:
    from trio.testing import MockClock

    from voice_trio.conversation.turn.record import TurnRecord

DELTA = events.ResponseAudioDelta("r1", "a1", "", 100.0)


class Witness(Observer):
    event_types: ClassVar = (events.ResponseAudioDelta, events.UpstreamLost)
    command_types: ClassVar = (commands.BeginTurn, commands.CreateResponse)

    def __init__(self) -> None:
        self.seen: list[object] = []
        self.turns: list[TurnRecord] = []

    def on_event(self, event: object, now: float) -> None:
        self.seen.append(event)

    def on_command(self, command: object, now: float) -> None:
        self.seen.append(command)

    def on_turn(self, record: TurnRecord) -> None:
        self.turns.append(record)


def test_an_observer_is_called_for_the_types_that_it_names_and_in_the_order_of_the_list() -> None:
    first, second = Witness(), Witness()
    observers = Observers(first, Observer(), second)
    assert set(observers.by_event) == {events.ResponseAudioDelta, events.UpstreamLost}
    assert set(observers.by_command) == {commands.BeginTurn, commands.CreateResponse}
    assert [getattr(handle, "__self__", None) for handle in observers.by_event[type(DELTA)]] == [first, second]


async def test_an_audio_delta_meets_the_cost_meter_once_and_no_other_observer(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    await trio.lowlevel.checkpoint()
    session = SessionFixture(nursery, cost_meter=Budgets().daily.open(SESSION_CONFIG), metrics=True)
    observers = session.under_test._observers
    assert len(observers.by_event[events.ResponseAudioDelta]) == 1
    assert commands.SendToClient not in observers.by_command
    assert FlushQueued in observers.by_event


async def test_each_event_of_a_turn_is_seen_once_and_what_is_sent_upstream_by_its_own_type(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    witness = Witness()
    session = SessionFixture(nursery, observers=(witness,))
    session.model.answers_with("Thirty-four.", audio_ms=1000)
    await session.ready()
    await session.asks()
    await session.client.hears("response.done")
    kinds = [type(each) for each in witness.seen]
    sent = len(session.model.heard("response.create"))
    assert kinds.count(commands.CreateResponse) == sent == 1
    assert kinds.count(commands.BeginTurn) == 1
    assert kinds.count(events.ResponseAudioDelta) == len(session.client.heard_of("response.audio.delta"))


async def test_an_observer_gets_the_events_that_it_names_through_feed_and_no_others_and_none_after_the_end_F73(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    witness = Witness()
    session = SessionFixture(nursery, observers=(witness,), duration_seconds=100.0)
    await session.ready()
    feed, began = session.under_test.feed, trio.current_time()
    feed(events.SpeechStarted("i1"))
    feed(DELTA)
    feed(DELTA, began - 0.1)
    feed(events.ResponseAudioDone("r1", "a1"))
    assert witness.seen == [commands.BeginTurn(1), DELTA, DELTA]
    feed(DELTA, began + 100.0)  # at the deadline it is over, though nothing has ended it yet
    assert len(witness.seen) == 3
    session.under_test.end(Ending.CLIENT_ENDED)
    feed(DELTA)
    assert len(witness.seen) == 3


def test_a_record_is_given_to_those_that_take_turns_in_the_order_of_the_list() -> None:
    first, second = Witness(), Witness()
    recorder = TurnRecorder(Summary("s"), (first, Observer(), second))
    recorder.on_command(commands.ReportTurn(turn()), 0.0)
    assert first.turns == second.turns == [turn()]
