"""Ends the records of sessions whose instance was killed, and posts them: their cost must not remain untold (I17).

The session can be resumed as before: then it ends again, under a higher revision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Never

import structlog
import trio

from voice_trio import limits

if TYPE_CHECKING:
    from voice_trio.observability.webhook import Webhook
    from voice_trio.state.session_directory import LiveSession
    from voice_trio.state.state import State

log = structlog.get_logger(__name__)


class LostSessionWatch:
    """A task of each process; of all that notice a lost session, one ends its record."""

    def __init__(self, state: State, webhook: Webhook) -> None:
        self._state = state
        self._webhook = webhook
        self._elsewhere: dict[str, LiveSession] = {}
        """By id, as last listed: a killed instance's sessions are listed for some seconds only."""

    async def run(self) -> Never:
        """Look every few seconds, until cancelled."""
        while True:
            await trio.sleep(limits.LOST_SESSION_SECONDS)
            await self.look()

    async def look(self) -> None:
        """End the record of each session that is lost now."""
        listed = await self._state.directory.sessions()
        if not listed.is_complete:
            return
        own = self._state.instance
        now = {session.session_id: session for session in listed.sessions if session.instance != own}
        candidates = {**self._elsewhere, **now}.values()
        gone = await self._state.lost_sessions.gone(frozenset(session.instance for session in candidates))
        self._elsewhere = now
        for session in candidates:
            if session.instance in gone:
                await self._end(session)

    async def _end(self, session: LiveSession) -> None:
        session_id = session.session_id
        record = await self._state.directory.record(session_id)
        if record is None or record.end_reason is not None or record.instance != session.instance:
            return  # it had ended, or another instance has resumed it
        lost = record.lost()
        if await self._state.lost_sessions.claim(session_id, lost.revision):
            await self._state.put_record(lost)
            self._webhook.send(lost)
            log.warning(
                "session_lost",
                session_id=session_id,
                user=session.user,
                lost_instance=session.instance,
                turns=lost.turn_count,
                cost_usd=lost.cost_micro_usd / 1_000_000,
            )
