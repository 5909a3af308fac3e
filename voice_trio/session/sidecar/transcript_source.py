"""Who says an item's words, where two transcribe it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from cachetools import FIFOCache

ITEMS_REMEMBERED = 16


class TranscriptSource(Enum):
    """Who may say an item's deltas."""

    CONVERSATION = "the conversation's own transcription, which also has the last word"
    SIDECAR = "the second socket, whose words are of use until that"


@dataclass(slots=True)
class _Item:
    voice: TranscriptSource | None = None
    is_final: bool = False


class TranscriptSources:
    """Whoever says an item's first word says all of its deltas; after its final transcript the sidecar is silent."""

    def __init__(self) -> None:
        self._items: FIFOCache[str, _Item] = FIFOCache(ITEMS_REMEMBERED)

    def may_say(self, item_id: str, voice: TranscriptSource) -> bool:
        """Whether `voice` may say another delta of the item; the first to ask is the one."""
        item = self._item(item_id)
        if item.is_final and voice is TranscriptSource.SIDECAR:
            return False
        item.voice = item.voice or voice
        return item.voice is voice

    def finish(self, item_id: str) -> bool:
        """The item's final transcript is here; false if it was before."""
        item = self._item(item_id)
        was_final, item.is_final = item.is_final, True
        return not was_final

    def _item(self, item_id: str) -> _Item:
        return self._items.setdefault(item_id, _Item())
