"""The demo handbook answers the questions it was written for: a question asked in other words finds its chapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.demo import handbook_folder
from voice_trio.knowledge.importing.documents import import_documents
from voice_trio.knowledge.importing.found_files import find_documents
from voice_trio.knowledge.sqlite.base import KnowledgeWriter
from voice_trio.knowledge.sqlite.knowledge import SqliteKnowledge

if TYPE_CHECKING:
    from pathlib import Path

# Chapter, and a question as somebody would speak it.
QUESTIONS = (
    (1, "what temperature should the brooder have in the first week"),
    (1, "my chicks are all huddling under the lamp what does that mean"),
    (2, "how warm should the first drinking water for chicks be"),
    (2, "um how do I clean a chick with a pasted vent"),
    (3, "how much protein is in starter feed"),
    (3, "when should I change from grower feed to layer feed"),
    (4, "how much calcium does a laying hen need"),
    (4, "why do my hens lay eggs with soft shells"),
    (5, "how much water does a hen drink in a day"),
    (5, "how many birds can share one nipple drinker"),
    (6, "what is the right humidity in the incubator"),
    (6, "at what temperature do I incubate chicken eggs"),
    (7, "when do I stop turning the eggs"),
    (8, "what do I see when I candle an egg on day seven"),
    (9, "how long can hatching eggs be stored"),
    (10, "when is the gumboro vaccine given"),
    (10, "why do I put skimmed milk powder in the water for vaccination"),
    (11, "what are the signs of marek's disease"),
    (12, "how does newcastle disease spread"),
    (13, "there is blood in the droppings of my young chicks"),
    (14, "how do I get rid of red mites in the henhouse"),
    (15, "how often should I have a worm egg count done"),
    (16, "how do I protect my flock against bird flu"),
    (16, "how long should new birds stay in quarantine"),
    (17, "how much ammonia is allowed in the house"),
    (18, "how deep should the litter be"),
    (19, "how many hours of light do layers need"),
    (20, "how many hens may I keep on a square metre"),
    (21, "how wide should a perch be"),
    (21, "how many hens can share a nest box"),
    (22, "what should I do when my chickens pant in the heat"),
    (23, "do hens need heating in winter"),
    (24, "how do I keep foxes away from my chickens"),
    (25, "why are my hens losing feathers in autumn and not laying"),
    (26, "how do I stop a hen from being broody"),
    (27, "should I wash eggs before I store them"),
    (28, "how heavy is a broiler at six weeks"),
    (29, "how many days do duck eggs take to hatch"),
    (30, "why should turkeys not be kept with chickens"),
    (31, "how many geese should one gander have"),
    (32, "when do quail start to lay"),
    (33, "what can I do against feather pecking"),
    (34, "when should a suffering bird be put down"),
    (35, "what is a withdrawal period"),
    (36, "how hot must a compost heap of chicken manure get"),
)


async def test_spoken_questions_find_their_chapter_among_the_first_three(tmp_path: Path) -> None:
    path = tmp_path / "base.sqlite"
    with KnowledgeWriter(path) as writer:
        assert all(not result.problem for result in import_documents(find_documents([handbook_folder()]), writer))
    base = SqliteKnowledge(path)
    missed = []
    for chapter, question in QUESTIONS:
        found = await base.search(question, 3)
        if not any(passage.source.endswith(f"chapter {chapter}") for passage in found):
            missed.append((chapter, question, [passage.title for passage in found]))
    base.close()
    assert len(missed) <= len(QUESTIONS) * 0.05, missed
