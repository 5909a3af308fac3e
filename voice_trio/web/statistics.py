"""The statistics of this process's sessions: counts, latencies of turns, cost, users; bounded in memory.

`Statistics` is an `Observer` of every session. `/v1/voice/stats` and `/metrics` read it. Knows nothing of HTTP.
"""

from __future__ import annotations

import time
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from voice_trio import limits
from voice_trio.conversation import events
from voice_trio.conversation.turn import timeline
from voice_trio.observability import recent_failures
from voice_trio.observability.loop_lag import LoopLag
from voice_trio.observability.minute_series import MinuteSeries
from voice_trio.observability.percentiles import WINDOWS, Percentiles
from voice_trio.observability.prometheus import GaugeMerge, PrometheusMetrics
from voice_trio.observability.recent_failures import RecentFailures
from voice_trio.observability.users_of_today import UsersOfToday
from voice_trio.session.endings import Ending
from voice_trio.session.observers import Observer
from voice_trio.session.summary import count_bounded
from voice_trio.web.process_stats import ProcessStats, total

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.billing.prices import Cost
    from voice_trio.billing.spending import Budget
    from voice_trio.conversation.turn.record import SearchRecord, TurnRecord
    from voice_trio.observability.prometheus import Registry
    from voice_trio.session.summary import Summary


SEARCHES = {"store": "search_store", "local": "search_local"}
"""The latency of successful searches, by source: the knowledge base, or the passage cache."""
RESPONSE_LATENCY = "commit_to_first_audio_out"
"""The latency that a user perceives: from the commit of the question to the first audio."""

_FAILURES = frozenset({Ending.UPSTREAM_UNAVAILABLE, Ending.UPSTREAM_LOST, Ending.CRASHED, Ending.TOO_SLOW})


class DailySpend(Protocol):
    """What all instances have spent today, and the budgets."""

    @property
    def spent_today_usd(self) -> Decimal: ...

    @property
    def day_budget(self) -> Budget: ...

    @property
    def session_budget(self) -> Budget: ...

    @property
    def user_budget(self) -> Budget: ...

    @property
    def is_exhausted(self) -> bool: ...


