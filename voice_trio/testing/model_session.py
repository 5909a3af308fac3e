"""One connection of the scripted model: a `ServerSession` with tasks, whose responses follow a script.

All events go through `emit`, which never waits, so the order of events is the order of their causes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import trio

from voice_trio.errors import LinkClosed
from voice_trio.protocols.audio import audio_ms
from voice_trio.protocols.realtime import input_events, server_events, sessions
from voice_trio.protocols.realtime_server.session import ServerSession
from voice_trio.protocols.realtime_server.session_object import SessionObject, refuse_transcription_model
from voice_trio.testing.scripted_response import ScriptedResponse

if TYPE_CHECKING:
    from voice_trio.net.link import Link
    from voice_trio.protocols.realtime.items import Item, ItemList
    from voice_trio.protocols.realtime_server.response import ServerResponse
    from voice_trio.testing.recorder import ModelHandshake
    from voice_trio.testing.script import Answer, Behaviour

QUEUED_FRAMES_MAX = 20_000
SESSION_SECONDS = 3600


class Latch:
    """Open or closed; tasks that wait pass when it opens."""

    def __init__(self) -> None:
        self._opened = trio.Event()
        self._opened.set()

    def close(self) -> None:
        if self._opened.is_set():
            self._opened = trio.Event()

    def open(self) -> None:
        self._opened.set()

    async def wait(self) -> None:
        """Pass when open; without a checkpoint if it already is, so that nothing is reordered."""
        while not self._opened.is_set():
            await self._opened.wait()


class ModelPort(Protocol):
    """What a session needs of the model that it belongs to."""

    behaviour: Behaviour
    done_latch: Latch
    send_latch: Latch

    def next_answer(self, items: ItemList | None = None) -> Answer | None: ...

    def clock(self) -> int: ...

    def spoke(self, frame: str, session: int) -> None: ...

    def heard_frame(self, frame: str | bytes, session: int) -> None: ...

    def spoke_on_wire(self, event: dict[str, Any], session: int) -> None: ...

    def heard_on_wire(self, event: dict[str, Any], session: int) -> None: ...

    def heard_audio(self, session: ModelSession, audio: str) -> None: ...

    def lost(self, how: LinkClosed, session: int) -> None: ...


@dataclass(frozen=True, slots=True)
class _Close:
    code: int
    reason: str


class ModelSession:
    """A conversation over one link; `number` counts connections from 0."""

    path = "/v1/realtime"
    """Where such a server listens on TCP."""

    def __init__(self, link: Link, model: ModelPort, number: int) -> None:
        self.link = link
        self.number = number
        self.greeted = trio.Event()
        self.over = trio.Event()
        self.heard_ms = 0.0
        self.uncommitted_ms = 0.0
        self.speech_began_at = trio.current_time()
        self._model = model
        shown = sessions.new_session(f"sess_{number}", "scripted", model.clock() + SESSION_SECONDS)
        self.server = ServerSession(self, self, SessionObject(shown, ()), "conv_scripted")
        self._responses: dict[str, ScriptedResponse] = {}
        self._ids = 0
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._frames, self._outgoing = trio.open_memory_channel[str | _Close](QUEUED_FRAMES_MAX)

    @classmethod
    def refuses(cls, handshake: ModelHandshake) -> tuple[int, str] | None:
        """The HTTP status and error code with which such a server refuses a client on TCP; None: it accepts it."""
        return None

    async def run(self) -> None:
        """Serve until either side ends it; a lost link is an expected end."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._write)
                if self._model.behaviour.refusal is not None:
                    await self._refuse(*self._model.behaviour.refusal)
                self.server.begin()
                self.greeted.set()
                await self._read()
                nursery.cancel_scope.cancel()
        self._responses.clear()
        self.over.set()

    def end(self) -> None:
        """Stop serving, without a close frame."""
        self._scope.cancel()

    def close(self, code: int, reason: str) -> None:
        """Close the connection after the frames that are queued."""
        self._frames.send_nowait(_Close(code, reason))

    @property
    def model(self) -> ModelPort:
        return self._model

    @property
    def nursery(self) -> trio.Nursery:
        """Where tasks run that still have events to send."""
        assert self._nursery is not None
        return self._nursery

    @property
    def items(self) -> ItemList:
        return self.server.items

    @property
    def config(self) -> SessionObject:
        """The session as the client sees it."""
        return self.server.config

    # The sink of events

    def emit(self, event: input_events.ServerEvent) -> None:
        """Queue an event; it is sent in its turn."""
        behaviour = self._model.behaviour
        if isinstance(event, input_events.SessionUpdated) and not behaviour.acknowledges_updates:
            return
        if isinstance(event, input_events.BufferCommitted) and not behaviour.announces_commits:
            return
        frame = server_events.write_event(event, self.new_id("event"))
        self._model.spoke(frame, self.number)
        self.send_frame(frame)

    def send_frame(self, frame: str) -> None:
        """Queue a frame as it is; a client that reads nothing for very long loses its connection."""
        try:
            self._frames.send_nowait(frame)
        except trio.WouldBlock:
            self.end()

    def new_id(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}_{self.number}_{self._ids}"

    # Responses

    @property
    def active(self) -> ScriptedResponse | None:
        """The response in progress that belongs to the conversation."""
        active = self.server.responses.active
        return self._responses.get(active.id) if active else None

    def respond(self, answer: Answer) -> ScriptedResponse:
        """Begin a response that no client asked for."""
        return self._perform(self.server.responses.open(), answer)

    def generate(self, response: ServerResponse) -> None:
        self._perform(response, self._model.next_answer(self.items))

    def _perform(self, response: ServerResponse, answer: Answer | None) -> ScriptedResponse:
        scripted = self._responses[response.id] = ScriptedResponse(self, response, answer)
        self.nursery.start_soon(self._run_response, scripted)
        return scripted

    async def _run_response(self, scripted: ScriptedResponse) -> None:
        await scripted.run()
        self._responses.pop(scripted.id, None)

    async def wait_until_done_may_leave(self) -> None:
        await self._model.done_latch.wait()

    def end_response(
        self,
        response: ServerResponse,
        status: server_events.ResponseStatus,
        details: server_events.StatusDetails | None,
    ) -> None:
        self.server.responses.end(response, status, details)

    def cut(self, response: ServerResponse, reason: str) -> None:
        """Cut a response, after as long as this model takes; on a lost connection there may be nothing left to cut."""
        scripted = self._responses.get(response.id)
        if scripted is not None:
            self.nursery.start_soon(self._cut, scripted, reason)

    async def _cut(self, scripted: ScriptedResponse, reason: str) -> None:
        if self._model.behaviour.interrupts_after:
            await trio.sleep(self._model.behaviour.interrupts_after)
        scripted.cut(reason)

    # The user's audio

    def start_speech(self, item_id: str, ago_ms: float = 0.0) -> None:
        """Speech was found that began `ago_ms` before the end of the audio so far."""
        self.speech_began_at = trio.current_time()
        self.server.speech_started(item_id, int(max(0.0, self.heard_ms - ago_ms)))

    def stop_speech(self, item_id: str) -> None:
        """Enough silence: the speech becomes an item, and is answered if the session says so."""
        self.uncommitted_ms = 0.0
        duration_ms = (trio.current_time() - self.speech_began_at) * 1000
        self.server.speech_stopped(item_id, int(self.heard_ms), duration_ms)
        self.server.respond_to_turn()

    def audio_appended(self, audio: str) -> None:
        self.heard_ms += audio_ms(audio)
        self.uncommitted_ms += audio_ms(audio)
        self._model.heard_audio(self, audio)

    def audio_committed(self) -> None:
        duration_ms, self.uncommitted_ms = self.uncommitted_ms, 0.0
        self.server.commit(self.new_id("item"), duration_ms)

    def audio_cleared(self) -> None:
        self.uncommitted_ms = 0.0

    # What else a client may do

    def session_changing(self, changed: sessions.Session) -> None:
        behaviour = self._model.behaviour
        if sessions.transcription_model_of(changed) in behaviour.refused_transcription_models:
            raise refuse_transcription_model(changed)
        if (detection := changed["audio"]["input"]["turn_detection"]) and not behaviour.honours_create_response:
            detection["create_response"] = True

    def item_created(self, item: Item, pcm: bytes) -> None:
        """Nothing to do: a script decides what is answered."""

    def item_deleted(self, item_id: str) -> None:
        """Nothing to do: the conversation has forgotten it."""

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
            self.receive(frame)

    def receive(self, frame: str | bytes) -> None:
        """Handle one frame of the client."""
        self._model.heard_frame(frame, self.number)
        self.server.receive(frame)

    async def _refuse(self, code: str, message: str) -> NoReturn:
        """Send an error and close the connection, which ends the session."""
        self.emit(input_events.error_event(input_events.ErrorDetails(message=message, code=code)))
        self.close(1008, code)
        await trio.sleep_forever()
