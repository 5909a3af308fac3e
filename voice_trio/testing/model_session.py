"""One connection of the scripted model: greets, reads, keeps a real server's rules, and writes in one task.

Everything it says goes through `emit`, which never waits, so that the order of events is the order of causes.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from voice_trio.errors import InvalidEvent, LinkClosed
from voice_trio.protocols.realtime import client_events, input_events, server_events, sessions
from voice_trio.protocols.realtime.items import Item, ItemList, Part, as_kept
from voice_trio.testing.model_rules import handle
from voice_trio.testing.scripted_response import ScriptedResponse

if TYPE_CHECKING:
    from voice_trio.net.link import Link
    from voice_trio.testing.model import ScriptedModel
    from voice_trio.testing.script import Answer

QUEUED_FRAMES_MAX = 20_000
SESSION_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class _Goodbye:
    code: int
    reason: str


class ModelSession:
    """A conversation over one link; `number` counts connections from 0."""

    def __init__(self, link: Link, model: ScriptedModel, number: int) -> None:
        self.link = link
        self.number = number
        self.items = ItemList()
        self.state = sessions.new_session(f"sess_{number}", "scripted", model.clock() + SESSION_SECONDS)
        self.active: ScriptedResponse | None = None
        self.greeted = trio.Event()
        self.over = trio.Event()
        self.heard_ms = 0.0
        self.uncommitted_ms = 0.0
        self.voice_is_fixed = False
        self.speech_began_at = trio.current_time()
        self._model = model
        self._ids = 0
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._frames, self._outgoing = trio.open_memory_channel[str | _Goodbye](QUEUED_FRAMES_MAX)

    async def run(self) -> None:
        """Serve until either side ends it; a lost link is an expected end."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._write)
                if not await self._refused():
                    self.emit(input_events.SessionCreated(session=self.state))
                    self.greeted.set()
                    await self._read()
                nursery.cancel_scope.cancel()
        self.active = None
        self.over.set()

    def end(self) -> None:
        """Stop serving, without a word to the client."""
        self._scope.cancel()

    def say_goodbye(self, code: int, reason: str) -> None:
        """Close the connection after what is still to be said."""
        self._frames.send_nowait(_Goodbye(code, reason))

    @property
    def model(self) -> ScriptedModel:
        return self._model

    @property
    def nursery(self) -> trio.Nursery:
        """Where what the session still has to say is said."""
        assert self._nursery is not None
        return self._nursery

    # What a performance needs

    def emit(self, event: input_events.ServerEvent) -> None:
        """Say something now; it leaves in its turn."""
        frame = server_events.write_event(event, self.new_id("event"))
        self._model.spoke(frame, self.number)
        try:
            self._frames.send_nowait(frame)
        except trio.WouldBlock:
            self.end()

    def new_id(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}_{self.number}_{self._ids}"

    async def wait_until_done_may_leave(self) -> None:
        await self._model.done_latch.wait()

    # Answers

    def respond(self, params: client_events.ResponseParams, answer: Answer | None) -> ScriptedResponse:
        """Begin a response; the caller has seen to it that none is active in the conversation."""
        if params.output_modalities is None:
            params.output_modalities = self.state["output_modalities"]
        response = ScriptedResponse(self, params, answer)
        if response.in_conversation:
            self.active = response
        self.nursery.start_soon(self._respond, response)
        return response

    async def _respond(self, response: ScriptedResponse) -> None:
        await response.run()
        if self.active is response:
            self.active = None

    def interrupt(self, reason: str) -> None:
        """Cut the active answer, after as long as this model takes."""
        if self.active is not None and self.active.created:
            self.nursery.start_soon(self._cut, self.active, reason)

    async def _cut(self, response: ScriptedResponse, reason: str) -> None:
        if self._model.behaviour.interrupts_after:
            await trio.sleep(self._model.behaviour.interrupts_after)
        response.cut(reason)

    # The user's voice

    def commit(self, item_id: str, duration_ms: float) -> None:
        """Take the user's sound as an item; answer it if this session does so by itself."""
        previous = self.items.last_id
        self.emit(input_events.BufferCommitted(item_id=item_id, previous_item_id=previous))
        content = [Part(type="input_audio")]
        item = as_kept(Item(type="message", role="user", content=content), item_id)
        self.items.add(item)
        self.items.audio_ms[item_id] = duration_ms
        self.uncommitted_ms = 0.0
        self.emit(input_events.ItemAdded(item=item, previous_item_id=previous))
        self.emit(input_events.ItemDone(item=item, previous_item_id=previous))
        detection = sessions.turn_detection_of(self.state)
        if detection is not None and detection.create_response and self.active is None:
            self.respond(client_events.ResponseParams(), self._model.next_answer())

    # Reading and writing

    async def _write(self) -> None:
        async for frame in self._outgoing:
            await self._model.send_latch.wait()
            try:
                if isinstance(frame, str):
                    await self.link.send(frame)
                    continue
                await self.link.aclose(frame.code, frame.reason)
            except LinkClosed:
                pass
            self.end()
            return

    async def _read(self) -> None:
        while True:
            try:
                frame = await self.link.receive()
            except LinkClosed as closed:
                self._model.lost(closed, self.number)
                return
            self._model.heard_frame(frame, self.number)
            try:
                handle(self, client_events.read_client_event(frame))
            except InvalidEvent as refused:
                self.send_error(refused)

    async def _refused(self) -> bool:
        if self._model.behaviour.refusal is None:
            return False
        code, message = self._model.behaviour.refusal
        frame = server_events.write_event(
            input_events.error_event(input_events.ErrorDetails(message=message, code=code)), self.new_id("event")
        )
        self._model.spoke(frame, self.number)
        with contextlib.suppress(LinkClosed):
            await self.link.send(frame)
        await self.link.aclose(1008, code)
        return True

    def send_error(self, refused: InvalidEvent) -> None:
        """An `error` event; the session lives on."""
        trouble = input_events.ErrorDetails(
            message=str(refused), code=refused.code, param=refused.param, event_id=refused.event_id
        )
        self.emit(input_events.error_event(trouble))


class Latch:
    """Open or closed; those who wait pass when it opens."""

    def __init__(self) -> None:
        self._opened = trio.Event()
        self._opened.set()

    def close(self) -> None:
        if self._opened.is_set():
            self._opened = trio.Event()

    def open(self) -> None:
        self._opened.set()

    async def wait(self) -> None:
        """Pass when open, at once if it is; without a checkpoint in that case, so that nothing is reordered."""
        while not self._opened.is_set():
            await self._opened.wait()
