"""The live sessions of all instances, listed, shown and ended; the record of a session by its id.

Used by the admin routes of a gateway, and by `voice-trio sessions` on the shared state itself.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from voice_trio import limits
from voice_trio.auth.tokens import user_hash, user_hashes
from voice_trio.errors import StateUnavailable
from voice_trio.session.endings import Ending
from voice_trio.state.session_claims import InstanceRequest, Verb
from voice_trio.state.session_directory import in_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import SecretStr

    from voice_trio.state.session_directory import LiveSession
    from voice_trio.state.session_record import RecordedTurn, SessionRecord
    from voice_trio.state.state import State
    from voice_trio.web.live_sessions import LiveSessions


UNKNOWN_SESSION = "session_unknown"
"""`error.code` of a route for a session that is unknown."""


class EndOutcome(Enum):
    """What became of a request to end a session; the values are public."""

    ENDED = "ended"
    ASKED = "asked"
    """Its instance was asked to end it, and still lists it 3 s later."""
    UNKNOWN = "unknown"
    """No live session has that id."""


class SessionControl:
    """`live` are the sessions of this process, known at once; without it all are known by the directory alone.

    `secrets` are the gateways', for user hashes, today's first; without any a user can only be named by a hash.
    """

    def __init__(self, state: State, secrets: Sequence[SecretStr], live: LiveSessions | None = None) -> None:
        self._state = state
        self._secrets = secrets
        self._live = live

    async def listed(self, user: str | None = None) -> dict[str, Any]:
        """The live sessions of all users or of one, by id or hash: the body of `GET /v1/voice/sessions`.

        At most 1,000, oldest first; `left_out` counts the others. Without `complete` the shared store is unavailable,
        and only those of this process are listed.
        """
        sessions, is_complete = await self._sessions()
        if user is not None:
            hashes = user_hashes(user, self._secrets)
            sessions = [session for session in sessions if session.user in hashes]
        shown = sessions[: limits.DIRECTORY_SESSIONS_MAX]
        return {
            "sessions": [msgspec.to_builtins(session) for session in shown],
            "left_out": len(sessions) - len(shown),
            "complete": is_complete,
        }

    async def described(self, session_id: str, *, words: bool = False) -> dict[str, Any] | None:
        """One session: `live` (None if it is not live) and `record` (None if there is none); None if it is unknown.

        The record holds `words`, what was said and heard, only if they are wanted and were stored. Raises
        `StateUnavailable` if it is not known here, and others cannot be asked.
        """
        record = await self._state.directory.record(session_id)
        live = await self._find(session_id, may_be_missing=record is not None)
        if live is None and record is None:
            return None
        return {
            "session_id": session_id,
            "live": None if live is None else msgspec.to_builtins(live),
            "record": None if record is None else self._described_record(record, words=words),
        }

    async def end(self, session_id: str) -> EndOutcome:
        """End a live session, on whatever instance; it cannot be resumed. Takes at most about 3 s.

        Raises `StateUnavailable` if it is not on this instance and others cannot be asked.
        """
        was_asked = False
        with trio.move_on_after(limits.OPERATOR_END_SECONDS_MAX):
            while True:
                outcome = await self._end_once(session_id, was_asked=was_asked)
                if outcome is not EndOutcome.ASKED:
                    return outcome
                was_asked = True
                await trio.sleep(limits.OPERATOR_POLL_SECONDS)
        return EndOutcome.ASKED if await self._find(session_id) is not None else EndOutcome.UNKNOWN

    async def _end_once(self, session_id: str, *, was_asked: bool) -> EndOutcome:
        """End it here, or ask the instance that lists it now: a resume may have moved it since the last time."""
        if self._live is not None and self._live.end(session_id, Ending.ENDED_BY_OPERATOR):
            return EndOutcome.ENDED
        found = await self._find(session_id)
        if found is not None:
            request = InstanceRequest(Verb.END, session_id)
            is_alive = found.instance == self._state.instance or await self._state.request(found.instance, request)
            return EndOutcome.ASKED if is_alive or was_asked else EndOutcome.UNKNOWN  # gone with its instance
        record = await self._state.directory.record(session_id)
        if record is not None and record.resumable:
            return EndOutcome.ASKED  # perhaps between two connections: an instance lists it within a second
        return EndOutcome.ENDED if was_asked else EndOutcome.UNKNOWN

    async def _find(self, session_id: str, *, may_be_missing: bool = False) -> LiveSession | None:
        sessions, is_complete = await self._sessions()
        found = next((session for session in sessions if session.session_id == session_id), None)
        if found is None and not is_complete and not may_be_missing:
            raise StateUnavailable("Redis is unavailable: sessions of other instances are not known")
        return found

    async def _sessions(self) -> tuple[list[LiveSession], bool]:
        """Those of this process as they are now, and those of others as they were last reported."""
        listed = await self._state.directory.sessions()
        if self._live is None:
            return list(listed.sessions), listed.is_complete
        others = [session for session in listed.sessions if session.instance != self._state.instance]
        return list(in_order([*others, *self._live.described(self._state.instance)])), listed.is_complete

    def _described_record(self, record: SessionRecord, *, words: bool) -> dict[str, Any]:
        described: dict[str, Any] = {
            "user": user_hash(record.user_id, self._secrets[0]) if self._secrets else None,
            "instance": record.instance,
            "started": record.started,
            "connected_seconds": round(record.connected_seconds, 1),
            "cost_usd": record.cost_micro_usd / 1e6,
            "reserved_usd": record.reserved_micro_usd / 1e6,
            "end_reason": record.end_reason,
            "resumable": record.resumable,
            "language": record.language,
            "voice": record.voice,
            "turns": max(record.turn_count, len(record.turns)),
            "turns_by_status": dict(Counter(turn.status for turn in record.turns)),
            "usage": record.usage,
        }
        if words:
            described["words"] = [_words(turn) for turn in record.turns]
        return described


def _words(turn: RecordedTurn) -> dict[str, Any]:
    said, heard = (" ".join(item.text for item in items) for items in (turn.said, turn.heard))
    return {"status": turn.status, "said": said, "heard": heard}
