"""Text: how it is counted, folded, compared and cut, the same for every search, prefetch decision and token budget.

Pure and quick, because it runs for each transcript delta: a sentence takes some tens of microseconds. It may know
nothing of time, files or any store.

Languages without spaces (Chinese, Japanese, and Korean, which is treated alike) are counted as two characters a word
and compared as overlapping pairs of characters.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from voice_trio.conversation.retrieval.stop_words import STOP_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Kana, ideographs with their extensions, Hangul syllables, half-width katakana.
_CJK_RANGE = (
    "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_CJK = re.compile(f"[{_CJK_RANGE}]")
_CJK_RUN = re.compile(f"([{_CJK_RANGE}]+)")
_WORD = re.compile(r"[^\W_]+")
# From the first letter or digit to the next space: linear in time, where `\S*\w\S*` would be quadratic.
_SPACED_WORD = re.compile(r"\w\S*")
_ACCENTS = re.compile("[\u0300-\u036f]")
_LETTERS_WITHOUT_DECOMPOSITION = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
)
_LATIN = re.compile("[\u0000-\u024f\u1e00-\u1eff\u2000-\u206f]")
_ONE_TOKEN = re.compile(f"[{_CJK_RANGE}\u3000-\u3004\uff00-\uff65\U00010000-\U0001ffff\U00040000-\U0010ffff]")

# A mark, what may close around it, and the space after it: a decimal point has none, an abbreviation such as "e.g." has
# a lone letter before it. East Asian marks need no space. A line's end always ends a sentence. Bounded, so linear.
_SENTENCE_END = re.compile(
    r"(?:(?<![\W_][A-Za-z])\.|[!?…])[\"'»”’)\]]{0,3}(?:\s|$)\s{0,9}"
    r"|[。！？｡][」』”’）]{0,3}\s{0,9}"
    r"|\n\s{0,9}"
)


def count_words(text: str) -> int:
    """Words as a speaker would count them: between spaces; of Chinese, Japanese and Korean two characters make one.

    Punctuation that stands alone is no word; an odd character at the end of such text is not counted yet.
    """
    if text.isascii():
        return len(_SPACED_WORD.findall(text))
    spaced, characters = _CJK.subn(" ", text)
    return len(_SPACED_WORD.findall(spaced)) + characters // 2


def content_words(text: str) -> tuple[str, ...]:
    """The words that carry meaning, in their order, folded; stop words, question words and fillers are dropped.

    Single Latin letters are dropped, digits stay. Chinese, Japanese and Korean come as overlapping pairs of characters,
    a character that stands alone as itself. Two texts ask the same when their content words are equal.
    """
    return tuple(word for word in _words(fold(text)) if word not in STOP_WORDS)


def query_terms(text: str) -> tuple[str, ...]:
    """Content words as a search compares them: word ends cut by `stem`, each term once, in order of appearance."""
    return tuple(dict.fromkeys(map(stem, content_words(text))))


def index_terms(text: str) -> list[str]:
    """What a search index holds of a document: its content words, stemmed, repetitions kept.

    Chinese, Japanese and Korean characters are added singly, so that a query of one character finds something.
    """
    terms = list(map(stem, content_words(text)))
    if not text.isascii():
        terms += filter(str.isalnum, _CJK.findall(fold(text)))
    return terms


def matching_spans(text: str, terms: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Where in `text` the words stand that one of `terms` (from `query_terms`) would match: (start, end), ascending."""
    wanted = frozenset(terms)
    for word in _WORD.finditer(text):
        if any(term in wanted for term in query_terms(word[0]) if not _CJK.match(term)):
            yield word.span()
            continue
        for run in _CJK_RUN.finditer(word[0]):
            for length in (2, 1):
                for at in range(run.start(), run.end() - length + 1):
                    if word[0][at : at + length] in wanted:
                        yield word.start() + at, word.start() + at + length


def sentences(text: str) -> Iterator[str]:
    """`text` in pieces that end where sentences end, the space after each included; together they are `text`."""
    start = 0
    for end in _SENTENCE_END.finditer(text):
        yield text[start : end.end()]
        start = end.end()
    if start < len(text):
        yield text[start:]


def token_estimate(text: str) -> int:
    """About how many tokens a language model sees: a rule of thumb, rounded up, that leans to the high side.

    Four Latin characters (spaces and punctuation included) make a token; of other alphabets two; each Chinese, Japanese
    or Korean character and each emoji makes one. For English the rule
    is the one that makers of language models publish.
    """
    return -(-token_quarters(text) // 4)


def token_quarters(text: str) -> int:
    """`token_estimate` in quarters of a token, not rounded, so that the parts of a text add up exactly."""
    if text.isascii():
        return len(text)
    latin, whole = len(_LATIN.findall(text)), len(_ONE_TOKEN.findall(text))
    return latin + 4 * whole + 2 * (len(text) - latin - whole)


def fold(text: str) -> str:
    """`text` without case, diacritics and typographic variants: "Œufs À COUVER" becomes "oeufs a couver"."""
    if text.isascii():
        return text.lower()
    # Only Latin-style accents go: the marks that distinguish kana belong to their letters and are composed again.
    bare = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return unicodedata.normalize("NFC", bare).translate(_LETTERS_WITHOUT_DECOMPOSITION).casefold()


@lru_cache(maxsize=16384)
def stem(word: str) -> str:
    """`word` without a plural or the commonest English endings, so that "incubation" and "incubator" are one term.

    A coarse rule, meant only to compare: other languages are cut by it too, the same way in query and document.
    """
    if len(word) < 4 or not (word.isascii() and word.isalpha()):
        return word
    word = _without_plural(word)
    for ending in ("ation", "ating", "ator", "ated", "ate", "ity", "ing", "ed"):
        root = word.removesuffix(ending)
        if root != word and len(root) >= 3 and not word.endswith("eed") and _VOWEL.search(root):
            word = root[:-1] if root[-1] == root[-2] and root[-1] not in "lsz" else root
            break
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


_VOWEL = re.compile("[aeiouy]")


def _without_plural(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _words(folded: str) -> Iterator[str]:
    for word in _WORD.findall(folded):
        if word.isascii():
            if len(word) > 1 or word.isdigit():
                yield word
        else:
            yield from _words_and_pairs(word)


def _words_and_pairs(word: str) -> Iterator[str]:
    for part in _CJK_RUN.split(word):
        if not part:
            continue
        if len(part) == 1 or not _CJK.match(part):
            yield part  # a pair needs two; the index holds single characters as well
        else:
            yield from (part[at : at + 2] for at in range(len(part) - 1))
