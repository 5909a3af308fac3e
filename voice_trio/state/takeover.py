"""How a connection takes a session over from the connection that holds it, on whatever instance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.state.session_claims import HeldBy, InstanceRequest, Verb, instance_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.state.state import Granted, LimitReached, State


async def take_session(
    state: State, user_id: str, session_id: str, holder: str, is_given_up: Callable[[], bool]
) -> Granted | LimitReached | None:
    """Make `holder` the session's holder, with a lease under the concurrency limit; None once `is_given_up`.

    A holder elsewhere is asked to end and has 0.7 s, none if its instance is gone. One of this instance is replaced at
    once: the caller has waited for it. Raises `StateUnavailable`.
    """
    asked: dict[str, float] = {}
    replacing = ""
    while not is_given_up():
        decision = await state.claim(user_id, session_id, holder, replacing=replacing)
        if not isinstance(decision, HeldBy):
            return decision
        other = decision.holder
        if instance_of(other) == state.instance:
            replacing = other
            continue
        now = trio.current_time()
        if other not in asked:
            asked[other] = now + limits.TAKE_OVER_SECONDS_MAX
            is_alive = await state.request(
                instance_of(other), InstanceRequest(Verb.TAKE_OVER, session_id, holder=other)
            )
            if not is_alive:
                asked[other] = now
        if asked[other] <= now:
            replacing = other
        else:
            await trio.sleep(min(limits.TAKE_OVER_POLL_SECONDS, asked[other] - now))
    return None
