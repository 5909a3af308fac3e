"""The answerer: what it finds, what it refuses to know, and which source it names."""

from __future__ import annotations

import time

import pytest

from voice_trio.conversation.retrieval.context import render_context
from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.embedded.answerer import ConversationLine, answer, apology
from voice_trio.embedded.reading import CONTEXT_CHARACTERS_MAX, Excerpt, excerpts

BROODING = Passage(
    "p1",
    "Brooding chicks: warmth in the first weeks",
    "Newly hatched chicks cannot keep themselves warm. The brooder temperature in the first week should be 32 to 35 "
    "degrees Celsius. In the second week a brooder of about 30 degrees Celsius is right.",
    "handbook 1",
    2.0,
)
FEED = Passage(
    "p2",
    "Feed stages – Protein",
    "Starter feed contains 18 to 20 percent protein. Layer feed contains 16 to 17 percent protein.",
    "handbook 3",
    1.0,
)
NASTY = Passage("p3", 'Cats & "dogs" <b>', "Cats </passage></context> are <wild> & free.", "x", 1.0)


def context(*passages: Passage) -> ConversationLine:
    block = render_context(passages, 2000)
    assert block is not None
    return ConversationLine("system", block.text)


def user(text: str) -> ConversationLine:
    return ConversationLine("user", text)


def test_it_answers_with_the_sentence_that_holds_the_fact_and_says_where_from() -> None:
    said = answer([user("How warm should the brooder be in the first week?"), context(BROODING, FEED)])
    assert said.startswith("According to Brooding chicks: ")
    assert "32 to 35 degrees" in said
    assert "protein" not in said


def test_the_best_passage_need_not_come_first() -> None:
    assert "18 to 20" in answer([user("how much protein has starter feed"), context(BROODING, FEED)])


def test_context_of_an_earlier_question_proves_nothing() -> None:
    question = "How warm should the brooder be in the first week?"
    assert answer([context(BROODING), user(question)]).startswith("I do not know")
    assert answer([user(question), context(BROODING), ConversationLine("assistant", "…"), user(question)]).startswith(
        "I do not"
    )


def test_context_is_the_systems_alone() -> None:
    block = context(BROODING).text
    assert answer([user("how warm is the brooder"), ConversationLine("assistant", block)]).startswith("I do not know")


def test_a_follow_up_takes_its_topic_from_the_question_before() -> None:
    earlier = [user("how much protein is in starter feed"), ConversationLine("assistant", "18 to 20 percent.")]
    assert "16 to 17" in answer([*earlier, user("and for layers?"), context(FEED, BROODING)])
    other = Passage("p4", "Growth", "In the second week chicks eat 20 grams a day.", "s", 3.0)
    earlier = [user("how warm should the brooder be in the first week")]
    assert "about 30 degrees" in answer([*earlier, user("and in the second week?"), context(other, BROODING)])
    assert "20 grams" in answer([user("and in the second week?"), context(other, BROODING)])


def test_a_follow_up_must_still_find_a_word_of_its_own() -> None:
    earlier = [user("how much protein is in starter feed")]
    assert answer([*earlier, user("and for submarines?"), context(FEED)]).startswith("I do not know")


@pytest.mark.parametrize("question", ["What is the capital of France?", "how do I tune a piano", "the of and"])
def test_what_the_context_does_not_hold_it_does_not_know(question: str) -> None:
    assert answer([user(question), context(BROODING, FEED)]) == (
        "I do not know. I find nothing about that in the documents."
    )


def test_without_any_context_it_does_not_know() -> None:
    assert answer([user("how warm should the brooder be")]).startswith("I do not know")


def test_without_any_question_it_greets() -> None:
    assert (
        answer([]) == answer([ConversationLine("system", "Be kind.")]) == "Hello. Ask me something about the documents."
    )


@pytest.mark.parametrize(
    ("question", "beginning"),
    [
        ("Quelle est la température de la poussinière ?", "Je ne sais pas."),
        ("Wie warm ist es in der Scheune?", "Das weiß ich nicht."),
        ("¿Cuál es la temperatura de los pollos?", "No lo sé."),
    ],
)
def test_it_does_not_know_in_the_language_of_the_user(question: str, beginning: str) -> None:
    assert answer([user(question), context(FEED)]).startswith(beginning)


def test_it_names_the_source_in_the_language_of_the_user() -> None:
    passage = Passage("p", "Volailles", "Le poussin doit avoir 32 degrés.", "s", 1.0)
    said = answer([user("Il faut combien de degrés pour un poussin ?"), context(passage)])
    assert said == "D'après Volailles : Le poussin doit avoir 32 degrés."


def test_an_answer_can_be_said_aloud() -> None:
    text = (
        "# Heading on brooders\n- The **brooder** must be [warm](http://x).\n\n" + "The brooder is warm enough. " * 40
    )
    said = answer([user("brooder warm"), context(Passage("p", "T", text, "s", 1.0))])
    assert not set("#*[") & set(said)
    assert "http" not in said
    assert len(said.split()) < 70


def test_a_sentence_with_a_figure_is_preferred_where_a_figure_is_asked_for() -> None:
    plain = Passage("p1", "Light", "All hens need light.", "s", 2.0)
    exact = Passage("p2", "Light", "Hens need 16 hours of light.", "s", 1.0)
    assert "16 hours" in answer([user("how much light do hens need"), context(plain, exact)])
    assert "All hens" in answer([user("do hens need light"), context(plain, exact)])


def test_text_is_read_as_it_was_before_it_was_made_safe() -> None:
    assert excerpts(context(NASTY).text) == [
        Excerpt('Cats & "dogs" <b>', "Cats </passage></context> are <wild> & free.")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "<context>",
        "<context></context>",
        "<context><passage",
        "<context><passage title=></passage></context>",
        "<context>" + '<passage title="' * 5000,
        "<passage>" * 10_000,
        "<" * 100_000,
        "[" * 100_000,
        '="' * 50_000,
        "",
    ],
)
def test_context_of_any_shape_is_read_quickly(text: str) -> None:
    started = time.perf_counter()
    answer(
        [
            user("how warm is the brooder"),
            ConversationLine("system", text),
            ConversationLine("system", "<context>" + text),
        ]
    )
    assert time.perf_counter() - started < 1.0


def test_only_so_much_is_read() -> None:
    late = "x " * CONTEXT_CHARACTERS_MAX + "The brooder is warm."
    assert answer([user("how warm is the brooder"), ConversationLine("system", late)]).startswith("I do not know")


def test_plain_text_of_the_system_after_the_question_is_read_too() -> None:
    assert answer([user("when does the shop open"), ConversationLine("system", "The shop opens at nine.")]) == (
        "The shop opens at nine."
    )


def test_it_says_why_it_heard_nothing() -> None:
    assert apology("all 2 ears are busy.") == "I am sorry, I could not hear you: all 2 ears are busy."
