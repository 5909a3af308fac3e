"""One connection of the scripted transcriber: reads, keeps a real server's rules, and writes in one task."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import trio

from voice_trio.errors import InvalidEvent, LinkClosed
from voice_trio.protocols.audio import audio_ms
from voice_trio.protocols.realtime import client_events, input_events, server_events, sessions
from voice_trio.protocols.realtime.writer import COMMIT_MS_MIN
from voice_trio.testing import script

if TYPE_CHECKING:
    from voice_trio.net.link import Link
    from voice_trio.testing.transcriber import ScriptedTranscriber

SESSION_SECONDS = 3600
QUEUED_FRAMES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class ScriptedTranscript:
    """What an utterance will be understood as: the first word so long after its first sound, then one each so often."""

    text: str
    first_word_after: float = script.FIRST_WORD_AFTER
    word_every: float = script.WORD_EVERY
    completed_after: float = script.COMPLETED_AFTER
    """After the commit; never if infinite."""
    usage: dict[str, Any] | None = None
    """In place of whole seconds of sound."""


@dataclass(slots=True)
class _ScriptedUtterance:
    item_id: str
    heard: ScriptedTranscript
    began_at: float
    ms: float = 0.0
    told: int = 0
    words: trio.CancelScope = field(default_factory=trio.CancelScope)

    @property
    def pieces(self) -> list[str]:
        return [f" {word}" for word in self.heard.text.split()]


class TranscriberSession:
    """Transcribes over one link; `number` counts connections from 0."""

    def __init__(self, link: Link, transcriber: ScriptedTranscriber, number: int) -> None:
        self.link = link
        self._transcriber = transcriber
        self._number = number
        self._state = sessions.new_transcription_session(f"tsess_{number}", int(time.time()) + SESSION_SECONDS)
        self._utterance: _ScriptedUtterance | None = None
        self._last_item: str | None = None
        self._ids = 0
        self._scope = trio.CancelScope()
        self._frames, self._outgoing = trio.open_memory_channel[str](QUEUED_FRAMES_MAX)

    async def run(self) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._write)
                self._emit(input_events.SessionCreated(session=self._state))
                await self._read()
                nursery.cancel_scope.cancel(reason="the client is gone")

    def end(self) -> None:
        self._scope.cancel(reason="told to end")

    async def _read(self) -> None:
        while True:
            try:
                frame = await self.link.receive()
            except LinkClosed as closed:
                self._transcriber.losses.append(closed)
                return
            self._transcriber.record(frame, self._number)
            event = client_events.read_client_event(frame)
            try:
                self._handle(event)
            except InvalidEvent as refused:
                trouble = input_events.ErrorDetails(
                    message=str(refused), code=refused.code, param=refused.param, event_id=event.event_id
                )
                self._emit(input_events.error_event(trouble))

    async def _write(self) -> None:
        async for frame in self._outgoing:
            try:
                await self.link.send(frame)
            except LinkClosed:
                return

    def _handle(self, event: client_events.ClientEvent) -> None:
        match event:
            case client_events.UpdateSession(session=update):
                self._update(update)
            case client_events.AppendAudio(audio=audio):
                if self._utterance is None:
                    self._begin()
                assert self._utterance is not None
                self._utterance.ms += audio_ms(audio)
            case client_events.CommitAudio():
                self._commit()
            case client_events.ClearAudio():
                if self._utterance is not None:
                    self._utterance.words.cancel(reason="cleared")
                self._utterance = None
                self._emit(input_events.BufferCleared())
            case _:
                raise InvalidEvent("A transcription session only hears.", param="type")

    def _update(self, update: dict[str, Any]) -> None:
        if update["type"] != "transcription":
            raise InvalidEvent("A transcription session cannot become a conversation.", param="session.type")
        after = sessions.merged(self._state, update)
        model = sessions.transcription_model_of(after)
        if self._transcriber.refuses_model:
            message = f"The model '{model}' is not available for transcription."
            raise InvalidEvent(message, param="session.audio.input.transcription.model")
        if model in script.STREAMING_TRANSCRIPTION and sessions.turn_detection_of(after) is not None:
            message = "Turn detection is not supported for this transcription model."
            raise InvalidEvent(message, param="session.audio.input.turn_detection")
        self._state = after
        self._emit(input_events.SessionUpdated(session=after))

    def _begin(self) -> None:
        self._utterance = _ScriptedUtterance(self._new_id("item"), self._transcriber.next_heard(), trio.current_time())
        self._nursery.start_soon(self._say_words, self._utterance)

    def _commit(self) -> None:
        utterance = self._utterance
        if utterance is None or utterance.ms < COMMIT_MS_MIN:
            ms = 0.0 if utterance is None else utterance.ms
            message = f"Expected at least {COMMIT_MS_MIN:g}ms of audio, got {ms:.2f}ms."
            raise InvalidEvent(message, code="input_audio_buffer_commit_empty")
        self._utterance = None
        self._emit(input_events.BufferCommitted(item_id=utterance.item_id, previous_item_id=self._last_item))
        self._last_item = utterance.item_id
        utterance.words.cancel(reason="committed")
        self._nursery.start_soon(self._say_the_rest, utterance)

    async def _say_words(self, utterance: _ScriptedUtterance) -> None:
        heard = utterance.heard
        with utterance.words:
            for number, piece in enumerate(utterance.pieces):
                await trio.sleep_until(utterance.began_at + heard.first_word_after + number * heard.word_every)
                self._say(utterance, piece)

    async def _say_the_rest(self, utterance: _ScriptedUtterance) -> None:
        committed_at = trio.current_time()
        await trio.sleep(min(script.LAST_WORDS_WITHIN / 2, utterance.heard.completed_after / 2))
        for piece in utterance.pieces[utterance.told :]:
            self._say(utterance, piece)
        await trio.sleep_until(committed_at + utterance.heard.completed_after)
        usage = utterance.heard.usage or {"type": "duration", "seconds": math.ceil(utterance.ms / 1000)}
        self._emit(
            input_events.TranscriptionCompleted(
                item_id=utterance.item_id, content_index=0, transcript=utterance.heard.text, usage=usage
            )
        )

    def _say(self, utterance: _ScriptedUtterance, piece: str) -> None:
        utterance.told += 1
        self._emit(input_events.TranscriptionDelta(item_id=utterance.item_id, content_index=0, delta=piece))

    def _emit(self, event: input_events.ServerEvent) -> None:
        self._frames.send_nowait(server_events.write_event(event, self._new_id("event")))

    def _new_id(self, kind: str) -> str:
        self._ids += 1
        return f"t{kind}_{self._number}_{self._ids}"
