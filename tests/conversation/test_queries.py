"""What is sent to the knowledge base for the words so far."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_trio.conversation.retrieval.query import (
    QUERY_CHARACTERS_MAX,
    TOPIC_WORDS_MAX,
    is_follow_up,
    make_query,
    topic_of,
    without_unfinished_word,
)


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("how warm must chicks li", "how warm must chicks"),
        ("how warm must chicks live?", "how warm must chicks live?"),
        ("how warm ", "how warm"),
        ("temperature, hum", "temperature,"),
        ("chauffe-ea", ""),
        ("quelle est l'hum", "quelle est"),
        ("鸡蛋的孵化温度", "鸡蛋的孵化温度"),
        ("br", ""),
        ("", ""),
    ],
)
def test_the_last_word_waits_until_it_is_known_to_be_whole(said: str, sent: str) -> None:
    assert without_unfinished_word(said) == sent


def test_after_the_commit_the_last_word_counts() -> None:
    assert make_query("how warm must chicks live", whole=True).text == "how warm must chicks live"
    assert make_query("how warm must chicks live", whole=False).text == "how warm must chicks"


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        ("um how uh warm erm must chicks live", "how warm must chicks live"),
        ("Okay, so how deep is the litter", "how deep is the litter"),
        ("Alors euh quelle est la température", "quelle est la température"),
        ("how how deep is the the litter", "how deep is the litter"),
        ("is the water like ice", "is the water like ice"),
        ("uh um", ""),
    ],
)
def test_fillers_and_repetitions_are_not_sent(said: str, sent: str) -> None:
    assert make_query(said, whole=True).text == sent


@pytest.mark.parametrize(
    "said",
    [
        "and for layers?",
        "et pour les pondeuses ?",
        "und für Legehennen?",
        "y para las ponedoras?",
        "en voor leghennen?",
        "那鸭子呢",
        "what about ducks",
        "how about in winter",
        "how long does it take",
        "why?",
        "um, and when do layers",
        "pourquoi ?",
    ],
)
def test_a_follow_up_gets_the_topic_of_the_question_before(said: str) -> None:
    assert is_follow_up(make_query(said, whole=True).text)
    query = make_query(said, topic="hours light", whole=True)
    assert query.text.startswith("hours light ")
    assert {"hour", "light"} <= query.terms


@pytest.mark.parametrize(
    "said",
    [
        "how many hours of light do layers need",
        "and how long do ducks live in captivity",
        "and what temperature should the brooder have in week two",
        "is it normal that hens lose feathers in autumn",
        "newcastle disease",
        "thank you",
        "",
    ],
)
def test_a_question_that_stands_on_its_own_feet_gets_no_topic(said: str) -> None:
    assert not is_follow_up(said)
    assert make_query(said, topic="hours light", whole=True).text == said


def test_the_language_of_the_words_is_kept() -> None:
    query = make_query("euh et pour les pondeuses ?", topic=topic_of("combien d'heures de lumière"), whole=True)
    assert query.text == "heures lumiere et pour les pondeuses ?"


def test_a_topic_is_the_last_few_content_words_once_each() -> None:
    assert topic_of("how many hours of light do layers need, hours of light") == "hours light layers need"
    assert len(topic_of(" ".join(f"word{n}" for n in range(50))).split()) == TOPIC_WORDS_MAX


def test_the_same_words_in_other_forms_and_order_ask_the_same() -> None:
    first = make_query("how many eggs does a hen lay", whole=True)
    second = make_query("a hen, how many egg does it lay, please", whole=True)
    assert first.terms == second.terms
    assert first.terms != make_query("how many eggs does a duck lay", whole=True).terms


@given(st.text(max_size=200), st.booleans())
def test_any_text_makes_a_bounded_query(said: str, whole: bool) -> None:
    query = make_query(said, topic="topic", whole=whole)
    assert len(query.text) <= QUERY_CHARACTERS_MAX + len("topic ")
