"""The scripted model: a Realtime server that follows a script, and otherwise keeps a real server's rules.

Times are seconds since the model was made. It serves any `Link`: in memory for virtual time, or TCP (`model_server`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from voice_trio.protocols import json_text
from voice_trio.protocols.realtime import input_events
from voice_trio.protocols.realtime.items import shown
from voice_trio.testing import script, user_speech
from voice_trio.testing.dialects import DIALECTS
from voice_trio.testing.links import Losable
from voice_trio.testing.model_session import Latch, ModelSession
from voice_trio.testing.recorder import Received, Recorder
from voice_trio.testing.script import Answer, AnswerScript
from voice_trio.testing.scripted_server import ScriptedSpeaker
from voice_trio.testing.transcriber import ScriptedTranscriber

if TYPE_CHECKING:
    from collections.abc import Sequence

    import trio

    from voice_trio.errors import LinkClosed
    from voice_trio.net.link import Link
    from voice_trio.protocols.realtime.items import ItemList
    from voice_trio.testing.links import MemoryLink


class ScriptedModel(AnswerScript, ScriptedSpeaker):
    """A Realtime server for tests; the verbs of `AnswerScript` decide what it answers and how it misbehaves.

    `received` holds what clients sent and `said` what the model sent, with times. `session` is the newest connection,
    `connections` counts them, `losses` holds how they ended, `handshakes` what TCP clients asked for.

    `dialect` is the wire that it speaks, by the name of an upstream's profile (`voice_trio.testing.dialects`). The
    verbs and both logs stay in OpenAI's terms, so a test holds for every wire; `wire_received` and `wire_said` have the
    events as they were sent.

    `nursery` is needed only for `connect`; `kept` bounds the logs, for long runs.
    """

    def __init__(
        self, nursery: trio.Nursery | None = None, *, dialect: str = "openai", kept: int | None = None
    ) -> None:
        AnswerScript.__init__(self)
        ScriptedSpeaker.__init__(self, nursery, kept)
        self.speaks = DIALECTS[dialect]
        self.session: ModelSession | None = None
        self.connections = 0
        self.done_latch = Latch()
        self.transcriber = ScriptedTranscriber(nursery, kept=kept)
        """Serves the clients that connect with `?intent=transcription`."""
        self._heard_on_wire, self._said_on_wire = self._heard, self._said
        if dialect != "openai":
            self._heard_on_wire, self._said_on_wire = Recorder(kept), Recorder(kept)

    # Connections

    def connect(self) -> MemoryLink:
        """The client's end of a new connection in memory.

        Raises the error of `refuse_next_connection`, if any, and `RuntimeError` without a nursery.
        """
        return self._connect(self.serve)

    async def serve(self, link: Link) -> None:
        """Serve one session over `link`, until either side ends it."""
        session = self.session = self.new_session(link, self.connections)
        self.connections += 1
        self._arrivals.unpark_all()
        await session.run()

    def new_session(self, link: Link, number: int) -> ModelSession:
        return self.speaks(link, self, number)

    async def wait_for_session(self, number: int | None = None) -> ModelSession:
        """The newest session, once `session.created` was sent; with `number`, once that connection has come."""
        while self.session is None or (number is not None and self.connections <= number):
            await self._arrivals.park()
        await self.session.greeted.wait()
        return self.session

    # What was received and sent

    @property
    def wire_received(self) -> list[Received]:
        """Every client event as it was on the wire of its dialect, in order."""
        return self._heard_on_wire.entries

    @property
    def wire_said(self) -> list[Received]:
        """Every server event as it was on the wire of its dialect, in order."""
        return self._said_on_wire.entries

    @property
    def items(self) -> list[dict[str, Any]]:
        """The items of the newest session as JSON values, in the order of the conversation."""
        return [shown(item) for item in self.session.items.order] if self.session else []

    # The user's speech, as the model hears it

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
        """A whole utterance, from its first audio to its commit; returns the id of its item.

        Times are seconds. The speech `lasts` as long as its words need unless given; `silence` follows until the
        commit. Words come in while it goes on, as if a streaming model transcribed it; the last ones, and the whole
        text `completed_after` the commit, come after this has returned. `words_at` are times from the first audio, one
        for each word. An empty text is transcribed as "".
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
        """Speech began `ago_ms` before the end of the audio so far; returns the id of the item to come.

        With `hear_piece`, `stop_speech` and `complete_transcript` for tests that need each event by itself.
        """
        return user_speech.start_speech(self._live(), ago_ms)

    def hear_piece(self, item_id: str, piece: str) -> None:
        """A transcript delta; `piece` starts with a space where a new word begins."""
        user_speech.hear_piece(self._live(), item_id, piece)

    def stop_speech(self, item_id: str) -> None:
        """Speech ended: it is committed as an item, and answered if the session says so."""
        user_speech.stop_speech(self._live(), item_id)

    def complete_transcript(self, item_id: str, text: str) -> None:
        """The whole transcript, or the failure of `fail_next_transcription`."""
        user_speech.complete(self._live(), item_id, text)

    # Responses

    async def say(self, text: str, **how: Any) -> str:
        """Fill the response that waits for an answer, else begin one that no client asked for; returns its id.

        See `Answer` for `how`. Raises `RuntimeError` while another response of the conversation has its answer.
        """
        session = await self.wait_for_session()
        answer = Answer(text=text, **how)
        active = session.active
        if active is not None and active.waits_to_be_told:
            active.give(answer)
            return active.id
        if active is not None:
            raise RuntimeError("one answer at a time: this model is speaking")
        return session.respond(answer).id

    def next_answer(self, items: ItemList | None = None) -> Answer | None:
        """The answer of the next response; `items` is the conversation that it answers. For subclasses to override."""
        return super().next_answer()

    def hold_done(self) -> None:
        """Keep back every `response.done` until `release_done`; the response stays active that long."""
        self.done_latch.close()

    def release_done(self) -> None:
        """Send what `hold_done` kept back."""
        self.done_latch.open()

    # Trouble

    def send_error(self, code: str, event_id: str | None = None, message: str = "Something went wrong.") -> None:
        """Send an `error` event; `event_id` names the client event that it is about."""
        self._live().emit(
            input_events.error_event(input_events.ErrorDetails(message=message, code=code, event_id=event_id))
        )

    async def drop(self) -> None:
        """Lose the connection without a close frame; raises `TypeError` on links that cannot be lost on purpose."""
        session = self._live()
        if not isinstance(session.link, Losable):
            raise TypeError("only links made for tests can be lost on purpose")
        session.link.reset()
        session.end()
        await session.over.wait()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection with a close frame, after the events that are queued."""
        session = self._live()
        session.close(code, reason)
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
        except json_text.UNREADABLE:
            event = None
        self._heard.record(event if isinstance(event, dict) else {"unreadable": frame}, session)

    def spoke_on_wire(self, event: dict[str, Any], session: int) -> None:
        self._said_on_wire.record(event, session)

    def heard_on_wire(self, event: dict[str, Any], session: int) -> None:
        self._heard_on_wire.record(event, session)

    def heard_audio(self, session: ModelSession, audio: str) -> None:
        """Audio of the user. The scripted model ignores it: `hear_speech` decides what is heard."""

    def lost(self, how: LinkClosed, session: int) -> None:
        self.losses.append(how)

    @property
    def _link(self) -> Link:
        return self._live().link

    def _live(self) -> ModelSession:
        if self.session is None:
            raise RuntimeError("no client has connected to the scripted model")
        return self.session
