"""What recognition expects: words and their pronunciations, what follows what, and that it is made once."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pocketsphinx import Config, LogMath, NGramModel

from tests.embedded.speech.conftest import DOCUMENTS
from voice_trio.embedded.speech.recognition.model import ListeningModel
from voice_trio.embedded.speech.recognition.ngrams import BEGIN, END, WittenBell, write_arpa
from voice_trio.embedded.speech.recognition.pronunciation import (
    bundled_pronunciations,
    by_letters,
    dictionary_text,
    inflections_of,
    pronounce,
)
from voice_trio.embedded.speech.recognition.questions import ask_about, topics_of
from voice_trio.embedded.speech.recognition.wording import content_words, spoken_sentences, spoken_words

if TYPE_CHECKING:
    from collections.abc import Sequence


def probabilities(arpa: str) -> tuple[dict[str, tuple[float, float]], dict[tuple[str, str], float]]:
    """An ARPA text as {word: (probability, back-off)} and {(history, word): probability}."""
    unigrams: dict[str, tuple[float, float]] = {}
    bigrams: dict[tuple[str, str], float] = {}
    for line in arpa.splitlines():
        match line.split("\t"):
            case [probability, words] if " " in words:
                history, word = words.split()
                bigrams[history, word] = 10 ** float(probability)
            case [probability, word, back_off]:
                unigrams[word] = (10 ** float(probability), 10 ** float(back_off))
            case [probability, word]:
                unigrams[word] = (10 ** float(probability), 1.0)
    return unigrams, bigrams


def test_a_bigram_model_sums_to_one_after_every_word() -> None:
    sentences = [["the", "hen", "lays"], ["the", "hen", "eats"], ["a", "hen"]]
    vocabulary = {"the", "a", "hen", "lays", "eats", "duck"}
    unigrams, bigrams = probabilities(write_arpa([(1.0, WittenBell(sentences, vocabulary))], vocabulary))
    words = [word for word in unigrams if word != BEGIN]
    assert sum(unigrams[word][0] for word in words) == pytest.approx(1, abs=1e-3)
    for history in [BEGIN, *vocabulary]:
        given = (bigrams.get((history, word), unigrams[history][1] * unigrams[word][0]) for word in words)
        assert sum(given) == pytest.approx(1, abs=1e-3)
    assert bigrams["the", "hen"] > bigrams["hen", "eats"] > unigrams["duck"][0] > 0


def test_a_mixture_weighs_its_parts() -> None:
    vocabulary = {"hen", "duck"}
    parts = [(0.75, WittenBell([["hen"]], vocabulary)), (0.25, WittenBell([["duck"]], vocabulary))]
    unigrams, bigrams = probabilities(write_arpa(parts, vocabulary))
    assert unigrams["hen"][0] > unigrams["duck"][0]
    assert bigrams[BEGIN, "hen"] / bigrams[BEGIN, "duck"] == pytest.approx(2.0, rel=0.3)
    assert set(bigrams) == {(BEGIN, "hen"), (BEGIN, "duck"), ("hen", END), ("duck", END)}


def test_pocketsphinx_reads_what_we_write(listening_model: ListeningModel) -> None:
    logs = LogMath()
    model = NGramModel(Config(lm=None, hmm=None, dict=None), logs, listening_model.language_model)
    unigrams, bigrams = probabilities(Path(listening_model.language_model).read_text(encoding="utf-8"))
    assert model.size() == 2
    for pair in [("signs", "of"), ("of", "coccidiosis"), (BEGIN, "what"), ("in", "the")]:
        history, word = pair
        assert logs.exp(model.prob([word, history])) == pytest.approx(bigrams[pair], rel=0.01)
    backed_off = unigrams["coccidiosis"][1] * unigrams["huddle"][0]
    assert ("coccidiosis", "huddle") not in bigrams
    assert math.isclose(logs.exp(model.prob(["huddle", "coccidiosis"])), backed_off, rel_tol=0.01)


def test_every_word_of_the_language_model_has_a_sound_in_the_dictionary(listening_model: ListeningModel) -> None:
    unigrams, _ = probabilities(Path(listening_model.language_model).read_text(encoding="utf-8"))
    sounds: dict[str, list[str]] = defaultdict(list)
    for line in Path(listening_model.dictionary).read_text(encoding="utf-8").splitlines():
        word, _, phones = line.partition(" ")
        sounds[word.partition("(")[0]].append(phones)
    assert set(unigrams) - {BEGIN, END} == set(sounds)
    known_phones = {phone for all_phones in bundled_pronunciations().values() for phone in all_phones[0].split()}
    assert {phone for phones in sounds.values() for said in phones for phone in said.split()} <= known_phones
    assert len(sounds["water"]) >= 2


def test_a_model_is_built_once_and_anew_when_a_document_changes(tmp_path: Path) -> None:
    def build(documents: Sequence[str]) -> tuple[ListeningModel, list[str]]:
        steps: list[str] = []

        def progress(step: str, share: float) -> None:
            steps.append(step)

        return ListeningModel.build(documents, cache_dir=tmp_path, progress=progress, general_words=50), steps

    first, first_steps = build(DOCUMENTS)
    again, again_steps = build(DOCUMENTS)
    other, other_steps = build([*DOCUMENTS, "Ducks like rain."])
    assert first == again != other
    assert len(first_steps) == len(other_steps) > 1
    assert again_steps == first_steps[-1:]
    assert "ducks" in Path(other.dictionary).read_text(encoding="utf-8")


def test_no_documents_at_all_still_make_a_model(tmp_path: Path) -> None:
    model = ListeningModel.build([], cache_dir=tmp_path, general_words=50)
    assert "how" in Path(model.dictionary).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("coccidiosis", "K AA K S IH D IH OW S IH S"),
        ("pullets", "P UH L IH T S"),
        ("gumboro", "G AH M B ER R OW"),
        ("chick", "CH IH K"),
        ("yolk", "Y OW K"),
        ("weigh", "W EY"),
        ("geese", "G IY S"),
    ],
)
def test_words_are_read_by_their_letters(word: str, phones: str) -> None:
    assert by_letters(word) == phones


def test_words_sound_as_in_the_dictionary_and_as_the_british_say_them() -> None:
    sounds = pronounce(["water", "chick"])
    assert sounds == {"water": ("W AO T ER", "W AO T AH"), "chick": ("CH IH K",)}
    assert dictionary_text(sounds) == "chick CH IH K\nwater W AO T ER\nwater(2) W AO T AH\n"


def test_a_word_without_a_sound_is_left_out() -> None:
    assert pronounce(["'"]) == {}


def test_letters_to_sound_agrees_with_the_dictionary_in_19_phonemes_of_20() -> None:
    words = [word for text in DOCUMENTS for word in spoken_words(text) if word in bundled_pronunciations()]
    wrong = sum(by_letters(word) not in bundled_pronunciations()[word] for word in set(words))
    assert wrong / len(set(words)) < 0.25  # a wrong word has, as a rule, one wrong phoneme of five


def test_inflections_are_forms_that_exist() -> None:
    assert {"hatch", "hatched", "hatching"} <= inflections_of(["hatches"])
    assert {"fly", "flying"} <= inflections_of(["flies"])
    assert {"stop", "stops"} <= inflections_of(["stopped"])
    assert inflections_of(["hen"]) == set()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("35 °C in week 1", "thirty five degrees celsius in week one"),
        ("3.5 %", "three point five percent"),
        ("120,500 hens", "one hundred twenty thousand five hundred hens"),
        ("It’s the hen's; free-range", "it's the hen's free range"),
        ("2026", "two thousand twenty six"),
        ("0", "zero"),
    ],
)
def test_text_is_spelt_as_it_is_spoken(text: str, words: str) -> None:
    assert " ".join(spoken_words(text)) == words


def test_headings_and_sentences_are_kept_apart() -> None:
    assert spoken_sentences("# Water\n\n- Every day.\n- Clean it! Yes?") == [
        ["water"], ["every", "day"], ["clean", "it"], ["yes"],
    ]  # fmt: skip


def test_content_words_are_what_a_question_is_about() -> None:
    assert content_words("How much water does a hen need in the heat?") == ["water", "hen", "heat"]


def test_questions_ask_about_what_the_documents_say_often() -> None:
    topics = topics_of(DOCUMENTS)
    assert topics["coccidiosis"] == 5
    assert topics["litter"] == 3
    assert "the litter" not in topics
    questions = ask_about(topics, ["what causes {} in {}"])
    assert questions == ask_about(topics, ["what causes {} in {}"])
    assert all(question[:2] == ["what", "causes"] and "in" in question for question in questions)
    assert any("coccidiosis" in question for question in questions)
