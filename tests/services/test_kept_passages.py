"""Passages kept at hand: found by words, bounded, never too old, never those of another collection."""

from __future__ import annotations

import time

from voice_trio.conversation.passages import Passage
from voice_trio.services.kept_passages import KeptPassages

LIGHT = Passage("2", "Light", "Layers need 16 hours of light.", "handbook")
WATER = Passage("3", "Water", "Ducks need deep water.", "handbook")


def ids(kept: KeptPassages, query: str, now: float = 0.0) -> list[str]:
    return [passage.id for passage in kept.search(query, 5, now)]


def test_a_kept_passage_is_found_with_all_that_is_known_of_it() -> None:
    kept = KeptPassages()
    kept.keep([LIGHT, WATER], 0.0)
    (found,) = kept.search("how much light", 5, 0.0)
    assert (found.id, found.title, found.text, found.source) == ("2", LIGHT.title, LIGHT.text, "handbook")
    assert found.score > 0


def test_a_passage_seen_again_is_held_once_and_a_changed_one_is_replaced() -> None:
    kept = KeptPassages()
    kept.keep([LIGHT, LIGHT], 0.0)
    kept.keep([Passage("2", "Light", "Layers need 14 hours of lamps.", "handbook")], 1.0)
    assert len(kept) == 1
    assert ids(kept, "16 hours") == ids(kept, "lamps") == ["2"]
    assert "14 hours" in kept.search("lamps", 1, 1.0)[0].text


def test_a_passage_not_seen_for_too_long_is_neither_given_nor_held() -> None:
    kept = KeptPassages(age_seconds_max=100.0)
    kept.keep([LIGHT], 0.0)
    assert ids(kept, "light", 100.0) == ["2"]
    assert ids(kept, "light", 100.1) == []
    kept.keep([WATER], 100.2)
    assert len(kept) == 1


def test_the_least_used_go_first() -> None:
    kept = KeptPassages(passages_max=2)
    kept.keep([LIGHT], 0.0)
    kept.keep([WATER], 1.0)
    assert ids(kept, "light", 2.0) == ["2"]
    kept.keep([Passage("4", "Feed", "Grit and grain.", "handbook")], 3.0)
    assert ids(kept, "water", 4.0) == []
    assert ids(kept, "light", 4.0) == ["2"]
    assert len(kept) == 2


def test_two_collections_never_meet() -> None:
    one, other = KeptPassages(), KeptPassages()
    one.keep([LIGHT], 0.0)
    assert ids(other, "light") == []


def test_any_text_is_a_safe_query() -> None:
    kept = KeptPassages()
    kept.keep([WATER], 0.0)
    for query in ('"', "water AND NOT (", "' OR 1=1 --", "water\x00", "", "鸡", "water " * 5_000):
        kept.search(query, 5, 0.0)
    assert ids(kept, 'water" OR title : "x') == ["3"]


def test_a_full_index_answers_within_milliseconds() -> None:
    kept = KeptPassages()
    words = [f"word{number}" for number in range(400)]
    kept.keep(
        [
            Passage(str(n), f"Title {n}", " ".join(words[(n * 7 + k * 3) % 400] for k in range(120)), "x")
            for n in range(5_000)
        ],
        0.0,
    )
    began = time.perf_counter()
    for n in range(20):
        kept.search(f"word{n} word{n + 9} word{n + 50} word{n + 80}", 5, 0.0)
    assert (time.perf_counter() - began) / 20 < 0.05  # some 5 ms when the machine is ours alone
