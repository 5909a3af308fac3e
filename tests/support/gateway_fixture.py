"""A gateway without sockets, for tests of single parts of `voice_trio.web`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.admission.admission import Admission
from voice_trio.admission.grant import Capacity
from voice_trio.admission.session_holders import SessionHolders
from voice_trio.auth.plans import ClaimedPlans
from voice_trio.auth.tokens import TokenVerifier, User, issue_token
from voice_trio.billing.prices import load_prices
from voice_trio.knowledge.knowledge import MemoryKnowledge
from voice_trio.observability.sentry import NoReports
from voice_trio.observability.webhook import Webhook
from voice_trio.session.spend.daily_budget import DailyBudget
from voice_trio.session.upstream.breaker import UpstreamBreaker
from voice_trio.settings import Settings, load_settings
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.rollout import first_rollout
from voice_trio.state.state import Quotas
from voice_trio.web.gateway import Gateway
from voice_trio.web.health import Health
from voice_trio.web.live_sessions import LiveSessions
from voice_trio.web.statistics import Statistics

if TYPE_CHECKING:
    import trio

SECRET = "a secret of exactly that length: 40 bytes"
CHECKED = {"status", "feature_enabled", "openai_configured", "weaviate_enabled", "redis", "timestamp"}


def settings(**variables: str) -> Settings:
    usual = {"ENABLE_VOICE_REALTIME": "true", "JWT_SECRET": SECRET, "OPENAI_REALTIME_URL": "ws://127.0.0.1:1/v1"}
    return load_settings(usual | variables)


def token(user: str = "ada", plan: str = "elite") -> str:
    return issue_token(settings().tokens, User(id=user, plan=plan))


def make_gateway(nursery: trio.Nursery, **variables: str) -> Gateway:
    configured = settings(**variables)
    verifier, capacity, live = TokenVerifier(configured.tokens), Capacity(5), LiveSessions()
    state = MemoryState(Quotas.of(configured.limits), first_rollout(configured.access))
    holders = SessionHolders(state.instance)
    knowledge, statistics = MemoryKnowledge(), Statistics(lambda: len(live))
    daily_budget = DailyBudget(load_prices(), state, configured.limits, on_cost=statistics.count_cost)
    statistics.watch_daily_spend(daily_budget)
    statistics.metrics.watch_process(capacity, state)
    breaker = UpstreamBreaker()
    admission = Admission(
        settings=configured,
        verifier=verifier,
        plans=ClaimedPlans(),
        state=state,
        capacity=capacity,
        holders=holders,
        budget=daily_budget,
        upstream=breaker,
    )
    return Gateway(
        settings=configured,
        verifier=verifier,
        admission=admission,
        capacity=capacity,
        state=state,
        daily_budget=daily_budget,
        webhook=Webhook(None, None, store_transcripts=True),
        knowledge=knowledge,
        live=live,
        holders=holders,
        statistics=statistics,
        reports=NoReports(),
        health=Health(configured, knowledge, capacity, statistics, state, breaker),
        nursery=nursery,
        breaker=breaker,
    )
