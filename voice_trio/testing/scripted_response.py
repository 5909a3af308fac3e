"""One response of the scripted model, from `response.created` to `response.done`, in the real one's order of events.

Cutting it short closes whatever is open in the order the API documents: content, item, response.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Protocol

import trio

from voice_trio.protocols.audio import silence
from voice_trio.protocols.realtime import input_events, server_events
from voice_trio.protocols.realtime.items import Item, Part
from voice_trio.testing.sounds import tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.protocols.realtime.client_events import ResponseParams
    from voice_trio.protocols.realtime.items import ItemList
    from voice_trio.testing.script import Answer, Call


class ResponseHost(Protocol):
    """What a performance needs of the session it takes place in."""

    items: ItemList
    voice_is_fixed: bool

    def emit(self, event: input_events.ServerEvent) -> None: ...

    def new_id(self, kind: str) -> str: ...

    async def wait_until_done_may_leave(self) -> None: ...


class ScriptedResponse:
    """A response under way. `created` is set once the client knows of it, `over` once nothing more can be cut short."""

    def __init__(self, stage: ResponseHost, params: ResponseParams, answer: Answer | None) -> None:
        self.id = stage.new_id("resp")
        self.created = False
        self.over = False
        self.in_conversation = params.conversation != "none"
        self._stage = stage
        self._params = params
        self._written = params.output_modalities == ["text"]
        self._answer = answer
        self._told = trio.Event()
        self._scope = trio.CancelScope()
        self._cut_reason = ""
        self._output: list[Item] = []
        self._open: _OpenMessage | None = None

    def give(self, answer: Answer) -> None:
        """What to say, for a response that waits to be told."""
        self._answer = answer
        self._told.set()

    @property
    def waits_to_be_told(self) -> bool:
        return self._answer is None

    def cut(self, reason: str) -> None:
        """Stop now: close what is open and end as `cancelled`."""
        if not self.over:
            self._cut_reason = reason
            self._scope.cancel()

    async def run(self) -> None:
        with self._scope:
            if self._answer is None:
                await self._told.wait()
            if self._answer is not None:
                await self._respond(self._answer)
        self.over = True
        if self._open is not None:
            self._close_message("incomplete")
        await self._stage.wait_until_done_may_leave()
        self._stage.emit(server_events.ResponseDone(response=self._ended()))
        limits = [{"name": "tokens", "limit": 250_000, "remaining": 249_000, "reset_seconds": 0.2}]
        self._stage.emit(server_events.RateLimitsUpdated(rate_limits=limits))

    async def _respond(self, answer: Answer) -> None:
        await trio.sleep(answer.created_after)
        self.created = True
        self._stage.emit(server_events.ResponseCreated(response=self._shown("in_progress")))
        await trio.sleep(answer.first_audio_after)
        if answer.status == "failed":
            return
        if answer.text or answer.audio_ms:
            for text, audio_ms in _portions(answer):
                await self._speak(answer, text, audio_ms)
        for call in answer.calls:
            self._call(call)

    async def _speak(self, answer: Answer, text: str, audio_ms: int) -> None:
        message = self._open_message()
        start = trio.current_time()
        audio_ms = 0 if self._written else audio_ms
        chunks = max(1, math.ceil(audio_ms / answer.chunk_ms))
        pieces = re.findall(r"\s*\S+", text)
        for index in range(chunks):
            await trio.sleep_until(start + index * answer.chunk_ms / 1000 / answer.pace)
            for piece in pieces[index * len(pieces) // chunks : (index + 1) * len(pieces) // chunks]:
                self._write(message, piece)
            duration_ms = min(answer.chunk_ms, audio_ms - index * answer.chunk_ms)
            if duration_ms > 0:
                self._sound(message, index * answer.chunk_ms, duration_ms, loud=answer.tone)
        self._close_message("incomplete" if answer.status == "incomplete" else "completed")

    def _open_message(self) -> _OpenMessage:
        kind = "output_text" if self._written else "output_audio"
        content = [Part(type="output_text" if self._written else "output_audio")]
        item = self._begin(Item(type="message", role="assistant", content=[], id=self._stage.new_id("item")))
        message = self._open = _OpenMessage(item, len(self._output) - 1, content[0])
        part = server_events.ContentPart(type="text" if kind == "output_text" else "audio")
        self._stage.emit(server_events.ContentPartAdded(**self._place(message), part=part))
        item.content = content
        if not self._written:
            self._stage.items.audio_ms[message.id] = 0.0
        return message

    def _begin(self, item: Item) -> Item:
        item.object, item.status = "realtime.item", "in_progress"
        self._output.append(item)
        index = len(self._output) - 1
        self._stage.emit(server_events.OutputItemAdded(response_id=self.id, output_index=index, item=item))
        if self.in_conversation:
            previous = self._stage.items.add(item)
            self._stage.emit(input_events.ItemAdded(item=item, previous_item_id=previous))
        return item

    def _write(self, message: _OpenMessage, piece: str) -> None:
        message.text += piece
        delta = server_events.TextDelta if self._written else server_events.AudioTranscriptDelta
        self._stage.emit(delta(**self._place(message), delta=piece))

    def _sound(self, message: _OpenMessage, start_ms: int, duration_ms: int, *, loud: bool) -> None:
        audio = tone(start_ms, duration_ms) if loud else silence(duration_ms)
        lengths = self._stage.items.audio_ms
        lengths[message.id] = lengths.get(message.id, 0.0) + duration_ms
        self._stage.voice_is_fixed = True
        self._stage.emit(server_events.AudioDelta(**self._place(message), delta=audio))

    def _close_message(self, status: str) -> None:
        message, self._open = self._open, None
        if message is None:
            return
        place, text = self._place(message), message.text
        if self._written:
            message.part.text = text
            self._stage.emit(server_events.TextDone(**place, text=text))
            part = server_events.ContentPart(type="text", text=text)
        else:
            message.part.transcript = text
            self._stage.emit(server_events.AudioDone(**place))
            self._stage.emit(server_events.AudioTranscriptDone(**place, transcript=text))
            part = server_events.ContentPart(type="audio", transcript=text)
        self._stage.emit(server_events.ContentPartDone(**place, part=part))
        self._end(message.item, message.index, completed=status == "completed")

    def _end(self, item: Item, index: int, *, completed: bool) -> None:
        item.status = "completed" if completed else "incomplete"
        if self.in_conversation:
            self._stage.emit(input_events.ItemDone(item=item, previous_item_id=self._stage.items.before(item)))
        self._stage.emit(server_events.OutputItemDone(response_id=self.id, output_index=index, item=item))

    def _call(self, call: Call) -> None:
        call_id = self._stage.new_id("call")
        fresh = Item(type="function_call", name=call.name, arguments="", call_id=call_id, id=self._stage.new_id("item"))
        item = self._begin(fresh)
        index = len(self._output) - 1
        place: dict[str, Any] = {"response_id": self.id, "item_id": item.id, "output_index": index, "call_id": call_id}
        for piece in re.findall(r"[\s\S]{1,8}", call.arguments):
            self._stage.emit(server_events.ArgumentsDelta(**place, delta=piece))
        item.arguments = call.arguments
        self._stage.emit(server_events.ArgumentsDone(**place, name=call.name, arguments=call.arguments))
        self._end(item, index, completed=True)

    def _place(self, message: _OpenMessage) -> dict[str, Any]:
        where = {"output_index": message.index, "content_index": 0}
        return {"response_id": self.id, "item_id": message.id, **where}

    def _ended(self) -> server_events.Response:
        answer = self._answer
        if self._cut_reason:
            response = self._shown("cancelled", server_events.StatusDetails(type="cancelled", reason=self._cut_reason))
        elif answer is not None and answer.status == "failed":
            error = input_events.ErrorDetails(
                type="server_error", code=answer.error_code, message="The response failed."
            )
            response = self._shown("failed", server_events.StatusDetails(type="failed", error=error))
        elif answer is not None and answer.status == "incomplete":
            response = self._shown("incomplete", server_events.StatusDetails(type="incomplete", reason=answer.reason))
        else:
            response = self._shown("completed")
        response.usage = self._stage.items.usage(self._read(), self._output)
        return response

    def _read(self) -> list[Item]:
        """What the answer was made from: the conversation without the answer itself."""
        said = {item.id for item in self._output}
        return [item for item in self._stage.items.order if item.id not in said]

    def _shown(
        self, status: server_events.ResponseStatus, details: server_events.StatusDetails | None = None
    ) -> server_events.Response:
        return server_events.Response(
            id=self.id,
            status=status,
            status_details=details,
            output=list(self._output),
            conversation_id="conv_scripted" if self.in_conversation else None,
            output_modalities=["text"] if self._written else ["audio"],
            audio={"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin"}},
            metadata=self._params.metadata,
        )


class _OpenMessage:
    def __init__(self, item: Item, index: int, part: Part) -> None:
        self.item = item
        self.id = item.id or ""
        self.index = index
        self.part = part
        self.text = ""


def _portions(answer: Answer) -> Iterator[tuple[str, int]]:
    """The answer's text and sound, divided among its messages."""
    pieces = re.findall(r"\s*\S+", answer.text)
    for index in range(answer.items):
        first, last = index * len(pieces) // answer.items, (index + 1) * len(pieces) // answer.items
        yield "".join(pieces[first:last]).strip(), answer.audio_ms // answer.items
