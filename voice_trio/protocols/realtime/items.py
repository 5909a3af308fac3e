"""Items of a Realtime conversation, and the list of them that a server keeps.

Source of shapes and rules: OpenAI's Realtime reference; the order and fields of recorded sessions where it is silent.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from voice_trio.errors import InvalidEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

ItemStatus: TypeAlias = Literal["completed", "incomplete", "in_progress"]


class Part(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One piece of a message's content; which fields count depends on `type`.

    A null `transcript` differs from a missing one: there is audio whose transcript is still to come.
    """

    type: Literal["input_text", "input_audio", "input_image", "output_text", "output_audio"]
    text: str | None = None
    audio: str | None = None
    transcript: str | msgspec.UnsetType | None = msgspec.UNSET
    image_url: str | None = None
    detail: Literal["auto", "low", "high"] | None = None


class Item(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A message, a function call or its output; in the `input` of a response also a reference to an item.

    Read from a client, `id`, `object` and `status` may be missing: the server fills them in (`as_kept`).
    """

    type: Literal["message", "function_call", "function_call_output", "item_reference"]
    id: str | None = None
    object: Literal["realtime.item"] | None = None
    status: ItemStatus | None = None
    role: Literal["system", "user", "assistant"] | None = None
    content: list[Part] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | None = None

    @property
    def text(self) -> str:
        """All known words of the item: its text, and transcripts of its audio."""
        words = [part.text or part.transcript or "" for part in self.content or ()]
        return " ".join(word for word in words if word) or self.output or ""


def as_kept(item: Item, item_id: str, status: ItemStatus = "completed") -> Item:
    """The item as a server keeps and shows it."""
    content = None if item.content is None else [_part_as_kept(part) for part in item.content]
    return msgspec.structs.replace(item, id=item_id, object="realtime.item", status=status, content=content)


def _part_as_kept(part: Part) -> Part:
    """In recorded sessions a user's audio shows a null transcript from the start; clients rely on it."""
    is_untranscribed = part.type == "input_audio" and part.transcript is msgspec.UNSET
    return msgspec.structs.replace(part, transcript=None) if is_untranscribed else part


def shown(item: Item) -> dict[str, Any]:
    """The item as JSON values."""
    return dict(msgspec.to_builtins(item))


ALLOWED_PARTS: dict[str, frozenset[str]] = {
    "system": frozenset({"input_text"}),
    "user": frozenset({"input_text", "input_audio", "input_image"}),
    "assistant": frozenset({"output_text"}),
}
_REQUIRED_FIELDS: dict[str, tuple[str, ...]] = {
    "message": ("role", "content"),
    "function_call": ("name", "arguments"),
    "function_call_output": ("call_id", "output"),
    "item_reference": ("id",),
}


def fault(item: Item) -> tuple[str, str] | None:
    """The wrong field of an item from a client, as a path in the item, and why; `None` if it is valid."""
    for name in _REQUIRED_FIELDS[item.type]:
        if getattr(item, name) is None:
            return name, f"Missing required parameter: '{name}'."
    if item.type != "message" or item.role is None or item.content is None:
        return None
    for index, part in enumerate(item.content):
        if part.type not in ALLOWED_PARTS[item.role]:
            return f"content[{index}].type", f"'{part.type}' is not allowed in a message of the {item.role}."
        if part.type.endswith("_text") and part.text is None:
            return f"content[{index}].text", "Missing required parameter: 'text'."
    return None


USER_TOKEN_MS = 100
ASSISTANT_TOKEN_MS = 50


class ItemList:
    """A server's items in the order the model reads them; `audio_ms` has the length of each item's audio, by id.

    Methods raise `InvalidEvent` with the API's own error codes.
    """

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
        """The id of the item before this one; `None` if it is the first, or was deleted."""
        place = next((place for place, other in enumerate(self.order) if other is item), 0)
        return self.order[place - 1].id if place else None

    def find(self, item_id: str) -> Item:
        return self.order[self._index(item_id, "item_retrieve", "item_id")]

    def delete(self, item_id: str) -> None:
        del self.order[self._index(item_id, "item_delete", "item_id")]
        self.audio_ms.pop(item_id, None)

    def truncate(self, item_id: str, content_index: int, audio_end_ms: int) -> None:
        """Drop the audio after `audio_end_ms` and, as the API does, the whole transcript."""
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

    def usage(self, read: Iterable[Item], output: Iterable[Item], *, text_tokens_before: int = 0) -> dict[str, Any]:
        """The `usage` of a response: `read` is its input; nothing of it is cached.

        Audio as OpenAI publishes it: a token for each 100 ms of the user's and each 50 ms of the assistant's. Text is
        counted as a token a word. `text_tokens_before` are those of the instructions.
        """
        read, written = list(read), list(output)
        audio_in, text_in = sum(map(self.audio_tokens, read)), sum(map(text_tokens, read)) + text_tokens_before
        audio_out, text_out = sum(map(self.audio_tokens, written)), sum(map(text_tokens, written))
        return {
            "total_tokens": audio_in + text_in + audio_out + text_out,
            "input_tokens": audio_in + text_in,
            "output_tokens": audio_out + text_out,
            "input_token_details": {
                "text_tokens": text_in,
                "audio_tokens": audio_in,
                "image_tokens": 0,
                "cached_tokens": 0,
                "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        }

    def audio_tokens(self, item: Item) -> int:
        token_ms = ASSISTANT_TOKEN_MS if item.role == "assistant" else USER_TOKEN_MS
        return math.ceil(self.audio_ms.get(item.id or "", 0) / token_ms)


def text_tokens(item: Item) -> int:
    """A token a word of what the model reads as text; the user's audio it reads as audio, not by its transcript."""
    parts = item.content or ()
    words = [part.text or (part.transcript if item.role == "assistant" else "") or "" for part in parts]
    return sum(len(each.split()) for each in [*words, item.arguments or "", item.output or ""])
