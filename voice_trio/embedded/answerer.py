"""Answers from the passages that came after the question, in their own words, or not at all. Pure.

It reads nothing else on purpose: an answer with the right fact proves that its context had arrived when the response
was created. Earlier lines only help to understand what "and for layers?" is about.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_trio.conversation.retrieval.text import content_words, fold, query_terms, stem
from voice_trio.embedded.language import guess_language
from voice_trio.embedded.reading import Excerpt, excerpts

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

SENTENCES_MAX = 3
WORDS_MAX = 55
"""An answer takes some 20 seconds to say at most."""
_QUESTION_CHARACTERS_MAX = 1000
_SATURATION, _LENGTH_WEIGHT = 1.2, 0.5
"""BM25's k1 and b: the usual first, a low second, because sentences differ little in length."""
_EARLIER_WEIGHT = 0.2
_TITLE_WEIGHT = 0.6
_RARITY_WEIGHT = 0.25
"""Low: in passages that were searched for, the very word that they are about is a common one."""
_FIGURE_BONUS = 1.4
_RANK_DISCOUNT = 0.09
"""What a passage loses for each one the search found better."""
_COVERED_MIN = 0.3
"""The share of the question's weight that a sentence, with its title, must match to be an answer at all."""
_SECOND_MIN = 0.65
_FOLLOW_UP_TERMS_MAX = 2
_FOLLOW_UP = re.compile(
    r"(?:and|but|or|what about|how about|what if|why|et|mais|und|aber|y|pero)\b"
    r"|.*\b(?:it|they|them|that|those|these)\b"
)
_FIGURE = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|fifty|hundred|thousand|half|third)\b"
)


@dataclass(frozen=True, slots=True)
class ConversationLine:
    """A line of the conversation; `role` is `user`, `assistant`, or `system` for context."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class _Candidate:
    excerpt: Excerpt
    text: str
    order: int
    rank: int
    terms: Counter[str]
    has_figure: bool


def answer(lines: Sequence[ConversationLine]) -> str:
    """The answer to the newest line of the user, from the system's lines after it; short, in the user's language."""
    asked_at = max((at for at, line in enumerate(lines) if line.role == "user"), default=None)
    if asked_at is None or not (question := lines[asked_at].text[:_QUESTION_CHARACTERS_MAX].strip()):
        return PHRASES["en"].greeting if asked_at is None else PHRASES["en"].unknown
    phrases = _phrases_for(question)
    read = [excerpt for line in lines[asked_at + 1 :] if line.role == "system" for excerpt in excerpts(line.text)]
    weights = _question_weights(question, [line.text for line in lines[:asked_at] if line.role == "user"])
    chosen = _choose(list(_candidates(read)), weights, wants_figure=_asks_for_figure(question, phrases))
    if not chosen:
        return phrases.unknown
    title = chosen[0].excerpt.spoken_title
    return (phrases.source.format(title) if title else "") + " ".join(candidate.text for candidate in chosen)


def apology(why: str, question: str = "") -> str:
    """The answer when the user's speech was not recognised; `why` is the reason."""
    return _phrases_for(question).unheard.format(why.rstrip("."))


def _phrases_for(question: str) -> Phrases:
    return PHRASES.get(guess_language(question), PHRASES["en"])


def _asks_for_figure(question: str, phrases: Phrases) -> bool:
    return re.search(rf"\b(?:{phrases.figures})\b", fold(question)) is not None


def _question_weights(question: str, earlier: Sequence[str]) -> dict[str, float]:
    """The question's terms, each 1; those of the question before count less, and only if this one follows it up."""
    weights = dict.fromkeys(query_terms(question), 1.0)
    if len(weights) <= _FOLLOW_UP_TERMS_MAX or _FOLLOW_UP.match(fold(question)):
        # The last one that has terms of its own: "and for layers?" twice in a row still has a topic.
        for text in reversed(earlier):
            terms = query_terms(text[:_QUESTION_CHARACTERS_MAX])
            for term in terms:
                weights.setdefault(term, _EARLIER_WEIGHT)
            if len(terms) > _FOLLOW_UP_TERMS_MAX:
                break
    return weights


def _candidates(read: Iterable[Excerpt]) -> Iterable[_Candidate]:
    order = 0
    for rank, excerpt in enumerate(read):
        for text in excerpt.sentences():
            terms = Counter(map(stem, content_words(text)))
            if terms:
                yield _Candidate(excerpt, text, order, rank, terms, _FIGURE.search(text.lower()) is not None)
                order += 1


def _choose(candidates: Sequence[_Candidate], weights: dict[str, float], *, wants_figure: bool) -> list[_Candidate]:
    """The sentence that answers best, with others of its passage that are nearly as good, in the passage's order."""
    scores = _Scores(candidates, weights, wants_figure=wants_figure)
    ranked = sorted(candidates, key=scores.of, reverse=True)
    if not ranked or scores.covered(ranked[0]) < _COVERED_MIN or not scores.matches_question(ranked[0]):
        return []
    best = ranked[0]
    chosen, words = [best], len(best.text.split())
    for other in ranked[1:]:
        length = len(other.text.split())
        is_near = other.excerpt is best.excerpt and scores.of(other) >= _SECOND_MIN * scores.of(best)
        if is_near and len(chosen) < SENTENCES_MAX and words + length <= WORDS_MAX:
            chosen.append(other)
            words += length
    return sorted(chosen, key=lambda candidate: candidate.order)


