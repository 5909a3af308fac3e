"""Which of two transcriptions of an item is used. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from cachetools import FIFOCache

ITEMS_REMEMBERED = 16


class TranscriptSource(Enum):
    """A source of an item's transcript deltas."""

    CONVERSATION = "the conversation's own transcription, whose final transcript counts"
    SIDECAR = "the second socket, whose words are used until then"


@dataclass(slots=True)
class _ItemSource:
    source: TranscriptSource | None = None
    is_final: bool = False


class TranscriptSources:
    """The source of an item's first delta gives all of them; after the final transcript the sidecar gives none."""

    def __init__(self) -> None:
        self._items: FIFOCache[str, _ItemSource] = FIFOCache(ITEMS_REMEMBERED)

    def admits_delta(self, item_id: str, source: TranscriptSource) -> bool:
        """Whether the item takes another delta of `source`; the first one to ask is the item's source."""
        item = self._item(item_id)
        if item.is_final and source is TranscriptSource.SIDECAR:
            return False
        item.source = item.source or source
        return item.source is source

    def finish(self, item_id: str) -> bool:
        """The item's final transcript has come; False if it had come before."""
        item = self._item(item_id)
        was_final, item.is_final = item.is_final, True
        return not was_final

    def _item(self, item_id: str) -> _ItemSource:
        return self._items.setdefault(item_id, _ItemSource())
