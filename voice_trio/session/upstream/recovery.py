"""Gets a session its upstream, and another one for each that is lost: how long it is looked for, and how often.

The conversation keeps what was said, so a new upstream can take the place of a lost one. `UpstreamLost` ends what the
old one was doing, `UpstreamReady` makes the conversation write its history to the new one. The sound of the last
seconds waits in the upstream's queue meanwhile. A client of OpenAI's protocol keeps its own state of the upstream's
items and responses, which a new upstream does not have: its session ends.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.conversation import events, session_events
from voice_trio.errors import ModelUnavailable
from voice_trio.session.config import RetryPolicy
from voice_trio.session.endings import Ending
from voice_trio.session.ports import ForkingDial
from voice_trio.session.upstream.breaker import with_jitter
from voice_trio.session.upstream.connect import connect_once, with_retries
from voice_trio.upstreams.profile import Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from voice_trio.conversation.session_events import ToClient
    from voice_trio.conversation.turn.history import Said
    from voice_trio.session.ports import ConnectedUpstream, Dial, SessionPort
    from voice_trio.session.upstream.breaker import UpstreamAccess
    from voice_trio.session.upstream.connection import UpstreamConnection


class UpstreamRecovery:
    """The upstreams of one session, one after the other; never two attempts at once.

    `send` writes an event to the client, `history` is what was said so far.
    """

    def __init__(
        self,
        dial: Dial,
        access: UpstreamAccess,
        host: SessionPort,
        connection: UpstreamConnection,
        send: Callable[[ToClient], None],
        history: Callable[[], Iterable[Said]],
    ) -> None:
        self._dial = dial
        self._access = access
        self._host = host
        self._connection = connection
        self._send = send
        self._history = history
        self._fork_of = host.config.upstream_session_id
        self._losses: list[float] = []  # times, of the last minute
        self._failures = 0
        """Connections in a row that did not last."""

    async def connect(self, sockets: trio.Nursery) -> ConnectedUpstream | None:
        """The first upstream, whose socket lives in `sockets`; None, and the session ends, if there is none."""
        if self._host.config.is_resumed:
            return await self._look_for_another(sockets, trio.current_time(), Ending.UPSTREAM_UNAVAILABLE)
        return await self._reach(sockets, self._host.config.retry, Ending.UPSTREAM_UNAVAILABLE, waits=False)

    async def replace(self, sockets: trio.Nursery) -> ConnectedUpstream | None:
        """The upstream is lost: another one, which has heard the conversation; None, and the session ends, else."""
        lost_at = trio.current_time()
        is_worth_another = self._note_loss(lost_at)
        self._host.feed(events.UpstreamLost())
        with trio.move_on_after(limits.SESSION_CLOSE_SECONDS_MAX):
            await self._connection.close()
        self._host.summary.recoveries += 1
        if self._host.config.passthrough is not None or not is_worth_another:
            self._host.end(Ending.UPSTREAM_LOST)
            return None
        self._send(session_events.SessionRecovering())
        upstream = await self._look_for_another(sockets, lost_at, Ending.UPSTREAM_LOST)
        if upstream is not None:
            self._host.summary.transcription_fallback |= upstream.transcription_fallback
            self._send(session_events.SessionRecovered())
        return upstream

    async def _look_for_another(
        self, sockets: trio.Nursery, since: float, otherwise: Ending
    ) -> ConnectedUpstream | None:
        """Attempts for as long as is configured. The pauses grow on from one short-lived connection to the next.

        So an upstream that accepts connections and drops them is asked no faster than one that is away.
        """
        upstream, pause = None, limits.RECOVERY_PAUSE_SECONDS
        seconds = self._host.config.recovery_seconds
        with trio.move_on_at(since + seconds) as search:
            if self._failures > 1:
                pause = min(pause * 2 ** (self._failures - 2), limits.RECOVERY_PAUSE_SECONDS_MAX)
                await trio.sleep(with_jitter(pause))
            retry = RetryPolicy(
                attempts_max=None,
                attempt_seconds_max=limits.RECOVERY_ATTEMPT_SECONDS_MAX,
                backoff_seconds=pause,
                backoff_seconds_max=limits.RECOVERY_PAUSE_SECONDS_MAX,
                was_accepted=True,
            )
            upstream = await self._reach(sockets, retry, otherwise, waits=True)
        if search.cancelled_caught:
            self._host.log.error("upstream_unavailable", reason=f"away for {seconds:g} s")
            self._host.end(otherwise)
        return upstream

    async def _reach(
        self, sockets: trio.Nursery, retry: RetryPolicy, otherwise: Ending, *, waits: bool
    ) -> ConnectedUpstream | None:
        attempt = partial(self._connect_once, sockets, retry.attempt_seconds_max)
        try:
            upstream = await with_retries(partial(self._access.dial, attempt, waits=waits), retry)
            self._fork_of = upstream.created.session_id
            return upstream
        except ModelUnavailable as error:
            self._host.log.error("upstream_unavailable", reason=str(error))
            self._host.end(otherwise)
            return None

    async def _connect_once(self, sockets: trio.Nursery, seconds_max: float) -> ConnectedUpstream:
        """One attempt. An upstream that takes a history only at its beginning forks the kept session, or gets it."""
        config = self._host.config
        model, dial = config.model, self._dial
        if config.upstream.gate is Gate.NONE:
            fork_of = self._fork_of if model.store else ""
            self._fork_of = ""  # tried once: the next attempt gives the history
            if fork_of and isinstance(dial, ForkingDial):
                model, dial = replace(model, fork_of=fork_of), dial.fork_of(fork_of)
            else:
                model = replace(model, history=tuple(self._history()))
        return await connect_once(dial, sockets, model, seconds_max, config.upstream)

    def _note_loss(self, now: float) -> bool:
        """Count the loss; whether another upstream is worth a try. One that lasted says nothing against the next."""
        self._failures = 0 if self._access.note_lost() else self._failures + 1
        self._losses = [at for at in self._losses if now - at < limits.MINUTE_SECONDS] + [now]
        return len(self._losses) <= limits.RECOVERIES_MAX
