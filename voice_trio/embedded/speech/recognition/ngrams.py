"""Bigram language models: counted from sentences, mixed, and written in the ARPA format. Pure; it knows no files.

pocketsphinx can write a model it has read, but what it wrote could not be read back, so this is our own writer. A
bigram recognised as well as a trigram here, and is a third of the size.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Protocol

from pocketsphinx import Config, LogMath, NGramModel, get_model_path

from voice_trio.embedded.speech.recognition.pronunciation import bundled_pronunciations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BEGIN: Final = "<s>"
END: Final = "</s>"
_NEVER: Final = -99.0
"""ARPA's logarithm of zero."""
_HISTORIES: Final = 1000
"""Pairs are looked for after the commonest words only: after rarer words the model knows little."""
_PAIR_MIN: Final = 1e-3
_TELLING: Final = 2.0
"""A pair is kept when it is at least this likely, and this many times likelier than its second word by itself."""
_FLOOR: Final = 1e-9


class Component(Protocol):
    """One part of a mixture: it can weigh any pair of words, and names the pairs worth writing down."""

    def unigram(self, word: str) -> float:
        """The probability of `word`; above zero for every word of the mixture's vocabulary."""
        ...

    def bigram(self, history: str, word: str) -> float:
        """The probability of `word` after `history`, which may be `BEGIN`; `word` may be `END`."""
        ...

    def pairs(self) -> Iterable[tuple[str, str]]:
        """The (history, word) pairs that this component knows something about."""
        ...


class WittenBell:
    """Counts of sentences, smoothed as Witten and Bell do: what was seen in fewer company leaves more to the unseen."""

    def __init__(
        self, sentences: Iterable[Sequence[str]], vocabulary: Iterable[str], extra: Iterable[str] = ()
    ) -> None:
        """`extra` words count once each, by themselves: inflections that the sentences might have held."""
        self._pairs: Counter[tuple[str, str]] = Counter()
        words: Counter[str] = Counter(extra)
        for sentence in sentences:
            padded = [BEGIN, *sentence, END]
            self._pairs.update(pairwise(padded))
            words.update(padded[1:])
        self._words = words
        self._floor = 1 / (len(set(vocabulary) | {END}) or 1)
        self._total = words.total() + len(words)
        self._after: Counter[str] = Counter()
        self._kinds_after: Counter[str] = Counter()
        for (history, _), count in self._pairs.items():
            self._after[history] += count
            self._kinds_after[history] += 1

    def unigram(self, word: str) -> float:
        return (self._words[word] + len(self._words) * self._floor) / self._total if self._total else self._floor

    def bigram(self, history: str, word: str) -> float:
        seen, kinds = self._after[history], self._kinds_after[history]
        if not seen:
            return self.unigram(word)
        return (self._pairs[history, word] + kinds * self.unigram(word)) / (seen + kinds)

    def pairs(self) -> Iterable[tuple[str, str]]:
        return self._pairs.keys()


class GeneralEnglish:
    """A component for a mixture: 27 MB of bundled language model, asked for `words` words of general vocabulary."""

    def __init__(self, words: int) -> None:
        config = Config(lm=None, hmm=None, dict=None)
        self._logs = LogMath()
        self._model = NGramModel(config, self._logs, get_model_path("en-us/en-us.lm.bin"))
        candidates = (word for word in bundled_pronunciations() if word.replace("'", "").isalpha())
        self.vocabulary = sorted(candidates, key=self.unigram, reverse=True)[:words]
        self._least = {
            word: self._logs.log(max(_PAIR_MIN, _TELLING * self.unigram(word))) for word in [*self.vocabulary, END]
        }

    def unigram(self, word: str) -> float:
        return max(self._probability(word), _FLOOR)

    def bigram(self, history: str, word: str) -> float:
        return max(self._probability(word, history), _FLOOR)

    def pairs(self) -> Iterable[tuple[str, str]]:
        return [pair for history in [BEGIN, *self.vocabulary[:_HISTORIES]] for pair in self._pairs_after(history)]

    def _pairs_after(self, history: str) -> Iterator[tuple[str, str]]:
        # Millions of questions to the model: its logarithms are compared as they come.
        ask = self._model.prob
        for word, least in self._least.items():
            if ask([word, history]) >= least:
                yield history, word

    def _probability(self, word: str, *history: str) -> float:
        # The model takes the word first, then what came before it.
        return float(self._logs.exp(self._model.prob([word, *history])))


def write_arpa(components: Sequence[tuple[float, Component]], vocabulary: Iterable[str]) -> str:
    """The mixture of `components` (weight, model), which covers `vocabulary`, as the text of an ARPA file."""
    words = sorted(set(vocabulary) - {BEGIN, END})
    known = {*words, BEGIN, END}
    unigrams = {word: sum(weight * part.unigram(word) for weight, part in components) for word in [*words, END]}
    total = sum(unigrams.values())
    unigrams = {word: probability / total for word, probability in unigrams.items()}
    pairs = sorted({pair for _, part in components for pair in part.pairs() if known.issuperset(pair)})
    followers: dict[str, dict[str, float]] = defaultdict(dict)
    for history, word in pairs:
        followers[history][word] = sum(weight * part.bigram(history, word) for weight, part in components)
    return "\n".join(_lines(unigrams, followers, len(pairs)))


def _lines(unigrams: dict[str, float], followers: dict[str, dict[str, float]], pairs: int) -> Iterator[str]:
    yield from ("\\data\\", f"ngram 1={len(unigrams) + 1}", f"ngram 2={pairs}", "", "\\1-grams:")
    for word in sorted([BEGIN, *unigrams]):
        probability = _log(unigrams[word]) if word in unigrams else _NEVER
        if word == END:
            yield f"{probability:.4f}\t{word}"
        else:
            yield f"{probability:.4f}\t{word}\t{_log(_back_off(unigrams, followers.get(word, {}))):.4f}"
    yield from ("", "\\2-grams:")
    for history in sorted(followers):
        for word, probability in sorted(followers[history].items()):
            yield f"{_log(probability):.4f}\t{history} {word}"
    yield from ("", "\\end\\", "")


def _back_off(unigrams: dict[str, float], followers: dict[str, float]) -> float:
    """What unseen pairs share, so that everything after a word sums to one."""
    left = 1 - sum(followers.values())
    left_of_unigrams = 1 - sum(unigrams[word] for word in followers)
    return max(left, 1e-4) / max(left_of_unigrams, 1e-4)


def _log(probability: float) -> float:
    return math.log10(probability) if probability > 0 else _NEVER
