"""The scripted full-duplex model: a server of the GPT-Live API that speaks by a script and keeps the API's rules.

It was written from the API's types and from recorded traffic, not from the gateway. Its output never pauses: from the
first sound that it hears it sends a piece each 100 ms, and all but what it says is silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from voice_trio.testing.links import Losable, MemoryLink, memory_link_pair
from voice_trio.testing.live_session import LiveModelSession
from voice_trio.testing.recorder import Received, Recorder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.errors import LinkClosed, VoiceTrioError
    from voice_trio.net.link import Link

WORD_EVERY = 0.2
WORD_LAG = 0.5
"""Seconds from the end of a word to its transcript; 0.4 to 0.8 were recorded."""
ANSWER_AFTER = 0.3
"""Seconds from the transcript of the last word to the first word of the answer; 0.12 to 0.55 were recorded."""


class ScriptedLiveModel:
    """A GPT-Live server for tests. `received` and `said` are all events of both sides, with times."""

    def __init__(self, nursery: trio.Nursery | None = None, *, kept: int | None = None) -> None:
        self.sessions: list[LiveModelSession] = []
        self.losses: list[LinkClosed] = []
        self.stored: dict[str, dict[str, Any]] = {}
        """The settings of sessions that were begun with `store`, by id; those can be forked."""
        self._nursery = nursery
        self._heard = Recorder(kept)
        self._said = Recorder(kept)
        self._refusals: list[VoiceTrioError] = []
        self._arrivals = trio.lowlevel.ParkingLot()

    # Connections

    def connect(self, fork_of: str = "") -> MemoryLink:
        """The client's end of a new connection in memory; with `fork_of` at the path of that session's forks."""
        if self._refusals:
            raise self._refusals.pop(0)
        if self._nursery is None:
            raise RuntimeError("a ScriptedLiveModel needs a nursery to serve what connects to it")
        ours, theirs = memory_link_pair()
        self._nursery.start_soon(self.serve, ours, fork_of)
        return theirs

    def refuse_next_connection(self, error: VoiceTrioError) -> None:
        """The next `connect` raises `error`; called several times, the next several do."""
        self._refusals.append(error)

    async def serve(self, link: Link, fork_of: str = "") -> None:
        """Serve one session over `link`, until either side ends it."""
        session = LiveModelSession(link, self, len(self.sessions), fork_of)
        self.sessions.append(session)
        self._arrivals.unpark_all()
        await session.run()

    async def wait_for_session(self, number: int | None = None) -> LiveModelSession:
        """The newest session, once it has started; with `number`, that one."""
        while not self.sessions or (number is not None and len(self.sessions) <= number):
            await self._arrivals.park()
        session = self.sessions[-1 if number is None else number]
        await session.started.wait()
        return session

    @property
    def session(self) -> LiveModelSession:
        """The newest session; raises `RuntimeError` before the first."""
        if not self.sessions:
            raise RuntimeError("no client has connected to the scripted model")
        return self.sessions[-1]

    # What was received and sent

    @property
    def received(self) -> list[Received]:
        """Every client event, in order."""
        return self._heard.entries

    @property
    def said(self) -> list[Received]:
        """Every server event, in order."""
        return self._said.entries

    def heard(self, event_type: str) -> list[Received]:
        """Every client event of a type so far."""
        return self._heard.heard(event_type)

    async def hears(self, event_type: str) -> Received:
        """The next client event of a type that no earlier call returned; waits for it."""
        return await self._heard.hears(event_type)

    async def says(self, event_type: str) -> Received:
        """The next server event of a type that no earlier call returned; waits for it."""
        return await self._said.hears(event_type)

    # The conversation

    async def hear_speech(
        self,
        text: str,
        *,
        word_every: float = WORD_EVERY,
        lags: Sequence[float] = (),
        answer: str = "",
        answer_after: float = ANSWER_AFTER,
    ) -> None:
        """The user says `text`; returns when the transcript of its last word was sent.

        `lags` are the seconds from the end of each word to its transcript. `answer` is spoken `answer_after` the last
        one, and is not waited for.
        """
        session = await self.wait_for_session()
        words = text.split()
        began = trio.current_time()
        sent_at = began
        for number, word in enumerate(words):
            said_at = began + (number + 1) * word_every
            lag = lags[number] if number < len(lags) else WORD_LAG
            sent_at = max(sent_at, said_at + lag)  # words come in their order
            await trio.sleep_until(sent_at)
            session.transcribe(word if not number else " " + word, said_at - word_every, said_at)
        if answer:
            session.answer_soon(answer, answer_after)

    async def speak(self, text: str, *, word_every: float = WORD_EVERY, loud_ms: float | None = None) -> None:
        """The model speaks, a word every `word_every`; returns when it has said it all.

        Its sound is loud for as long as it speaks, or for `loud_ms`.
        """
        session = await self.wait_for_session()
        await session.speak(text, word_every, loud_ms)

    def delegate(self, delegation_id: str = "delegation_1") -> None:
        """Ask the client for knowledge."""
        self.session.delegate(delegation_id)

    # Trouble

    def send_error(self, code: str | None, event_id: str | None = None, message: str = "Something went wrong.") -> None:
        """Send an `error` event, whose code may be null."""
        self.session.send_error(code, message, event_id)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection with a close frame, after the events that are queued."""
        await self.session.close(code, reason)

    async def expire(self) -> None:
        """The session has reached its longest duration."""
        self.session.say_closed("expired")
        await self.session.close(1000, "")

    def drop(self) -> None:
        """Lose the connection without a close frame; raises `TypeError` on links that cannot be lost on purpose."""
        session = self.session
        if not isinstance(session.link, Losable):
            raise TypeError("only links made for tests can be lost on purpose")
        session.link.reset()
        session.end()

    # For sessions

    def note_heard(self, event: dict[str, Any], session: int) -> None:
        self._heard.record(event, session)

    def note_said(self, event: dict[str, Any], session: int) -> None:
        self._said.record(event, session)
