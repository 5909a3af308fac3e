"""General English: the commonest words of pocketsphinx's own language model, and which of them follow which."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from pocketsphinx import Config, LogMath, NGramModel, get_model_path

from voice_trio.embedded.speech.arpa import BEGIN, END

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HISTORIES: Final = 1000
"""Pairs are looked for after the commonest words only: after the rarer ones the model has little to say."""
_PAIR_MIN: Final = 1e-3
_TELLING: Final = 2.0
"""A pair is kept when it is at least this likely, and this many times likelier than its second word by itself."""
_FLOOR: Final = 1e-9


@cache
def bundled_pronunciations() -> dict[str, tuple[str, ...]]:
    """The dictionary that comes with pocketsphinx: each word's pronunciations in ARPAbet, the usual one first."""
    found: dict[str, list[str]] = {}
    with open(get_model_path("en-us/cmudict-en-us.dict"), encoding="utf-8") as lines:
        for line in lines:
            word, _, phones = line.strip().partition(" ")
            found.setdefault(word.partition("(")[0], []).append(phones)
    return {word: tuple(phones) for word, phones in found.items()}


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
