"""One response, from `response.created` to `response.done`, event by event in the order recorded of the API. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pybase64

from voice_trio.protocols.audio import BYTES_PER_MS
from voice_trio.protocols.realtime import input_events, server_events
from voice_trio.protocols.realtime.items import Item, Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.embedded.commands import OutputList
    from voice_trio.protocols.realtime.items import ItemList

TOKENS_A_MINUTE = 250_000
"""What `rate_limits.updated` claims: this server limits nobody, clients expect the event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a response is to be, the session's wishes and its own taken together; `read` is what it is made from."""

    written: bool
    voice: str
    speed: float
    tokens_max: int | str
    in_conversation: bool
    metadata: Mapping[str, str] | None
    instructions: str
    read: tuple[Item, ...] = field(repr=False)


class Reply:
    """A response under way. `begin`, then `write` or `sound`, then `end`; `end` closes whatever is open."""

    def __init__(self, out: OutputList, items: ItemList, terms: Terms, conversation_id: str) -> None:
        self.id = out.new_id("resp")
        self.terms = terms
        self.is_over = False
        self._out = out
        self._items = items
        self._conversation_id = conversation_id
        self._item: Item | None = None
        self._part = Part(type="output_text" if terms.written else "output_audio")
        self._text = ""

    def begin(self) -> None:
        self._out.emit(server_events.ResponseCreated(response=self._shown("in_progress")))

    def write(self, piece: str) -> None:
        """More words: of the text, or of the transcript of the sound that comes next."""
        place = self._place()
        self._text += piece
        if piece:
            delta = server_events.TextDelta if self.terms.written else server_events.AudioTranscriptDelta
            self._out.emit(delta(**place, delta=piece))

    def sound(self, pcm: bytes) -> None:
        place = self._place()
        # The client may have deleted the item in the meantime.
        so_far = self._items.audio_ms.get(place["item_id"], 0.0)
        self._items.audio_ms[place["item_id"]] = so_far + len(pcm) / BYTES_PER_MS
        self._out.emit(server_events.AudioDelta(**place, delta=pybase64.b64encode(pcm).decode("ascii")))

    @property
    def is_too_long(self) -> bool:
        """Whether more was said than `max_output_tokens` allows."""
        limit = self.terms.tokens_max
        return isinstance(limit, int) and self._tokens() >= limit

    def _tokens(self) -> int:
        return len(self._text.split()) + (self._items.audio_tokens(self._item) if self._item else 0)

    def end(self, status: server_events.ResponseStatus, details: server_events.StatusDetails | None = None) -> None:
        """The one end of it; `details` say why it is not `completed`."""
        self.is_over = True
        if self._item is not None:
            self._close(self._item, completed=status == "completed")
        response = self._shown(status, details)
        response.usage = self._items.usage(
            self.terms.read, response.output, text_tokens_before=len(self.terms.instructions.split())
        )
        self._out.emit(server_events.ResponseDone(response=response))
        limit = {"name": "tokens", "limit": TOKENS_A_MINUTE, "remaining": TOKENS_A_MINUTE, "reset_seconds": 0.0}
        self._out.emit(server_events.RateLimitsUpdated(rate_limits=[limit]))
        if not self.terms.in_conversation and self._item is not None:
            self._items.audio_ms.pop(self._item.id or "", None)

    def _place(self) -> dict[str, Any]:
        item = self._item or self._open()
        return {"response_id": self.id, "item_id": item.id, "output_index": 0, "content_index": 0}

    def _open(self) -> Item:
        item = self._item = Item(
            id=self._out.new_id("item"),
            object="realtime.item",
            type="message",
            status="in_progress",
            role="assistant",
            content=[],
        )
        self._out.emit(server_events.OutputItemAdded(response_id=self.id, output_index=0, item=item))
        if self.terms.in_conversation:
            previous = self._items.add(item)
            self._out.emit(input_events.ItemAdded(item=item, previous_item_id=previous))
        if not self.terms.written:
            self._items.audio_ms[item.id or ""] = 0.0
        empty = (
            server_events.ContentPart(type="text", text="")
            if self.terms.written
            else server_events.ContentPart(type="audio")
        )
        self._out.emit(server_events.ContentPartAdded(**self._place(), part=empty))
        item.content = [self._part]
        return item

    def _close(self, item: Item, *, completed: bool) -> None:
        place, text = self._place(), self._text
        if self.terms.written:
            self._part.text = text
            self._out.emit(server_events.TextDone(**place, text=text))
            whole = server_events.ContentPart(type="text", text=text)
        else:
            self._part.transcript = text
            self._out.emit(server_events.AudioDone(**place))
            self._out.emit(server_events.AudioTranscriptDone(**place, transcript=text))
            whole = server_events.ContentPart(type="audio", transcript=text)
        self._out.emit(server_events.ContentPartDone(**place, part=whole))
        item.status = "completed" if completed else "incomplete"
        if self.terms.in_conversation:
            self._out.emit(input_events.ItemDone(item=item, previous_item_id=self._items.before(item)))
        self._out.emit(server_events.OutputItemDone(response_id=self.id, output_index=0, item=item))

    def _shown(
        self, status: server_events.ResponseStatus, details: server_events.StatusDetails | None = None
    ) -> server_events.Response:
        terms = self.terms
        spoken = {"format": {"type": "audio/pcm", "rate": 24000}, "voice": terms.voice}
        return server_events.Response(
            id=self.id,
            status=status,
            status_details=details,
            output=[self._item] if self._item else [],
            conversation_id=self._conversation_id if terms.in_conversation else None,
            output_modalities=["text"] if terms.written else ["audio"],
            max_output_tokens=terms.tokens_max,
            audio=None if terms.written else {"output": spoken},
            metadata=dict(terms.metadata) if terms.metadata else None,
        )
