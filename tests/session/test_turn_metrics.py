"""Clients that ask are told each turn's figures when it is over; others never, and nobody any query's words."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import trio

from tests.support.session_fixture import SessionFixture
from voice_trio.billing.prices import Cost
from voice_trio.session.telemetry.turn_reports import SEARCHES_MAX, turn_fields

if TYPE_CHECKING:
    from typing import Any

    from trio.testing import MockClock

QUESTION = "how warm must the brooder be in winter"


async def _figures(session: SessionFixture) -> dict[str, Any]:
    return (await session.client.hears("turn.metrics")).event


async def test_a_turn_is_told_in_figures_once_it_was_heard(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    session = SessionFixture(nursery, metrics=True)
    session.knowledge.answer_after(0.05)
    await session.ready()
    item_id = await session.asks(QUESTION)
    audio = await session.client.hears("response.audio.delta")
    heard_at = session.client.now + 2.0
    told = await session.client.hears("turn.metrics")
    assert round(told.at - heard_at, 3) == 0.0
    event = told.event
    assert (event["turn"], event["status"]) == (1, "completed")
    assert event["user_items"] == [item_id]
    assert event["answer_items"] == [audio.event["item_id"]]
    stages = event["stages_ms"]
    assert stages["first_word"] < stages["speech_stopped"] <= stages["committed"] <= stages["asked"]
    assert stages["first_audio_out"] - stages["asked"] == 300
    assert event["queries"]
    assert all(0 < query["at_ms"] <= stages["committed"] for query in event["queries"])
    assert {(query["took_ms"], query["outcome"], query["local"]) for query in event["queries"]} == {
        (50, "found", False)
    }


async def test_the_log_and_the_statistics_have_each_search_on_the_turns_clock(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.knowledge.answer_after(0.05)
    await session.ready()
    await session.asks(QUESTION)
    await trio.sleep(10.0)
    (record,) = session.records
    assert len(record.searches) == record.queries > 0
    line = turn_fields(record, Cost(Decimal(0)))
    for search in line["searches"]:
        assert 0 < search.pop("at_ms") <= line["stages_ms"]["committed"]
        assert search == {"took_ms": 50.0, "outcome": "found", "local": False}
    assert "brooder" not in repr(line["searches"])


async def test_a_search_that_outlives_its_turn_is_unfinished_and_lines_are_bounded(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.knowledge.answer_after(20.0)
    session.model.answers_with("Yes.", audio_ms=100)
    await session.ready()
    await session.asks(QUESTION)
    await trio.sleep(15.0)
    (record,) = session.records
    told = {(search["took_ms"], search["outcome"]) for search in turn_fields(record, Cost(Decimal(0)))["searches"]}
    assert told == {(None, "unfinished")}
    many = replace(record, searches=record.searches * 100)
    assert len(turn_fields(many, Cost(Decimal(0)))["searches"]) == SEARCHES_MAX


async def test_who_does_not_ask_is_told_nothing_of_it(autojump_clock: MockClock, session: SessionFixture) -> None:
    await session.ready()
    await session.asks(QUESTION)
    await trio.sleep(10.0)
    assert session.records
    assert session.client.heard_of("turn.metrics") == []


async def test_no_words_of_a_query_leave(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    session = SessionFixture(nursery, metrics=True)
    await session.ready()
    await session.asks(QUESTION)
    words = msgspec.json.encode(await _figures(session)).decode()
    assert not any(word in words for word in ("brooder", "winter", "warm"))


async def test_what_became_of_each_query_is_said(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    session = SessionFixture(nursery, metrics=True)
    session.knowledge.answer_after(20.0)
    await session.ready()
    await session.asks(QUESTION)
    event = await _figures(session)
    assert {query["outcome"] for query in event["queries"]} <= {"failed", "unfinished"}
    session.knowledge.answer_after(0.01)
    await session.asks("nothing anybody ever wrote about zebras on the moon")
    event = await _figures(session)
    assert {query["outcome"] for query in event["queries"]} == {"nothing"}


async def test_an_interrupted_turn_says_when_and_its_queries_are_not_the_next_ones(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = SessionFixture(nursery, metrics=True, reports_flush=True)
    session.model.answers_with("A long answer.", audio_ms=20_000)
    await session.ready()
    await session.asks(QUESTION)
    audio = await session.client.hears("response.audio.delta")
    await session.client.report(audio.event["item_id"], 0)
    await trio.sleep(1.0)
    session.soon(session.asks, "and how much light do layers need")
    first = await _figures(session)
    assert first["status"] == "cancelled"
    assert first["stages_ms"]["interrupted"] - first["stages_ms"]["first_audio_out"] == 1000
    await trio.sleep(4.0)
    await session.client.interrupt()
    second = await _figures(session)
    assert second["turn"] == 2
    assert all(query["at_ms"] >= 0 for query in first["queries"] + second["queries"])


async def test_a_turn_that_was_gone_on_with_is_told_as_one_from_its_first_word(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = SessionFixture(nursery, metrics=True)
    session.knowledge.answer_after(0.3)  # it is still waited for when the user goes on
    await session.ready()
    first = await session.asks(QUESTION)
    second = await session.asks("and at night")
    event = await _figures(session)
    assert event["user_items"] == [first, second]
    assert event["stages_ms"]["first_word"] > 2900, "counted from the first item's beginning"
    assert len(session.client.heard_of("turn.metrics")) == 1
    assert event["queries"][0]["at_ms"] < 2900
    joined, record = session.records
    assert (joined.status, joined.searches) == ("joined", ())
    assert len(record.searches) == len(event["queries"])


async def test_a_typed_turn_counts_from_when_it_was_typed_and_names_none_of_our_items(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = SessionFixture(nursery, metrics=True)
    session.knowledge.answer_after(0.03)
    await session.ready()
    await session.client.type("light for layers")
    event = await _figures(session)
    assert event["user_items"] == []
    assert len(event["answer_items"]) == 1
    assert (event["stages_ms"]["committed"], event["stages_ms"]["asked"]) == (0, 30)
    assert [(query["at_ms"], query["took_ms"]) for query in event["queries"]] == [(0, 30)]
