"""Figures of a way: what its turns cost and how good their context was, against the full transcript and the oracle."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tests.simulation.stores import LOCAL_SECONDS, RemoteStore
from tests.simulation.ways import title_and_source
from voice_trio.conversation.retrieval.text import query_terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.questions import Question
    from tests.simulation.stores import Handbook
    from tests.simulation.ways import Turn

WAIT_SECONDS = 0.2
LENGTHS = ((3, 3), (4, 6), (7, 10), (11, 15), (16, 20), (21, 25))
SHORT_WORDS_MAX = 3


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds and shares; `by_length` gives (turns, with context, right, oracle's right) for word counts."""

    way: str
    turns: int
    added_p50_ms: float
    added_p95_ms: float
    added_p99_ms: float
    added_max_ms: float
    first_audio_p50_ms: float
    with_context: float
    with_context_of_four_words: float
    right: float
    right_of_oracle: float
    queries: float
    outcomes: dict[str, int]
    local_right: float | None
    by_length: dict[str, tuple[int, float, float, float]]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def figures_of(name: str, turns: Sequence[Turn], handbook: Handbook, oracle: Sequence[bool]) -> Figures:
    """`oracle` tells for each turn whether anybody could have had the right passage in time."""
    added = sorted(1000 * turn.asked_after for turn in turns)
    right = [is_right(turn, handbook) for turn in turns]
    longer = [turn for turn in turns if turn.question.words > SHORT_WORDS_MAX]
    local = [ok for turn, ok in zip(turns, right, strict=True) if turn.outcome == "local"]
    return Figures(
        way=name,
        turns=len(turns),
        added_p50_ms=_quantile(added, 0.5),
        added_p95_ms=_quantile(added, 0.95),
        added_p99_ms=_quantile(added, 0.99),
        added_max_ms=round(added[-1], 1),
        first_audio_p50_ms=round(1000 * statistics.median(turn.first_audio_after for turn in turns), 1),
        with_context=_share(turn.top is not None for turn in turns),
        with_context_of_four_words=_share(turn.top is not None for turn in longer),
        right=_share(right),
        right_of_oracle=round(sum(right) / max(1, sum(oracle)), 3),
        queries=round(statistics.mean(turn.queries for turn in turns), 2),
        outcomes=dict(Counter(turn.outcome for turn in turns).most_common()),
        local_right=_share(local) if local else None,
        by_length=_by_length(turns, right, oracle),
    )


def is_right(turn: Turn, handbook: Handbook) -> bool:
    """Whether the best passage of the turn's context is the one that the whole transcript finds first."""
    return turn.top == title_and_source(handbook.find(turn.question.text)[0])


def oracle_of(question: Question, handbook: Handbook, seed: int) -> bool:
    """Whether one search, begun as soon as some of the words were known, could have brought the right passage in time.

    The oracle knows which words to ask with and how long each search takes; it needs one search a turn, so that limits
    on their number never bind it. It has until the end of the wait, as everybody, and no kept passages.
    """
    store = RemoteStore(handbook, seed)
    wanted = handbook.top(question.text)
    deadline = question.committed_at + WAIT_SECONDS
    return any(
        handbook.top(said) == wanted and at + store.seconds(question.number, said) <= deadline
        for at, said in question.heard()
        if query_terms(said)
    )


def oracle_with_everything_kept(question: Question, handbook: Handbook, seed: int) -> bool:
    """As `oracle_of`, with the whole base at hand as well: what the words that are in by the deadline allow at all."""
    deadline = question.committed_at + WAIT_SECONDS - LOCAL_SECONDS
    wanted = handbook.top(question.text)
    return oracle_of(question, handbook, seed) or any(
        handbook.top(said) == wanted for at, said in question.heard() if at <= deadline
    )


def _by_length(
    turns: Sequence[Turn], right: Sequence[bool], oracle: Sequence[bool]
) -> dict[str, tuple[int, float, float, float]]:
    table = {}
    for low, high in LENGTHS:
        chosen = [index for index, turn in enumerate(turns) if low <= turn.question.words <= high]
        if chosen:
            table[f"{low}–{high}" if low < high else f"{low}"] = (
                len(chosen),
                _share(turns[index].top is not None for index in chosen),
                _share(right[index] for index in chosen),
                _share(oracle[index] for index in chosen),
            )
    return table


def _quantile(ordered: Sequence[float], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)


def _share(values: Any) -> float:
    kept = list(values)
    return round(sum(kept) / len(kept), 3) if kept else 0.0
