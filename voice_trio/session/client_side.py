"""The session's client: what it sends becomes events, what it is told leaves through one writer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from voice_trio.conversation import commands as do
from voice_trio.conversation import events as on
from voice_trio.conversation import notices
from voice_trio.dialects import voice
from voice_trio.dialects.audio import audio_ms, split_audio
from voice_trio.errors import BadMessage, LinkClosed
from voice_trio.session.ears import ClientEars
from voice_trio.session.endings import Ending
from voice_trio.session.outbox import Frame, Lane, Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voice_trio.dialects.voice_out import ToClient
    from voice_trio.services.links import Link
    from voice_trio.session.host import Host
    from voice_trio.session.model_side import ModelSide

STALL_SECONDS_MAX = 5.0  # a client that takes nothing for so long is gone (I9)

PIECE_MS_MAX = 500  # sound that is paced leaves in pieces of at most so long

_DIES_WITH_ANSWER = (on.AnswerAudio, on.AnswerAudioDone, on.AnswerText, on.AnswerTextDone)
_OF_ANSWER = (*_DIES_WITH_ANSWER, do.ContextInjected, on.ResponseCreated, on.ResponseDone)
_URGENT = (
    on.SpeechStarted,
    do.PlaybackFlush,
    do.ErrorNotice,
    notices.SessionExpiring,
    notices.SessionTimeout,
    notices.SessionEnding,
    notices.SessionDraining,
    notices.SessionRecovering,
    notices.SessionRecovered,
)


class ClientSide:
    """Both directions of a client's link. Nothing here decides what is said, only what may overtake what.

    `sound_may_leave_at(duration_ms)`: when the next piece of an answer may be sent.
    """

    def __init__(self, link: Link, host: Host, model: ModelSide, sound_may_leave_at: Callable[[float], float]) -> None:
        self._link = link
        self._host = host
        self._model = model
        self._outbox = Outbox(sound_may_leave_at)
        self._ears = ClientEars(trio.current_time())
        self._speaking = trio.CancelScope()
        self._spoken: trio.Event | None = None

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
            if isinstance(event, voice.Audio):
                await self._hear_audio(event)
            else:
                self._heed(event)

    def start_speaking(self, nursery: trio.Nursery) -> None:
        """Begin to write; the nursery must outlive the session's tasks, because nothing may cut a frame in two."""
        self._spoken = trio.Event()
        nursery.start_soon(self._speak_until_told)

    async def _speak_until_told(self) -> None:
        try:
            with self._speaking:
                await self._speak()
        except Exception:  # a bug; in this nursery nobody else would catch it
            self._host.crash()
        finally:
            if self._spoken is not None:
                self._spoken.set()

    async def _speak(self) -> None:
        """Everything the client is told, one frame at a time; ends the session if the client takes nothing."""
        while True:
            frame = await self._outbox.next()
            # Hypercorn shields this send: there only TCP_USER_TIMEOUT ends it, and `cancel_called` tells all the same.
            with trio.move_on_after(STALL_SECONDS_MAX) as patience:
                try:
                    await self._link.send(frame.text)
                except trio.Cancelled:
                    self._outbox.put_back(frame)  # it may be among the last words
                    raise
                except LinkClosed:
                    self._host.end(Ending.TOO_SLOW if patience.cancel_called else Ending.CLIENT_LEFT)
                    return
            if patience.cancel_called:
                self._host.end(Ending.TOO_SLOW)
                return
            if frame.audio_ms:
                self._host.summary.audio_out_s += frame.audio_ms / 1000
                self._host.feed(on.AudioSent(frame.item_id, frame.audio_ms))
            elif frame.flush_at is not None:
                self._host.flushed(frame.flush_at)

    def tell(self, event: ToClient) -> None:
        """Queue an event for the client, unless it must not leave; a flush drops the queued answer first."""
        if isinstance(event, do.PlaybackFlush):
            self._outbox.drop_answer()
        elif isinstance(event, do.ErrorNotice):
            self._host.summary.errors[event.code] += 1
        for part in _pieces(event):
            text = voice.write(part)
            if text is not None:
                self._outbox.put(_frame(part, text))
        if self._outbox.is_overfull:
            self._host.end(Ending.TOO_SLOW)

    async def leave(self, ending: Ending) -> None:
        """Say what is still to be said, and close; the caller bounds it."""
        farewell = ending.value
        if self._spoken is not None:
            self._speaking.cancel(reason=farewell.name)
            await self._spoken.wait()  # one writer at a time
        last_words = [frame.text for frame in self._outbox.take_urgent()]
        if ending is Ending.TIMEOUT:
            message = f"The session has reached its limit of {self._host.terms.duration_seconds:g} seconds."
            last_words.append(voice.write(notices.SessionTimeout(message)) or "")
        if ending is Ending.SWITCHED_OFF:
            last_words.append(voice.write(notices.SessionEnding(farewell.name)) or "")
        if farewell.error_code is not None:
            last_words.append(voice.refusal(farewell.error_code, farewell.message))
        try:
            if ending is not Ending.CLIENT_LEFT:
                for text in last_words:
                    await self._link.send(text)
            await self._link.aclose(farewell.close_code, farewell.close_reason)
        except LinkClosed:
            pass

    async def _hear_audio(self, event: voice.Audio) -> None:
        self._host.summary.audio_in_s += event.duration_ms / 1000
        self._model.send_audio(event.audio, event.duration_ms)
        # More than twice real time is slowed down by reading no further: the client's own socket fills.
        await trio.sleep(self._ears.seconds_ahead(trio.current_time(), event.duration_ms))

    def _heed(self, event: on.ClientEvent | voice.Auth | voice.Ping | voice.SessionEnd) -> None:
        match event:
            case voice.Ping(id=ping_id):
                self.tell(notices.Pong(ping_id))
            case voice.SessionEnd():
                self._host.end(Ending.CLIENT_ENDED)
            case voice.Auth():
                self._complain(BadMessage("this connection is authenticated already"))
            case _:
                self._host.feed(event)
                self._outbox.look_again()  # it may have said how far it is

    def _complain(self, error: BadMessage) -> None:
        if self._ears.is_hopeless:
            self._host.end(Ending.NOT_JSON)
        elif self._ears.may_complain(trio.current_time()):
            self.tell(do.ErrorNotice(error.code, str(error)))
        else:
            self._host.summary.errors[error.code] += 1


def _pieces(event: ToClient) -> Sequence[ToClient]:
    if not isinstance(event, on.AnswerAudio) or event.duration_ms <= PIECE_MS_MAX:
        return [event]
    pieces = split_audio(event.audio, PIECE_MS_MAX)
    return [replace(event, audio=piece, duration_ms=audio_ms(piece)) for piece in pieces]


def _frame(event: ToClient, text: str) -> Frame:
    if isinstance(event, on.AnswerAudio):
        return Frame(text, Lane.ANSWER, event.item_id, event.duration_ms, dies_with_answer=True)
    if isinstance(event, _OF_ANSWER):
        return Frame(text, Lane.ANSWER, dies_with_answer=isinstance(event, _DIES_WITH_ANSWER))
    if isinstance(event, _URGENT):
        flush_at = trio.current_time() if isinstance(event, do.PlaybackFlush) else None
        return Frame(text, Lane.URGENT, flush_at=flush_at)
    return Frame(text)
