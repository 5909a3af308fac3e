"""Text as it is stored: without invisible characters, which no query has. Pure.

The index folds letters by NFKD (`conversation.retrieval.text.fold`), so any form is found. What is stored and shown is
NFC, with ligatures and presentation forms as the letters that they stand for.
"""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = "\u00ad\u034f\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb"
_DROPPED = re.compile(f"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f{_INVISIBLE}]")
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x1c-\x1f\x85\u2028\u2029]")
_SOFT_LINE_END = re.compile("\u00ad[ \t]*(?:\r\n?|\n)[ \t]*")
_PRESENTATION_FORMS = re.compile("[\ufb00-\ufdff\ufe70-\ufefc]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_NEEDS_CLEANING = re.compile("[\x00-\x08\x0b-\x1f\x7f]|[^\x00-\x7f]")

_WORD = re.compile(r"[^\W\d_]+(?:[-\u2010][^\W\d_]+)?")
_HYPHENATED = re.compile(r"(?<![^\W\d_])([^\W\d_]{1,60})[-\u2010][ \t]*\n[ \t]*([^\W\d_]{1,60})")
# After these a hyphen at a line's end stands for the part that the next word shares: "Ein- und Ausgang".
_CONJUNCTIONS = frozenset(
    ("and", "or", "to", "und", "oder", "bis", "bzw", "et", "ou", "y", "o", "e", "en", "of", "och")
)
WORDS_REMEMBERED_MAX = 50_000
COMPOUND_PART_CHARACTERS_MIN = 4


def clean_text(text: str) -> str:
    """`text` without invisible and control characters, in NFC; every kind of line end is a line feed."""
    if not _NEEDS_CLEANING.search(text):
        return text
    text = _LINE_ENDS.sub("\n", _SOFT_LINE_END.sub("", text))
    text = _DROPPED.sub("", text)
    if _SURROGATES.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    text = _PRESENTATION_FORMS.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    return unicodedata.normalize("NFC", text)


def squeezed(text: str) -> str:
    """`text` on one line, with single spaces."""
    return " ".join(text.split())


def squeezed_lines(text: str) -> str:
    """`text` with single spaces and without empty lines."""
    return "\n".join(filter(None, map(squeezed, text.split("\n"))))


class LineJoiner:
    """Joins the lines of a paragraph, and the words that were split at line ends.

    Whether a hyphen there belongs to the word, the rest of the file tells: a word that stands elsewhere without it, or
    with it, or two words that both stand alone, as in "well-known". Without a sign the hyphen goes.
    """

    def __init__(self) -> None:
        self._words: set[str] = set()

    def learn(self, text: str) -> None:
        """Remember the words of a part of the file."""
        if len(self._words) < WORDS_REMEMBERED_MAX:
            # The halves of a word that is split at a line's end are no words.
            for word in _WORD.findall(_HYPHENATED.sub(" ", text.lower())):
                self._words.add(word.replace("\u2010", "-"))

    def join(self, lines: str) -> str:
        """`lines` as one line."""
        if "-" in lines or "\u2010" in lines:
            lines = _HYPHENATED.sub(self._joined, lines)
        return lines.replace("\n", " ")

    def _joined(self, match: re.Match[str]) -> str:
        first, second = match[1], match[2]
        if second.lower() in _CONJUNCTIONS:
            return f"{first}- {second}"
        return first + second if second[0].islower() and self._is_split(first, second) else f"{first}-{second}"

    def _is_split(self, first: str, second: str) -> bool:
        one, other = first.lower(), second.lower()
        if one + other in self._words:
            return True
        if len(one) == 1 or f"{one}-{other}" in self._words:
            return False
        parts_are_words = one in self._words and other in self._words
        return not parts_are_words or min(len(one), len(other)) < COMPOUND_PART_CHARACTERS_MIN
