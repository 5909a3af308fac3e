"""What the upstream is given to read before it responds: passages inside one `<context>` block.

A document is data and may be hostile: it can neither close the block, nor open one, nor hide characters in it. Pure;
it may know nothing of how passages were found or of the wire that carries the text.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_trio.conversation.retrieval.text import sentences, token_quarters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.conversation.retrieval.passage import Passage

TITLE_CHARACTERS_MAX = 200
SOURCE_CHARACTERS_MAX = 300
_OPENING, _CLOSING = "<context>\n", "</context>"

# Zero-width joiners shape Persian and Indic words; every other invisible character can only deceive.
_KEPT_ALTHOUGH_INVISIBLE = frozenset("\n\u200c\u200d")
_INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_TO_PLAIN_SPACE = str.maketrans({"\t": " ", "\r": "\n", "\u2028": "\n", "\u2029": "\n"})


@dataclass(frozen=True, slots=True)
class Context:
    """The text of a context item, and the passages it was made of, best first, as the search returned them."""

    text: str
    passages: tuple[Passage, ...]


def render_context(passages: Iterable[Passage], tokens_max: int) -> Context | None:
    """The context block for `passages` (best first) in at most `tokens_max` tokens; None when nothing fits.

    Repeated passages appear once. The passage that no longer fits is cut after its last sentence that does, and ends
    the block; one whose first sentence is too long is left out. Tokens are those of `words.token_estimate`.
    """
    quarters_left = 4 * tokens_max - token_quarters(_OPENING + _CLOSING)
    elements: list[str] = []
    used: list[Passage] = []
    texts: list[str] = []
    for passage in passages:
        text = visible_text(passage.text).strip()
        if not text or any(text in earlier for earlier in texts):
            continue
        element, is_whole = _element(passage, text, quarters_left)
        if element is None:
            continue
        elements.append(element)
        used.append(passage)
        texts.append(text)
        quarters_left -= token_quarters(element)
        if not is_whole:
            break
    return Context(_OPENING + "".join(elements) + _CLOSING, tuple(used)) if used else None


def _element(passage: Passage, text: str, quarters_max: int) -> tuple[str | None, bool]:
    """The passage as an XML element of at most `quarters_max`, and whether all of its text is in it."""
    title = _attribute(passage.title, TITLE_CHARACTERS_MAX)
    source = _attribute(passage.source, SOURCE_CHARACTERS_MAX)
    opening, closing = f'<passage title="{title}" source="{source}">', "</passage>\n"
    room = quarters_max - token_quarters(opening + closing)
    whole = _escape(text)
    if token_quarters(whole) <= room:
        return opening + whole + closing, True
    start = _sentences_within(text, room)
    return (opening + _escape(start) + closing if start else None), False


def _sentences_within(text: str, quarters_max: int) -> str:
    """The longest run of whole sentences from the start of `text` that fits in `quarters_max` once escaped."""
    taken = 0
    for sentence in sentences(text):
        quarters_max -= token_quarters(_escape(sentence.rstrip()))
        if quarters_max < 0:
            break
        taken += len(sentence)
        quarters_max -= len(sentence) - len(sentence.rstrip())
    return text[:taken].rstrip()


def _attribute(value: str, characters_max: int) -> str:
    return _escape(" ".join(visible_text(value[: 2 * characters_max]).split())[:characters_max]).replace('"', "&quot;")


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def visible_text(text: str) -> str:
    """`text` without control, direction and tag characters, lone surrogates and unassigned code points."""
    plain = text.replace("\r\n", "\n").translate(_TO_PLAIN_SPACE)
    if plain.isascii() and plain.replace("\n", "").isprintable():
        return plain
    return "".join(c for c in plain if c in _KEPT_ALTHOUGH_INVISIBLE or _is_visible(c))


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in _INVISIBLE_CATEGORIES
