"""One response of a Realtime server, event by event in the order recorded of the API. Pure.

    response.created
      response.output_item.added, conversation.item.added            for each message and each function call
        response.content_part.added
          transcript and audio deltas, or text deltas
        response.output_audio.done, …transcript.done | …text.done
        response.content_part.done
      conversation.item.done, response.output_item.done
    response.done, rate_limits.updated

A response that is cut short closes what is open in the same order: content, item, response.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from voice_trio.protocols.realtime import input_events, server_events
from voice_trio.protocols.realtime.items import Item, Part

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.protocols.realtime.items import ItemList
    from voice_trio.protocols.realtime_server.session_object import SessionObject

TOKENS_A_MINUTE = 250_000
"""What `rate_limits.updated` claims: these servers limit no client, but clients expect the event."""
_ARGUMENTS_PIECE = re.compile(r"[\s\S]{1,8}")


class EventSink(Protocol):
    """Where a session's events go, in the order in which they were decided."""

    def emit(self, event: input_events.ServerEvent) -> None:
        """Send an event. It is encoded at once: the items that it shows may change later, the event may not."""
        ...

    def new_id(self, kind: str) -> str:
        """An id that no other object of this server has."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseConfig:
    """How a response is made: its own parameters over the session's; `read` are the items it is made from."""

    written: bool
    voice: str
    speed: float
    tokens_max: int | str
    in_conversation: bool
    metadata: Mapping[str, str] | None
    instructions: str
    read: tuple[Item, ...] = field(repr=False)


@dataclass(slots=True)
class _Message:
    item: Item
    index: int
    part: Part
    text: str = ""

    @property
    def id(self) -> str:
        return self.item.id or ""


