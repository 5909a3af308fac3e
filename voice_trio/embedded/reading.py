"""What the answerer reads: passages out of `<context>` blocks, and the sentences in them. Pure.

A block is read by its tags alone, tolerantly: it may come from any client, and nothing in it is ever executed, resolved
or fetched. Texts of any size take linear time.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_trio.conversation.retrieval.text import sentences

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTEXT_CHARACTERS_MAX = 65_536
_SENTENCE_CHARACTERS_MAX = 400
_OPENING, _CLOSING = "<context>", "</context>"
_PASSAGE = "<passage"
_ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
_TITLE_END = re.compile(r"\s*(?::|\s[-–—>›»/]\s|,\s)")
_MARKUP = re.compile(r"[*_`]{1,3}|\[([^\]\[]{0,200})\]\([^)]{0,500}\)")
_HEADING = re.compile(r"#{1,6}\s")
_BULLET = re.compile(r"(?:[-*+]|\d{1,2}[.)])\s+")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A passage as the answerer reads it; a text that came without a title has an empty one."""

    title: str
    text: str

    @property
    def spoken_title(self) -> str:
        """As one would say it: the title up to its colon, comma or dash."""
        return _TITLE_END.split(self.title, maxsplit=1)[0].strip() or self.title

    def sentences(self) -> Iterator[str]:
        """What can be said aloud: no headings, no markup, nothing endless."""
        for sentence in sentences(self.text):
            plain = _BULLET.sub("", sentence.strip(), count=1) if not _HEADING.match(sentence.strip()) else ""
            plain = " ".join(_MARKUP.sub(r"\1", plain).split())
            if plain and len(plain) <= _SENTENCE_CHARACTERS_MAX:
                yield plain


def excerpts(text: str) -> list[Excerpt]:
    """The passages of a context block; a text without a block is one passage without a title."""
    text = text[:CONTEXT_CHARACTERS_MAX]
    begin = text.find(_OPENING)
    if begin < 0:
        return [Excerpt("", text)] if text.strip() else []
    end = text.find(_CLOSING, begin)
    block = text[begin + len(_OPENING) : end if end >= 0 else None]
    return list(_passages(block))


def _passages(block: str) -> Iterator[Excerpt]:
    pieces = block.split(_PASSAGE)
    if len(pieces) == 1 and block.strip():
        yield Excerpt("", html.unescape(block.strip()))
    for piece in pieces[1:]:
        # In a block as the gateway renders it, no `>` stands within a tag: titles are escaped.
        tag, closed, body = piece.partition(">")
        if not closed:
            continue
        attributes = dict(_ATTRIBUTE.findall(tag))
        text = body.partition("</passage>")[0]
        yield Excerpt(html.unescape(attributes.get("title", "")), html.unescape(text).strip())
