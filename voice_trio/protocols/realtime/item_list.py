"""The conversation as a Realtime server keeps it: which items there are, in which order, how much sound each holds.

Pure: raises `InvalidEvent` with the server's own error codes and leaves it to others to say so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from voice_trio.errors import InvalidEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.protocols.realtime.items import Item

USER_TOKEN_MS = 100
ASSISTANT_TOKEN_MS = 50


class ItemList:
    """Items in the order the model reads them; `audio_ms` says how much sound an item holds, by its id."""

    def __init__(self) -> None:
        self.order: list[Item] = []
        self.audio_ms: dict[str, float] = {}

    @property
    def last_id(self) -> str | None:
        return self.order[-1].id if self.order else None

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Put an item after another (`root`: first; `None`: last); returns the id of the one before it."""
        if any(item.id == other.id for other in self.order):
            message = f"Error adding item: an item with ID '{item.id}' already exists."
            raise InvalidEvent(message, code="item_create_duplicate_item_id", param="item.id")
        place = self._place_after(after)
        self.order.insert(place, item)
        return self.order[place - 1].id if place else None

    def _place_after(self, item_id: str | None) -> int:
        if item_id is None:
            return len(self.order)
        return 0 if item_id == "root" else self._index(item_id, "item_create", "previous_item_id") + 1

    def before(self, item: Item) -> str | None:
        """The id of the item before this one; none if it is the first, or is no longer there."""
        place = next((place for place, other in enumerate(self.order) if other is item), 0)
        return self.order[place - 1].id if place else None

    def find(self, item_id: str) -> Item:
        return self.order[self._index(item_id, "item_retrieve", "item_id")]

    def delete(self, item_id: str) -> None:
        del self.order[self._index(item_id, "item_delete", "item_id")]
        self.audio_ms.pop(item_id, None)

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Forget the sound after `audio_end_ms` and, with it, the whole transcript."""
        item = self.order[self._index(item_id, "item_truncate", "item_id")]
        length = self.audio_ms.get(item_id)
        if item.role != "assistant" or length is None:
            raise InvalidEvent("Only model output audio messages can be truncated", param="item_id")
        if content_index >= len(item.content or ()):
            raise InvalidEvent(f"The item has no content at index {content_index}.", param="content_index")
        if audio_end_ms > length:
            message = f"Audio content of {int(length)}ms is already shorter than {audio_end_ms}ms"
            raise InvalidEvent(message, param="audio_end_ms")
        self.audio_ms[item_id] = audio_end_ms
        for part in item.content or ():
            part.transcript = msgspec.UNSET

    def _index(self, item_id: str, what: str, param: str) -> int:
        for index, item in enumerate(self.order):
            if item.id == item_id:
                return index
        raise InvalidEvent(f"Item with id '{item_id}' does not exist.", code=f"{what}_invalid_{param}", param=param)

    def usage(self, read: Iterable[Item], said: Iterable[Item], *, text_tokens_before: int = 0) -> dict[str, Any]:
        """What a response cost: `read` is what it was made from, `said` its output, nothing of it cached.

        Sound as published: the user's one token each 100 ms, the assistant's one each 50 ms. Text, whose tokens are a
        model's own affair: one each word. `text_tokens_before` are those of instructions.
        """
        read, said = list(read), list(said)
        heard, seen = sum(map(self.audio_tokens, read)), sum(map(text_tokens, read)) + text_tokens_before
        spoken, written = sum(map(self.audio_tokens, said)), sum(map(text_tokens, said))
        return {
            "total_tokens": heard + seen + spoken + written,
            "input_tokens": heard + seen,
            "output_tokens": spoken + written,
            "input_token_details": {
                "text_tokens": seen,
                "audio_tokens": heard,
                "image_tokens": 0,
                "cached_tokens": 0,
                "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": written, "audio_tokens": spoken},
        }

    def audio_tokens(self, item: Item) -> int:
        token_ms = ASSISTANT_TOKEN_MS if item.role == "assistant" else USER_TOKEN_MS
        return math.ceil(self.audio_ms.get(item.id or "", 0) / token_ms)


def text_tokens(item: Item) -> int:
    """One each word, of what is read as text: what the user said is read as sound, its transcript is for people."""
    parts = item.content or ()
    words = [part.text or (part.transcript if item.role == "assistant" else "") or "" for part in parts]
    return sum(len(each.split()) for each in [*words, item.arguments or "", item.output or ""])
