"""The scripted full-duplex model: a server of the GPT-Live API that speaks by a script and keeps the API's rules.

It was written from the API's types and from recorded traffic, not from the gateway. Its output never pauses: from the
first sound that it hears it sends a piece each 100 ms, and all but what it says is silence.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from voice_trio.testing.links import Losable
from voice_trio.testing.live_session import LiveModelSession
from voice_trio.testing.live_speech import GIVES_WAY_AFTER, WORD_EVERY
from voice_trio.testing.scripted_server import ScriptedSpeaker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.net.link import Link
    from voice_trio.testing.links import MemoryLink

WORD_LAG = 0.5
"""Seconds from the end of a word to its transcript; 0.4 to 0.8 were recorded."""
ANSWER_AFTER = 0.3
"""Seconds from the transcript of the last word to the first word of the answer; 0.003 to 0.55 were recorded."""


class ScriptedLiveModel(ScriptedSpeaker):
    """A GPT-Live server for tests. `received` and `said` are all events of both sides, with times.

    `sessions` are its connections, `losses` how they ended, `handshakes` what TCP clients asked for. `nursery` is
    needed only for `connect`; `kept` bounds both logs, for long runs.
    """

    def __init__(self, nursery: trio.Nursery | None = None, *, kept: int | None = None) -> None:
        super().__init__(nursery, kept)
        self.sessions: list[LiveModelSession] = []
        self.stored: dict[str, dict[str, Any]] = {}
        """The settings of sessions that were begun with `store`, by id; those can be forked."""
        self._delegations = 0

    # Connections

    def connect(self, fork_of: str = "") -> MemoryLink:
        """The client's end of a new connection in memory; with `fork_of` at the path of that session's forks."""
        return self._connect(partial(self.serve, fork_of=fork_of))

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

    # The conversation

    async def hear_speech(
        self,
        text: str,
        *,
        word_every: float = WORD_EVERY,
        ends_at: Sequence[float] = (),
        lags: Sequence[float] = (),
        answer: str = "",
        answer_after: float = ANSWER_AFTER,
    ) -> None:
        """The user says `text`; returns when the transcript of its last word was sent.

        A word ends each `word_every` seconds, or at `ends_at` from now, one for each word. `lags` are the seconds from
        the end of each word to its transcript. `answer` is spoken `answer_after` the last one, and is not waited for.
        The model gives way when the user talks over it.
        """
        session = await self.wait_for_session()
        began = trio.current_time()
        words = text.split()
        ends = ends_at or [(number + 1) * word_every for number in range(len(words))]
        said_at = began
        sent_at = began
        if session.speech.is_going_on:
            session.speech.stop_soon(GIVES_WAY_AFTER)
        for number, word in enumerate(words):
            start_at, said_at = said_at, began + ends[number]
            lag = lags[number] if number < len(lags) else WORD_LAG
            sent_at = max(sent_at, said_at + lag)  # words come in their order
            await trio.sleep_until(sent_at)
            session.transcribe(" " + word, start_at, said_at)
        if answer:
            session.speech.answer_soon(answer, answer_after)

    async def speak(self, text: str, *, word_every: float = WORD_EVERY, loud_ms: float | None = None) -> None:
        """The model speaks, a word every `word_every`; returns when it has said it all, or gave way to the user.

        Its sound is loud for as long as it speaks, or for `loud_ms`.
        """
        session = await self.wait_for_session()
        await session.speech.say(text, word_every, loud_ms)

    def delegate(self) -> str:
        """Ask the client for knowledge, if the session delegates to it; returns the id of the delegation."""
        self._delegations += 1
        delegation_id = f"item_{self._delegations}"
        self.session.delegate(delegation_id)
        return delegation_id

    @property
    def told(self) -> list[str]:
        """The content of the appends that the model of the newest session has learned, in order."""
        return self.session.told

    # Trouble

    def send_error(self, code: str | None, event_id: str | None = None, message: str = "Something went wrong.") -> None:
        """Send an `error` event, whose code may be null."""
        self.session.send_error(code, message, event_id)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection with a close frame, after the events that are queued."""
        await self.session.close(code, reason)

    async def expire(self) -> None:
        """The session has reached its longest duration."""
        await self.end("expired")

    async def end(self, reason: str) -> None:
        """The server ends the session and says why: `expired`, `content`, `connection_lost` …"""
        self.session.say_closed(reason)
        await self.session.close(1000, "")

    def drop(self) -> None:
        """Lose the connection without a close frame; raises `TypeError` on links that cannot be lost on purpose."""
        session = self.session
        if not isinstance(session.link, Losable):
            raise TypeError("only links made for tests can be lost on purpose")
        session.link.reset()
        session.end()

    @property
    def _link(self) -> Link:
        return self.session.link

    # For sessions

    def note_heard(self, event: dict[str, Any], session: int) -> None:
        self._heard.record(event, session)

    def note_said(self, event: dict[str, Any], session: int) -> None:
        self._said.record(event, session)
