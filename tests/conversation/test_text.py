"""Words are counted, folded and compared the same for every language and every script."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_trio.conversation.retrieval.text import (
    content_words,
    count_words,
    fold,
    index_terms,
    matching_spans,
    query_terms,
    stem,
    token_estimate,
    token_quarters,
)

any_text = st.text(max_size=300) | st.text(alphabet="ab 鸡蛋ひよ병. é'", max_size=300)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("   ", 0),
        ("how warm must the brooder be", 6),
        ("well — 37.5 degrees, isn't it?", 5),
        ("- - -", 0),
        ("combien d'œufs par poule", 4),
        ("鸡蛋孵化需要多少天", 4),
        ("ひよこの温度", 3),
        ("어린 병아리", 2),
        ("DHT22 传感器", 2),
        ("你好。", 1),
    ],
)
def test_words_are_counted_by_spaces_and_east_asian_characters_by_twos(text: str, words: int) -> None:
    assert count_words(text) == words


def test_content_words_drop_what_says_nothing_about_the_subject() -> None:
    assert content_words("Um, how much water do the Chicks need, please?") == ("water", "chicks", "need")
    assert content_words("Euh, combien de temps faut-il pour couver les œufs ?") == ("temps", "couver", "oeufs")
    assert content_words("Wie warm muss es für die Küken sein?") == ("warm", "die", "kuken")
    assert content_words("¿Cuánta agua beben las gallinas?") == ("agua", "beben", "gallinas")
    assert content_words("Hoeveel water drinken de kippen?") == ("water", "drinken", "kippen")
    assert content_words("Quanta água bebem as galinhas?") == ("agua", "bebem", "galinhas")
    assert content_words("Quanto mangime per le galline?") == ("mangime", "galline")


def test_words_that_mean_something_to_poultry_keepers_of_another_language_stay() -> None:
    assert content_words("why did a hen die at the door") == ("hen", "die", "door")
    assert content_words("du maïs et du son") == ("mais", "son")


def test_fillers_and_question_words_alone_leave_nothing() -> None:
    assert content_words("um uh euh and what about, er, how?") == ()
    assert content_words("") == ()


def test_east_asian_text_becomes_overlapping_pairs() -> None:
    assert content_words("孵化温度") == ("孵化", "化温", "温度")
    assert content_words("卵") == ("卵",)
    assert content_words("什么") == ()
    assert content_words("DHT22传感器") == ("dht22", "传感", "感器")


def test_folding_removes_case_and_diacritics_but_keeps_the_marks_of_kana_and_hangul() -> None:
    assert fold("Œufs À COUVER, Straße, Łódź, naïve") == "oeufs a couver, strasse, lodz, naive"
    assert fold("e\u0301te\u0301") == fold("été") == "ete"
    assert fold("がぎぐ 병아리") == "がぎぐ 병아리"
    assert fold("\uff76\uff9e") == "ガ"


def test_documents_are_indexed_by_single_characters_as_well() -> None:
    assert "卵" in index_terms("鶏の卵")
    assert index_terms("Eggs and eggs") == ["egg", "egg"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("chicks", "chick"),
        ("boxes", "box"),
        ("vaccination", "vaccines"),
        ("incubator", "incubation"),
        ("laying", "lays"),
        ("moulting", "moult"),
        ("shedding", "shed"),
        ("candling", "candle"),
        ("bodies", "body"),
    ],
)
def test_forms_of_one_word_share_a_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


@pytest.mark.parametrize("word", ["breed", "feed", "virus", "grass", "egg", "spring", "b12", "kuken"])
def test_words_that_only_look_inflected_are_left_alone(word: str) -> None:
    assert stem(word) == word


def test_query_terms_come_once_each() -> None:
    assert query_terms("eggs, egg and more EGGS in the incubator") == ("egg", "incub")


def test_matching_words_are_found_where_they_stand() -> None:
    text = "Eggs hatch; hatching takes a day. Œufs. 孵化温度"
    terms = query_terms("hatch œuf 温度")
    assert [text[a:b] for a, b in matching_spans(text, terms)] == ["hatch", "hatching", "Œufs", "温度"]


def test_token_estimates_follow_the_documented_rule() -> None:
    assert token_estimate("") == 0
    assert token_estimate("hens") == 1
    assert token_estimate("hens!") == 2
    assert token_estimate("孵化温度") == 4
    assert token_estimate("куры") == 2
    assert token_estimate("🐔") == 1


@given(any_text, any_text)
def test_token_quarters_add_up(one: str, other: str) -> None:
    assert token_quarters(one) + token_quarters(other) == token_quarters(one + other)


@given(any_text)
def test_content_words_do_not_depend_on_case_or_surrounding_space(text: str) -> None:
    assert content_words(f"  {text}\n") == content_words(text)
    assert content_words(fold(text)) == content_words(text)


@given(any_text)
def test_every_term_is_made_of_letters_and_digits_only(text: str) -> None:
    assert all(term and all(c.isalnum() for c in term) for term in index_terms(text))
    assert set(query_terms(text)) <= set(index_terms(text))


def test_hostile_text_is_handled_in_linear_time() -> None:
    began = time.process_time()
    for text in ("!" * 200_000, "a" * 200_000, "鸡" * 200_000, "é" * 200_000, "a\u0301" * 100_000, "\x00 " * 100_000):
        count_words(text)
        content_words(text)
        token_estimate(text)
    assert time.process_time() - began < 3.0
