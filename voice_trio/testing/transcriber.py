"""The scripted transcriber: the other end of a sidecar, which hears one utterance after the other and finds no turns.

It keeps a real one's rules: no turn detection, a commit by hand of at least 100 ms, one item until then, words behind
the sound. Times are seconds since it was made, unless a verb says otherwise.
"""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from voice_trio.dialects.audio import audio_ms
from voice_trio.dialects.realtime import client_events as asked
from voice_trio.dialects.realtime import server_events as say
from voice_trio.dialects.realtime import sessions
from voice_trio.dialects.realtime.transcription import COMMIT_MS_MIN
from voice_trio.errors import InvalidEvent, LinkClosed
from voice_trio.testing import script
from voice_trio.testing.links import Losable, MemoryLink, memory_link_pair
from voice_trio.testing.recorder import Received, Recorder

if TYPE_CHECKING:
    from voice_trio.errors import VoiceTrioError
    from voice_trio.services.links import Link

SESSION_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Heard:
    """What an utterance will be understood as: the first word so long after its first sound, then one each so often."""

    text: str
    first_word_after: float = script.FIRST_WORD_AFTER
    word_every: float = script.WORD_EVERY
    completed_after: float = script.COMPLETED_AFTER
    """After the commit; never if infinite."""
    usage: dict[str, Any] | None = None
    """In place of whole seconds of sound."""


class ScriptedTranscriber:
    """`received` is what clients sent, with times; a nursery is needed only for `connect`, `kept` bounds the log."""

    def __init__(self, nursery: trio.Nursery | None = None, *, kept: int | None = None) -> None:
        self.connections = 0
        self.losses: list[LinkClosed] = []
        self.refuses_model = False
        self._nursery = nursery
        self._coming: deque[Heard] = deque()
        self._log = Recorder(kept)
        self._refusals: list[VoiceTrioError] = []
        self._session: _Session | None = None
        self._live = 0
        self._stalled: list[MemoryLink] = []

    # Connections

    @property
    def is_connected(self) -> bool:
        """Whether anybody is."""
        return self._live > 0

    def connect(self) -> MemoryLink:
        """The client's end of a new connection in memory; raises what `refuse_next_connections` was given."""
        if self._refusals:
            raise self._refusals.pop(0)
        if self._nursery is None:
            raise RuntimeError("a ScriptedTranscriber needs a nursery to serve what connects to it")
        ours, theirs = memory_link_pair()
        self._nursery.start_soon(self.serve, ours)
        return theirs

    async def serve(self, link: Link) -> None:
        """One session over `link`, until either side ends it."""
        session = self._session = _Session(link, self, self.connections)
        self.connections += 1
        self._live += 1
        try:
            await session.run()
        finally:
            self._live -= 1

    # What was heard

    @property
    def received(self) -> list[Received]:
        """Every client event, in order."""
        return self._log.entries

    @property
    def now(self) -> float:
        return self._log.now

    async def hears(self, event_type: str) -> Received:
        """The next client event of a type that was not waited for yet."""
        return await self._log.hears(event_type)

    def heard(self, event_type: str) -> list[Received]:
        """Every client event of a type so far."""
        return self._log.heard(event_type)

    def heard_seconds(self) -> float:
        """How much sound came, in all."""
        return sum(audio_ms(each.event["audio"]) for each in self.heard("input_audio_buffer.append")) / 1000

    # What it will do

    def will_hear(self, text: str, **how: Any) -> None:
        """The next utterance that nobody was told of is this; see `Heard` for `how`."""
        self._coming.append(Heard(text, **how))

    def refuse_model(self) -> None:
        """Every session.update is refused: there is no such transcription model here."""
        self.refuses_model = True

    def refuse_next_connections(self, *errors: VoiceTrioError) -> None:
        """The next attempts to connect raise these, one each."""
        self._refusals.extend(errors)

    def stall(self) -> None:
        """Take nothing any more, in memory."""
        if self._session is not None and isinstance(self._session.link, MemoryLink):
            self._session.link.stall()
            self._stalled.append(self._session.link)

    def resume(self) -> None:
        """Take again what is sent, on every connection that stalled."""
        while self._stalled:
            self._stalled.pop().resume()

    def drop(self) -> None:
        """Lose the connection without a word."""
        session = self._session
        if session is None or not isinstance(session.link, Losable):
            raise TypeError("nobody is connected by a link that can be lost on purpose")
        session.link.reset()
        session.end()

    # For sessions

    def next_heard(self) -> Heard:
        return self._coming.popleft() if self._coming else Heard("")

    def record(self, frame: str | bytes, session: int) -> None:
        event = msgspec.json.decode(frame)
        self._log.record(event, session)


