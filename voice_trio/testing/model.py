"""The scripted model: a Realtime server that does what a test tells it to, and otherwise keeps a real one's rules.

Times are seconds since the model was made. It serves any `Link`: in memory for virtual time, or TCP (`model_server`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from voice_trio.protocols.realtime import input_events
from voice_trio.protocols.realtime.client_events import ResponseParams
from voice_trio.protocols.realtime.items import shown
from voice_trio.testing import script, user_speech
from voice_trio.testing.links import Losable, MemoryLink, memory_link_pair
from voice_trio.testing.model_session import Latch, ModelSession
from voice_trio.testing.recorder import Received, Recorder
from voice_trio.testing.script import Answer, AnswerScript
from voice_trio.testing.transcriber import ScriptedTranscriber

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.errors import LinkClosed, VoiceTrioError
    from voice_trio.net.link import Link
    from voice_trio.protocols.realtime.items import ItemList
    from voice_trio.testing.model_server import ModelHandshake


class ScriptedModel(AnswerScript):
    """`received` is what clients sent and `said` what they were told, with times; `session` is the newest connection.

    `nursery` is needed only for `connect`; `kept` bounds both logs, for long runs.
    """

    def __init__(self, nursery: trio.Nursery | None = None, *, kept: int | None = None) -> None:
        super().__init__()
        self.session: ModelSession | None = None
        self.connections = 0
        self.losses: list[LinkClosed] = []
        self.handshakes: list[ModelHandshake] = []
        self.done_latch = Latch()
        self.send_latch = Latch()
        self.transcriber = ScriptedTranscriber(nursery, kept=kept)
        """Serves those who connect with `?intent=transcription`."""
        self._nursery = nursery
        self._heard = Recorder(kept)
        self._said = Recorder(kept)
        self._arrivals = trio.lowlevel.ParkingLot()
        self._refusals: list[VoiceTrioError] = []

    # Connections

    def connect(self) -> MemoryLink:
        """The client's end of a new connection in memory; raises what `refuse_next_connection` was given."""
        if self._refusals:
            raise self._refusals.pop(0)
        if self._nursery is None:
            raise RuntimeError("a ScriptedModel needs a nursery to serve what connects to it")
        ours, theirs = memory_link_pair()
        self._nursery.start_soon(self.serve, ours)
        return theirs

    def refuse_next_connection(self, error: VoiceTrioError) -> None:
        """The next `connect` raises `error`; called several times, the next several do."""
        self._refusals.append(error)

    async def serve(self, link: Link) -> None:
        """One session over `link`, until either side ends it."""
        session = self.session = self.new_session(link, self.connections)
        self.connections += 1
        self._arrivals.unpark_all()
        await session.run()

    def new_session(self, link: Link, number: int) -> ModelSession:
        return ModelSession(link, self, number)

    async def wait_for_session(self, number: int | None = None) -> ModelSession:
        """The newest session, or the one of a given number, once it has been greeted."""
        while self.session is None or (number is not None and self.connections <= number):
            await self._arrivals.park()
        await self.session.greeted.wait()
        return self.session

    # What was heard and said

    @property
    def received(self) -> list[Received]:
        """Every client event, in order."""
        return self._heard.entries

    @property
    def said(self) -> list[Received]:
        """Every server event, in order, when it was decided."""
        return self._said.entries

    @property
    def items(self) -> list[dict[str, Any]]:
        """The conversation of the newest session, in the order the model reads it."""
        return [shown(item) for item in self.session.items.order] if self.session else []

    @property
    def now(self) -> float:
        return self._heard.now

    async def hears(self, event_type: str) -> Received:
        """The next client event of a type that was not waited for yet."""
        return await self._heard.hears(event_type)

    def heard(self, event_type: str) -> list[Received]:
        """Every client event of a type so far."""
        return self._heard.heard(event_type)

    async def says(self, event_type: str) -> Received:
        """The next server event of a type that was not waited for yet."""
        return await self._said.hears(event_type)

    # The user's voice, as the model hears it

    async def hear_speech(
        self,
        text: str,
        *,
        words_at: Sequence[float] | None = None,
        first_word_after: float = script.FIRST_WORD_AFTER,
        word_every: float = script.WORD_EVERY,
        lasts: float | None = None,
        silence: float = 0.5,
        completed_after: float = script.COMPLETED_AFTER,
    ) -> str:
        """A whole utterance, from its first sound to its commit; returns its item id.

        Words come in while it goes on, the last ones and the full text after the commit, which this does not wait for.
        `words_at` are times from the first sound, one for each word. Without words nothing is transcribed but "".
        """
        session = await self.wait_for_session()
        said = user_speech.utterance(
            text,
            words_at=words_at,
            first_word_after=first_word_after,
            word_every=word_every,
            lasts=lasts,
            silence=silence,
            completed_after=completed_after,
        )
        return await user_speech.hear(session, said)

    def start_speech(self, *, ago_ms: float = 0.0) -> str:
        """The user's first sound, for tests that want each event by itself; returns the item to come."""
        return user_speech.start_speech(self._live(), ago_ms)

    def hear_piece(self, item_id: str, piece: str) -> None:
        user_speech.hear_piece(self._live(), item_id, piece)

    def stop_speech(self, item_id: str) -> None:
        user_speech.stop_speech(self._live(), item_id)

    def complete_transcript(self, item_id: str, text: str) -> None:
        user_speech.complete(self._live(), item_id, text)

    # The model's voice

    async def say(self, text: str, **how: Any) -> str:
        """Answer the response that waits to be told, else begin one unasked; returns its id. See `Answer` for `how`."""
        session = await self.wait_for_session()
        answer = Answer(text=text, **how)
        active = session.active
        if active is not None and active.waits_to_be_told:
            active.give(answer)
            return active.id
        if active is not None:
            raise RuntimeError("one answer at a time: this model is speaking")
        return session.respond(ResponseParams(), answer).id

    def next_answer(self, items: ItemList | None = None) -> Answer | None:
        """What the next response gets; `items` is the conversation it answers."""
        return super().next_answer()

    def hold_done(self) -> None:
        """Keep back every `response.done` until `release_done`; the response stays active that long."""
        self.done_latch.close()

    def release_done(self) -> None:
        self.done_latch.open()

    # Trouble

    def send_error(self, code: str, event_id: str | None = None, message: str = "Something went wrong.") -> None:
        self._live().emit(
            input_events.error_event(input_events.ErrorDetails(message=message, code=code, event_id=event_id))
        )

    def stall(self) -> None:
        """Say nothing and, in memory, take nothing, until `resume`."""
        self.send_latch.close()
        if isinstance(link := self._live().link, MemoryLink):
            link.stall()

    def resume(self) -> None:
        self.send_latch.open()
        if isinstance(link := self._live().link, MemoryLink):
            link.resume()

    async def drop(self) -> None:
        """Lose the connection without a word."""
        session = self._live()
        if not isinstance(session.link, Losable):
            raise TypeError("only links made for tests can be lost on purpose")
        session.link.reset()
        session.end()
        await session.over.wait()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection politely, after what is still on its way."""
        session = self._live()
        session.say_goodbye(code, reason)
        await session.over.wait()

    # For sessions

    def clock(self) -> int:
        """Unix time, for fields that show it."""
        return int(time.time())

    def spoke(self, frame: str, session: int) -> None:
        self._said.record(msgspec.json.decode(frame), session)

    def heard_frame(self, frame: str | bytes, session: int) -> None:
        try:
            event = msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            event = None
        self._heard.record(event if isinstance(event, dict) else {"unreadable": frame}, session)

    def heard_audio(self, session: ModelSession, audio: str) -> None:
        """Sound of the user; the scripted model is told what it means, by `hear_speech`."""

    def lost(self, how: LinkClosed, session: int) -> None:
        self.losses.append(how)

    def _live(self) -> ModelSession:
        if self.session is None:
            raise RuntimeError("nobody has connected to the scripted model")
        return self.session
