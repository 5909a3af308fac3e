"""The conversation as a Realtime server keeps it: which items there are, in which order, how much sound each holds.

Pure: raises `InvalidEvent` with the server's own error codes and leaves it to others to say so.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from voice_trio.errors import InvalidEvent

if TYPE_CHECKING:
    from voice_trio.dialects.realtime.items import Item


class Items:
    """Items in the order the model reads them."""

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
        """The id of the one before an item; `None` for the first, or for one that is no longer there."""
        ids = [other.id for other in self.order]
        place = ids.index(item.id) if item.id in ids else 0
        return ids[place - 1] if place else None

    def find(self, item_id: str) -> Item:
        return self.order[self._index(item_id, "item_retrieve", "item_id")]

    def delete(self, item_id: str) -> None:
        del self.order[self._index(item_id, "item_delete", "item_id")]

    def truncate(self, item_id: str, audio_end_ms: int) -> None:
        """Forget the sound after `audio_end_ms` and, with it, the whole transcript."""
        item = self.order[self._index(item_id, "item_truncate", "item_id")]
        length = self.audio_ms.get(item_id)
        if item.role != "assistant" or length is None:
            raise InvalidEvent("Only model output audio messages can be truncated", param="item_id")
        if audio_end_ms > length:
            message = f"Audio content of {int(length)}ms is already shorter than {audio_end_ms}ms"
            raise InvalidEvent(message, param="audio_end_ms")
        self.audio_ms[item_id] = audio_end_ms
        for part in item.content or ():
            part.transcript = None

    def _index(self, item_id: str, what: str, param: str) -> int:
        for index, item in enumerate(self.order):
            if item.id == item_id:
                return index
        code = f"{what}_invalid_{'previous_item_id' if param == 'previous_item_id' else 'item_id'}"
        raise InvalidEvent(f"Item with id '{item_id}' does not exist.", code=code, param=param)

    def usage(self, answer: list[Item]) -> dict[str, Any]:
        """Tokens as published: one each 100 ms of the user, one each 50 ms of the assistant; here also one a word."""
        answered = {item.id for item in answer}
        before = [item for item in self.order if item.id not in answered]
        heard, read = sum(map(self._audio_tokens, before)), sum(map(_text_tokens, before))
        spoken, written = sum(map(self._audio_tokens, answer)), sum(map(_text_tokens, answer))
        return {
            "total_tokens": heard + read + spoken + written,
            "input_tokens": heard + read,
            "output_tokens": spoken + written,
            "input_token_details": {
                "text_tokens": read,
                "audio_tokens": heard,
                "image_tokens": 0,
                "cached_tokens": 0,
                "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": written, "audio_tokens": spoken},
        }

    def _audio_tokens(self, item: Item) -> int:
        token_ms = 50 if item.role == "assistant" else 100
        return math.ceil(self.audio_ms.get(item.id or "", 0) / token_ms)


def _text_tokens(item: Item) -> int:
    # What the user said is read as sound; its transcript is for people.
    parts = item.content or ()
    words = [part.text or (part.transcript if item.role == "assistant" else "") or "" for part in parts]
    return sum(len(each.split()) for each in [*words, item.arguments or "", item.output or ""])
