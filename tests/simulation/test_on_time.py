"""Retrieval costs nothing: a short run of `benchmarks.retrieval`, with the real session on virtual time."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import structlog

from tests.simulation.drawing import draw_turns
from tests.simulation.figures import figures_of, oracle_of, oracle_with_everything_kept
from tests.simulation.predecessor import NAME, run_predecessor
from tests.simulation.questions import WORDS_MAX, WORDS_MIN, make_questions
from tests.simulation.stores import Handbook, LikenessHandbook, chunks_of
from tests.simulation.ways import AFTER_TRANSCRIPT, ONE_PREFETCH, ours, run_way
from voice_trio.demo import handbook_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.figures import Figures
    from tests.simulation.questions import Question

TURNS, SEED = 60, 5


@pytest.fixture(scope="module")
def handbook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Handbook]:
    handbook = Handbook(tmp_path_factory.mktemp("handbook"))
    yield handbook
    handbook.close()


@pytest.fixture(scope="module")
def questions(handbook: Handbook) -> list[Question]:
    return make_questions(chunks_of(handbook_folder()), TURNS, SEED, lambda text: bool(handbook.find(text)))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    yield
    structlog.configure(**before)


def measured(name: str, questions: list[Question], handbook: Handbook) -> Figures:
    oracle = [oracle_of(question, handbook, SEED) for question in questions]
    way = {"ours": ours(), "after": AFTER_TRANSCRIPT, "one": ONE_PREFETCH}[name]
    return figures_of(name, run_way(way, questions, handbook, SEED), handbook, oracle)


def test_questions_are_seeded_and_their_words_come_when_recorded_ones_do(
    questions: list[Question], handbook: Handbook
) -> None:
    again = make_questions(chunks_of(handbook_folder()), TURNS, SEED, lambda text: bool(handbook.find(text)))
    assert again == questions
    for question in questions:
        assert WORDS_MIN <= question.words <= WORDS_MAX
        assert "".join(question.pieces).strip() == question.text
        assert list(question.piece_times) == sorted(question.piece_times)
        assert question.piece_times[-1] <= question.committed_at + 0.2


def test_our_way_adds_nothing_to_most_turns_and_keeps_its_promises(
    questions: list[Question], handbook: Handbook
) -> None:
    own = measured("ours", questions, handbook)
    assert own.added_p50_ms == 0
    assert own.added_max_ms <= 200
    assert own.first_audio_p50_ms <= 560
    assert own.with_context_of_four_words >= 0.9  # 0.95 is asked of 1,000 turns; here hardly anything is kept yet
    assert own.right_of_oracle >= 0.85


def test_our_way_beats_the_others_on_the_same_turns(questions: list[Question], handbook: Handbook) -> None:
    own, one = measured("ours", questions, handbook), measured("one", questions, handbook)
    after = measured("after", questions, handbook)
    assert own.right > one.right
    assert after.added_p50_ms > 700
    assert after.right > 0.95


def test_the_predecessors_context_reaches_the_model_one_turn_late(
    questions: list[Question], handbook: Handbook
) -> None:
    turns = run_predecessor(questions, handbook, SEED)
    oracle = [oracle_of(question, handbook, SEED) for question in questions]
    figures = figures_of(NAME, turns, handbook, oracle)
    assert figures.right < 0.1
    assert [turn.top for turn in turns[::10]] == [None] * len(turns[::10])


def test_the_same_turns_give_the_same_figures(questions: list[Question], handbook: Handbook) -> None:
    assert run_way(ours(), questions[:20], handbook, SEED) == run_way(ours(), questions[:20], handbook, SEED)


def test_no_oracle_is_better_than_the_one_that_has_everything(questions: list[Question], handbook: Handbook) -> None:
    for question in questions:
        assert oracle_with_everything_kept(question, handbook, SEED) >= oracle_of(question, handbook, SEED)


def test_sample_turns_are_drawn(questions: list[Question], handbook: Handbook) -> None:
    drawn = draw_turns(run_way(ours(), questions, handbook, SEED), handbook, SEED)
    assert drawn.startswith("<svg")
    assert "waited" in drawn


def test_a_store_that_ranks_otherwise_is_served_too(
    questions: list[Question], tmp_path_factory: pytest.TempPathFactory
) -> None:
    likeness = LikenessHandbook(tmp_path_factory.mktemp("likeness"))
    oracle = [oracle_of(question, likeness, SEED) for question in questions]
    own = figures_of("ours", run_way(ours(), questions, likeness, SEED), likeness, oracle)
    likeness.close()
    assert own.added_p50_ms == 0
    assert own.right_of_oracle >= 0.85
