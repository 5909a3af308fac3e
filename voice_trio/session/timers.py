"""What ends a session by the clock: warnings of its deadline (which is the scope's), idleness, a server that stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from voice_trio.conversation.session_events import SessionExpiring
from voice_trio.session.endings import Ending

if TYPE_CHECKING:
    from voice_trio.session.ports import ClientConnection, DecisionCore, SessionPort

NOTICES_SECONDS_LEFT = (60, 10)
IDLE_CHECK_SECONDS = 1.0
DRAIN_SECONDS_MAX = 8.0  # an answer in progress may finish
DRAIN_CHECK_SECONDS = 0.1


async def announce_deadline(deadline: float, duration_seconds: float, client: ClientConnection) -> None:
    """Tell the client that its time is nearly up (I7)."""
    for seconds_left in NOTICES_SECONDS_LEFT:
        if seconds_left < duration_seconds:
            await trio.sleep_until(deadline - seconds_left)
            client.tell(SessionExpiring(seconds_left))


async def watch_for_idleness(conversation: DecisionCore, host: SessionPort) -> None:
    """End a session in which nobody has said anything for long."""
    while True:
        now = trio.current_time()
        quiet_since = conversation.quiet_since(now)
        if quiet_since is None:
            await trio.sleep(IDLE_CHECK_SECONDS)
        elif now - quiet_since < host.terms.idle_seconds:
            await trio.sleep_until(quiet_since + host.terms.idle_seconds)
        else:
            host.end(Ending.IDLE)
            return


async def finish_answer_then_end(conversation: DecisionCore, host: SessionPort) -> None:
    """The server stops: what is being said may be finished, if that does not take long."""
    gives_up_at = trio.current_time() + DRAIN_SECONDS_MAX
    while conversation.is_answering(now := trio.current_time()) and now < gives_up_at:  # noqa: ASYNC110  # by the clock: no event tells
        await trio.sleep(min(DRAIN_CHECK_SECONDS, gives_up_at - now))
    host.end(Ending.DRAINING)
