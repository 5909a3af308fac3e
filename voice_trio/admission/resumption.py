"""Continues a session on a new connection: exactly one connection holds it, on whatever instance (I15).

In this process the newest connection waits for those before. In the shared state it takes the place of the holder by
compare-and-set. Whatever fails in between leaves the session to be resumed again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import trio

from voice_trio import limits
from voice_trio.admission import refusals
from voice_trio.admission.grant import SessionGrant
from voice_trio.errors import StateUnavailable, TokenInvalid
from voice_trio.state.state import Granted
from voice_trio.state.takeover import take_session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voice_trio.admission.grant import Capacity
    from voice_trio.admission.refusals import Refusal
    from voice_trio.admission.session_holders import SessionHolder, SessionHolders
    from voice_trio.auth.signed_tokens import ResumeTokens
    from voice_trio.auth.tokens import User
    from voice_trio.state.session_record import SessionRecord
    from voice_trio.state.state import State

_T = TypeVar("_T")


class Resumption:
    """Resumes sessions in this process. `concurrent` is the limit that its refusal names."""

    def __init__(
        self, tokens: ResumeTokens, state: State, capacity: Capacity, holders: SessionHolders, concurrent: int
    ) -> None:
        self._tokens = tokens
        self._state = state
        self._capacity = capacity
        self._holders = holders
        self._concurrent = concurrent

    async def resume(self, user: User, token: str) -> SessionGrant | Refusal:
        """The grant of the session that `token` names: its clock stood still, and it consumes no rate slot.

        Raises `StateUnavailable`. When refused or cancelled nothing stays taken.
        """
        try:
            session_id = self._tokens.read(token, user.id)
        except TokenInvalid:
            return refusals.no_resume("token")
        if self._capacity.is_draining:  # before a session that is live elsewhere ends for it
            return refusals.draining()
        look = partial(self._state.record, user.id, session_id)
        if cause := _obstacle(await self._patiently(look)):
            return refusals.no_resume(cause)
        await self._capacity.wait_relief(is_resume=True)
        holder = self._holders.enter(session_id)
        outcome: SessionGrant | Refusal | None = None
        try:
            outcome = await self._resume_as(holder, user)
        finally:
            if not isinstance(outcome, SessionGrant):
                holder.release()
        return outcome

    async def _resume_as(self, holder: SessionHolder, user: User) -> SessionGrant | Refusal:
        if not await holder.wait_turn():
            return refusals.taken_over()
        if not self._capacity.take(is_resume=True):
            return no_place(self._capacity)
        outcome: SessionRecord | Refusal | None = None
        try:
            outcome = await self._claim(holder, user)
        finally:
            if outcome is None or isinstance(outcome, refusals.Refusal):
                self._capacity.release()
        if isinstance(outcome, refusals.Refusal):
            return outcome
        return SessionGrant(user, user.plan, holder.session_id, holder, self._state, self._capacity, resumed=outcome)

    async def _claim(self, holder: SessionHolder, user: User) -> SessionRecord | Refusal:
        """Take the session in the shared state, then read its last record; give it back if that is no use."""
        session = (user.id, holder.session_id)
        take = partial(take_session, self._state, *session, holder.name, lambda: holder.is_lost)
        taken = await self._patiently(take)
        if taken is None:
            return refusals.taken_over()
        if not isinstance(taken, Granted):
            return refusals.too_many_sessions(self._concurrent)
        record: SessionRecord | None = None
        is_kept = False
        try:
            record = await self._patiently(partial(self._state.record, *session))
            is_kept = not _obstacle(record) and not holder.is_lost
        finally:
            if not is_kept:
                # Without the store the lease expires by itself.
                with trio.move_on_after(limits.RELEASE_SECONDS_MAX, shield=True), suppress(StateUnavailable):
                    await self._state.end(*session, holder.name)
        if record is None or not is_kept:
            return refusals.taken_over() if holder.is_lost else refusals.no_resume(_obstacle(record))
        return record

    async def _patiently(self, step: Callable[[], Awaitable[_T]]) -> _T:
        """The result of `step`, which is idempotent, from the shared store if that is back within 2 s.

        Without the store a session of another instance would be taken for one that does not exist.
        """
        give_up_at = trio.current_time() + limits.RESUME_STORE_SECONDS_MAX
        while True:
            is_last = trio.current_time() >= give_up_at
            if is_last or not self._is_away:
                try:
                    result = await step()
                except StateUnavailable:
                    if is_last:
                        raise
                else:
                    if is_last or not self._is_away:
                        return result
            await trio.sleep(limits.RESUME_STORE_PAUSE_SECONDS)

    @property
    def _is_away(self) -> bool:
        health = self._state.health
        return health.enabled and not health.available


def no_place(capacity: Capacity) -> Refusal:
    """The refusal of a client for which `capacity` has no place."""
    if capacity.is_draining:
        return refusals.draining()
    return replace(refusals.at_capacity(), facts={"cause": "full" if capacity.is_full else "overloaded"})


def _obstacle(record: SessionRecord | None) -> str:
    """Why a session cannot be resumed, for the log; "" if it can."""
    if record is None:
        return "no_record"
    if not record.resumable:
        return "over"
    return "" if record.seconds_left >= limits.RESUME_SECONDS_LEFT_MIN else "no_time_left"
