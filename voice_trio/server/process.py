"""The services of one process, opened in order and closed in reverse, and the tasks that run beside the sessions.

open_gateway
├─ services     knowledge, state, webhook, plans
└─ nursery      background tasks: rollout changes, the daily budget, loop lag, heartbeats, snapshots for peers
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Never

import structlog
import trio

from voice_trio import limits
from voice_trio.admission.admission import Admission
from voice_trio.admission.grant import Capacity
from voice_trio.admission.overload import Overload
from voice_trio.admission.session_holders import SessionHolders
from voice_trio.auth.plans import open_plans
from voice_trio.auth.tokens import TokenVerifier
from voice_trio.billing.prices import load_prices
from voice_trio.knowledge.open_knowledge import open_knowledge
from voice_trio.net.background import keep_running
from voice_trio.net.byte_budget import ByteBudget
from voice_trio.net.keepalive import keep_links_alive
from voice_trio.observability.sentry import start_reports
from voice_trio.observability.tracing import start_traces
from voice_trio.observability.webhook import open_webhook
from voice_trio.server.shared import FolderWorkerPeers
from voice_trio.session.spend.daily_budget import DailyBudget
from voice_trio.session.spend.expected_spend import ExpectedSpendReporter
from voice_trio.session.upstream.breaker import UpstreamBreaker
from voice_trio.state.open_state import open_state
from voice_trio.web.admin.session_reports import report_sessions
from voice_trio.web.gateway import Gateway
from voice_trio.web.health import Health
from voice_trio.web.instance_heartbeat import InstanceHeartbeat
from voice_trio.web.live_sessions import LiveSessions, follow_requests, follow_rollout
from voice_trio.web.lost_sessions import LostSessionWatch
from voice_trio.web.process_stats import NoWorkerPeers
from voice_trio.web.statistics import Statistics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from voice_trio.auth.plans import Plans
    from voice_trio.billing.prices import Prices
    from voice_trio.knowledge.knowledge import Knowledge
    from voice_trio.observability.sentry import Reports
    from voice_trio.observability.webhook import Webhook
    from voice_trio.settings import Settings
    from voice_trio.state.state import State

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Services:
    """The services that have to be opened and closed."""

    knowledge: Knowledge
    state: State
    webhook: Webhook
    plans: Plans


@asynccontextmanager
async def open_gateway(
    settings: Settings, peers: FolderWorkerPeers | NoWorkerPeers | None = None
) -> AsyncIterator[Gateway]:
    """The services of one process, open while the block runs; `peers` are the other workers, if there are any."""
    prices = load_prices(settings.limits.prices_file)
    upstream = settings.upstream
    for model in prices.of_upstream(upstream.profile.name).unpriced(upstream.model, upstream.transcription_model):
        log.warning("price_missing", model=model, detail="counted at the dearest known price")
    reports = start_reports(settings.observability, model=settings.upstream.model)
    try:
        async with _open_services(settings) as services, trio.open_nursery() as nursery:
            gateway = _make_gateway(settings, services, prices, reports, peers or NoWorkerPeers(), nursery)
            start_background_tasks(gateway)
            expected_spend = ExpectedSpendReporter(gateway.daily_budget, gateway.state.expected_spend)
            if gateway.state.health.enabled:
                nursery.start_soon(keep_running, expected_spend.run)
            try:
                yield gateway
            finally:  # after a second signal too: what the sessions cost is reported last
                with trio.move_on_after(limits.FLUSH_SECONDS_MAX, shield=True):
                    await gateway.daily_budget.close()
                    await expected_spend.report()
                nursery.cancel_scope.cancel(reason="the process ends")
    finally:
        reports.close()


@asynccontextmanager
async def _open_services(settings: Settings) -> AsyncIterator[_Services]:
    async with (
        open_knowledge(settings) as knowledge,
        open_state(settings) as state,
        open_webhook(settings) as webhook,
        open_plans(settings.access.plan_url) as plans,
    ):
        yield _Services(knowledge, state, webhook, plans)


def _make_gateway(
    settings: Settings,
    services: _Services,
    prices: Prices,
    reports: Reports,
    peers: FolderWorkerPeers | NoWorkerPeers,
    nursery: trio.Nursery,
) -> Gateway:
    overload = Overload(settings.limits.loop_lag_ms / 1000)
    capacity, live, state = Capacity(settings.limits.concurrent, overload), LiveSessions(), services.state
    holders = SessionHolders(state.instance)
    verifier, statistics = TokenVerifier(settings.tokens), Statistics(lambda: len(live))
    daily_budget = DailyBudget(prices, state, settings.limits, on_cost=statistics.count_cost)
    statistics.watch_daily_spend(daily_budget)
    statistics.metrics.watch_process(capacity, state, peers.count)
    byte_budget, breaker = ByteBudget(), UpstreamBreaker()
    statistics.metrics.gauge(
        "large_message_bytes", "Held of clients' messages above 1 MiB a connection.", lambda: float(byte_budget.used)
    )
    statistics.metrics.gauge(
        "upstream_failing",
        "1 from the opening of the breaker to the upstream until a connection has lasted.",
        lambda: float(breaker.is_failing),
    )
    return Gateway(
        settings=settings,
        verifier=verifier,
        admission=Admission(
            settings=settings,
            verifier=verifier,
            plans=services.plans,
            state=state,
            capacity=capacity,
            holders=holders,
            budget=daily_budget,
            upstream=breaker,
        ),
        capacity=capacity,
        daily_budget=daily_budget,
        state=state,
        webhook=services.webhook,
        knowledge=services.knowledge,
        live=live,
        holders=holders,
        statistics=statistics,
        reports=reports,
        health=Health(settings, services.knowledge, capacity, statistics, state, breaker),
        nursery=nursery,
        peers=peers,
        byte_budget=byte_budget,
        breaker=breaker,
        traces=start_traces(
            instance=state.instance, version=settings.observability.app_version, model=settings.upstream.model
        ),
    )


def start_background_tasks(gateway: Gateway) -> None:
    """Start each task so that its failure ends neither the process nor the other tasks."""
    peers = gateway.peers
    tasks: list[Callable[[], Awaitable[object]]] = [
        partial(_check_knowledge, gateway.knowledge, gateway.settings),
        partial(follow_rollout, gateway.state, gateway.live),
        partial(follow_requests, gateway.state, gateway.live, gateway.holders),
        gateway.daily_budget.run,
        gateway.daily_budget.lease_shares,
        keep_links_alive,
        partial(watch_load, gateway),
        InstanceHeartbeat(gateway).run,
        partial(report_sessions, gateway.state, gateway.live),
    ]
    if gateway.state.health.enabled:  # without Redis nothing of a killed process is left to other instances
        tasks.append(LostSessionWatch(gateway.state, gateway.webhook).run)
    if isinstance(peers, FolderWorkerPeers):
        tasks += [partial(peers.serve, gateway.snapshot), partial(_refresh_gauges, gateway.statistics)]
    for task in tasks:
        gateway.nursery.start_soon(keep_running, task)


async def _check_knowledge(knowledge: Knowledge, settings: Settings) -> None:
    """A knowledge base that is empty or cannot be read does not stop the start, but is logged."""
    where = settings.weaviate.url or str(settings.retrieval.knowledge_path)
    if await knowledge.is_empty():
        log.warning("knowledge_empty", where=where)
    elif not await knowledge.is_available():
        log.warning("knowledge_unavailable", where=where)


async def watch_load(gateway: Gateway) -> Never:
    """Measure how late the process is, and refuse newcomers while it is."""
    lag, capacity, was_overloaded = gateway.statistics.lag, gateway.capacity, False
    while True:
        await lag.sample()
        lag_p50, lag_p95 = lag.percentiles()
        unsent_share = gateway.live.unsent_share(trio.current_time())
        capacity.note_load(lag_p50=lag_p50, lag_p95=lag_p95, unsent_share=unsent_share)
        if capacity.is_overloaded != was_overloaded:
            was_overloaded = capacity.is_overloaded
            event = "overloaded" if was_overloaded else "overload_over"
            log.warning(event, lag_p95_ms=round(lag_p95 * 1000, 1), unsent_share=round(unsent_share, 2))


async def _refresh_gauges(statistics: Statistics) -> Never:
    """Prometheus may ask another worker for this one's gauges at any time."""
    while True:
        statistics.metrics.refresh()
        await trio.sleep(limits.GAUGE_SECONDS_MAX)
