"""The client of OpenAI's own protocol: it gets all events in order, and none that its protocol does not define."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from voice_trio.conversation import commands, events
from voice_trio.errors import EventTooLarge, InvalidEvent
from voice_trio.protocols import json_text
from voice_trio.protocols.audio import AudioAppended
from voice_trio.protocols.openai_client import (
    ClientEventReader,
    ClientEventWriter,
    ClientSettings,
    SessionUpdateRequested,
)
from voice_trio.session.client.frame import Frame, Lane
from voice_trio.session.client.limits import RealtimeFrameDecoder
from voice_trio.session.client.receiver import ClientReceiver
from voice_trio.session.client.send_queue import SendQueue
from voice_trio.session.endings import Ending, ending_of
from voice_trio.session.observers import ClientSessionUpdated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.conversation.session_events import ToClient
    from voice_trio.net.link import Link
    from voice_trio.protocols.openai_client import PassthroughEvent
    from voice_trio.protocols.realtime import SessionState
    from voice_trio.session.config import PassthroughConfig
    from voice_trio.session.ports import ConnectedUpstream, SessionPort
    from voice_trio.session.upstream.connection import UpstreamConnection


# `error` code, whether the fault is the server's, close code. Other endings close without an error.
_CLOSING_ERRORS: dict[Ending, tuple[str, bool, int]] = {
    Ending.TIMEOUT: ("session_expired", False, 1001),
    Ending.IDLE: ("session_expired", False, 1001),
    Ending.UPSTREAM_UNAVAILABLE: ("server_error", True, 1011),
    Ending.UPSTREAM_LOST: ("server_error", True, 1011),
    Ending.CRASHED: ("server_error", True, 1011),
    Ending.BUDGET_EXHAUSTED: ("insufficient_quota", False, 1008),
    Ending.SWITCHED_OFF: ("feature_disabled", False, 1008),
    Ending.ENDED_BY_OPERATOR: ("ended_by_operator", False, 1008),
    Ending.NOT_JSON: ("invalid_json", False, 1007),
    Ending.TOO_BIG: ("invalid_value", False, 1009),
}

_MESSAGES = {Ending.TOO_BIG: "A message was over 16 MiB, or over 1 MiB and had neither audio to append nor a picture."}
_REASONS = {Ending.DRAINING: "Server restarting"}  # there is nothing to resume


class RealtimeClientConnection:
    """Both directions of the client's link. It knows what the client may see and ask for, not when responses come.

    Frames are received at once and handled at the client's allowed rate, so a closed connection is noticed meanwhile.
    """

    def __init__(self, link: Link, host: SessionPort, upstream: UpstreamConnection, config: PassthroughConfig) -> None:
        prefix = host.config.id_prefix
        self._link = link
        self._host = host
        self._upstream = upstream
        self._config = config
        self._prefix = prefix
        self._settings = ClientSettings(host.config.model, config.allowed)
        self._encoder = ClientEventWriter(self._settings, prefix)
        self._decoder = RealtimeFrameDecoder(ClientEventReader(self._settings, prefix), trio.current_time())
        self._queue = SendQueue(link, host)
        self._receiver = ClientReceiver(link, self._handle, is_held=self._is_held)
        upstream.count_in(self._receiver.account)
        self._is_ready = False
        self._expires_at = 0.0
        self._unannounced: SessionState | None = None  # what `session.created` will show, once the preset is in force
        self._update_count = 0

    # `session.created` is withheld until the session is as the client may see it. A client that was given a preset
    # (with its client secret) has to find it in force at the first event, as on OpenAI's side. So the preset is sent as
    # an update first, and `session.created` shows the state that came back. What the client sends meanwhile waits.

    async def listen(self) -> None:
        """Feed what the client sends as requests; end the session when the client is gone."""
        self._host.end(ending_of(await self._receiver.run()))

    def _is_held(self) -> bool:
        """Requests need a session that exists, and an upstream that takes them."""
        return not self._is_ready or self._upstream.is_far_behind

    def _handle(self, frame: str | bytes, now: float) -> float:
        """Dispatch the request in a frame; returns how many seconds to handle nothing."""
        event = None
        try:
            event = self._decoder.decode(frame)
            self._dispatch(event, now)
        except EventTooLarge:
            self._host.end(Ending.TOO_BIG)
        except InvalidEvent as error:
            self._send_error(error)
        return self._decoder.pause(frame, event, now)

    def start_writing(self, nursery: trio.Nursery) -> None:
        """Begin to write; the nursery must outlive the session's tasks."""
        self._queue.start(nursery)

    @property
    def unsent_since(self) -> float | None:
        """Since when a frame waits for the client to read; None while none does."""
        return self._queue.unsent_since

    def announce_ready(self, upstream: ConnectedUpstream, expires_at: float) -> None:
        """The session is ready; `expires_at` is Unix time."""
        self._expires_at = expires_at
        self._settings.use_transcription_model(upstream.transcription_model)
        self._unannounced = replace(upstream.updated, wire=upstream.created.wire)
        if self._config.preset is not None:
            try:
                self._request_update(SessionUpdateRequested(self._config.preset))
                return
            except InvalidEvent as error:
                self._host.log.warning("preset_refused", reason=str(error))
        self._announce_created()

    def describe(self, state: SessionState) -> None:
        """The upstream has updated its session: the oldest pending update of the client was accepted."""
        if state.create_response is True:
            self._upstream.lose("the server turned create_response on")
            return
        self._settings.accept_oldest()
        self._host.feed(self._settings.turn_policy)
        if self._unannounced is not None:
            self._unannounced = replace(state, wire=self._unannounced.wire)
            self._announce_created()
        else:
            self._queue.put(Frame(self._encoder.session(state, "session.updated", self._expires_at)))

    def send(self, event: ToClient, now: float | None = None) -> None:
        """Queue an event for the client, unless the protocol has none for it; a flush drops the queued sound."""
        if isinstance(event, commands.PlaybackFlush):
            self._queue.drop_response()
            return
        if isinstance(event, events.UpstreamError):  # about no request of the conversation
            self._send_upstream_error(event)
            return
        if isinstance(event, commands.UpstreamErrorForwarded):
            self._host.summary.count_error(event.error.code)
        if isinstance(event, events.ResponseDone) and not event.wire:
            self._queue_end(event, now)
            return
        if isinstance(event, commands.ResponseNotAsked):
            response_id, created, done = self._encoder.cancelled_response(event)
            self._queue.put(Frame(created, begins=response_id), now)
            self._queue.put(Frame(done, ends=response_id), now)
            return
        text = self._encoder.write(event)
        if text is None:
            return
        if isinstance(event, events.ResponseAudioDelta):
            frame = Frame(text, Lane.RESPONSE, event.item_id, event.duration_ms, dies_with_response=True)
        else:
            frame = Frame(text)
            if isinstance(event, events.ResponseCreated):
                frame.begins = event.response_id
            elif isinstance(event, events.ResponseDone):
                frame.ends = event.response_id
        self._queue.put(frame, now)

    def _queue_end(self, done: events.ResponseDone, now: float | None) -> None:
        """The upstream does not end this response: what a client may wait for, and `response.done` as the last."""
        *parts, last = self._encoder.end_response(done)
        for text in parts:
            self._queue.put(Frame(text), now)
        self._queue.put(Frame(last, ends=done.response_id), now)

    async def close(self, ending: Ending) -> None:
        """Write the error that explains the ending, if there is one, and close; the caller bounds it."""
        _, _, code = _CLOSING_ERRORS.get(ending, ("", False, ending.value.close_code))
        reason = _REASONS.get(ending, ending.value.close_reason)
        await self._queue.finish(lambda: self._last_frames(ending), code, reason)

    def _last_frames(self, ending: Ending) -> Iterator[str]:
        error_code, is_ours, _ = _CLOSING_ERRORS.get(ending, ("server_error", True, 0))
        if ending is not Ending.CLIENT_LEFT:
            rest, unended = self._queue.take_rest()
            yield from rest
            for response_id in unended:
                yield from self._encoder.end_response(
                    events.ResponseDone(response_id, "failed", ending.value.name, error_code)
                )
        if ending in _CLOSING_ERRORS:
            message = _MESSAGES.get(ending) or ending.value.message or f"{ending.value.close_reason}."
            yield self._encoder.closing_error(error_code, message, is_ours=is_ours)

    def _dispatch(self, event: PassthroughEvent, now: float) -> None:
        match event:
            case AudioAppended(audio=audio, duration_ms=duration_ms):
                self._host.summary.audio_in_s += duration_ms / 1000
                self._upstream.send_audio(audio, duration_ms, now)
            case SessionUpdateRequested():
                self._request_update(event)
            case _:
                self._host.feed(event, now)

    def _request_update(self, event: SessionUpdateRequested) -> None:
        self._update_count += 1
        update_id = f"{self._prefix}u{self._update_count}"
        try:
            session = self._settings.request_update(update_id, event.session, event.event_id)
        except InvalidEvent as error:
            error.event_id = error.event_id or event.event_id
            raise
        self._host.observe(ClientSessionUpdated(session))
        update = {"type": "session.update", "event_id": update_id, "session": session}
        self._upstream.send_frame(json_text.encode(update))

    def _send_upstream_error(self, event: events.UpstreamError) -> None:
        """Forward an error, with the client's own id if it is about its update; not one about the gateway's events."""
        if event.event_id is None or not event.event_id.startswith(self._prefix):
            self.send(commands.UpstreamErrorForwarded(event, event.event_id))
        elif self._settings.is_pending(event.event_id):
            asked_as = self._settings.refuse(event.event_id)
            if self._unannounced is None:
                self.send(commands.UpstreamErrorForwarded(event, asked_as))
            else:
                self._host.log.warning("preset_refused", reason=event.code)
                self._announce_created()

    def _announce_created(self) -> None:
        state, self._unannounced = self._unannounced, None
        if state is not None:
            self._queue.put(Frame(self._encoder.session(state, "session.created", self._expires_at)))
            self._is_ready = True

    def _send_error(self, error: InvalidEvent) -> None:
        self._host.summary.count_error(error.code)
        if self._decoder.limits.is_exceeded:
            self._host.end(Ending.NOT_JSON)
        elif self._decoder.limits.may_send_error(trio.current_time()):
            self._queue.put(Frame(self._encoder.refuse(error)))
