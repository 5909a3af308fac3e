"""A client opens a passage that the model was given in its session: by its id, in this session only, within bounds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.session_fixture import HANDBOOK, SessionFixture
from voice_trio import limits
from voice_trio.conversation.commands import InjectedPassage
from voice_trio.errors import BadMessage
from voice_trio.session.client.shown_passages import ShownPassages

if TYPE_CHECKING:
    import trio
    from trio.testing import MockClock

BROODING = InjectedPassage("Brooding", "handbook 1", "Start chicks at 34 degrees.")
LAYERS = InjectedPassage("Layers", "handbook 2", "Layers need 16 hours of light.")


async def _first_passage(session: SessionFixture) -> dict[str, Any]:
    await session.ready()
    await session.asks()
    passage: dict[str, Any] = (await session.client.hears("context.injected")).event["passages"][0]
    return passage


async def _get(session: SessionFixture, passage_id: str) -> None:
    await session.client.send(json.dumps({"type": "passage.get", "id": passage_id}))


async def test_a_passage_of_the_answer_is_opened_by_its_id_F39(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    passage = await _first_passage(session)
    assert (passage["title"], passage["source"]) == ("Brooding", "handbook 1")
    await _get(session, passage["id"])
    opened = (await session.client.hears("passage")).event
    assert opened == {"type": "passage", "id": passage["id"], "title": "Brooding", "text": HANDBOOK[0].text}


async def test_an_unknown_id_is_an_error_that_names_it_and_the_session_goes_on(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    passage = await _first_passage(session)
    await _get(session, HANDBOOK[0].id)
    error = (await session.client.hears("error")).event["error"]
    assert (error["code"], error["passage_id"]) == ("not_found", HANDBOOK[0].id)
    await _get(session, passage["id"])
    await session.client.hears("passage")


async def test_I11_where_passages_are_not_shown_they_have_no_id_and_no_text_leaves(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = SessionFixture(nursery, show_passages=False)
    assert await _first_passage(session) == {"title": "Brooding", "source": "handbook 1"}
    shown = ShownPassages("sess_test", 0.0).remember([InjectedPassage("Brooding", "handbook 1", HANDBOOK[0].text)])
    await _get(session, shown[0].id)
    error = (await session.client.hears("error")).event["error"]
    assert (error["code"], error["passage_id"]) == ("not_allowed", shown[0].id)
    assert HANDBOOK[0].text not in json.dumps([entry.event for entry in session.client.heard])


def test_the_same_passage_keeps_its_id_over_a_resume_and_has_another_in_another_session() -> None:
    shown = ShownPassages("sess_1", 0.0)
    first = shown.remember([BROODING, LAYERS])
    assert shown.remember([LAYERS, BROODING]) == (first[1], first[0])
    assert ShownPassages("sess_1", 9.0).remember([BROODING]) == first[:1]
    assert ShownPassages("sess_2", 0.0).remember([BROODING]) != first[:1]


def test_I11_an_id_of_one_session_opens_nothing_in_another() -> None:
    shown, other = ShownPassages("sess_1", 0.0), ShownPassages("sess_2", 0.0)
    (passage,) = shown.remember([BROODING])
    other.remember([BROODING])
    with pytest.raises(BadMessage, match="no such passage"):
        other.open(passage.id, 0.0)


def test_another_text_under_the_same_title_is_another_passage() -> None:
    shown = ShownPassages("sess_1", 0.0)
    old, new, moved = shown.remember(
        [BROODING, InjectedPassage("Brooding", "handbook 1", "33"), InjectedPassage("Broodingh", "andbook 1", "33")]
    )
    assert len({old.id, new.id, moved.id}) == 3
    assert (shown.open(old.id, 0.0).text, shown.open(new.id, 0.0).text) == (BROODING.text, "33")


def test_a_session_remembers_the_passages_it_needed_last_and_a_bounded_amount_of_text() -> None:
    shown = ShownPassages("sess_1", 0.0)
    (first,) = shown.remember([BROODING])
    (second,) = shown.remember([LAYERS])
    long = "x" * (limits.PASSAGE_SHOWN_CHARACTERS_MAX + 1)
    for number in range(limits.PASSAGES_SHOWN_CHARACTERS_MAX // limits.PASSAGE_SHOWN_CHARACTERS_MAX + 1):
        (newest,) = shown.remember([InjectedPassage("Long", str(number), long)])
        shown.open(first.id, 100.0 * number)  # what is read is not forgotten
    with pytest.raises(BadMessage, match="forgotten") as refused:
        shown.open(second.id, 1e6)
    assert refused.value.code == "not_found"
    text = shown.open(newest.id, 2e6).text
    assert (len(text), text[-2:]) == (limits.PASSAGE_SHOWN_CHARACTERS_MAX, "x…")


def test_a_passage_is_opened_without_the_characters_that_could_only_deceive() -> None:
    shown = ShownPassages("sess_1", 0.0)
    (hidden,) = shown.remember([InjectedPassage("T", "s", " Hens\u202e need\u200b water.\r\nAlways\x1b[31m. ")])
    assert shown.open(hidden.id, 0.0).text == "Hens need water.\nAlways[31m."


def test_passages_are_opened_at_the_rate_of_a_reader() -> None:
    shown = ShownPassages("sess_1", 0.0)
    (passage,) = shown.remember([BROODING])
    for _ in range(int(limits.PASSAGES_OPENED_BURST)):
        shown.open(passage.id, 0.0)
    with pytest.raises(BadMessage, match="too many") as refused:
        shown.open(passage.id, 0.0)
    assert refused.value.code == "bad_message"
    shown.open(passage.id, 1 / limits.PASSAGES_OPENED_PER_SECOND)
