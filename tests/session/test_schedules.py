"""Whole sessions under schedules that Hypothesis explores: in whatever order tasks run, the invariants hold.

Tasks that are ready at the same instant run in random order; `st.random_module` seeds that order, so that a failing
schedule comes back by itself. What a user does is drawn too, at times that often coincide with something else.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.session_fixture import Stage
from voice_trio.protocols.audio import audio_ms
from voice_trio.session.client.send_queue import LEAD_SECONDS_MAX
from voice_trio.testing.script import Answer

SECONDS = 30.0
WAIT_MS = 200


@dataclass(frozen=True)
class Deed:
    """Something a user does, after a pause."""

    after: float
    what: str
    size: int


pauses = st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0])
deeds = st.lists(
    st.builds(
        Deed,
        after=pauses,
        what=st.sampled_from(["ask", "ask", "ask", "type", "interrupt", "report", "cut", "stall", "drop"]),
        size=st.integers(min_value=0, max_value=8),
    ),
    min_size=1,
    max_size=10,
)
answers = st.lists(
    st.builds(
        Answer,
        audio_ms=st.sampled_from([0, 40, 500, 3000]),
        created_after=st.sampled_from([0.0, 0.0, 0.05, 0.4]),
        first_audio_after=st.sampled_from([0.0, 0.3]),
        pace=st.sampled_from([1.0, 4.0, 1000.0]),
        items=st.sampled_from([1, 1, 2]),
        status=st.sampled_from(["completed", "completed", "completed", "failed", "incomplete"]),
    ),
    max_size=6,
)
searches = st.sampled_from([0.0, 0.01, 0.1, 0.2, 0.447, 3.0])

WORDS = ["brooder", "winter", "ducks", "light", "layers", "water", "feed", "chicks"]


@dataclass(frozen=True)
class Story:
    """What the user does, and how the model and the knowledge base behave."""

    deeds: list[Deed]
    answers: list[Answer]
    search_seconds: float
    cut_after: float
    reports: bool


stories = st.builds(
    Story,
    deeds=deeds,
    answers=answers,
    search_seconds=searches,
    cut_after=st.sampled_from([0.0, 0.1, 1.0]),
    reports=st.booleans(),
)


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


async def play(story: Story) -> None:
    async with trio.open_nursery() as nursery:
        stage = Stage(nursery, reports_flush=story.reports, duration_seconds=SECONDS, idle_seconds=1000.0)
        stage.model.answers_next(*story.answers)
        stage.model.interrupt_after(story.cut_after)
        stage.knowledge.answer_after(story.search_seconds)
        await stage.ready()
        for deed in story.deeds:
            await trio.sleep(deed.after)
            if not stage.over.is_set():
                await do(stage, deed)
        await trio.sleep(12.0)
        stage.client.read_again()
        await stage.over.wait()
        check(stage)
        if not story.reports and not {"report", "cut"} & {deed.what for deed in story.deeds}:
            check_that_who_never_reports_is_at_most_a_second_behind(stage)
        nursery.cancel_scope.cancel()


async def do(stage: Stage, deed: Deed) -> None:
    words = " ".join(WORDS[: deed.size])
    match deed.what:
        case "ask":
            how = {"words_at": [0.1 * place for place in range(deed.size)], "lasts": 0.4, "silence": 0.2}
            await stage.asks(words, **how)
        case "type":
            await stage.client.type(words or "hello")
        case "interrupt":
            await stage.client.interrupt()
        case "report":
            for entry in stage.client.heard_of("response.audio.delta")[-1:]:
                item_id = entry.event["item_id"]
                await stage.client.report(item_id, stage.client.audio_heard_ms(item_id))
        case "cut":
            stage.client.stop_reading()
            await trio.sleep(min(deed.size, 4))
            stage.client.read_again()
        case "drop":
            await stage.model.drop()
            with trio.move_on_after(5.0):  # nobody is heard before a model has promised not to answer by itself
                await stage.client.hears("session.recovered")
        case "stall" if stage.model.session is not None and not stage.model.session.over.is_set():
            item_id = stage.model.start_speech()
            await trio.sleep(0.1)
            stage.model.stop_speech(item_id)


def check(stage: Stage) -> None:
    check_I1_one_answer_at_a_time(stage)
    check_I2_and_I4_context_first_and_its_own(stage)
    check_I3_deadline(stage)
    assert stage.client.audio_after_flush == [], "I5"
    check_I6_truncations(stage)
    assert stage.ended_at <= SECONDS + 2.0 + 0.001, "I7"
    assert stage.summary.ending is not None
    refused = [entry.event["error"] for entry in stage.model.said if entry.type == "error"]
    harmless = {"response_cancel_not_active"}
    assert [error for error in refused if error["code"] not in harmless] == []


def check_that_who_never_reports_is_at_most_a_second_behind(stage: Stage) -> None:
    dry_at = 0.0
    for entry in stage.client.heard:
        if entry.type == "playback.flush":
            dry_at = entry.at
        elif entry.type == "response.audio.delta":
            dry_at = max(dry_at, entry.at) + audio_ms(entry.event["delta"]) / 1000
            assert dry_at - entry.at <= LEAD_SECONDS_MAX + 1e-6, "more than a second lies unplayed"


def check_I1_one_answer_at_a_time(stage: Stage) -> None:
    active: set[str] = set()
    for before, entry in pairwise(stage.model.said):
        if entry.session != before.session:  # the last one was lost, with whatever it was doing
            active.clear()
        if entry.type == "response.created":
            active.add(entry.event["response"]["id"])
        elif entry.type == "response.done":
            active.discard(entry.event["response"]["id"])
        assert len(active) <= 1, "I1"


def check_I2_and_I4_context_first_and_its_own(stage: Stage) -> None:
    """A context item leaves with the `response.create` of its turn, right before it, and names a committed item."""
    sent = [entry for entry in stage.model.received if entry.type != "input_audio_buffer.append"]
    committed = {entry.event["item_id"] for entry in stage.model.said if entry.type == "input_audio_buffer.committed"}
    for place, entry in enumerate(sent):
        item = entry.event.get("item", {})
        if entry.type == "conversation.item.create" and item.get("role") == "system":
            following = sent[place + 1 : place + 2]
            was_lost = not following or following[0].session != entry.session
            assert was_lost or following[0].type == "response.create", "I2"
            assert entry.event["previous_item_id"] in committed or entry.event["previous_item_id"].startswith("vt_u")


def check_I3_deadline(stage: Stage) -> None:
    """`response.create` leaves within the wait after the newest question, or when the model becomes free if later."""
    questions = [entry.at for entry in stage.model.said if entry.type == "input_audio_buffer.committed"]
    questions += [
        entry.at
        for entry in stage.model.received
        if entry.type == "conversation.item.create" and entry.event["item"].get("role") == "user"
    ]
    done = [entry.at for entry in stage.model.said if entry.type in ("response.done", "session.updated")]
    for entry in stage.model.heard("response.create"):
        newest = max((at for at in questions if at <= entry.at + 1e-9), default=None)
        assert newest is not None, "I2: asked before any question"
        free = max((at for at in done if at <= entry.at + 1e-9), default=0.0)
        assert entry.at <= max(newest + WAIT_MS / 1000, free) + 1e-6, "I3"


def check_I6_truncations(stage: Stage) -> None:
    truncated = stage.model.heard("conversation.item.truncate")
    items = [entry.event["item_id"] for entry in truncated]
    assert len(items) == len(set(items)), "I6: at most one an item"
    for entry in truncated:
        received = sum(
            audio_ms(said.event["delta"])
            for said in stage.model.said
            if said.type == "response.output_audio.delta" and said.event["item_id"] == entry.event["item_id"]
        )
        assert 0 < entry.event["audio_end_ms"] <= received, "I6"
