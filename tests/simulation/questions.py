"""Seeded questions about the demo handbook, 3 to 25 words long, and the times at which their words become known.

A question is a template around words taken from one sentence of the handbook: what is asked about comes last ("could
you tell me whether …"), first ("… is that right") or in the middle; some hesitate. Lengths are spread evenly over 3 to
25. Nothing is chosen by what a search finds, except that the whole question must find something.

Times follow a recorded session of the real service: the first piece 1.2 s after the first sound, then a word each 0.2
to 0.4 s as it was said, the last ones at most 0.2 s after the commit, which comes 0.5 s after the last sound. Long
words come in two pieces, as they were recorded to.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_trio.conversation.retrieval.text import content_words, sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voice_trio.knowledge.sqlite.base import Chunk

WORDS_MIN, WORDS_MAX = 3, 25
FIRST_WORD_SECONDS = 1.2
GAP_SECONDS = (0.2, 0.4)
LAST_WORDS_SECONDS = 0.2
SILENCE_SECONDS = 0.5
COMPLETED_SECONDS = 0.5
SPLIT_LETTERS_MIN, SPLIT_SHARE, SPLIT_SECONDS = 8, 0.5, 0.08
HESITATION_SHARE = 0.15

BEFORE = (
    *("", "", "why", "how", "when", "is it true that", "tell me about", "what about", "do you know whether"),
    *("could you please tell me whether", "what does the handbook say about", "um I would like to know if"),
)
AFTER = ("", "", "", "", "please", "is that right", "can you tell me", "or not", "what should I do", "I am not sure")
HESITATIONS = ("um", "uh", "erm")


@dataclass(frozen=True, slots=True)
class Question:
    """What is said and when it is known, in seconds from the first sound; `pieces` as transcripts bring them."""

    number: int
    text: str
    pieces: tuple[str, ...]
    piece_times: tuple[float, ...]
    lasts: float

    @property
    def words(self) -> int:
        return len(self.text.split())

    @property
    def committed_at(self) -> float:
        return self.lasts + SILENCE_SECONDS

    def heard(self) -> list[tuple[float, str]]:
        """What is known of the question, and since when, piece by piece."""
        said = ""
        known = []
        for piece, at in zip(self.pieces, self.piece_times, strict=True):
            said += piece
            known.append((at, said.strip()))
        return known


def make_questions(
    chunks: Sequence[Chunk], count: int, seed: int, finds_something: Callable[[str], bool]
) -> list[Question]:
    """`count` questions; the same for the same arguments."""
    chance = random.Random(seed)
    facts = [sentence.split() for chunk in chunks for sentence in sentences(chunk.text) if len(sentence.split()) >= 5]
    questions: list[Question] = []
    while len(questions) < count:
        text = _text(facts, chance)
        if finds_something(text):
            questions.append(_spoken(len(questions), text, chance))
    return questions


def _text(facts: Sequence[Sequence[str]], chance: random.Random) -> str:
    length = chance.randint(WORDS_MIN, WORDS_MAX)
    while True:
        before, after = chance.choice(BEFORE).split(), chance.choice(AFTER).split()
        fact = chance.choice(facts)
        wanted = length - len(before) - len(after)
        if not 2 <= wanted <= len(fact):
            continue
        start = chance.randint(0, len(fact) - wanted)
        asked = [word.strip(".,;:!?()\"'").lower() for word in fact[start : start + wanted]]
        if not (content_words(asked[0]) and content_words(asked[-1]) and all(asked)):
            continue  # people do not begin or end what they ask about with "the"
        words = [*before, *asked, *after]
        if len(words) > WORDS_MIN and chance.random() < HESITATION_SHARE:
            words[chance.randrange(len(before) or 1)] = chance.choice(HESITATIONS)
        return " ".join(words)


def _spoken(number: int, text: str, chance: random.Random) -> Question:
    words = text.split()
    gaps = [chance.uniform(*GAP_SECONDS) for _ in words]
    lasts = sum(gaps)
    commit = lasts + SILENCE_SECONDS
    nominal = [FIRST_WORD_SECONDS + sum(gaps[:index]) for index in range(len(words))]
    late = [at for at in nominal if at > commit]
    # What would come too late is in by 0.2 s after the commit, in its order.
    caps = sorted(commit + LAST_WORDS_SECONDS * chance.uniform(0.25, 1.0) for _ in late)
    times = nominal[: len(nominal) - len(late)] + [min(pair) for pair in zip(late, caps, strict=True)]
    pieces: list[str] = []
    piece_times: list[float] = []
    for word, at in zip(words, times, strict=True):
        if len(word) >= SPLIT_LETTERS_MIN and chance.random() < SPLIT_SHARE:
            middle = len(word) // 2
            pieces += [f" {word[:middle]}", word[middle:]]
            piece_times += [max(at - SPLIT_SECONDS, piece_times[-1] if piece_times else 0.0), at]
        else:
            pieces.append(f" {word}")
            piece_times.append(at)
    return Question(number, text, tuple(pieces), tuple(piece_times), lasts)
