"""A session: one client, one upstream, one conversation between them, as a nursery.

    run
    ├─ client.listen     frames in → events
    ├─ client's writer   in the outer nursery; the only writer to the client; control before audio
    ├─ sidecar           a second socket for early words, where the upstream gives none
    ├─ upstream.run      until the upstream is lost; the next one gets the conversation
    │   ├─ listen        frames in → events
    │   └─ write         the only writer upstream; never inside a turn's scope
    ├─ clock             timers of the conversation, warnings before the deadline, idleness
    └─ turn 1, turn 2 …  searches and functions, each in a cancel scope that ends with its turn

Nothing is decided here. Ending the session is one cancel. What must still be written is written in one shielded block
with a time limit.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, assert_never

import structlog
import trio

from voice_trio import limits
from voice_trio.conversation import commands, events, session_events
from voice_trio.conversation.full_duplex.conversation import FullDuplexConversation
from voice_trio.conversation.managed.conversation import ManagedConversation
from voice_trio.conversation.passthrough import PassthroughConversation
from voice_trio.session.client.realtime_client import RealtimeClientConnection
from voice_trio.session.client.voice_client import VoiceClientConnection
from voice_trio.session.clock import SessionClock, announce_deadline, watch_for_idleness
from voice_trio.session.endings import Ending
from voice_trio.session.sidecar.sidecar import Sidecar, SidecarPlan
from voice_trio.session.spend.cost_meter import CostMeter
from voice_trio.session.summary import SessionNow, Summary, activity_of
from voice_trio.session.tasks import TurnTasks, bill_time, finish_response_then_end
from voice_trio.session.telemetry.turn_reports import make_observers
from voice_trio.session.upstream.breaker import UpstreamAccess, UpstreamBreaker
from voice_trio.session.upstream.connection import UpstreamConnection
from voice_trio.session.upstream.recovery import UpstreamRecovery
from voice_trio.upstreams.profile import Gate

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.conversation.turn.snapshot import OpenTurn
    from voice_trio.knowledge.knowledge import Knowledge
    from voice_trio.net.link import Link
    from voice_trio.session.config import SessionConfig
    from voice_trio.session.observers import Observer, ObserverEvent
    from voice_trio.session.ports import ClientConnection, ConnectedUpstream, DecisionCore, Dial, SessionInput


class Session:
    """Runs once. `end` and `drain` may be called at any time by any task of the same event loop.

    `observers` see its events, commands and turns, after those of its own; `cost_meter` is one of them. `access` is its
    way to the upstream; without it the session has a breaker of its own.
    """

    def __init__(
        self,
        client: Link,
        dial: Dial,
        knowledge: Knowledge,
        config: SessionConfig,
        *,
        observers: tuple[Observer, ...] = (),
        cost_meter: CostMeter | None = None,
        sidecar: SidecarPlan | None = None,
        access: UpstreamAccess | None = None,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self.summary = Summary(config.session_id, config.user)
        self.log = structlog.get_logger(__name__).bind(session_id=config.session_id, user=config.user)
        self._knowledge = knowledge
        self._unix_time = unix_time
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._turn_tasks: TurnTasks
        self._ready_at: float | None = None
        self.is_over = False
        """Whether all has been said and counted; a stalled client's socket may still be closing."""
        self._cost_meter = cost_meter or CostMeter()
        self._observers = make_observers(
            config, self.summary, self.log, self._cost_meter, lambda metrics: self._client.send(metrics), observers
        )
        self._sidecar = None if sidecar is None else Sidecar(sidecar, self)
        self._upstream = UpstreamConnection(self, self._sidecar, lambda state: self._client.describe(state))
        self._recovery = UpstreamRecovery(
            dial,
            access or UpstreamAccess(UpstreamBreaker(), ""),
            self,
            self._upstream,
            lambda event: self._client.send(event),
            lambda: self._core.history,
        )
        self._core: DecisionCore
        self._client: ClientConnection
        now = trio.current_time()
        if config.passthrough is None:
            leads = FullDuplexConversation if config.upstream.gate is Gate.NONE else ManagedConversation
            self._core = leads(config.policy, id_prefix=config.id_prefix, now=now, history=config.history)
            self._client = VoiceClientConnection(client, self, self._upstream)
        else:
            self._core = PassthroughConversation(config.policy, id_prefix=config.id_prefix, now=now)
            self._client = RealtimeClientConnection(client, self, self._upstream, config.passthrough)

    async def run(self) -> Summary:
        """Live until either side, the clock or the operator ends it; returns the session's summary.

        Bugs are logged and end as `Ending.CRASHED`. Cancelled from outside, it closes within the grace first.
        """
        self._scope.deadline = trio.current_time() + limits.CONNECT_SECONDS_MAX
        # The client's writer and the sockets live in this outer nursery. They outlive the session's tasks, so that the
        # last events find an open socket, and so that ending the session cannot cut a frame in two.
        async with trio.open_nursery() as sockets:
            try:
                with self._scope:
                    await self._live(sockets)
            except Exception:  # every expected ending is a return: what arrives here is a bug
                self.crash()
            finally:
                ending = self._conclude()
                with trio.move_on_after(limits.SESSION_CLOSE_SECONDS_MAX, shield=True):
                    await self._close(ending)
                self.log.info("session_ended", **self.summary.log_fields())
                self._observers.session_ended(self.summary)
                self.is_over = True
            sockets.cancel_scope.cancel(reason="session over")
        return self.summary

    @property
    def unsent_since(self) -> float | None:
        """Since when a frame waits for the client to read; None while none does."""
        return self._client.unsent_since

    def open_turns(self) -> tuple[OpenTurn, ...]:
        """The turns that are not reported yet, oldest first, in the words known so far."""
        return self._core.open_turns(trio.current_time())

    def describe(self) -> SessionNow:
        """What it does now, and the figures that change with time alone or between turns."""
        now = trio.current_time()
        is_answering = self._core.is_answering(now)
        activity = activity_of(self.summary, is_connected=self._upstream.is_connected, is_answering=is_answering)
        return SessionNow(activity, 0.0 if self._ready_at is None else now - self._ready_at, self._cost_meter.cost.usd)

    def end(self, ending: Ending) -> None:
        """End the session; the first reason given is the one that counts."""
        if self.summary.ending is None:
            self.summary.ending = ending
            self._scope.cancel(reason=ending.value.name)

    def crash(self) -> None:
        """Log the exception that is being handled, a bug of ours, and end."""
        self.log.exception("session_crashed")
        self.summary.ending = Ending.CRASHED
        self._scope.cancel(reason="crashed")

    def drain(self) -> None:
        """The server stops: a response in progress may finish, every other session ends now."""
        if self.summary.ending is not None or self._scope.cancel_called:
            return
        if self._nursery is None or self._ready_at is None:
            self.end(Ending.DRAINING)
            return
        self._client.send(session_events.SessionDraining(self.config.resume_token))
        self._nursery.start_soon(finish_response_then_end, self._core, self)

    # The session's hot path. `feed` must stay synchronous. It hands an event to the conversation and executes all its
    # commands without a checkpoint, so no other task can run between two commands, and none can feed a second event
    # while the first is half executed. With a dispatch that awaited its sends, stale audio followed the flush of a
    # barge-in in 200 of 200 schedules: the audio task woke between the flush and the cancel of the response. A
    # synchronous dispatch showed it in none. So every command only queues, cancels or starts a task.

    def feed(self, event: SessionInput, now: float | None = None) -> None:
        """Hand an event to the conversation and execute its commands, atomically; nothing once the session ends."""
        if now is None:
            now = trio.current_time()
        if self.summary.ending is not None or now >= self._scope.deadline:
            return
        for handle in self._observers.by_event.get(type(event), ()):
            handle(event, now)
        issued = self._core.handle(event, now)
        for command in issued:
            self.execute(command, now)
        issued.clear()  # else the last frame of sound would stay in memory until the next event

    def audio_sent(self, item_id: str, duration_ms: float, now: float) -> None:
        """Sound has been written to the client. It has no commands, so it may come while others are executed."""
        if self.summary.ending is None:
            for note in self._observers.audio_sent:
                note(now)
            self._core.audio_sent(item_id, duration_ms, now)

    def observe(self, event: ObserverEvent) -> None:
        """Hand an event to the observers only."""
        now = trio.current_time()
        for handle in self._observers.by_event.get(type(event), ()):
            handle(event, now)

    def execute(self, command: commands.Command, now: float) -> None:
        """Execute a command of the conversation, or of a part that works beside it."""
        observed = command.command if isinstance(command, commands.SendToUpstream) else command
        for handle in self._observers.by_command.get(type(observed), ()):
            handle(observed, now)
        match command:
            case commands.SendToClient(event):
                self._client.send(event, now)
            case commands.SendToUpstream(upstream_command):
                self._send_upstream(upstream_command, now)
            case (
                commands.BeginTurn()
                | commands.EndTurn()
                | commands.StartSearch()
                | commands.CallTool()
                | commands.ScheduleEvent()
            ):
                self._turn_tasks.execute(command)
            case commands.CountUsage() | commands.ReportTurn():
                pass  # for the observers
            case commands.LogWarning(code, message):
                self.log.warning("conversation_warning", code=code, detail=message[:200])
            case commands.StartSilence():
                if self._nursery is not None:
                    self._upstream.start_silence(self._nursery)
            case commands.StopSilence():
                self._upstream.stop_silence()
            case commands.ReplaceUpstream(code):
                self._upstream.lose(code)
            case commands.EndSession(code):
                self.log.error("upstream_refused", code=code)
                self.end(Ending.UPSTREAM_UNAVAILABLE)
            case _:
                assert_never(command)

    def _send_upstream(self, command: commands.UpstreamCommand, now: float) -> None:
        """Send what the cost meter admits; a denial comes as an event of its own, as the upstream's refusal would."""
        if self._cost_meter.admits(command):
            self._upstream.send_command(command)
        else:
            self._turn_tasks.execute(commands.ScheduleEvent(now, events.ResponseDenied(command.event_id)))

    async def _live(self, sockets: trio.Nursery) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            clock = SessionClock()
            nursery.start_soon(clock.run)
            self._turn_tasks = TurnTasks(nursery, clock, self._knowledge, self)
            nursery.start_soon(self._client.listen)
            self._client.start_writing(sockets)
            upstream = await self._recovery.connect(sockets)
            if upstream is not None:
                self._become_ready(upstream)
                upstream = upstream.without_texts()
                announce_deadline(clock, self._scope.deadline, self.config.duration_seconds, self._client)
                watch_for_idleness(clock, self._core, self)
                if self._cost_meter.counts_time:
                    nursery.start_soon(bill_time, self._cost_meter)
            while upstream is not None:
                if self._sidecar is not None:
                    self._sidecar.start_if_needed(upstream, nursery, sockets)
                await self._upstream.run(upstream)
                upstream = await self._recovery.replace(sockets)

    def _become_ready(self, upstream: ConnectedUpstream) -> None:
        self._ready_at = trio.current_time()
        self._scope.deadline = self._ready_at + self.config.duration_seconds
        self.summary.was_ready = True
        self._client.announce_ready(upstream, self._unix_time() + self.config.duration_seconds)
        self.summary.transcription_fallback = upstream.transcription_fallback
        self._observers.session_ready(self.summary)
        self._cost_meter.open(self._client.send, lambda: self.end(Ending.BUDGET_EXHAUSTED))

    # The order of an ending matters. The conversation closes first: its last commands report the turn that is open and
    # what of it was heard. Then the observers close, so that waiting turns are published and missing usage is
    # estimated. Only then is the summary complete. The client is closed last, within the grace: a stalled client can
    # delay neither the bill nor the record.

    def _conclude(self) -> Ending:
        now = trio.current_time()
        ending = self.summary.ending = self.summary.ending or self._ending_by_scope()
        self.summary.duration_s = 0.0 if self._ready_at is None else now - self._ready_at
        if ending in (Ending.BUDGET_EXHAUSTED, Ending.ENDED_BY_OPERATOR):
            self.summary.retry_after = self._cost_meter.retry_after
            self._silence_client(now)
        for command in self._core.close(now):
            self.execute(command, now)
        self._observers.session_closing(now)
        return ending

    def _silence_client(self, now: float) -> None:
        """Stop playback at the client now, not when all that was sent is played out."""
        for command in self._core.handle(events.Interrupt(), now):
            if isinstance(command, commands.SendToClient | commands.CountUsage | commands.ReportTurn):
                self.execute(command, now)

    async def _close(self, ending: Ending) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._client.close, ending)
            nursery.start_soon(self._upstream.close)
            if self._sidecar is not None:
                nursery.start_soon(self._sidecar.close)

    def _ending_by_scope(self) -> Ending:
        """No reason was given: either the deadline ended the session, or its scope was cancelled from outside."""
        if not self._scope.cancelled_caught:
            return Ending.DRAINING
        return Ending.UPSTREAM_UNAVAILABLE if self._ready_at is None else Ending.TIMEOUT
