"""The scripted transcriber: the other end of a sidecar, which hears one utterance after the other and finds no turns.

It keeps a real one's rules: no turn detection, a commit by hand of at least 100 ms, one item until then, words behind
the sound. Times are seconds since it was made, unless a verb says otherwise.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from voice_trio.protocols.audio import audio_ms
from voice_trio.testing.links import Losable, MemoryLink, memory_link_pair
from voice_trio.testing.recorder import Received, Recorder
from voice_trio.testing.transcriber_session import ScriptedTranscript, TranscriberSession

if TYPE_CHECKING:
    import trio

    from voice_trio.errors import LinkClosed, VoiceTrioError
    from voice_trio.net.link import Link


class ScriptedTranscriber:
    """`received` is what clients sent, with times; a nursery is needed only for `connect`, `kept` bounds the log."""

    def __init__(self, nursery: trio.Nursery | None = None, *, kept: int | None = None) -> None:
        self.connections = 0
        self.losses: list[LinkClosed] = []
        self.refuses_model = False
        self._nursery = nursery
        self._coming: deque[ScriptedTranscript] = deque()
        self._log = Recorder(kept)
        self._refusals: list[VoiceTrioError] = []
        self._session: TranscriberSession | None = None
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
        session = self._session = TranscriberSession(link, self, self.connections)
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
        self._coming.append(ScriptedTranscript(text, **how))

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

    def next_heard(self) -> ScriptedTranscript:
        return self._coming.popleft() if self._coming else ScriptedTranscript("")

    def record(self, frame: str | bytes, session: int) -> None:
        event = msgspec.json.decode(frame)
        self._log.record(event, session)
