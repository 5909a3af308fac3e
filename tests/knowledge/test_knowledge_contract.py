"""What every knowledge base does for a session: the twin in memory and the one in SQLite are held to the same.

The first part is promised by all of them, a Weaviate with any tokeniser and any vectoriser included; the second by
those that rank by our words. `tests/wire/test_weaviate_contract.py` holds Weaviate to both as far as it promises.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
import trio

from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.knowledge.knowledge import MemoryKnowledge
from voice_trio.knowledge.sqlite.base import Chunk
from voice_trio.knowledge.sqlite.knowledge import SqliteKnowledge

if TYPE_CHECKING:
    from pathlib import Path

    from voice_trio.knowledge.knowledge import Knowledge

Holding = Callable[..., Awaitable["Knowledge"]]

HANDBOOK = (
    ("Brooding", "The brooder must be 32 to 35 degrees in the first week."),
    ("Water", "Hens drink a quarter of a litre a day. Chicks drink less."),
    ("Incubation", "Eggs hatch after 21 days in the incubator."),
    ("Ammonia", "Wet litter makes ammonia, which hurts the eyes of hens."),
    ("Couver", "Les œufs éclosent après vingt et un jours. La température compte."),
    ("孵化", "鸡蛋的孵化温度是三十七度半，需要二十一天。"),
    ("ひよこ", "ひよこの育成温度は最初の週は三十五度です。"),
)


@pytest.fixture(params=["memory", "sqlite"])
def holding(request: pytest.FixtureRequest, tmp_path: Path) -> Holding:
    """Makes a base that holds the given (title, text) pairs."""

    async def memory(*documents: tuple[str, str]) -> Knowledge:
        await trio.lowlevel.checkpoint()
        return MemoryKnowledge(Passage(title, title, text, "handbook") for title, text in documents)

    async def sqlite(*documents: tuple[str, str]) -> Knowledge:
        base = SqliteKnowledge(tmp_path / "base.sqlite")
        request.addfinalizer(base.close)
        for title, text in documents:
            await base.import_chunks(title, "1", [Chunk(title, text, "handbook")])
        return base

    return memory if request.param == "memory" else sqlite


async def titles(base: Knowledge, query: str, limit: int = 5) -> list[str]:
    return [passage.title for passage in await base.search(query, limit)]


# Promised by all


async def test_the_passage_that_shares_most_words_comes_first(holding: Holding) -> None:
    base = await holding(*HANDBOOK)
    assert (await titles(base, "how warm must the brooder be in the first week"))[0] == "Brooding"
    assert (await titles(base, "um, when do eggs hatch?"))[0] == "Incubation"


async def test_a_passage_comes_with_all_that_is_known_of_it(holding: Holding) -> None:
    base = await holding(*HANDBOOK)
    found = (await base.search("ammonia", 5))[0]
    assert (found.title, found.text, found.source) == (*HANDBOOK[3], "handbook")
    assert found.id
    assert found.score > 0


async def test_scores_fall_from_first_to_last_and_the_limit_holds(holding: Holding) -> None:
    base = await holding(*HANDBOOK)
    query = "hens drink water and ammonia hurts hens"
    found = await base.search(query, 2)
    assert {passage.title for passage in found} == {"Water", "Ammonia"}
    assert found[0].score >= found[1].score
    assert await base.search(query, 1) == found[:1]
    assert await base.search(query, 0) == ()


async def test_no_words_are_no_question(holding: Holding) -> None:
    base = await holding(*HANDBOOK)
    for query in ("", "   ", "\n\t"):
        assert await base.search(query, 5) == (), query


async def test_an_empty_base_answers_with_nothing(holding: Holding) -> None:
    assert await (await holding()).search("water", 5) == ()


@pytest.mark.parametrize(
    "query",
    [
        '"',
        "' OR 1=1; DROP TABLE chunks; --",
        'water" OR title : "x',
        "water AND NOT NEAR(hens, 2) * ^ {title} : + -",
        "water\x00hens",
        "💧 water 🐔",
        "water \ud800 \udfff",
        "\u202e\ufeff",
        "wa*",
        "(((((((",
        "water " * 10_000,
        " ".join(f"word{n}" for n in range(10_000)) + " water",
        "鸡" * 10_000,
    ],
)
async def test_any_text_is_a_safe_query(holding: Holding, query: str) -> None:
    base = await holding(*HANDBOOK)
    found = await titles(base, query)
    assert "water" not in query or "Water" in found


async def test_a_base_that_answers_is_available(holding: Holding) -> None:
    assert await (await holding(*HANDBOOK)).is_available()


async def test_an_empty_base_says_so_F38(holding: Holding) -> None:
    assert await (await holding()).is_empty() is True
    assert await (await holding(*HANDBOOK)).is_empty() is False


# Promised by those that rank by our words


async def test_nothing_that_fits_is_an_empty_answer(holding: Holding) -> None:
    base = await holding(*HANDBOOK)
    for query in ("what about the", "zeppelin", "?!"):
        assert await base.search(query, 5) == (), query


async def test_words_in_the_title_weigh_more_than_words_in_the_text(holding: Holding) -> None:
    base = await holding(
        ("Notes", "Red mites bite hens."), ("Red mites", "They bite hens."), ("Other", "Worms"), ("More", "Ducks")
    )
    assert await titles(base, "red mites") == ["Red mites", "Notes"]


async def test_other_forms_of_a_word_are_found(holding: Holding) -> None:
    base = await holding(*HANDBOOK)
    assert await titles(base, "incubators") == ["Incubation"]
    assert await titles(base, "hatching") == ["Incubation"]


@pytest.mark.parametrize("query", ["œufs éclosent", "OEUFS ECLOSENT", "oeufs e\u0301closent", "Euh, les œufs ?"])
async def test_diacritics_and_case_make_no_difference(holding: Holding, query: str) -> None:
    assert await titles(await holding(*HANDBOOK), query) == ["Couver"]


@pytest.mark.parametrize(
    ("query", "title"),
    [("孵化温度是多少", "孵化"), ("鸡蛋要孵多少天", "孵化"), ("ひよこの温度", "ひよこ"), ("蛋", "孵化")],
)
async def test_chinese_and_japanese_are_found_without_spaces(holding: Holding, query: str, title: str) -> None:
    assert (await titles(await holding(*HANDBOOK), query))[0] == title
