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

from tests.session.test_schedules import Deed, Story, do, stories
from tests.support.session_fixture import Stage
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
        stage = Stage(nursery, reports_flush=story.reports, duration_seconds=600.0, idle_seconds=1000.0)
        # An answer without any sound is no silence of ours.
        stage.model.answers_next(*(replace(answer, audio_ms=max(answer.audio_ms, 40)) for answer in story.answers))
        stage.model.interrupt_after(story.cut_after)
        stage.knowledge.answer_after(story.search_seconds)
        await stage.ready()
        for deed in story.deeds:
            await trio.sleep(deed.after)
            if not stage.over.is_set():
                await do(stage, deed)
        stage.client.read_again()
        if not stage.over.is_set():
            await ask_once_more(stage, last)
        stage.session.end(Ending.IDLE)
        await stage.over.wait()
        nursery.cancel_scope.cancel()


async def ask_once_more(stage: Stage, how: str) -> None:
    told = len(stage.client.heard)
    await do(stage, Deed(0.0, how, 8))
    await trio.sleep(PATIENCE_SECONDS)
    if not stage.over.is_set():
        kinds = {entry.type for entry in stage.client.heard[told:]}
        assert kinds & {"response.audio.delta", "error"}, kinds
        conversation = stage.session._core
        assert not conversation.is_answering(trio.current_time()), "still answering"
        assert conversation.quiet_since(trio.current_time()) is not None
        assert len(stage.session._turn_tasks._turns) <= 1, "scopes of turns that are over"
