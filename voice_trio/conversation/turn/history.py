"""What was said and heard so far, for the next upstream: after a lost one, or in a resumed session."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from cachetools import FIFOCache

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from voice_trio.conversation.turn.record import TurnRecord

ITEMS_MAX = 80  # about forty turns; older ones are not told to a new upstream


@dataclass(frozen=True, slots=True)
class Said:
    """One item of the conversation, in words."""

    item_id: str
    role: Literal["user", "assistant"]
    text: str


class History:
    """The newest items, oldest first; without words there is nothing to tell again."""

    def __init__(self, items: Iterable[Said] = ()) -> None:
        self._items: OrderedDict[str, Said] = OrderedDict()
        self._corrections: FIFOCache[str, str] = FIFOCache(ITEMS_MAX)
        for said in items:
            self.tell(said)

    def __iter__(self) -> Iterator[Said]:
        return (said for said in self._items.values() if said.text.strip())

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._items

    def add(self, record: TurnRecord) -> None:
        """A turn is over; a merged one goes on as the next and is added with it."""
        if record.status == "joined":
            return
        for item_id, text in record.said_items:
            self.tell(Said(item_id, "user", text))
        for item_id, text in record.heard_items:
            self.tell(Said(item_id, "assistant", text))

    def tell(self, said: Said) -> None:
        """Add an item at the end, once: a question whose response was cancelled unheard is part of two turns."""
        if said.item_id not in self._items:
            self._items[said.item_id] = replace(said, text=self._corrections.pop(said.item_id, said.text))
            if len(self._items) > ITEMS_MAX:
                self._items.popitem(last=False)

    def correct(self, item_id: str, text: str) -> None:
        """The final text of a user item; it may come before its turn is reported, or long after."""
        if item_id in self._items:
            self._items[item_id] = replace(self._items[item_id], text=text.strip())
            return
        self._corrections[item_id] = text.strip()


CHARACTERS_PER_SECOND_MAX = 25.0  # of fast speech; usual speech has about 15
_SYLLABIC = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")  # each is spoken as long as four letters
_LETTERS_PER_SYLLABIC = 4


def spoken_part(text: str, sound_ms: float) -> str:
    """As much of a text as `sound_ms` of it can have said, up to a whole word: a text runs ahead of its sound."""
    letters = len(text) + (_LETTERS_PER_SYLLABIC - 1) * len(_SYLLABIC.findall(text))
    shortest_ms = letters / CHARACTERS_PER_SECOND_MAX * 1000
    part = heard_part(text, sound_ms, shortest_ms)
    is_part_of_word = part != text and " " not in part.strip() and not _SYLLABIC.search(part)
    return "" if is_part_of_word and text[len(part) : len(part) + 1] != " " else part


def heard_part(text: str, heard_ms: float, received_ms: float) -> str:
    """As much of an item's text as was heard, by its share of the sound, up to a whole word.

    Text runs just ahead of its sound and speech is even enough: the error is a word or two. Characters without spaces
    between words are cut where the share ends.
    """
    if received_ms <= 0 or heard_ms >= received_ms:
        return text
    end = int(len(text) * heard_ms / received_ms)
    blank = text.rfind(" ", 0, end + 1)
    return text[: blank if blank > 0 and text[end : end + 1] != " " else end].rstrip()
