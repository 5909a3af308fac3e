"""The side of a client that speaks OpenAI's own protocol: it is told everything in order, and nothing of ours."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import trio

from voice_trio.conversation import commands, events
from voice_trio.errors import InvalidEvent, LinkClosed
from voice_trio.protocols.audio import AudioAppended
from voice_trio.protocols.openai_client import (
    ClientEventReader,
    ClientEventWriter,
    ClientSettings,
    SessionUpdateRequested,
)
from voice_trio.session.client.limits import RealtimeFrameDecoder
from voice_trio.session.client.receive_queue import ReceiveQueue
from voice_trio.session.client.send_queue import Frame, Lane, SendQueue
from voice_trio.session.client.writer import ClientWriter
from voice_trio.session.endings import Ending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.conversation.session_events import SessionEvent
    from voice_trio.net.link import Link
    from voice_trio.protocols.openai_client import PassthroughEvent
    from voice_trio.protocols.realtime import SessionState
    from voice_trio.session.config import PassthroughConfig
    from voice_trio.session.ports import ConnectedUpstream, SessionPort
    from voice_trio.session.upstream.connection import UpstreamConnection

UPLINK_SECONDS_MAX = 10.0  # of sound that waits for the model; beyond it the client is read no further
UPLINK_BYTES_MAX = 4 * 1024 * 1024
LOOK_AGAIN_SECONDS = 0.02

# `error` code, whether the fault is ours, close code; other endings close as they do elsewhere, unexplained.
_FAREWELLS: dict[Ending, tuple[str, bool, int]] = {
    Ending.TIMEOUT: ("session_expired", False, 1001),
    Ending.IDLE: ("session_expired", False, 1001),
    Ending.UPSTREAM_UNAVAILABLE: ("server_error", True, 1011),
    Ending.UPSTREAM_LOST: ("server_error", True, 1011),
    Ending.CRASHED: ("server_error", True, 1011),
    Ending.BUDGET_EXHAUSTED: ("insufficient_quota", False, 1008),
    Ending.SWITCHED_OFF: ("feature_disabled", False, 1008),
    Ending.NOT_JSON: ("invalid_json", False, 1007),
    Ending.TOO_BIG: ("invalid_value", False, 1009),
}

_MESSAGES = {Ending.TOO_BIG: "A message was over 16 MiB."}
_REASONS = {Ending.DRAINING: "Server restarting"}  # there is nothing to resume


class RealtimeClientConnection:
    """Both directions of a drop-in client's link. It knows what may be seen and asked for, not when answers come."""

    def __init__(self, link: Link, host: SessionPort, model: UpstreamConnection, terms: PassthroughConfig) -> None:
        prefix = host.config.id_prefix
        self._link = link
        self._host = host
        self._model = model
        self._terms = terms
        self._prefix = prefix
        self._wishes = ClientSettings(host.config.model, terms.allowed)
        self._disguise = ClientEventWriter(self._wishes, prefix)
        self._ears = RealtimeFrameDecoder(ClientEventReader(self._wishes, prefix), trio.current_time())
        self._writer = ClientWriter(link, host, SendQueue())
        self._inbox = ReceiveQueue()
        self._ready = trio.Event()
        self._expires_at = 0.0
        self._unsaid: SessionState | None = None  # what `session.created` will show, once the preset is in force
        self._update_count = 0

    async def listen(self) -> None:
        """Whatever the client sends, as requests; ends the session when it is gone, also while it is not heeded."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._heed_all)
            await self._read()
            nursery.cancel_scope.cancel(reason="client gone")

    async def _read(self) -> None:
        while True:
            try:
                frame = await self._link.receive()
            except LinkClosed as closed:
                self._host.end(Ending.TOO_BIG if closed.code == Ending.TOO_BIG.value.close_code else Ending.CLIENT_LEFT)
                return
            await self._inbox.put(frame)

    async def _heed_all(self) -> None:
        await self._ready.wait()  # what it asks for before is asked of a session that is there
        while True:
            frame = await self._inbox.take()
            event = None
            try:
                event = self._ears.understand(frame)
                self._heed(event)
            except InvalidEvent as error:
                self._complain(error)
            await trio.sleep(self._ears.pause(frame, event, trio.current_time()))
            while self._is_far_ahead:  # noqa: ASYNC110  # now and then: no event tells
                await trio.sleep(LOOK_AGAIN_SECONDS)

    @property
    def _is_far_ahead(self) -> bool:
        """A recording was sent at once, say, and the model takes its time."""
        return self._model.queued_seconds > UPLINK_SECONDS_MAX or self._model.queued_bytes > UPLINK_BYTES_MAX

    def start_writing(self, nursery: trio.Nursery) -> None:
        """Begin to write; the nursery must outlive the session's tasks."""
        self._writer.start(nursery)

    def announce_ready(self, model: ConnectedUpstream, expires_at: float) -> None:
        """The session is ready; `expires_at` is Unix time."""
        self._expires_at = expires_at
        self._wishes.heard_by(model.transcription_model)
        self._unsaid = replace(model.updated, wire=model.created.wire)
        if self._terms.preset is not None:
            try:
                self._ask_session(SessionUpdateRequested(self._terms.preset))
                return
            except InvalidEvent as error:
                self._host.log.warning("preset_refused", reason=str(error))
        self._say_created()

    def describe(self, state: SessionState) -> None:
        """The model has updated its session: the client's own update, the oldest that is on its way."""
        if state.create_response is True:
            self._model.lose("it would answer by itself")
            return
        self._wishes.accept()
        self._host.feed(self._wishes.manner)
        if self._unsaid is not None:
            self._unsaid = replace(state, wire=self._unsaid.wire)
            self._say_created()
        else:
            self._writer.put(Frame(self._disguise.session(state, "session.updated", self._expires_at)))

    def send(
        self, event: events.UpstreamEvent | commands.ClientNotice | commands.PassthroughNotice | SessionEvent
    ) -> None:
        """Queue an event for the client, unless it must not know of it; a flush drops the queued sound first."""
        if isinstance(event, commands.PlaybackFlush):
            self._writer.outbox.drop_answer()
            return
        if isinstance(event, events.UpstreamError):  # about nothing that the gate knows
            self._on_error(event)
            return
        if isinstance(event, commands.UpstreamErrorForwarded):
            self._host.summary.errors[event.error.code] += 1
        text = self._disguise.write(event)
        if text is None:
            return
        if isinstance(event, events.ResponseAudioDelta):
            self._writer.put(Frame(text, Lane.ANSWER, event.item_id, event.duration_ms, dies_with_answer=True))
        else:
            self._writer.put(Frame(text))

    async def close(self, ending: Ending) -> None:
        """Say what is still to be said, and close; the caller bounds it."""
        _, _, code = _FAREWELLS.get(ending, ("", False, ending.value.close_code))
        reason = _REASONS.get(ending, ending.value.close_reason)
        await self._writer.finish(lambda: self._last_words(ending), code, reason)

    def _last_words(self, ending: Ending) -> Iterator[str]:
        if ending in _FAREWELLS:
            error_code, is_ours, _ = _FAREWELLS[ending]
            message = _MESSAGES.get(ending) or ending.value.message or f"{ending.value.close_reason}."
            yield self._disguise.farewell(error_code, message, is_ours=is_ours)

    def _heed(self, event: PassthroughEvent) -> None:
        match event:
            case AudioAppended(audio=audio, duration_ms=duration_ms):
                self._host.summary.audio_in_s += duration_ms / 1000
                self._model.send_audio(audio, duration_ms)
            case SessionUpdateRequested():
                self._ask_session(event)
            case _:
                self._host.feed(event)

    def _ask_session(self, event: SessionUpdateRequested) -> None:
        self._update_count += 1
        update_id = f"{self._prefix}u{self._update_count}"
        try:
            session = self._wishes.ask(update_id, event.session, event.event_id)
        except InvalidEvent as error:
            error.event_id = error.event_id or event.event_id
            raise
        update = {"type": "session.update", "event_id": update_id, "session": session}
        self._model.send_frame(msgspec.json.encode(update).decode())

    def _on_error(self, event: events.UpstreamError) -> None:
        """About an update: told by the client's own id. Other ids of ours are not its business."""
        if event.event_id is None or not event.event_id.startswith(self._prefix):
            self.send(commands.UpstreamErrorForwarded(event, event.event_id))
        elif self._wishes.is_pending(event.event_id):
            asked_as = self._wishes.refuse(event.event_id)
            if self._unsaid is None:
                self.send(commands.UpstreamErrorForwarded(event, asked_as))
            else:
                self._host.log.warning("preset_refused", reason=event.code)
                self._say_created()

    def _say_created(self) -> None:
        state, self._unsaid = self._unsaid, None
        if state is not None:
            self._writer.put(Frame(self._disguise.session(state, "session.created", self._expires_at)))
            self._ready.set()

    def _complain(self, error: InvalidEvent) -> None:
        self._host.summary.errors[error.code] += 1
        if self._ears.patience.is_over:
            self._host.end(Ending.NOT_JSON)
        elif self._ears.patience.may_complain(trio.current_time()):
            self._writer.put(Frame(self._disguise.refuse(error)))
