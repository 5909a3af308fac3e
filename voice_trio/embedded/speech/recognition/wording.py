"""Text as it is spoken: lower-case words, numbers and units spelt out. Pure."""

from __future__ import annotations

import re
from typing import Final

_ONES_TEXT: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
_ONES: Final = _ONES_TEXT.split()
_TENS: Final = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES: Final = ((1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand"), (100, "hundred"))

NUMBER_WORDS: Final = frozenset([*_ONES, *_TENS, *(name for _, name in _SCALES), "point"])

_SYMBOLS: Final = {
    "°c": " degrees celsius ",
    "°f": " degrees fahrenheit ",
    "°": " degrees ",
    "%": " percent ",
    "&": " and ",
    "+": " plus ",
    "=": " equals ",
    "€": " euros ",
    "$": " dollars ",
    "£": " pounds ",
    "’": "'",
}
_TOKEN: Final = re.compile(r"\d+(?:[.,]\d+)*|[a-zà-öø-ÿœ]+(?:'[a-zà-öø-ÿœ]+)*")

_STOP_WORDS_TEXT: Final = """
a about after again all also an and any are as at be because been before being between both but by can could did
do does doing down during each else ever for from get gets give had has have having he her here him his how i if in
into is it it's its just let like make makes many may me mean means might more most much must my need needs no not
now of off on once one only or other our out over own per please put should since so some such take takes tell than
that the their them then there these they thing things this those through to too two under until up us use used very
was we were what what's when where which while who why will with without would you your
"""
STOP_WORDS: Final = frozenset(_STOP_WORDS_TEXT.split())
"""Words that carry little of a question's topic; the rest are its content words."""


def spoken_words(text: str) -> list[str]:
    """`text` as the words a speaker would say: `3.5 °C` becomes `three point five degrees celsius`."""
    text = text.lower()
    for symbol, said in _SYMBOLS.items():
        text = text.replace(symbol, said)
    return [word for token in _TOKEN.findall(text) for word in (_number(token) if token[0].isdigit() else [token])]


def spoken_sentences(text: str) -> list[list[str]]:
    """The sentences, headings and list items of a Markdown text, each as its spoken words; empty ones left out."""
    pieces = re.split(r"(?<=[.!?:;])\s+|\n\s*\n|\n(?=\s*(?:[-*#|]|\d+\.))", text)
    return [words for piece in pieces if (words := spoken_words(piece))]


def content_words(text: str) -> list[str]:
    """The spoken words of `text` that are not `STOP_WORDS`."""
    return [word for word in spoken_words(text) if word not in STOP_WORDS]


def _number(token: str) -> list[str]:
    whole, _, decimals = token.replace(",", "").partition(".")
    words = _whole_number(int(whole)) if len(whole) <= 12 else [_ONES[int(digit)] for digit in whole]
    return words + (["point", *(_ONES[int(digit)] for digit in decimals if digit.isdigit())] if decimals else [])


def _whole_number(number: int) -> list[str]:
    for scale, name in _SCALES:
        if number >= scale:
            count, rest = divmod(number, scale)
            return [*_whole_number(count), name, *(_whole_number(rest) if rest else [])]
    if number < 20:
        return [_ONES[number]]
    return [_TENS[number // 10], *([_ONES[number % 10]] if number % 10 else [])]
