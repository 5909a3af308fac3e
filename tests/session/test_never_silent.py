"""Never silence: whatever happened before, the last question gets a sound or an error, and then all is quiet again.

The stories are those of `test_schedules`; here the session lives on, and one more question is asked at the end.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.session_fixture import SessionFixture
from tests.support.session_stories import Deed, Story, do, stories
from voice_trio.session.endings import Ending

PATIENCE_SECONDS = 60.0  # a lost response.done costs 6 s, a lost upstream some more; nothing takes longer

lasts = st.sampled_from(["ask", "type"])


@given(schedule=st.random_module(), story=stories, last=lasts)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_last_question_is_never_met_with_silence(schedule: object, story: Story, last: str) -> None:
    trio.run(play, story, last, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(schedule=st.random_module(), story=stories, last=lasts)
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_last_of_very_many_questions_is_never_met_with_silence(schedule: object, story: Story, last: str) -> None:
    trio.run(play, story, last, clock=trio.testing.MockClock(autojump_threshold=0))


async def play(story: Story, last: str) -> None:
    async with trio.open_nursery() as nursery:
        session = SessionFixture(nursery, reports_flush=story.reports, duration_seconds=600.0, idle_seconds=1000.0)
        # An answer without any sound is no silence of ours.
        session.model.answers_next(*(replace(answer, audio_ms=max(answer.audio_ms, 40)) for answer in story.answers))
        session.model.interrupt_after(story.cut_after)
        session.knowledge.answer_after(story.search_seconds)
        await session.ready()
        for deed in story.deeds:
            await trio.sleep(deed.after)
            if not session.over.is_set():
                await do(session, deed)
        session.client.read_again()
        if not session.over.is_set():
            await ask_once_more(session, last)
        session.under_test.end(Ending.IDLE)
        await session.over.wait()
        nursery.cancel_scope.cancel()


async def ask_once_more(session: SessionFixture, how: str) -> None:
    told = len(session.client.heard)
    await do(session, Deed(0.0, how, 8))
    await trio.sleep(PATIENCE_SECONDS)
    if not session.over.is_set():
        kinds = {entry.type for entry in session.client.heard[told:]}
        assert kinds & {"response.audio.delta", "error"}, kinds
        conversation = session.under_test._core
        assert not conversation.is_answering(trio.current_time()), "still answering"
        assert conversation.quiet_since(trio.current_time()) is not None
        assert len(session.under_test._turn_tasks._scopes) <= 1, "scopes of turns that are over"
