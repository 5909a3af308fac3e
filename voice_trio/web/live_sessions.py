"""The sessions of this process, and the tasks that end them from outside: rollout changes, takeovers, shutdown."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Never

import structlog
import trio
from cachetools import FIFOCache

from voice_trio import limits
from voice_trio.session.endings import Ending
from voice_trio.session.summary import Activity
from voice_trio.state.session_claims import Verb
from voice_trio.state.session_directory import LiveSession

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from voice_trio.admission.session_holders import SessionHolders
    from voice_trio.session.session import Session
    from voice_trio.state.state import State

log = structlog.get_logger(__name__)


class LiveSessions:
    """The sessions that are open now; can end one of them or all."""

    def __init__(self) -> None:
        self._sessions: dict[Session, float] = {}  # since when, in Unix seconds
        self._is_draining = False
        self._common_ending: Ending | None = None
        self._barred: Collection[str] = ()
        self._changed = trio.Event()
        self.begun: FIFOCache[str, str] = FIFOCache(limits.RECORDS_MAX)
        """The users' ids by the ids of sessions that began; the directory of sessions takes them out."""

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
    def track(self, session: Session, user_id: str = "") -> Iterator[None]:
        """Counts the session as live within the block; ends it at once if it must not live (any more)."""
        self._sessions[session] = time.time()
        self._note_change()
        if user_id:
            self.begun[session.config.session_id] = user_id
        if self._is_draining:
            session.drain()
        if self._common_ending is not None:
            session.end(self._common_ending)
        if self._barred and session.config.user in self._barred:
            session.end(Ending.ENDED_BY_OPERATOR)
        try:
            yield
        finally:
            self._sessions.pop(session, None)
            self._note_change()

    def end(self, session_id: str, ending: Ending) -> bool:
        """End one session; False if it is not live here, or already ends for another reason."""
        found = [session for session in self._sessions if session.config.session_id == session_id]
        for session in found:
            session.end(ending)
        return any(session.summary.ending is ending for session in found)

    def bar(self, users: Collection[str]) -> int:
        """End the sessions of these users (hashes) now, and later ones at their start; returns how many end now."""
        self._barred = frozenset(users)
        found = [session for session in self._sessions if session.config.user in self._barred]
        for session in found:
            session.end(Ending.ENDED_BY_OPERATOR)
        return len(found)

    def described(self, instance: str) -> list[LiveSession]:
        """The sessions as the directory lists them; `instance` is the id of this process."""
        return [self._described(session, instance) for session in self._sessions if not session.is_over]

    def _described(self, session: Session, instance: str) -> LiveSession:
        config, now = session.config, session.describe()
        is_draining = self._is_draining and now.activity is not Activity.ENDING
        return LiveSession(
            session_id=config.session_id,
            user=config.user,
            plan=config.plan,
            since=round(self._sessions[session], 3),
            connected_seconds=round(config.connected_before_seconds + now.ready_seconds, 1),
            cost_usd=round(config.cost_before_usd + float(now.cost_usd), 6),
            state=(Activity.DRAINING if is_draining else now.activity).value,
            protocol="voice" if config.passthrough is None else "realtime",
            instance=instance,
            turns=session.summary.turns,
        )

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
            await self._changed.wait()

    @property
    def changed(self) -> trio.Event:
        """Set when the next session begins or ends."""
        return self._changed

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


async def follow_rollout(state: State, live: LiveSessions) -> Never:
    """End all sessions, or those of barred users, while the rollout document says so; runs until cancelled."""
    rollout = await state.rollout()
    while True:
        if rollout.ends_sessions:
            log.warning("rollout_ends_sessions", sessions=len(live), version=rollout.version)
        live.end_all(Ending.SWITCHED_OFF if rollout.ends_sessions else None)
        if ended := live.bar(rollout.barred):
            log.warning("barred_sessions_ended", sessions=ended, version=rollout.version)
        rollout = await state.wait_rollout_change(rollout)


async def follow_requests(state: State, live: LiveSessions, holders: SessionHolders) -> Never:
    """Carry out what other instances ask of this one; runs until cancelled."""
    while True:
        request = await state.wait_request()
        match request.verb:
            case Verb.TAKE_OVER:
                holders.lose(request.session_id, request.holder)
            case Verb.END:
                live.end(request.session_id, Ending.ENDED_BY_OPERATOR)
