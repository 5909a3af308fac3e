"""The sessions that live in this process."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.session.session import Session


class LiveSessions:
    """Who is talking now; knows how to end them all."""

    def __init__(self) -> None:
        self._sessions: set[Session] = set()
        self._is_draining = False
        self._changed = trio.Event()

    def __len__(self) -> int:
        """Sessions open now."""
        return len(self._sessions)

    @contextmanager
    def entered(self, session: Session) -> Iterator[None]:
        """The session counts as live within the block; one that comes while all are being ended is ended too."""
        self._sessions.add(session)
        if self._is_draining:
            session.drain()
        try:
            yield
        finally:
            self._sessions.discard(session)
            self._changed.set()

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