@dataclass(slots=True)
class _Utterance:
    item_id: str
    heard: Heard
    began_at: float
    ms: float = 0.0
    told: int = 0
    words: trio.CancelScope = field(default_factory=trio.CancelScope)

    @property
    def pieces(self) -> list[str]:
        return [f" {word}" for word in self.heard.text.split()]


class _Session:
    def __init__(self, link: Link, transcriber: ScriptedTranscriber, number: int) -> None:
        self.link = link
        self._transcriber = transcriber
        self._number = number
        self._state = sessions.new_transcription_session(f"tsess_{number}", int(time.time()) + SESSION_SECONDS)
        self._utterance: _Utterance | None = None
        self._last_item: str | None = None
        self._ids = 0
        self._scope = trio.CancelScope()
        self._frames, self._outgoing = trio.open_memory_channel[str](10_000)

    async def run(self) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._write)
                self._emit(say.SessionCreated(session=self._state))
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
            event = asked.read_client_event(frame)
            try:
                self._obey(event)
            except InvalidEvent as refused:
                trouble = say.Trouble(
                    message=str(refused), code=refused.code, param=refused.param, event_id=event.event_id
                )
                self._emit(say.error_event(trouble))

    async def _write(self) -> None:
        async for frame in self._outgoing:
            try:
                await self.link.send(frame)
            except LinkClosed:
                return

    def _obey(self, event: asked.ClientEvent) -> None:
        match event:
            case asked.UpdateSession(session=update):
                self._update(update)
            case asked.AppendAudio(audio=audio):
                if self._utterance is None:
                    self._begin()
                assert self._utterance is not None
                self._utterance.ms += audio_ms(audio)
            case asked.CommitAudio():
                self._commit()
            case asked.ClearAudio():
                if self._utterance is not None:
                    self._utterance.words.cancel(reason="cleared")
                self._utterance = None
                self._emit(say.BufferCleared())
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
        self._emit(say.SessionUpdated(session=after))

    def _begin(self) -> None:
        self._utterance = _Utterance(self._new_id("item"), self._transcriber.next_heard(), trio.current_time())
        self._nursery.start_soon(self._say_words, self._utterance)

    def _commit(self) -> None:
        utterance = self._utterance
        if utterance is None or utterance.ms < COMMIT_MS_MIN:
            ms = 0.0 if utterance is None else utterance.ms
            message = f"Expected at least {COMMIT_MS_MIN:g}ms of audio, got {ms:.2f}ms."
            raise InvalidEvent(message, code="input_audio_buffer_commit_empty")
        self._utterance = None
        self._emit(say.BufferCommitted(item_id=utterance.item_id, previous_item_id=self._last_item))
        self._last_item = utterance.item_id
        utterance.words.cancel(reason="committed")
        self._nursery.start_soon(self._say_the_rest, utterance)

    async def _say_words(self, utterance: _Utterance) -> None:
        heard = utterance.heard
        with utterance.words:
            for number, piece in enumerate(utterance.pieces):
                await trio.sleep_until(utterance.began_at + heard.first_word_after + number * heard.word_every)
                self._say(utterance, piece)

    async def _say_the_rest(self, utterance: _Utterance) -> None:
        committed_at = trio.current_time()
        await trio.sleep(min(script.LAST_WORDS_WITHIN / 2, utterance.heard.completed_after / 2))
        for piece in utterance.pieces[utterance.told :]:
            self._say(utterance, piece)
        await trio.sleep_until(committed_at + utterance.heard.completed_after)
        usage = utterance.heard.usage or {"type": "duration", "seconds": math.ceil(utterance.ms / 1000)}
        self._emit(
            say.TranscriptionCompleted(
                item_id=utterance.item_id, content_index=0, transcript=utterance.heard.text, usage=usage
            )
        )

    def _say(self, utterance: _Utterance, piece: str) -> None:
        utterance.told += 1
        self._emit(say.TranscriptionDelta(item_id=utterance.item_id, content_index=0, delta=piece))

    def _emit(self, event: say.ServerEvent) -> None:
        self._frames.send_nowait(say.write_event(event, self._new_id("event")))

    def _new_id(self, kind: str) -> str:
        self._ids += 1
        return f"t{kind}_{self._number}_{self._ids}"
