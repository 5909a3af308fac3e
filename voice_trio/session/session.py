"""A session: one client, one model, one conversation between them, as a nursery.

    run
    ├─ client.listen     frames in → events
    ├─ client.speak      the only writer to the client; control before audio
    ├─ sidecar           a second socket for early words, where the model gives none
    ├─ model.talk_with   until the model is lost; then another one is told what was said
    │   ├─ listen        frames in → events
    │   └─ speak         the only writer upstream; never inside a turn's scope
    ├─ announce_deadline, watch_for_idleness
    └─ turn 1, turn 2 …  each in its own cancel scope: searches, functions, the 200 ms

Nothing is decided here. `feed` hands an event to the conversation and carries out its commands without waiting, so no
other task can slip in between two of them. Ending the session is one cancel; what must still be said is said in one
shielded, bounded block.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

import structlog
import trio

from voice_trio.conversation import commands
from voice_trio.conversation.events import Interrupt, UpstreamLost, UpstreamReady
from voice_trio.conversation.managed.conversation import ManagedConversation
from voice_trio.conversation.passthrough import PassthroughConversation
from voice_trio.conversation.passthrough.requests import ClientRequest
from voice_trio.conversation.session_events import SessionDraining, SessionRecovered, SessionRecovering
from voice_trio.errors import ModelUnavailable
from voice_trio.session.client.realtime_client import RealtimeClientConnection
from voice_trio.session.client.voice_client import VoiceClientConnection
from voice_trio.session.endings import Ending
from voice_trio.session.sidecar.sidecar import Sidecar
from voice_trio.session.spend.cost_meter import NoCostMeter
from voice_trio.session.telemetry.playback_timestamps import PlaybackTimestamps
from voice_trio.session.telemetry.summary import NoObserver, Summary
from voice_trio.session.telemetry.turn_log import turn_fields
from voice_trio.session.telemetry.turn_metrics import TurnMetricsBuilder
from voice_trio.session.timers import announce_deadline, finish_answer_then_end, watch_for_idleness
from voice_trio.session.turn_scopes import TurnScopes
from voice_trio.session.turn_tasks import call_tool, search
from voice_trio.session.upstream.connect import connect
from voice_trio.session.upstream.connection import UpstreamConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.conversation.events import Event
    from voice_trio.conversation.passthrough.requests import Request
    from voice_trio.conversation.turn.record import TurnRecord
    from voice_trio.knowledge.knowledge import Knowledge
    from voice_trio.net.link import Link
    from voice_trio.protocols.realtime import SessionState
    from voice_trio.session.config import SessionConfig
    from voice_trio.session.ports import ClientConnection, DecisionCore
    from voice_trio.session.sidecar.sidecar import SidecarPlan
    from voice_trio.session.spend.cost_meter import CostMeter
    from voice_trio.session.telemetry.summary import Observer
    from voice_trio.session.upstream.connect import ConnectedUpstream, Dial

CONNECTING_SECONDS_MAX = 60.0  # all attempts to reach the model together
RECOVERIES_MAX = 10  # of one session; an upstream that is lost more often is not there
GOODBYE_SECONDS_MAX = 2.0  # the grace for last words (I7)


class Session:
    """Runs once. `end` and `drain` may be called at any time by any task of the same event loop."""

    def __init__(
        self,
        client: Link,
        dial: Dial,
        knowledge: Knowledge,
        terms: SessionConfig,
        *,
        observer: Observer | None = None,
        account: CostMeter | None = None,
        sidecar: SidecarPlan | None = None,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        self.terms = terms
        self.summary = Summary(terms.session_id, terms.user)
        self.log = structlog.get_logger(__name__).bind(session_id=terms.session_id)
        self._dial = dial
        self._knowledge = knowledge
        self._observer: Observer = observer or NoObserver()
        self._account: CostMeter = account or NoCostMeter()
        self._moments = PlaybackTimestamps(self._publish)
        self._figures = TurnMetricsBuilder(terms.id_prefix)
        self._unix_time = unix_time
        self._scope = trio.CancelScope()
        self._nursery: trio.Nursery | None = None
        self._ready_at: float | None = None
        self.is_over = False
        """Whether all has been said and counted; a stalled client's socket may still be on its way out."""
        self._sidecar = Sidecar(sidecar, self, self._account)
        self._model = UpstreamConnection(self, self._describe, self._sidecar)
        self._conversation: DecisionCore
        self._client: ClientConnection
        now = trio.current_time()
        if terms.drop_in is None:
            self._conversation = ManagedConversation(
                terms.policy, id_prefix=terms.id_prefix, now=now, history=terms.history
            )
            self._client = VoiceClientConnection(client, self, self._model)
        else:
            self._conversation = PassthroughConversation(terms.policy, id_prefix=terms.id_prefix, now=now)
            self._client = RealtimeClientConnection(client, self, self._model, terms.drop_in)

    async def run(self) -> Summary:
        """Live until either side, the clock or the operator ends it; returns what it came to.

        Bugs are logged and end as `Ending.CRASHED`. Cancelled from outside, it says goodbye within the grace first.
        """
        self._scope.deadline = trio.current_time() + CONNECTING_SECONDS_MAX
        async with trio.open_nursery() as sockets:  # outlives the tasks, so that goodbyes still find their sockets
            try:
                with self._scope:
                    await self._live(sockets)
            except Exception:  # every expected ending is a return: what arrives here is a bug
                self.crash()
            finally:
                ending = self._conclude()
                with trio.move_on_after(GOODBYE_SECONDS_MAX, shield=True):
                    await self._say_goodbye(ending)
                self.log.info("session_ended", **self.summary.log_fields())
                self._observer.session_ended(self.summary)
                self.is_over = True
            sockets.cancel_scope.cancel(reason="session over")
        return self.summary

    def end(self, ending: Ending) -> None:
        """End the session; the first reason given is the one that counts."""
        if self.summary.ending is None:
            self.summary.ending = ending
            self._scope.cancel(reason=ending.value.name)

    def crash(self) -> None:
        """A bug of ours, called where it was caught: log it, and end."""
        self.log.exception("session_crashed")
        self.summary.ending = Ending.CRASHED
        self._scope.cancel(reason="crashed")

    def drain(self) -> None:
        """The server stops: an answer in progress may finish, everything else ends now."""
        if self.summary.ending is not None or self._scope.cancel_called:
            return  # it is saying goodbye already
        if self._nursery is None or self._ready_at is None:
            self.end(Ending.DRAINING)
            return
        self._client.tell(SessionDraining(self.terms.resume_token))
        self._nursery.start_soon(finish_answer_then_end, self._conversation, self)

    def count(self, usage: commands.CountUsage) -> None:
        """Something was used beside the conversation, and is billed."""
        self._carry_out(usage)

    def flushed(self, queued_at: float) -> None:
        """A flush that was queued then has been written to the client."""
        self._moments.flushed(queued_at, trio.current_time())

    def feed(self, event: Event | Request) -> None:
        """Hand an event to the conversation and carry out what follows, before anything else can happen."""
        if self._scope.cancel_called:
            return
        if not isinstance(event, ClientRequest):
            self._account.saw(event)
            self._moments.saw(event, trio.current_time())
        self._figures.saw(event, trio.current_time())
        for command in self._conversation.handle(event, trio.current_time()):
            self._carry_out(command)

    async def _live(self, sockets: trio.Nursery) -> None:
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._turns = TurnScopes(nursery)
            nursery.start_soon(self._client.listen)
            self._client.start_speaking(sockets)  # there: a server may shield its send beyond the session's end
            model = await self._reach_model(sockets)
            if model is not None:
                self._become_ready(model)
                nursery.start_soon(announce_deadline, self._scope.deadline, self.terms.duration_seconds, self._client)
                nursery.start_soon(watch_for_idleness, self._conversation, self)
            while model is not None:
                is_heard = model.updated.transcription_model is not None
                self._account.transcribed_by(model.transcription_model if is_heard else None)
                self._sidecar.attend(model, nursery, sockets)
                self.feed(UpstreamReady())
                await self._model.talk_with(model)
                model = await self._recover(sockets)

    async def _recover(self, sockets: trio.Nursery) -> ConnectedUpstream | None:
        """The model was lost: another one takes its place and is told what was said, or the session ends."""
        self.feed(UpstreamLost())
        with trio.move_on_after(GOODBYE_SECONDS_MAX):
            await self._model.leave()
        self.summary.recoveries += 1
        if self.terms.drop_in is not None or self.summary.recoveries > RECOVERIES_MAX:
            self.end(Ending.UPSTREAM_LOST)
            return None
        self._client.tell(SessionRecovering())
        model = await self._reach_model(sockets, Ending.UPSTREAM_LOST)
        if model is not None:
            self.summary.transcription_fallback |= model.transcription_fallback
            self._client.tell(SessionRecovered())
        return model

    async def _reach_model(
        self, sockets: trio.Nursery, otherwise: Ending = Ending.UPSTREAM_UNAVAILABLE
    ) -> ConnectedUpstream | None:
        try:
            return await connect(self._dial, sockets, self.terms.model, self.terms.persistence)
        except ModelUnavailable as error:
            self.log.error("upstream_unavailable", reason=str(error))
            self.end(otherwise)
            return None

    def _become_ready(self, model: ConnectedUpstream) -> None:
        self._ready_at = trio.current_time()
        self._scope.deadline = self._ready_at + self.terms.duration_seconds
        self.summary.was_ready = True
        expires_at = self._unix_time() + self.terms.duration_seconds
        self._client.welcome(model, expires_at)
        self.summary.transcription_fallback = model.transcription_fallback
        self._observer.session_ready(self.summary)
        self._account.open(self._client.tell, lambda: self.end(Ending.BUDGET_EXHAUSTED))

    def _conclude(self) -> Ending:
        now = trio.current_time()
        ending = self.summary.ending = self.summary.ending or self._ending_by_scope()
        self.summary.duration_s = 0.0 if self._ready_at is None else now - self._ready_at
        if ending is Ending.BUDGET_EXHAUSTED:
            self._silence(now)
        for command in self._conversation.close(now):
            self._carry_out(command)
        self._moments.close()
        self._account.close()
        self.summary.cost = self._account.cost
        return ending

    def _silence(self, now: float) -> None:
        """What is being said stops at the client now, not when all that was sent is played out."""
        for command in self._conversation.handle(Interrupt(), now):
            if isinstance(command, commands.SendToClient | commands.CountUsage | commands.ReportTurn):
                self._carry_out(command)

    async def _say_goodbye(self, ending: Ending) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._client.leave, ending)
            nursery.start_soon(self._model.leave)
            nursery.start_soon(self._sidecar.leave)

    def _ending_by_scope(self) -> Ending:
        """Nobody gave a reason: either the deadline did it, or whoever runs the session cancelled it."""
        if not self._scope.cancelled_caught:
            return Ending.DRAINING
        return Ending.UPSTREAM_UNAVAILABLE if self._ready_at is None else Ending.TIMEOUT

    def _carry_out(self, command: commands.Command) -> None:
        self._account.did(command)
        self._figures.did(command, trio.current_time())
        match command:
            case commands.SendToClient(event):
                if isinstance(event, commands.PlaybackFlush) and self.terms.drop_in is None:
                    self._moments.silencing()
                self._client.tell(event)
            case commands.SendToUpstream(model_command):
                self._model.send_command(model_command)
            case (
                commands.BeginTurn()
                | commands.EndTurn()
                | commands.StartSearch()
                | commands.CallTool()
                | commands.ScheduleEvent()
                | commands.StartSilence()
                | commands.StopSilence()
            ):
                self._work(command)
            case commands.CountUsage(kind, source_id, usage):
                self.summary.usages.setdefault(source_id, (kind, usage))
                self.summary.cost = self._account.cost
            case commands.ReportTurn(record):
                self._report(record)
            case commands.LogWarning(code, message):
                self.log.warning("conversation_warning", code=code, detail=message[:200])
            case commands.ReplaceUpstream(code):
                self._model.lose(code)
            case commands.EndSession(code):
                self.log.error("upstream_refused", code=code)
                self.end(Ending.UPSTREAM_UNAVAILABLE)
            case _:
                assert_never(command)

    def _report(self, record: TurnRecord) -> None:
        self.summary.count_turn(record)
        if record.status != "joined":
            record = replace(self._moments.complete(record), searches=self._figures.take_searches(record))
        figures = self._figures.complete(record, self._account.cost_of_turn(record.turn_id), self._account.cost)
        if self.terms.metrics and figures is not None:
            self._client.tell(figures)
        self._moments.hand_on(record)

    def _publish(self, record: TurnRecord) -> None:
        if record.status != "joined":
            self.log.info("turn", **turn_fields(record, self._account.cost_of_turn(record.turn_id)))
        self._observer.turn_finished(replace(record, transcription_fallback=self.summary.transcription_fallback))

    def _work(
        self,
        command: commands.BeginTurn
        | commands.EndTurn
        | commands.StartSearch
        | commands.CallTool
        | commands.ScheduleEvent
        | commands.StartSilence
        | commands.StopSilence,
    ) -> None:
        """Start or stop what waits; each piece is a task in its turn's scope, or in the session's nursery."""
        match command:
            case commands.BeginTurn(turn_id):
                self._turns.begin(turn_id)
            case commands.EndTurn(turn_id, reason):
                self._turns.end(turn_id, reason)
            case commands.StartSearch(turn_id):
                self._turns.start(turn_id, lambda: search(command, self._knowledge, self))
            case commands.CallTool(turn_id):
                self._turns.start(turn_id, lambda: call_tool(command, self))
            case commands.ScheduleEvent(at, event, turn_id):
                self._turns.start_anywhere(turn_id, lambda: self._feed_at(at, event))
            case commands.StartSilence():
                if self._nursery is not None:
                    self._model.start_silence(self._nursery)
            case commands.StopSilence():
                self._model.stop_silence()
            case _:
                assert_never(command)

    async def _feed_at(self, at: float, event: Event) -> None:
        await trio.sleep_until(at)
        self.feed(event)

    def _describe(self, state: SessionState) -> None:
        if state.transcription_model is not None:
            self._account.transcribed_by(state.transcription_model)
        self._client.describe(state)