class ServerResponse:
    """A response in progress: `begin`, then `write`, `add_audio` and `call_function`, then `end`."""

    def __init__(
        self, out: EventSink, items: ItemList, session: SessionObject, config: ResponseConfig, conversation_id: str
    ) -> None:
        self.id = out.new_id("resp")
        self.config = config
        self.is_created = False
        self.is_over = False
        self._out = out
        self._items = items
        self._session = session
        self._conversation_id = conversation_id
        self._output: list[Item] = []
        self._open: _Message | None = None
        self._text_tokens = 0

    @property
    def can_be_cut(self) -> bool:
        """Whether the client knows of it and it still has something to say."""
        return self.is_created and not self.is_over

    def begin(self) -> None:
        self.is_created = True
        self._out.emit(server_events.ResponseCreated(response=self._shown("in_progress")))

    # Messages

    def open_message(self) -> None:
        """Begin a message of the assistant, unless one is open."""
        if self._open is None:
            self._message()

    def write(self, piece: str) -> None:
        """Add words: of the text, or of the transcript of the audio that comes next."""
        message = self._message()
        message.text += piece
        if piece:
            delta = server_events.TextDelta if self.config.written else server_events.AudioTranscriptDelta
            self._out.emit(delta(**self._place(message), delta=piece))

    def add_audio(self, audio: str, duration_ms: float) -> None:
        """Add audio, base64 PCM16 mono 24 kHz."""
        message = self._message()
        # The client may have deleted the item in the meantime.
        self._items.audio_ms[message.id] = self._items.audio_ms.get(message.id, 0.0) + duration_ms
        self._session.voice_is_frozen = True
        self._out.emit(server_events.AudioDelta(**self._place(message), delta=audio))

    def close_message(self, *, completed: bool) -> None:
        """End the open message, if any."""
        message, self._open = self._open, None
        if message is None:
            return
        place, text = self._place(message), message.text
        self._text_tokens += len(text.split())
        if self.config.written:
            message.part.text = text
            self._out.emit(server_events.TextDone(**place, text=text))
            part = server_events.ContentPart(type="text", text=text)
        else:
            message.part.transcript = text
            self._out.emit(server_events.AudioDone(**place))
            self._out.emit(server_events.AudioTranscriptDone(**place, transcript=text))
            part = server_events.ContentPart(type="audio", transcript=text)
        self._out.emit(server_events.ContentPartDone(**place, part=part))
        self._end_item(message.item, message.index, completed=completed)

    # Function calls

    def call_function(self, name: str, arguments: str) -> None:
        """Add a whole function call; `arguments` is JSON text."""
        call_id = self._out.new_id("call")
        item = Item(type="function_call", name=name, arguments="", call_id=call_id, id=self._out.new_id("item"))
        index = self._begin_item(item)
        place: dict[str, Any] = {"response_id": self.id, "item_id": item.id, "output_index": index, "call_id": call_id}
        for piece in _ARGUMENTS_PIECE.findall(arguments):
            self._out.emit(server_events.ArgumentsDelta(**place, delta=piece))
        item.arguments = arguments
        self._out.emit(server_events.ArgumentsDone(**place, name=name, arguments=arguments))
        self._end_item(item, index, completed=True)

    # The end

    @property
    def is_too_long(self) -> bool:
        """Whether it has reached its `max_output_tokens`."""
        limit = self.config.tokens_max
        if not isinstance(limit, int):
            return False
        open_tokens = len(self._open.text.split()) if self._open else 0
        return self._text_tokens + open_tokens + sum(map(self._items.audio_tokens, self._output)) >= limit

    def close(self, *, completed: bool) -> None:
        """End the open message; from now on the response cannot be cut. `end` follows, at once or later."""
        self.is_over = True
        self.close_message(completed=completed)

    def end(self, status: server_events.ResponseStatus, details: server_events.StatusDetails | None = None) -> None:
        """Close it and send `response.done`; `details` say why it is not `completed`."""
        self.close(completed=status == "completed")
        response = self._shown(status, details)
        response.usage = self._items.usage(
            self.config.read, response.output, text_tokens_before=len(self.config.instructions.split())
        )
        self._out.emit(server_events.ResponseDone(response=response))
        limit = {"name": "tokens", "limit": TOKENS_A_MINUTE, "remaining": TOKENS_A_MINUTE, "reset_seconds": 0.0}
        self._out.emit(server_events.RateLimitsUpdated(rate_limits=[limit]))
        if not self.config.in_conversation:
            for item in self._output:
                self._items.audio_ms.pop(item.id or "", None)

    # Items

    def _message(self) -> _Message:
        if self._open is not None:
            return self._open
        item = Item(type="message", role="assistant", content=[], id=self._out.new_id("item"))
        part = Part(type="output_text" if self.config.written else "output_audio")
        message = self._open = _Message(item, self._begin_item(item), part)
        if not self.config.written:
            self._items.audio_ms[message.id] = 0.0
        empty = (
            server_events.ContentPart(type="text", text="")
            if self.config.written
            else server_events.ContentPart(type="audio")
        )
        self._out.emit(server_events.ContentPartAdded(**self._place(message), part=empty))
        item.content = [part]
        return message

    def _begin_item(self, item: Item) -> int:
        item.object, item.status = "realtime.item", "in_progress"
        index = len(self._output)
        self._output.append(item)
        self._out.emit(server_events.OutputItemAdded(response_id=self.id, output_index=index, item=item))
        if self.config.in_conversation:
            previous = self._items.add(item)
            self._out.emit(input_events.ItemAdded(item=item, previous_item_id=previous))
        return index

    def _end_item(self, item: Item, index: int, *, completed: bool) -> None:
        item.status = "completed" if completed else "incomplete"
        if self.config.in_conversation:
            self._out.emit(input_events.ItemDone(item=item, previous_item_id=self._items.before(item)))
        self._out.emit(server_events.OutputItemDone(response_id=self.id, output_index=index, item=item))

    def _place(self, message: _Message) -> dict[str, Any]:
        return {"response_id": self.id, "item_id": message.id, "output_index": message.index, "content_index": 0}

    def _shown(
        self, status: server_events.ResponseStatus, details: server_events.StatusDetails | None = None
    ) -> server_events.Response:
        config = self.config
        spoken = {"format": {"type": "audio/pcm", "rate": 24000}, "voice": config.voice}
        return server_events.Response(
            id=self.id,
            status=status,
            status_details=details,
            output=list(self._output),
            conversation_id=self._conversation_id if config.in_conversation else None,
            output_modalities=["text"] if config.written else ["audio"],
            max_output_tokens=config.tokens_max,
            audio=None if config.written else {"output": spoken},
            metadata=dict(config.metadata) if config.metadata else None,
        )
