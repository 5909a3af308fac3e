"""Estimates the input of a response: what of the conversation, or of its own `input`, the model reads (again).

Pure; knows tokens, no prices. Exact counts come with the usage of each response, so an error here is corrected then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from cachetools import FIFOCache

from voice_trio.billing.prices import ASSISTANT_TOKENS_PER_SECOND, CHARACTERS_PER_TOKEN, USER_TOKENS_PER_SECOND
from voice_trio.billing.usage import UsageFaults, input_tokens, output_tokens
from voice_trio.conversation import commands
from voice_trio.protocols.audio import audio_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

IMAGE_TOKENS = 1_600
"""Of one picture: 1,445 for the largest at high detail, by OpenAI's page on images, and some for its frame."""
ITEMS_REMEMBERED = 1_024
"""Items with an id that the client chose: a later response may refer to them."""


@dataclass(frozen=True, slots=True)
class InputTokens:
    """Tokens by modality."""

    text: int = 0
    audio: int = 0
    image: int = 0

    def __add__(self, other: InputTokens) -> InputTokens:
        return InputTokens(self.text + other.text, self.audio + other.audio, self.image + other.image)

    def __sub__(self, other: InputTokens) -> InputTokens:
        return InputTokens(
            max(0, self.text - other.text), max(0, self.audio - other.audio), max(0, self.image - other.image)
        )


NOTHING = InputTokens()

# What a response reads. A response in the conversation reads all of it: the instructions, the tools, every item. The
# usage of the last one says how much that was by then, with its own output, which is read the next time. What was added
# since it was asked for comes on top. An out-of-band response reads the same, or its own `input` in place of the items.
# Its usage says nothing of the conversation. So a client can neither lower an estimate by a small response beside the
# conversation, nor by items that it creates while a response is active.


class InputEstimator:
    """`instructions` are what the model reads before the first item."""

    def __init__(self, instructions: str) -> None:
        self._instructions = text_tokens(instructions)
        self._newest = {"instructions": self._instructions, "tools": 0}  # of the session, in tokens
        self._highest = dict(self._newest)  # of those that may still be in force
        self._known = InputTokens(self._instructions)
        self._added = NOTHING
        self._items: FIFOCache[str, InputTokens] = FIFOCache(ITEMS_REMEMBERED)

    @property
    def conversation(self) -> InputTokens:
        """What a response in the conversation reads now."""
        return self._known + self._added

    @property
    def added(self) -> InputTokens:
        """What was added to the conversation since the last billed response in it was asked for."""
        return self._added

    def note_command(self, command: commands.UpstreamCommand) -> None:
        """An item goes upstream."""
        match command:
            case (
                commands.CreateContextItem(text=text)
                | commands.CreateUserItem(text=text)
                | commands.CreateAssistantItem(text=text)
                | commands.CreateFunctionOutput(output=text)
            ):
                self._added += InputTokens(text_tokens(text))
            case commands.ForwardClientEvent(body={"type": "conversation.item.create", "item": dict(item)}):
                tokens = item_tokens(item)
                self._added += tokens
                if isinstance(item_id := item.get("id"), str):
                    self._items[item_id] = tokens
            case _:
                pass

    def note_session(self, session: Mapping[str, Any]) -> None:
        """The client updates its session: until the next usage, old and new instructions and tools both count."""
        written = {
            "instructions": text_tokens(session.get("instructions") or ""),
            "tools": _json_tokens(session.get("tools")),
        }
        for name in written.keys() & session.keys():
            self._newest[name] = written[name]
            self._highest[name] = max(self._highest[name], written[name])
        self._added += InputTokens(sum(written.values()))

    def note_speech(self, seconds: float) -> None:
        """So much speech of the user is in the conversation."""
        self._added += InputTokens(audio=round(seconds * USER_TOKENS_PER_SECOND))

    def of_response(self, body: Mapping[str, object]) -> InputTokens:
        """What a response with this `body` of its `response.create` reads."""
        instructions = body.get("instructions")
        own = InputTokens(text_tokens(str(instructions or "")) + _json_tokens(body.get("tools")))
        items = body.get("input")
        if not isinstance(items, list):
            return self.conversation + own
        read = InputTokens(sum(self._highest.values())) + own
        for item in items:
            read += self._input_tokens(item)
        return read

    def settle(self, usage: Mapping[str, Any] | None, output_seconds: float, added_when_asked: InputTokens) -> None:
        """A response in the conversation is billed; its usage, if reported, tells how long the conversation is."""
        faults = UsageFaults()
        read, wrote = input_tokens(usage or {}, faults)[0], output_tokens(usage or {}, faults)[0]
        if faults.is_unreadable or not any(map(sum, read.values())):
            self._known += InputTokens(audio=round(output_seconds * ASSISTANT_TOKENS_PER_SECOND))
            return
        self._known = InputTokens(*(sum(read[kind]) + wrote[kind] for kind in ("text", "audio", "image")))
        self._added -= added_when_asked
        self._highest = dict(self._newest)

    def start_anew(self) -> None:
        """A new upstream takes over: it will be told the conversation again, as text."""
        self._known, self._added = InputTokens(self._instructions), NOTHING

    def _input_tokens(self, item: Any) -> InputTokens:
        """Of one item of a response's own input; a reference to an item of unknown size may be to a long one."""
        if item.get("type") != "item_reference":
            return item_tokens(item)
        return self._items.get(item.get("id"), self.conversation)


def text_tokens(text: str) -> int:
    """Tokens of a text, by its bytes in UTF-8: a script with longer characters has more tokens a character."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return -(-size // CHARACTERS_PER_TOKEN)


def item_tokens(item: Mapping[str, Any]) -> InputTokens:
    """Tokens of an item as a client writes it."""
    tokens = InputTokens(sum(text_tokens(item.get(name) or "") for name in ("name", "arguments", "output")))
    for part in item.get("content") or ():
        tokens += _part_tokens(part)
    return tokens


def _part_tokens(part: Mapping[str, Any]) -> InputTokens:
    match part.get("type"):
        case "input_image":
            return InputTokens(image=IMAGE_TOKENS)
        case "input_audio" | "output_audio":
            seconds = audio_ms(part.get("audio") or "") / 1000
            words = text_tokens(part.get("transcript") or "")
            return InputTokens(words, -(-round(seconds * 1000) * USER_TOKENS_PER_SECOND // 1000))
        case _:
            return InputTokens(text_tokens(part.get("text") or ""))


def _json_tokens(value: object) -> int:
    return text_tokens(msgspec.json.encode(value).decode()) if value else 0
