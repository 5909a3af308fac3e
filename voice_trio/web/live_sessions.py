"""The sessions that live in this process."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

from voice_trio.session.endings import Ending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.session.session import Session


TAKE_OVER_SECONDS_MAX = 5.0
"""Goodbyes are bounded; beyond this the session goes on without them."""


class LiveSessions:
    """Who is talking now; knows how to end them all."""

    def __init__(self) -> None:
        self._sessions: set[Session] = set()
        self._handled: dict[str, trio.Event] = {}
        self._is_draining = False
        self._everyones_ending: Ending | None = None
        self._changed = trio.Event()

    def __len__(self) -> int:
        """Sessions open now."""
        return sum(not session.is_over for session in self._sessions)

    @contextmanager
    def handling(self, session_id: str) -> Iterator[None]:
        """A connection works for that session within the block, from its admission until all was given back."""
        done = self._handled[session_id] = trio.Event()
        try:
            yield
        finally:
            done.set()
            if self._handled.get(session_id) is done:
                del self._handled[session_id]

    async def evict(self, session_id: str) -> None:
        """End the connection that holds this session here, if one does, and wait until it has let go."""
        for session in tuple(self._sessions):
            if session.terms.session_id == session_id:
                session.end(Ending.TAKEN_OVER)
        if session_id in self._handled:
            with trio.move_on_after(TAKE_OVER_SECONDS_MAX):
                await self._handled[session_id].wait()

    @contextmanager
    def entered(self, session: Session) -> Iterator[None]:
        """The session counts as live within the block; one that comes while all are being ended is ended too."""
        self._sessions.add(session)
        if self._is_draining:
            session.drain()
        if self._everyones_ending is not None:
            session.end(self._everyones_ending)
        try:
            yield
        finally:
            self._sessions.discard(session)
            self._changed.set()

    def end_all(self, ending: Ending | None) -> None:
        """Every session ends now, and so does every later one; until this is called with None."""
        self._everyones_ending = ending
        if ending is not None:
            for session in tuple(self._sessions):
                session.end(ending)

    def drain(self) -> None:
        """The server stops: every session may finish its answer and then ends."""
        if not self._is_draining:
            self._is_draining = True
            for session in tuple(self._sessions):
                session.drain()

    async def wait_until_empty(self) -> None:
        """Return when no session is left."""
        while self._sessions:
            self._changed = trio.Event()
            await self._changed.wait()
