"""Scores of recognised questions: word errors, and whether a search with the words finds the right document."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from voice_trio.embedded.speech.recognition.wording import content_words

if TYPE_CHECKING:
    from voice_trio.embedded.speech.recognition.messages import DecodedUtterance


class Search:
    """BM25 over whole documents with a weight for each stem of the query; `documents` are texts by name."""

    def __init__(self, documents: dict[str, str]) -> None:
        self.counts = {name: Counter(map(stem, content_words(text))) for name, text in documents.items()}
        self.lengths = {name: counts.total() for name, counts in self.counts.items()}
        self.mean_length = statistics.mean(self.lengths.values())
        self.spread = Counter(word for counts in self.counts.values() for word in counts)

    def first(self, weights: dict[str, float], limit: int = 3) -> list[str]:
        """The names of the best documents, best first."""
        return sorted(self.counts, key=lambda name: -self.score(name, weights))[:limit]

    def score(self, name: str, weights: dict[str, float]) -> float:
        """BM25 of a document, with k1 = 1.2 and b = 0.75."""
        rarity = {word: math.log(1 + (len(self.counts) - n + 0.5) / (n + 0.5)) for word, n in self.spread.items()}
        damping = 1.2 * (0.25 + 0.75 * self.lengths[name] / self.mean_length)
        terms = ((weight, rarity.get(word, 0.0), self.counts[name][word]) for word, weight in weights.items())
        return sum(weight * idf * count * 2.2 / (count + damping) for weight, idf, count in terms)


def stem(word: str) -> str:
    """A word without its English ending, so that plurals meet their singulars."""
    return re.sub(r"(?<=[a-z]{3})(ing|es|ed|s|e)$", "", word)


def stems(text: str) -> set[str]:
    """The stems of a text's content words."""
    return {stem(word) for word in content_words(text)}


def weights_of(heard: DecodedUtterance) -> dict[str, float]:
    """Weights of stems: 1 for those of the best hypothesis, plus twice the share of the alternatives that have them."""
    weights: defaultdict[str, float] = defaultdict(float, dict.fromkeys(stems(heard.text), 1.0))
    for alternative in heard.alternatives:
        for word in stems(alternative):
            weights[word] += 2 / len(heard.alternatives)
    return weights


def errors_between(reference: list[str], hypothesis: list[str]) -> int:
    """Word errors: the least number of insertions, deletions and replacements."""
    row = list(range(len(hypothesis) + 1))
    for i, word in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(hypothesis, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]
