"""The scripted transcriber: the server of a sidecar, a transcription session without turn detection.

It keeps a real server's rules: the client commits, at least 100 ms at a time, and words come later than their audio.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from voice_trio.errors import LinkClosed, VoiceTrioError
from voice_trio.protocols.audio import audio_ms
from voice_trio.protocols.realtime import input_events, server_events, sessions
from voice_trio.protocols.realtime_server.session import ServerSession
from voice_trio.protocols.realtime_server.session_object import SessionObject, refuse_transcription_model
from voice_trio.testing import script
from voice_trio.testing.links import Losable, MemoryLink
from voice_trio.testing.script import ScriptedTranscript
from voice_trio.testing.scripted_server import ScriptedServer

if TYPE_CHECKING:
    from voice_trio.net.link import Link
    from voice_trio.protocols.realtime.items import Item
    from voice_trio.protocols.realtime_server.response import ServerResponse

SESSION_SECONDS = 3600
QUEUED_FRAMES_MAX = 10_000


class ScriptedTranscriber(ScriptedServer):
    """A transcription server whose transcripts a test decides. Times are seconds since it was made.

    `nursery` is needed only for `connect`; `kept` bounds the log, for long runs. `connections` counts them, and
    `losses` holds how each ended.
    """

    def __init__(self, nursery: trio.Nursery | None = None, *, kept: int | None = None) -> None:
        super().__init__(nursery, kept)
        self.connections = 0
        self.refuses_model = False
        self._coming: deque[ScriptedTranscript] = deque()
        self._session: TranscriberSession | None = None
        self._live = 0
        self._stalled: list[MemoryLink] = []

    # Connections

    @property
    def is_connected(self) -> bool:
        """Whether a client is connected."""
        return self._live > 0

    def connect(self) -> MemoryLink:
        """The client's end of a new connection in memory; raises the next error of `refuse_next_connections`.

        Raises `RuntimeError` without a nursery.
        """
        return self._connect(self.serve)

    async def serve(self, link: Link) -> None:
        """Serve one session over `link`, until either side ends it."""
        session = self._session = TranscriberSession(link, self, self.connections)
        self.connections += 1
        self._live += 1
        try:
            await session.run()
        finally:
            self._live -= 1

    # What clients sent

    def heard_seconds(self) -> float:
        """How much audio came, in all."""
        return sum(audio_ms(each.event["audio"]) for each in self.heard("input_audio_buffer.append")) / 1000

    # What it will do

    def will_hear(self, text: str, **how: Any) -> None:
        """Transcribe the next utterance that has no transcript yet as `text`; see `ScriptedTranscript` for `how`."""
        self._coming.append(ScriptedTranscript(text, **how))

    def refuse_model(self) -> None:
        """Refuse every session.update: its transcription model does not exist here."""
        self.refuses_model = True

    def refuse_next_connections(self, *errors: VoiceTrioError) -> None:
        """Raise these errors from the next calls of `connect`, one each."""
        self._refusals.extend(errors)

    def stall(self) -> None:
        """Read nothing any more, on a connection in memory, until `resume`."""
        if self._session is not None and isinstance(self._session.link, MemoryLink):
            self._session.link.stall()
            self._stalled.append(self._session.link)

    def resume(self) -> None:
        """Read again on every connection that stalled."""
        while self._stalled:
            self._stalled.pop().resume()

    def drop(self) -> None:
        """Lose the connection without a close frame; raises `TypeError` where there is none that can be lost."""
        session = self._session
        if session is None or not isinstance(session.link, Losable):
            raise TypeError("no client is connected by a link that can be lost on purpose")
        session.link.reset()
        session.end()

    # For sessions

    def next_transcript(self) -> ScriptedTranscript:
        return self._coming.popleft() if self._coming else ScriptedTranscript("")

    def record(self, frame: str | bytes, session: int) -> None:
        self._heard.record(msgspec.json.decode(frame), session)


@dataclass(slots=True)
class _SpokenItem:
    item_id: str
    transcript: ScriptedTranscript
    began_at: float
    ms: float = 0.0
    words_sent: int = 0
    words: trio.CancelScope = field(default_factory=trio.CancelScope)


class TranscriberSession:
    """One transcription session over one link; `number` counts connections from 0."""

    def __init__(self, link: Link, transcriber: ScriptedTranscriber, number: int) -> None:
        self.link = link
        self._transcriber = transcriber
        self._number = number
        self._ids = 0
        shown = sessions.new_transcription_session(f"tsess_{number}", int(time.time()) + SESSION_SECONDS)
        self._server = ServerSession(self, self, SessionObject(shown, ()), "")
        self._coming: _SpokenItem | None = None
        self._scope = trio.CancelScope()
        self._frames, self._outgoing = trio.open_memory_channel[str](QUEUED_FRAMES_MAX)

    async def run(self) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._write)
                self._server.begin()
                await self._read()
                nursery.cancel_scope.cancel(reason="the client is gone")

    def end(self) -> None:
        self._scope.cancel(reason="ended by the script")

    async def _read(self) -> None:
        while True:
            try:
                frame = await self.link.receive()
            except LinkClosed as closed:
                self._transcriber.losses.append(closed)
                return
            self._transcriber.record(frame, self._number)
            self._server.receive(frame)

    async def _write(self) -> None:
        async for frame in self._outgoing:
            try:
                await self.link.send(frame)
            except LinkClosed:
                return

    # The sink of events

    def emit(self, event: input_events.ServerEvent) -> None:
        self._frames.send_nowait(server_events.write_event(event, self.new_id("event")))

    def new_id(self, kind: str) -> str:
        self._ids += 1
        return f"t{kind}_{self._number}_{self._ids}"

    # What the shared session asks of its host

    @property
    def uncommitted_ms(self) -> float:
        return self._coming.ms if self._coming else 0.0

    def audio_appended(self, audio: str) -> None:
        if self._coming is None:
            transcript = self._transcriber.next_transcript()
            self._coming = _SpokenItem(self.new_id("item"), transcript, trio.current_time())
            self._nursery.start_soon(self._send_words, self._coming)
        self._coming.ms += audio_ms(audio)

    def audio_committed(self) -> None:
        item, self._coming = self._coming, None
        if item is not None:
            self._server.commit(item.item_id, item.ms)
            item.words.cancel(reason="committed")
            self._nursery.start_soon(self._send_the_rest, item)

    def audio_cleared(self) -> None:
        if self._coming is not None:
            self._coming.words.cancel(reason="cleared")
        self._coming = None

    def session_changing(self, changed: sessions.Session) -> None:
        if self._transcriber.refuses_model:
            raise refuse_transcription_model(changed)

    def item_created(self, item: Item, pcm: bytes) -> None:
        """Nothing to do: only what comes through the buffer is transcribed."""

    def item_deleted(self, item_id: str) -> None:
        """Nothing to do: the conversation has forgotten it."""

    def generate(self, response: ServerResponse) -> None:
        raise NotImplementedError("a transcription session creates no responses")

    def cut(self, response: ServerResponse, reason: str) -> None:
        raise NotImplementedError("a transcription session creates no responses")

    # Transcripts

    async def _send_words(self, item: _SpokenItem) -> None:
        transcript = item.transcript
        with item.words:
            for number, piece in enumerate(transcript.pieces):
                due = item.began_at + transcript.first_word_after + number * transcript.word_every
                await trio.sleep_until(due)
                self._send_word(item, piece)

    async def _send_the_rest(self, item: _SpokenItem) -> None:
        transcript, committed_at = item.transcript, trio.current_time()
        await trio.sleep(min(script.LAST_WORDS_WITHIN / 2, transcript.completed_after / 2))
        for piece in transcript.pieces[item.words_sent :]:
            self._send_word(item, piece)
        await trio.sleep_until(committed_at + transcript.completed_after)
        self._server.transcript_completed(item.item_id, transcript.text, transcript.usage)

    def _send_word(self, item: _SpokenItem, piece: str) -> None:
        item.words_sent += 1
        self._server.transcript_delta(item.item_id, piece)
