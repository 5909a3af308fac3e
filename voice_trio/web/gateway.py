"""The services that all handlers of one process share, as one value."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voice_trio.admission.client_address import ForwardedForWarning
from voice_trio.admission.refusal_log import RefusalLog, plan_label
from voice_trio.auth.tokens import user_hash
from voice_trio.net.byte_budget import ByteBudget
from voice_trio.observability.tracing import NoTraces
from voice_trio.session.upstream.breaker import UpstreamBreaker
from voice_trio.web.process_stats import NoWorkerPeers, Snapshot, WorkerFacts

if TYPE_CHECKING:
    import trio

    from voice_trio.admission.admission import Admission
    from voice_trio.admission.grant import Capacity
    from voice_trio.admission.refusals import Refusal
    from voice_trio.admission.session_holders import SessionHolders
    from voice_trio.auth.tokens import TokenVerifier
    from voice_trio.knowledge.knowledge import Knowledge
    from voice_trio.observability.sentry import Reports
    from voice_trio.observability.tracing import Traces
    from voice_trio.observability.webhook import Webhook
    from voice_trio.session.spend.daily_budget import DailyBudget
    from voice_trio.settings import Settings
    from voice_trio.state.state import State
    from voice_trio.web.health import Health
    from voice_trio.web.live_sessions import LiveSessions
    from voice_trio.web.process_stats import WorkerPeers
    from voice_trio.web.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Gateway:
    """The services of a process. `nursery` outlives every connection, and ends with the process."""

    settings: Settings
    verifier: TokenVerifier
    admission: Admission
    state: State
    webhook: Webhook
    capacity: Capacity
    daily_budget: DailyBudget
    knowledge: Knowledge
    live: LiveSessions
    holders: SessionHolders
    statistics: Statistics
    reports: Reports
    health: Health
    nursery: trio.Nursery
    peers: WorkerPeers = field(default_factory=NoWorkerPeers)
    traces: Traces = field(default_factory=NoTraces)
    byte_budget: ByteBudget = field(default_factory=ByteBudget)
    refusal_log: RefusalLog = field(default_factory=RefusalLog)
    forwarded_for: ForwardedForWarning = field(default_factory=ForwardedForWarning)
    breaker: UpstreamBreaker = field(default_factory=UpstreamBreaker)

    def report_refusal(self, refusal: Refusal, address: str, *, request: str, at_handshake: bool) -> None:
        """Count and log `refusal` of the client at `address`; `request` says what it asked for."""
        user, settings = refusal.user, self.settings
        self.statistics.count_refusal(refusal.code, plan_label(user, settings.access.allowed_plans))
        hashed = None if user is None else user_hash(user.id, settings.signing_secret)
        self.refusal_log.write(refusal, user=hashed, address=address, request=request, at_handshake=at_handshake)

    def facts(self) -> WorkerFacts:
        """The present state of this process."""
        statistics, capacity = self.statistics, self.capacity
        return WorkerFacts(
            slot=self.peers.slot,
            pid=os.getpid(),
            instance=self.state.instance,
            started=statistics.started_at,
            active=len(self.live),
            places=capacity.places_max,
            taken=capacity.taken,
            draining=capacity.is_draining,
            unready=self.health.unready,
            loop_lag_ms=round(statistics.lag.seconds * 1000, 1),
        )

    def snapshot(self) -> Snapshot:
        """The counts and the present state of this process."""
        return Snapshot(facts=self.facts(), stats=self.statistics.process_stats())

    def drain(self) -> None:
        """The process is about to end: admit no new session, and notify each open one, which may finish a response."""
        self.capacity.drain()
        self.live.drain()
