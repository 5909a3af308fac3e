"""Entries of a Realtime conversation, as a server reads, keeps and shows them."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

ItemStatus: TypeAlias = Literal["completed", "incomplete", "in_progress"]


class Part(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One piece of a message's content; which fields count depends on `type`.

    `transcript` may be shown as null, which says something else than not showing it: there is sound, not yet its words.
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
        """All words of the item that are known: written ones, and transcripts of spoken ones."""
        words = [part.text or part.transcript or "" for part in self.content or ()]
        return " ".join(word for word in words if word) or self.output or ""


def as_kept(item: Item, item_id: str, status: ItemStatus = "completed") -> Item:
    """The item as a server keeps and shows it."""
    content = None if item.content is None else [_part_as_kept(part) for part in item.content]
    return msgspec.structs.replace(item, id=item_id, object="realtime.item", status=status, content=content)


def _part_as_kept(part: Part) -> Part:
    """Recorded: a user's sound shows its transcript from the first, as null; clients rely on it."""
    is_unheard = part.type == "input_audio" and part.transcript is msgspec.UNSET
    return msgspec.structs.replace(part, transcript=None) if is_unheard else part


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
    """The field that is wrong with an item a client wants to create, relative to it, and why; `None` if all is well."""
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