class Statistics(Observer):
    """Counts what happens to sessions; `active` returns the number of open ones."""

    event_types = (events.TranscriptCompleted, events.TranscriptFailed)

    def __init__(
        self,
        active: Callable[[], int],
        *,
        unix_time: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.transcription_fallback = False
        """Whether the last session that was ready uses the fallback transcription model."""
        self.upstream_failed = False
        """Whether the last session lost its upstream, or could not reach it."""
        self.recent = RecentFailures(clock)
        self._unix_time = unix_time
        self._started_at = unix_time()
        self._active = active
        self._latency = Percentiles((*timeline.LATENCIES, *SEARCHES.values()), clock)
        self._minutes = MinuteSeries(active, unix_time)
        self._turns: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._sessions: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._refusals: Counter[str] = Counter()
        self._totals: Counter[str] = Counter()
        self._users_talked = UsersOfToday(unix_time)
        self._users_admitted = UsersOfToday(unix_time)
        self._daily_spend: DailySpend | None = None
        self._cost_of_ended = Decimal(0)
        self.lag = LoopLag()
        self.metrics = PrometheusMetrics(active)
        self.metrics.gauge(
            "event_loop_lag_seconds", "The longest lag in the last 5 s.", lambda: self.lag.seconds, GaugeMerge.MAXIMUM
        )
        self.metrics.gauge(
            "event_loop_lag_p95_seconds",
            "The P95 of the lag in the last 5 s.",
            lambda: self.lag.percentiles()[1],
            GaugeMerge.MAXIMUM,
        )
        meaning = "Users who {} since midnight UTC, once for each process they came to."
        self.metrics.gauge(
            "users_admitted_today", meaning.format("were admitted"), lambda: float(self._users_admitted.count)
        )
        self.metrics.gauge("users_talked_today", meaning.format("talked"), lambda: float(self._users_talked.count))

    @property
    def registry(self) -> Registry:
        """The registry that `/metrics` exposes."""
        return self.metrics.registry

    @property
    def started_at(self) -> float:
        """Unix seconds."""
        return self._started_at

    def watch_daily_spend(self, daily_spend: DailySpend) -> None:
        """Report the day's cost and budgets too, from now on."""
        self._daily_spend = daily_spend
        self.metrics.gauge(
            "cost_today_usd",
            "Spent since midnight UTC by all instances.",
            lambda: float(daily_spend.spent_today_usd),
            GaugeMerge.MAXIMUM,
        )
        self.metrics.gauge(
            "daily_budget_usd",
            "What a day may cost; 0 without a budget.",
            lambda: _usd(daily_spend.day_budget) or 0.0,
            GaugeMerge.MAXIMUM,
        )

    def count_admission(self, user: str) -> None:
        """Count a session that was admitted; `user` is the hashed id."""
        self._users_admitted.remember(user)
        self._minutes.count("sessions")
        self.metrics.admitted.inc()

    def session_ready(self, summary: Summary) -> None:
        """The upstream was reached: health and adoption change now, not at the end of the session."""
        self._users_talked.remember(summary.user)
        self.transcription_fallback = summary.transcription_fallback
        self.upstream_failed = False
        self.recent.note(recent_failures.UPSTREAM, failed=False)

    def on_event(self, event: events.TranscriptCompleted | events.TranscriptFailed, now: float) -> None:
        """Count a transcription."""
        self.recent.note(recent_failures.TRANSCRIPTION, failed=isinstance(event, events.TranscriptFailed))

    def on_turn(self, record: TurnRecord) -> None:
        """Count a turn and its latencies; a turn that was merged into the next one does not count."""
        if record.status == "joined":
            return
        self._turns[record.status] += 1
        self._minutes.count("turns")
        self.metrics.turns.labels(record.status).inc()
        if record.status == "cancelled":
            self._minutes.count("interruptions")
            self.metrics.interruptions.inc()
        if record.status in ("completed", "failed"):
            self.recent.note(recent_failures.RESPONSE, failed=record.status == "failed")
        if record.outcome is not None:
            self._outcomes[record.outcome.value] += 1
            self.metrics.retrievals.labels(record.outcome.value).inc()
        for search in record.searches:
            self._count_search(search)
        for name, seconds in timeline.latencies(record.stages).items():
            self._latency.add(name, seconds)
            self.metrics.stages.labels(name).observe(seconds)
            if name == RESPONSE_LATENCY:
                self._minutes.answered(seconds)

    def _count_search(self, search: SearchRecord) -> None:
        source = "local" if search.local else "store"
        self.metrics.searches.labels(source, search.outcome).inc()
        if search.took is not None and not search.local:
            self.recent.note(recent_failures.SEARCH, failed=search.outcome == "failed")
        if search.took is not None:
            self.metrics.search_seconds.labels(source, search.outcome).observe(search.took)
            if search.outcome != "failed":
                self._latency.add(SEARCHES[source], search.took)

    def session_ended(self, summary: Summary) -> None:
        """Count a session by its ending."""
        ending = summary.ending or Ending.CRASHED
        has_failed = ending in _FAILURES
        self._sessions[ending.value.name] += 1
        self.metrics.sessions.labels(ending.value.name).inc()
        for code, count in summary.errors.items():
            name = count_bounded(self._errors, code, count, limits.ERROR_CODES_MAX)
            self.metrics.errors.labels(name).inc(count)
        self._totals["audio_in_s"] += round(summary.audio_in_s)
        self._totals["audio_out_s"] += round(summary.audio_out_s)
        self._totals["interruptions"] += summary.interruptions
        self._totals["failed"] += has_failed
        self._minutes.count("failed", int(has_failed))
        self.metrics.audio.labels("in").inc(summary.audio_in_s)
        self.metrics.audio.labels("out").inc(summary.audio_out_s)
        self.metrics.recoveries.inc(summary.recoveries)
        if summary.was_ready:
            self.transcription_fallback, self.upstream_failed = summary.transcription_fallback, False
            self._totals["talks"] += 1
            self._cost_of_ended += summary.cost.usd
            self.metrics.durations.observe(summary.duration_s)
        if ending in (Ending.UPSTREAM_UNAVAILABLE, Ending.UPSTREAM_LOST):
            self.upstream_failed = True
            self.recent.note(recent_failures.UPSTREAM, failed=True)

    def sample_active(self) -> None:
        """Note how many sessions are open, for the minute in which nothing else happens."""
        self._minutes.sample()

    def count_refusal(self, code: str, plan: str = "unknown") -> None:
        """Count a refused request for a session or a client secret, by its error code and the user's plan."""
        self._refusals[code] += 1
        self._minutes.count("refused")
        self.metrics.refusals.labels(code, plan).inc()

    def count_failed_token(self, kind: str) -> None:
        """Count an operator's token that did not verify, by its kind."""
        self.metrics.failed_tokens.labels(kind).inc()

    def count_cost(self, kind: str, cost: Cost) -> None:
        """Count the cost of a response or a transcription; `kind` says which."""
        self._minutes.spend(cost.usd)
        self.metrics.cost.labels(kind, "yes" if cost.is_estimate else "no").inc(float(cost.usd))
        for name in cost.warnings:
            self.metrics.warnings.labels(name).inc()

    def process_stats(self) -> ProcessStats:
        """All counts, as a value."""
        return ProcessStats(
            since=self._started_at,
            active=self._active(),
            turns=dict(self._turns),
            outcomes=dict(self._outcomes),
            sessions=dict(self._sessions),
            errors=dict(self._errors),
            refusals=dict(self._refusals),
            totals=dict(self._totals),
            talked=self._users_talked.users,
            admitted=self._users_admitted.users,
            cost_of_ended=self._cost_of_ended,
            latency={window: self._latency.merged(window) for window in WINDOWS},
            minutes=self._minutes.by_number(),
        )

    def as_json(self, *others: ProcessStats) -> dict[str, Any]:
        """The sum of this process and `others`, for `GET /v1/voice/stats`; latencies in ms by window, then by stage."""
        stats = total(self.process_stats(), *others).as_json(self._unix_time())
        if (daily_spend := self._daily_spend) is not None:
            stats["cost"] |= {
                "today_usd": round(float(daily_spend.spent_today_usd), 6),
                "daily_budget_usd": _usd(daily_spend.day_budget),
                "session_budget_usd": _usd(daily_spend.session_budget),
                "user_daily_budget_usd": _usd(daily_spend.user_budget),
                "is_exhausted": daily_spend.is_exhausted,
            }
        return stats


def _usd(budget: Budget) -> float | None:
    return None if budget.limit_usd is None else float(budget.limit_usd)
