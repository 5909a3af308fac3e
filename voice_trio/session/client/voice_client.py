"""The client of the voice protocol: what it sends becomes events, what it is sent leaves through the send queue."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from voice_trio.conversation import commands, events, session_events
from voice_trio.errors import BadMessage
from voice_trio.protocols.audio import AudioAppended, audio_ms, split_audio
from voice_trio.protocols.voice import client_events, writer
from voice_trio.session.client.frame import Frame, Lane
from voice_trio.session.client.limits import VoiceFrameDecoder
from voice_trio.session.client.receiver import ClientReceiver
from voice_trio.session.client.send_queue import SendQueue
from voice_trio.session.client.shown_passages import ShownPassages
from voice_trio.session.endings import Ending, ending_of
from voice_trio.session.observers import FlushQueued

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.conversation.session_events import ToClient
    from voice_trio.net.link import Link
    from voice_trio.protocols.realtime import SessionState
    from voice_trio.session.ports import ConnectedUpstream, SessionPort
    from voice_trio.session.upstream.connection import UpstreamConnection

PIECE_MS_MAX = 500  # paced sound leaves in pieces of at most so long
SESSION_END_CHARS_MAX = 200  # of a frame that is looked at before its turn

# The lane of each type of event, and whether a flush drops it. All other types go in Lane.OTHER.
_LANES: dict[type, tuple[Lane, bool]] = {
    events.ResponseAudioDelta: (Lane.RESPONSE, True),
    events.ResponseAudioDone: (Lane.RESPONSE, True),
    events.ResponseTranscriptDelta: (Lane.RESPONSE, True),
    events.ResponseTranscriptDone: (Lane.RESPONSE, True),
    commands.ContextInjected: (Lane.RESPONSE, False),
    events.ResponseCreated: (Lane.RESPONSE, False),
    events.ResponseDone: (Lane.RESPONSE, False),
    events.SpeechStarted: (Lane.URGENT, False),
    commands.PlaybackFlush: (Lane.URGENT, False),
    commands.ErrorNotice: (Lane.URGENT, False),
    commands.WaitingForUpstream: (Lane.URGENT, False),
    session_events.SessionExpiring: (Lane.URGENT, False),
    session_events.SessionTimeout: (Lane.URGENT, False),
    session_events.SessionEnding: (Lane.URGENT, False),
    session_events.SessionDraining: (Lane.URGENT, False),
    session_events.SessionRecovering: (Lane.URGENT, False),
    session_events.SessionRecovered: (Lane.URGENT, False),
}


class VoiceClientConnection:
    """Both directions of a client's link. It decides the order in which events leave, and nothing else."""

    def __init__(self, link: Link, host: SessionPort, upstream: UpstreamConnection) -> None:
        self._link = link
        self._host = host
        self._upstream = upstream
        self._queue = SendQueue(link, host, is_paced=True)
        now = trio.current_time()
        self._decoder = VoiceFrameDecoder(now)
        self._shown = ShownPassages(host.config.session_id, now) if host.config.show_passages else None
        self._receiver = ClientReceiver(link, self._handle, overtakes=_is_session_end)
        upstream.count_in(self._receiver.account)

    async def listen(self) -> None:
        """Feed what the client sends as events; end the session when the client is gone."""
        self._host.end(ending_of(await self._receiver.run()))

    def _handle(self, frame: str | bytes, now: float) -> float:
        """Feed the event of a frame; returns how many seconds to handle nothing."""
        try:
            event = self._decoder.decode(frame, now)
        except BadMessage as error:
            self._send_error(error)
            return self._decoder.pause_seconds
        if isinstance(event, AudioAppended):
            return self._forward_audio(event, now)
        self._dispatch(event, now)
        return 0.0

    def start_writing(self, nursery: trio.Nursery) -> None:
        """Begin to write; the nursery must outlive the session's tasks."""
        self._queue.start(nursery)

    @property
    def unsent_since(self) -> float | None:
        """Since when a frame waits for the client to read; None while none does."""
        return self._queue.unsent_since

    def announce_ready(self, upstream: ConnectedUpstream, expires_at: float) -> None:
        """The session is ready; `expires_at` is Unix time."""
        config = self._host.config
        self.send(session_events.ConnectionReady(config.session_id, config.resume_token, expires_at))
        self.describe(upstream.created)
        self.describe(upstream.updated)

    def describe(self, state: SessionState) -> None:
        """The upstream has described its session."""
        self.send(session_events.SessionDescribed(state.type, state.session_json))

    def send(self, event: ToClient, now: float | None = None) -> None:
        """Queue an event for the client, unless the protocol has none for it; a flush drops the queued response."""
        if isinstance(event, events.ResponseAudioDelta):
            if event.duration_ms > PIECE_MS_MAX:
                for piece in split_audio(event.audio, PIECE_MS_MAX):
                    self.send(replace(event, audio=piece, duration_ms=audio_ms(piece)), now)
            elif (text := writer.write(event)) is not None:
                frame = Frame(text, Lane.RESPONSE, event.item_id, event.duration_ms, dies_with_response=True)
                self._queue.put(frame, now)
            return
        flush_at = None
        if isinstance(event, commands.PlaybackFlush):
            self._queue.drop_response()
            self._host.observe(FlushQueued())
            flush_at = trio.current_time()
        elif isinstance(event, commands.ContextInjected) and self._shown is not None:
            event = replace(event, passages=self._shown.remember(event.passages))
        elif isinstance(event, commands.ErrorNotice | session_events.PassageRefused):
            self._host.summary.count_error(event.code)
        text = writer.write(event)
        if text is not None:
            lane, dies_with_response = _LANES.get(type(event), (Lane.OTHER, False))
            frame = Frame(text, lane, dies_with_response=dies_with_response, flush_at=flush_at)
            if isinstance(event, events.ResponseCreated):
                frame.begins = event.response_id
            elif isinstance(event, events.ResponseDone):
                frame.ends = event.response_id
            self._queue.put(frame, now)

    async def close(self, ending: Ending) -> None:
        """Write what must still be said, and close; the caller bounds it."""
        await self._queue.finish(lambda: self._last_frames(ending), ending.value.close_code, ending.value.close_reason)

    def _last_frames(self, ending: Ending) -> Iterator[str]:
        if ending is Ending.CLIENT_LEFT:
            return
        close_frame = ending.value
        yield from (frame.text for frame in self._queue.take_urgent())
        for response_id, done in self._queue.take_ends().items():
            yield done or writer.write(events.ResponseDone(response_id, "incomplete", close_frame.name)) or ""
        if ending is Ending.TIMEOUT:
            message = f"The session has reached its limit of {self._host.config.duration_seconds:g} seconds."
            yield writer.write(session_events.SessionTimeout(message)) or ""
        if ending in (Ending.SWITCHED_OFF, Ending.ENDED_BY_OPERATOR):
            yield writer.write(session_events.SessionEnding(close_frame.name)) or ""
        if close_frame.error_code is not None:
            retry_after = self._host.summary.retry_after
            yield writer.refusal(close_frame.error_code, close_frame.message, retry_after)

    def _forward_audio(self, event: AudioAppended, now: float) -> float:
        """Send a frame of sound upstream; returns how many seconds to handle nothing.

        More than twice real time is slowed down: it waits in the receiver and then in the client's own socket.
        """
        self._host.summary.audio_in_s += event.duration_ms / 1000
        self._upstream.send_audio(event.audio, event.duration_ms, now)
        return self._decoder.limits.seconds_ahead(now, event.duration_ms)

    def _dispatch(self, event: events.ClientEvent | client_events.ForSession, now: float) -> None:
        match event:
            case client_events.Ping(id=ping_id):
                self.send(session_events.PingAnswered(ping_id))
            case client_events.PassageGet(id=passage_id):
                self._open_passage(passage_id, now)
            case client_events.SessionEnd():
                self._host.end(Ending.CLIENT_ENDED)
            case client_events.Auth():
                self._send_error(BadMessage("this connection is authenticated already"))
            case _:
                self._host.feed(event)
                if isinstance(event, events.PlaybackPosition):
                    self._queue.stop_pacing()

    def _open_passage(self, passage_id: str, now: float) -> None:
        try:
            if self._shown is None:
                raise BadMessage("this gateway does not show passages", code="not_allowed")
            self.send(self._shown.open(passage_id, now))
        except BadMessage as error:
            self._send_error(error, passage_id)

    def _send_error(self, error: BadMessage, passage_id: str = "") -> None:
        if self._decoder.limits.is_exceeded:
            self._host.end(Ending.NOT_JSON)
        elif not self._decoder.limits.may_send_error(trio.current_time()):
            self._host.summary.count_error(error.code)
        elif passage_id:
            self.send(session_events.PassageRefused(passage_id, error.code, str(error)))
        else:
            self.send(commands.ErrorNotice(error.code, str(error)))


def _is_session_end(frame: str | bytes) -> bool:
    """Whether the client ends the session: then it does not matter what it sent before."""
    if not isinstance(frame, str) or len(frame) > SESSION_END_CHARS_MAX or '"session.end"' not in frame:
        return False
    try:
        return isinstance(client_events.read_client(frame), client_events.SessionEnd)
    except BadMessage:
        return False
