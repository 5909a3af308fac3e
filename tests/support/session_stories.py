"""Stories that Hypothesis draws for whole sessions: what a user does and how the model and the knowledge base behave.

Times often coincide with something else. Checks that hold for both protocols are here too.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import trio
from hypothesis import strategies as st

from voice_trio.protocols.audio import audio_ms
from voice_trio.testing.script import Answer

if TYPE_CHECKING:
    from tests.support.session_fixture import SessionFixture


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


async def live(session: SessionFixture, story: Story) -> None:
    """The session from its beginning to its end."""
    session.model.answers_next(*story.answers)
    session.model.interrupt_after(story.cut_after)
    session.knowledge.answer_after(story.search_seconds)
    await session.ready()
    for deed in story.deeds:
        await trio.sleep(deed.after)
        if not session.over.is_set():
            await do(session, deed)
    await trio.sleep(12.0)
    session.client.read_again()
    await session.over.wait()


async def do(session: SessionFixture, deed: Deed) -> None:
    words = " ".join(WORDS[: deed.size])
    match deed.what:
        case "ask":
            how = {"words_at": [0.1 * place for place in range(deed.size)], "lasts": 0.4, "silence": 0.2}
            await session.asks(words, **how)
        case "type":
            await session.client.type(words or "hello")
        case "interrupt":
            await session.client.interrupt()
        case "report":
            for entry in session.client.heard_of("response.audio.delta")[-1:]:
                item_id = entry.event["item_id"]
                await session.client.report(item_id, session.client.audio_heard_ms(item_id))
        case "cut":
            session.client.stop_reading()
            await trio.sleep(min(deed.size, 4))
            session.client.read_again()
        case "drop":
            await session.model.drop()
            with trio.move_on_after(5.0):  # nobody is heard before a model has promised not to answer by itself
                await session.client.hears("session.recovered")
        case "stall" if session.model.session is not None and not session.model.session.over.is_set():
            item_id = session.model.start_speech()
            await trio.sleep(0.1)
            session.model.stop_speech(item_id)


def is_context(item: dict[str, Any]) -> bool:
    """Whether an item is a turn's context: other system items tell the model how to go on."""
    return item.get("role") == "system" and item["content"][0]["text"].startswith("<context>")


def check_I1_one_answer_at_a_time(session: SessionFixture) -> None:
    active: set[str] = set()
    for before, entry in pairwise(session.model.said):
        if entry.session != before.session:  # the last one was lost, with whatever it was doing
            active.clear()
        if entry.type == "response.created":
            active.add(entry.event["response"]["id"])
        elif entry.type == "response.done":
            active.discard(entry.event["response"]["id"])
        assert len(active) <= 1, "I1"


def check_I6_truncations(session: SessionFixture) -> None:
    truncated = session.model.heard("conversation.item.truncate")
    items = [entry.event["item_id"] for entry in truncated]
    assert len(items) == len(set(items)), "I6: at most one an item"
    for entry in truncated:
        received = sum(
            audio_ms(said.event["delta"])
            for said in session.model.said
            if said.type == "response.output_audio.delta" and said.event["item_id"] == entry.event["item_id"]
        )
        assert 0 < entry.event["audio_end_ms"] <= received, "I6"
