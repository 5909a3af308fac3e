"""Whole sessions under schedules that Hypothesis explores: in whatever order tasks run, the invariants hold.

Tasks that are ready at the same instant run in random order; `st.random_module` seeds that order, so that a failing
schedule comes back by itself. What a user does is drawn too, at times that often coincide with something else.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.response_ends import check_I14_every_response_ends
from tests.support.session_fixture import REALTIME_CONFIG, SessionFixture
from tests.support.session_stories import (
    Story,
    check_I1_one_answer_at_a_time,
    check_I6_truncations,
    is_context,
    live,
    stories,
)
from voice_trio import limits
from voice_trio.protocols.audio import audio_ms

SECONDS = 30.0
STREAMS = REALTIME_CONFIG.transcription_model
WAIT_MS = 200


@given(schedule=st.random_module(), story=stories)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_invariants_hold_under_any_schedule(schedule: object, story: Story) -> None:
    trio.run(play, story, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(schedule=st.random_module(), story=stories)
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_invariants_hold_under_very_many_schedules(schedule: object, story: Story) -> None:
    trio.run(play, story, clock=trio.testing.MockClock(autojump_threshold=0))


WIRES = st.sampled_from(["azure", "flat", "azure-voice-live"])
"""Of the upstreams whose gate is `create_response: false`."""


@given(schedule=st.random_module(), story=stories, upstream=WIRES)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_invariants_hold_on_every_wire(schedule: object, story: Story, upstream: str) -> None:
    trio.run(play, story, upstream, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(schedule=st.random_module(), story=stories, upstream=WIRES)
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_invariants_hold_on_every_wire_under_very_many_schedules(
    schedule: object, story: Story, upstream: str
) -> None:
    trio.run(play, story, upstream, clock=trio.testing.MockClock(autojump_threshold=0))


async def play(story: Story, upstream: str = "openai") -> None:
    async with trio.open_nursery() as nursery:
        model = replace(REALTIME_CONFIG, transcription_model="whisper-1" if upstream == "azure-voice-live" else STREAMS)
        session = SessionFixture(
            nursery,
            upstream=upstream,
            model=model,
            reports_flush=story.reports,
            duration_seconds=SECONDS,
            idle_seconds=1000.0,
        )
        await live(session, story)
        await session.client.is_closed()  # it has read what was written last
        check(session)
        if not story.reports and not {"report", "cut"} & {deed.what for deed in story.deeds}:
            check_that_who_never_reports_is_at_most_a_second_behind(session)
        nursery.cancel_scope.cancel()


def check(session: SessionFixture) -> None:
    check_I1_one_answer_at_a_time(session)
    check_I2_and_I4_context_first_and_its_own(session)
    check_I3_deadline(session)
    assert session.client.audio_after_flush == [], "I5"
    check_I6_truncations(session)
    assert session.ended_at <= SECONDS + 2.0 + 0.001, "I7"
    check_I14_every_response_ends(session)
    assert session.summary.ending is not None
    refused = [entry.event["error"] for entry in session.model.said if entry.type == "error"]
    harmless = {"response_cancel_not_active"}
    assert [error for error in refused if error["code"] not in harmless] == []


def check_that_who_never_reports_is_at_most_a_second_behind(session: SessionFixture) -> None:
    dry_at = 0.0
    for entry in session.client.heard:
        if entry.type == "playback.flush":
            dry_at = entry.at
        elif entry.type == "response.audio.delta":
            dry_at = max(dry_at, entry.at) + audio_ms(entry.event["delta"]) / 1000
            assert dry_at - entry.at <= limits.CLIENT_LEAD_SECONDS_MAX + 1e-6, "more than a second lies unplayed"


def check_I2_and_I4_context_first_and_its_own(session: SessionFixture) -> None:
    """A context item leaves with the `response.create` of its turn, right before it, and names a committed item."""
    sent = [entry for entry in session.model.received if entry.type != "input_audio_buffer.append"]
    committed = {entry.event["item_id"] for entry in session.model.said if entry.type == "input_audio_buffer.committed"}
    for place, entry in enumerate(sent):
        item = entry.event.get("item", {})
        if entry.type == "conversation.item.create" and is_context(item):
            following = sent[place + 1 : place + 2]
            was_lost = not following or following[0].session != entry.session
            assert was_lost or following[0].type == "response.create", "I2"
            assert entry.event["previous_item_id"] in committed or entry.event["previous_item_id"].startswith("vt_u")


def check_I3_deadline(session: SessionFixture) -> None:
    """`response.create` leaves within the wait after the newest question, or when the model becomes free if later."""
    questions = [entry.at for entry in session.model.said if entry.type == "input_audio_buffer.committed"]
    questions += [
        entry.at
        for entry in session.model.received
        if entry.type == "conversation.item.create" and entry.event["item"].get("role") == "user"
    ]
    done = [entry.at for entry in session.model.said if entry.type in ("response.done", "session.updated")]
    for entry in session.model.heard("response.create"):
        newest = max((at for at in questions if at <= entry.at + 1e-9), default=None)
        assert newest is not None, "I2: asked before any question"
        free = max((at for at in done if at <= entry.at + 1e-9), default=0.0)
        assert entry.at <= max(newest + WAIT_MS / 1000, free) + 1e-6, "I3"