class _Scores:
    """How well sentences answer: BM25 over all sentences read, the title's terms counted in part."""

    def __init__(self, candidates: Sequence[_Candidate], weights: dict[str, float], *, wants_figure: bool) -> None:
        self._weights = weights
        self._wants_figure = wants_figure
        self._titles = {id(each.excerpt): frozenset(query_terms(each.excerpt.title)) for each in candidates}
        self._average = sum(each.terms.total() for each in candidates) / max(1, len(candidates))
        holders = Counter(term for each in candidates for term in each.terms if term in weights)
        self._rarity = {
            term: 1 + _RARITY_WEIGHT * math.log1p((len(candidates) + 0.5) / (holders[term] + 0.5)) for term in weights
        }
        self._memory: dict[int, float] = {}

    def of(self, candidate: _Candidate) -> float:
        if candidate.order not in self._memory:
            self._memory[candidate.order] = self._score(candidate)
        return self._memory[candidate.order]

    def _score(self, candidate: _Candidate) -> float:
        title = self._titles[id(candidate.excerpt)]
        length = 1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * candidate.terms.total() / self._average
        score = 0.0
        for term, weight in self._weights.items():
            count = candidate.terms[term]
            matched = count * (_SATURATION + 1) / (count + _SATURATION * length)
            score += weight * self._rarity[term] * max(matched, _TITLE_WEIGHT * (term in title))
        # A sentence with all the terms of the question beats a short one that repeats one of them.
        score *= self._share(candidate.terms) + self.covered(candidate)
        if self._wants_figure and candidate.has_figure:
            score *= _FIGURE_BONUS
        return score * (1 - _RANK_DISCOUNT * min(candidate.rank, 10))

    def covered(self, candidate: _Candidate) -> float:
        """The share of what was asked, rare words counting more, that the sentence or its title names."""
        return self._share(candidate.terms.keys() | self._titles[id(candidate.excerpt)])

    def _share(self, terms: Container[str]) -> float:
        worth = {term: weight * self._rarity[term] for term, weight in self._weights.items()}
        named = sum(each for term, each in worth.items() if term in terms)
        return named / sum(worth.values()) if worth else 0.0

    def matches_question(self, candidate: _Candidate) -> bool:
        """A word of the question itself must be there, not only one of an earlier question."""
        title = self._titles[id(candidate.excerpt)]
        own = [term for term, weight in self._weights.items() if weight == 1.0]
        return any(term in candidate.terms or term in title for term in own or self._weights)


@dataclass(frozen=True, slots=True)
class Phrases:
    """`source` has a place for a title, `unheard` one for the reason; `figures` are words that ask for a number."""

    greeting: str
    source: str
    unknown: str
    unheard: str
    figures: str


PHRASES = {
    "en": Phrases(
        greeting="Hello. Ask me something about the documents.",
        source="According to {}: ",
        unknown="I do not know. I find nothing about that in the documents.",
        unheard="I am sorry, I could not hear you: {}.",
        figures="how much|how many|how warm|how hot|how cold|how long|how deep|how high|how old|how far|how big|"
        "how large|how often|how wide|how tall|how heavy|how fast|how soon|how early|how late|how thick|how bright|"
        "when|temperature|what percentage|what age|what weight|what size|what humidity|number of",
    ),
    "fr": Phrases(
        greeting="Bonjour. Posez-moi une question sur les documents.",
        source="D'après {} : ",
        unknown="Je ne sais pas. Je ne trouve rien à ce sujet dans les documents.",
        unheard="Désolé, je n'ai pas pu vous entendre : {}.",
        figures="combien|quelle temperature|a quelle|a quel age|quand|quelle quantite",
    ),
    "de": Phrases(
        greeting="Guten Tag. Fragen Sie mich etwas zu den Dokumenten.",
        source="Laut {}: ",
        unknown="Das weiß ich nicht. In den Dokumenten finde ich nichts dazu.",
        unheard="Entschuldigung, ich konnte Sie nicht hören: {}.",
        figures="wie viel|wieviel|wie viele|wie warm|wie lang|wie lange|wie hoch|wie tief|wie oft|wie alt|wie schwer|"
        "wann|temperatur",
    ),
    "es": Phrases(
        greeting="Hola. Pregúnteme algo sobre los documentos.",
        source="Según {}: ",
        unknown="No lo sé. No encuentro nada sobre eso en los documentos.",
        unheard="Lo siento, no he podido oírle: {}.",
        figures="cuanto|cuanta|cuantos|cuantas|que temperatura|cuando|a que edad",
    ),
}
