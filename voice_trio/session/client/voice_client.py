"""The session's client: what it sends becomes events, what it is told leaves through one writer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from voice_trio.conversation import commands, events, session_events
from voice_trio.errors import BadMessage, LinkClosed
from voice_trio.protocols.audio import AudioAppended, audio_ms, split_audio
from voice_trio.protocols.voice import client_events, writer
from voice_trio.session.client.limits import VoiceFrameDecoder
from voice_trio.session.client.send_queue import Frame, Lane, SendQueue
from voice_trio.session.client.writer import ClientWriter
from voice_trio.session.endings import Ending
from voice_trio.session.observers import FlushQueued

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voice_trio.net.link import Link
    from voice_trio.protocols.realtime import SessionState
    from voice_trio.protocols.voice.writer import ToClient
    from voice_trio.session.ports import ConnectedUpstream, SessionPort
    from voice_trio.session.upstream.connection import UpstreamConnection

PIECE_MS_MAX = 500  # sound that is paced leaves in pieces of at most so long

_DIES_WITH_ANSWER = (
    events.ResponseAudioDelta,
    events.ResponseAudioDone,
    events.ResponseTranscriptDelta,
    events.ResponseTranscriptDone,
)
_OF_ANSWER = (*_DIES_WITH_ANSWER, commands.ContextInjected, events.ResponseCreated, events.ResponseDone)
_URGENT = (
    events.SpeechStarted,
    commands.PlaybackFlush,
    commands.ErrorNotice,
    session_events.SessionExpiring,
    session_events.SessionTimeout,
    session_events.SessionEnding,
    session_events.SessionDraining,
    session_events.SessionRecovering,
    session_events.SessionRecovered,
)


class VoiceClientConnection:
    """Both directions of a client's link. Nothing here decides what is said, only what may overtake what."""

    def __init__(self, link: Link, host: SessionPort, model: UpstreamConnection) -> None:
        self._link = link
        self._host = host
        self._model = model
        self._writer = ClientWriter(link, host, SendQueue(is_paced=True))
        self._ears = VoiceFrameDecoder(trio.current_time())

    async def listen(self) -> None:
        """Whatever the client sends, as events; ends the session when it is gone."""
        while True:
            try:
                frame = await self._link.receive()
            except LinkClosed as closed:
                self._host.end(Ending.TOO_BIG if closed.code == Ending.TOO_BIG.value.close_code else Ending.CLIENT_LEFT)
                return
            try:
                event = self._ears.understand(frame, trio.current_time())
            except BadMessage as error:
                self._complain(error)
                continue
            if isinstance(event, AudioAppended):
                await self._hear_audio(event)
            else:
                self._heed(event)

    def start_writing(self, nursery: trio.Nursery) -> None:
        """Begin to write; the nursery must outlive the session's tasks."""
        self._writer.start(nursery)

    def announce_ready(self, model: ConnectedUpstream, expires_at: float) -> None:
        """The session is ready; `expires_at` is Unix time."""
        terms = self._host.config
        self.send(session_events.ConnectionReady(terms.session_id, terms.resume_token, expires_at))
        self.describe(model.created)
        self.describe(model.updated)

    def describe(self, state: SessionState) -> None:
        """The model says what its session is like."""
        self.send(session_events.SessionDescribed(state.type, state.session_json))

    def send(self, event: ToClient) -> None:
        """Queue an event for the client, unless it must not leave; a flush drops the queued answer first."""
        if isinstance(event, commands.PlaybackFlush):
            self._writer.outbox.drop_answer()
            self._host.observe(FlushQueued())
        elif isinstance(event, commands.ErrorNotice):
            self._host.summary.errors[event.code] += 1
        for part in _pieces(event):
            text = writer.write(part)
            if text is not None:
                self._writer.put(_frame(part, text))

    async def close(self, ending: Ending) -> None:
        """Say what is still to be said, and close; the caller bounds it."""
        await self._writer.finish(lambda: self._last_words(ending), ending.value.close_code, ending.value.close_reason)

    def _last_words(self, ending: Ending) -> Iterator[str]:
        if ending is Ending.CLIENT_LEFT:
            return
        farewell = ending.value
        yield from (frame.text for frame in self._writer.outbox.take_urgent())
        if ending is Ending.TIMEOUT:
            message = f"The session has reached its limit of {self._host.config.duration_seconds:g} seconds."
            yield writer.write(session_events.SessionTimeout(message)) or ""
        if ending is Ending.SWITCHED_OFF:
            yield writer.write(session_events.SessionEnding(farewell.name)) or ""
        if farewell.error_code is not None:
            yield writer.refusal(farewell.error_code, farewell.message)

    async def _hear_audio(self, event: AudioAppended) -> None:
        self._host.summary.audio_in_s += event.duration_ms / 1000
        self._model.send_audio(event.audio, event.duration_ms)
        # More than twice real time is slowed down by reading no further: the client's own socket fills.
        await trio.sleep(self._ears.patience.seconds_ahead(trio.current_time(), event.duration_ms))

    def _heed(
        self, event: events.ClientEvent | client_events.Auth | client_events.Ping | client_events.SessionEnd
    ) -> None:
        match event:
            case client_events.Ping(id=ping_id):
                self.send(session_events.Pong(ping_id))
            case client_events.SessionEnd():
                self._host.end(Ending.CLIENT_ENDED)
            case client_events.Auth():
                self._complain(BadMessage("this connection is authenticated already"))
            case _:
                self._host.feed(event)
                if isinstance(event, events.PlaybackPosition):
                    self._writer.outbox.stop_pacing()

    def _complain(self, error: BadMessage) -> None:
        if self._ears.patience.is_over:
            self._host.end(Ending.NOT_JSON)
        elif self._ears.patience.may_complain(trio.current_time()):
            self.send(commands.ErrorNotice(error.code, str(error)))
        else:
            self._host.summary.errors[error.code] += 1


def _pieces(event: ToClient) -> Sequence[ToClient]:
    if not isinstance(event, events.ResponseAudioDelta) or event.duration_ms <= PIECE_MS_MAX:
        return [event]
    pieces = split_audio(event.audio, PIECE_MS_MAX)
    return [replace(event, audio=piece, duration_ms=audio_ms(piece)) for piece in pieces]


def _frame(event: ToClient, text: str) -> Frame:
    if isinstance(event, events.ResponseAudioDelta):
        return Frame(text, Lane.ANSWER, event.item_id, event.duration_ms, dies_with_answer=True)
    if isinstance(event, _OF_ANSWER):
        return Frame(text, Lane.ANSWER, dies_with_answer=isinstance(event, _DIES_WITH_ANSWER))
    if isinstance(event, _URGENT):
        flush_at = trio.current_time() if isinstance(event, commands.PlaybackFlush) else None
        return Frame(text, Lane.URGENT, flush_at=flush_at)
    return Frame(text)
