"""The sessions of this process, and the tasks that end them from outside: rollout changes, takeovers, shutdown."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Never

import structlog
import trio

from voice_trio import limits
from voice_trio.net.background import contain
from voice_trio.session.endings import Ending

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.session.session import Session
    from voice_trio.state.state import State

log = structlog.get_logger(__name__)


class LiveSessions:
    """The sessions that are open now; can end one of them or all."""

    def __init__(self) -> None:
        self._sessions: set[Session] = set()
        self._handled: dict[str, trio.Event] = {}
        self._is_draining = False
        self._common_ending: Ending | None = None
        self._changed = trio.Event()

    def __len__(self) -> int:
        """The number of open sessions."""
        return sum(not session.is_over for session in self._sessions)

    def unsent_share(self, now: float) -> float:
        """The share of open sessions that have had a frame unsent for longer than `UNSENT_SECONDS_MAX`.

        A share of at least `OVERLOAD_SESSIONS_MIN`: two slow clients of three are slow themselves.
        """
        before = now - limits.UNSENT_SECONDS_MAX
        waiting = sum((since := session.unsent_since) is not None and since < before for session in self._sessions)
        return waiting / max(limits.OVERLOAD_SESSIONS_MIN, len(self._sessions))

    @contextmanager
    def handling(self, session_id: str) -> Iterator[None]:
        """Marks the block that handles a session, from its admission until its grant is released."""
        done = self._handled[session_id] = trio.Event()
        try:
            yield
        finally:
            done.set()
            if self._handled.get(session_id) is done:
                del self._handled[session_id]

    async def evict(self, session_id: str) -> None:
        """End the connection of this process that holds the session, if any, and wait until its grant is released."""
        for session in tuple(self._sessions):
            if session.config.session_id == session_id:
                session.end(Ending.TAKEN_OVER)
        if session_id in self._handled:
            with trio.move_on_after(limits.EVICT_SECONDS_MAX):
                await self._handled[session_id].wait()

    @contextmanager
    def track(self, session: Session) -> Iterator[None]:
        """Counts the session as live within the block; ends it at once if all sessions are being ended."""
        self._sessions.add(session)
        if self._is_draining:
            session.drain()
        if self._common_ending is not None:
            session.end(self._common_ending)
        try:
            yield
        finally:
            self._sessions.discard(session)
            self._changed.set()

    def end_all(self, ending: Ending | None) -> None:
        """End every session now, and every later one at its start, until this is called with None."""
        self._common_ending = ending
        if ending is not None:
            for session in tuple(self._sessions):
                session.end(ending)

    def drain(self) -> None:
        """The server stops: each session ends after its response, at the latest at its deadline."""
        if not self._is_draining:
            self._is_draining = True
            for session in tuple(self._sessions):
                session.drain()

    async def wait_until_empty(self) -> None:
        """Return when the last session is over."""
        while self._sessions:
            self._changed = trio.Event()
            await self._changed.wait()


async def follow_rollout(state: State, live: LiveSessions) -> Never:
    """End all sessions while the rollout document says so, later ones too; runs until cancelled."""
    rollout = await state.rollout()
    while True:
        if rollout.ends_sessions:
            log.warning("rollout_ends_sessions", sessions=len(live), version=rollout.version)
        live.end_all(Ending.SWITCHED_OFF if rollout.ends_sessions else None)
        rollout = await state.wait_rollout_change(rollout)


async def follow_takeovers(state: State, live: LiveSessions) -> Never:
    """Evict each session that another instance resumes; runs until cancelled."""
    async with trio.open_nursery() as nursery:
        while True:
            nursery.start_soon(contain, live.evict, await state.wait_takeover())
