"""Where sentences end, in any script that this project meets. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# A mark, what may close around it, and the space after it: a decimal point has none, an abbreviation such as "e.g." has
# a lone letter before it. East Asian marks need no space. A line's end always ends a sentence. Bounded, so linear.
_SENTENCE_END = re.compile(
    r"(?:(?<![\W_][A-Za-z])\.|[!?…])[\"'»”’)\]]{0,3}(?:\s|$)\s{0,9}"
    r"|[。！？｡][」』”’）]{0,3}\s{0,9}"
    r"|\n\s{0,9}"
)


def sentences(text: str) -> Iterator[str]:
    """`text` in pieces that end where sentences end, the space after each included; together they are `text`."""
    start = 0
    for end in _SENTENCE_END.finditer(text):
        yield text[start : end.end()]
        start = end.end()
    if start < len(text):
        yield text[start:]
