"""I14 under schedules that Hypothesis explores: whatever is lost at whatever moment, each response gets its one end.

One question, one way to lose what answers it, at a drawn moment, on either protocol; perhaps the user interrupts just
before. A question that gets no answer gets an error, or the session ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.realtime_session_fixture import RealtimeSessionFixture
from tests.support.response_ends import check_I14_every_response_ends
from tests.support.session_fixture import SessionFixture
from tests.support.session_stories import answers
from voice_trio.errors import ModelUnavailable
from voice_trio.session.endings import Ending
from voice_trio.testing.script import Answer, Call

ENDINGS = [
    *(Ending.TIMEOUT, Ending.IDLE, Ending.UPSTREAM_LOST, Ending.TAKEN_OVER, Ending.SWITCHED_OFF, Ending.DRAINING),
    *(Ending.BUDGET_EXHAUSTED, Ending.ENDED_BY_OPERATOR, Ending.CRASHED),
]
WAYS = ["reset", "close", "garbage", "silence", "no done", "for good", "end", "drain", "again"]


async def run_function(arguments: str) -> str:
    await trio.sleep(3.0)
    return "{}"


@dataclass(frozen=True)
class Loss:
    """`way` at `at` seconds after the question; the user interrupts `before` seconds earlier, unless that is 0."""

    way: str
    at: float
    before: float
    code: int
    ending: Ending
    answers: list[Answer]
    reports: bool
    typed: bool


losses = st.builds(
    Loss,
    way=st.sampled_from(WAYS),
    at=st.sampled_from([0.0, 0.05, 0.2, 0.3, 0.5, 1.0, 2.0, 4.0]),
    before=st.sampled_from([0.0, 0.0, 0.05, 0.3, 1.0]),
    code=st.sampled_from([1000, 1001, 1002, 1006, 1008, 1011, 1012, 4000]),
    ending=st.sampled_from(ENDINGS),
    answers=st.one_of(answers, st.just([Answer(calls=(Call("f", "{}"),), audio_ms=500), Answer()])),
    reports=st.booleans(),
    typed=st.booleans(),
)


@pytest.mark.parametrize("protocol", [SessionFixture, RealtimeSessionFixture], ids=["voice", "openai"])
@given(schedule=st.random_module(), loss=losses)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_lost_at_any_moment_each_response_has_its_end_F60(
    protocol: type[SessionFixture], schedule: object, loss: Loss
) -> None:
    trio.run(play, protocol, loss, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("protocol", [SessionFixture, RealtimeSessionFixture], ids=["voice", "openai"])
@given(schedule=st.random_module(), loss=losses)
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_lost_at_any_of_very_many_moments_each_response_has_its_end_F60(
    protocol: type[SessionFixture], schedule: object, loss: Loss
) -> None:
    trio.run(play, protocol, loss, clock=trio.testing.MockClock(autojump_threshold=0))


async def play(protocol: type[SessionFixture], loss: Loss) -> None:
    async with trio.open_nursery() as nursery:
        session = protocol(
            nursery, reports_flush=loss.reports, duration_seconds=90.0, idle_seconds=1000.0, tools={"f": run_function}
        )
        session.expects_crash = loss.ending is Ending.CRASHED
        session.model.answers_next(*loss.answers)
        await session.ready()
        await ask(session, typed=loss.typed)
        await trio.sleep(max(0.0, loss.at - loss.before))
        if loss.before:
            session.model.start_speech()
            await trio.sleep(loss.before)
        await lose(session, loss)
        await session.over.wait()
        await session.client.is_closed()
        check_I14_every_response_ends(session)
        was_heard = loss.typed or session.client.heard_of("input_audio_buffer.committed")
        if was_heard and not loss.before:
            check_that_an_answer_or_an_error_came(session)
        nursery.cancel_scope.cancel()


async def ask(session: SessionFixture, *, typed: bool) -> None:
    if isinstance(session, RealtimeSessionFixture) and typed:
        await session.write("how warm must the brooder be")
        await session.ask()
    elif typed:
        await session.client.type("how warm must the brooder be")
    else:
        await session.asks(words_at=[0.1] * 8, lasts=0.4, silence=0.2)


async def lose(session: SessionFixture, loss: Loss) -> None:
    model = session.model
    match loss.way:
        case "reset":
            await model.drop()
        case "again":
            await model.drop()
            await trio.sleep(1.5)
            if model.session is not None and not model.session.over.is_set():
                await model.drop()
        case "close":
            await model.close(loss.code)
        case "garbage":
            model.session.link.send_nowait('{"type":"response.done","response":')  # type: ignore[union-attr]
            await model.drop()
        case "silence":
            model.send_latch.close()
        case "no done":
            model.hold_done()
        case "for good":
            for _ in range(200):
                model.refuse_next_connection(ModelUnavailable("down"))
            await model.drop()
        case "end":
            session.under_test.end(loss.ending)
        case "drain":
            session.under_test.drain()


def check_that_an_answer_or_an_error_came(session: SessionFixture) -> None:
    """Or the reason for which the session was closed says enough."""
    heard = session.client.heard
    last = max((place for place, entry in enumerate(heard) if entry.type == "response.done"), default=-1)
    completed = last >= 0 and heard[last].event["response"]["status"] == "completed"
    errors = [entry for entry in heard if entry.type == "error"]
    was_closed_early = session.ended_at < 90.0
    assert completed or errors or was_closed_early, "neither an answer nor an error"
