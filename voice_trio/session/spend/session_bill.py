"""What one connection costs: reserved when it is asked for, billed by its usage, held against three budgets."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeAlias, assert_never

import structlog

from voice_trio.billing.accounts import BudgetAccount, Room
from voice_trio.billing.prices import Cost
from voice_trio.billing.spending import ZERO, BudgetLevel, SessionCosts, micro_usd
from voice_trio.conversation import commands, events
from voice_trio.conversation.full_duplex.events import SessionUsageUpdated
from voice_trio.conversation.session_events import BudgetWarning
from voice_trio.session.spend.cost_estimator import ESTIMATED_EVENTS, CostEstimator
from voice_trio.session.spend.cost_meter import CostMeter
from voice_trio.session.spend.reserves import Reserves
from voice_trio.session.spend.session_time import SessionTime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from voice_trio.session.config import SessionConfig
    from voice_trio.session.observers import Handler
    from voice_trio.session.spend.cost_estimator import EstimatedEvent
    from voice_trio.session.spend.cost_meter import Budgets
    from voice_trio.session.summary import Summary

log = structlog.get_logger(__name__)

BilledEvent: TypeAlias = "EstimatedEvent | events.UpstreamReady | events.UpstreamLost | SessionUsageUpdated"
MESSAGES = (
    commands.CreateContextItem,
    commands.CreateUserItem,
    commands.CreateAssistantItem,
    commands.CreateInstructionItem,
)
"""Text that some upstreams bill by the message."""

# How a cost finds its turn. Usage comes with `response.done`, often after the next turn has begun: an interruption
# begins one before the interrupted response is done. So a reserve notes the turn that is open when a response is
# requested, under the request's tag. The server returns the tag in `response.created`, where the id of the response
# takes its place. A transcription is billed to the turn that is open when its audio is complete.
#
# Why estimates. When a socket is lost, the usage of what it was doing never comes, yet the provider bills it. A budget
# that ignored it could be spent several times over by connections that drop in the middle of every response. So what
# was reserved is billed, as an estimate, when the upstream is lost and when the session closes.


class SessionBill(CostMeter):
    """One connection's bill; `spent_before` (USD) is what the session cost before it was resumed."""

    event_types: ClassVar = (*ESTIMATED_EVENTS, events.UpstreamReady, events.UpstreamLost, SessionUsageUpdated)
    command_types: ClassVar = (commands.CountUsage, commands.BeginTurn)

    def __init__(self, budgets: Budgets, config: SessionConfig, spent_before: Decimal) -> None:
        self.costs = SessionCosts(config.session_id, config.user)
        self._budgets = budgets
        self._account = BudgetAccount(budgets.session_budget, elsewhere_usd=spent_before)
        reserves = Reserves(self._hold, self.costs.has_counted)
        self._prices = budgets.prices.of_upstream(config.upstream.name)
        self._model = config.model.model
        self._estimator = CostEstimator(self._prices, budgets.expected_output, config.model, reserves)
        self.counts_time = self._prices.is_timed(self._model)
        self._time = SessionTime()
        self._time_billed = Cost()
        self._bills = 0  # of time and messages, which have no id of the upstream's
        self._log = log.bind(session_id=config.session_id)
        self._warn_client: Callable[[BudgetWarning], None] | None = None
        self._on_budget_exhausted: Callable[[], None] | None = None
        self._warned_scopes: set[str] = set()
        self._logged_warnings: set[str] = set()
        self._exhausted_scope: str | None = None

    @property
    def cost(self) -> Cost:
        return self.costs.total

    @property
    def spent_usd(self) -> Decimal:
        """What the session has cost so far, with what it cost before it was resumed."""
        return self._account.spent_usd

    @property
    def reserved_micro_usd(self) -> int:
        return micro_usd(self._account.reserved_usd)

    def cost_of_turn(self, turn_id: int) -> Cost:
        return Cost(self.costs.by_turn.get(turn_id, ZERO))

    def session_ready(self, summary: Summary) -> None:
        self._estimator.speech.follow(lambda: summary.audio_in_s)

    @property
    def retry_after(self) -> float | None:
        return self._budgets.seconds_to_midnight if self._exhausted_scope in ("user", "day") else None

    def open(self, warn: Callable[[BudgetWarning], None], on_budget_exhausted: Callable[[], None]) -> None:
        self._warn_client, self._on_budget_exhausted = warn, on_budget_exhausted
        self._budgets.subscribe(self)
        self._check_session()
        for scope in ("user", "day"):
            self.on_level(scope, self._account_of(scope).level)

    # Reserving

    def admits(self, command: commands.UpstreamCommand) -> bool:
        match command:
            case commands.CreateResponse(event_id=tag):
                return self._reserve(tag, {})
            case commands.CreateClientResponse(event_id=tag, body=body):
                return self._reserve(tag, body)
            case _:
                if self.counts_time and isinstance(command, MESSAGES):
                    self._bill_own("message", self._prices.of_messages(self._model, 1))
                self._estimator.note_command(command)
                return self._exhausted_scope is None  # a commit may just have spent the rest

    def _reserve(self, tag: str, body: Mapping[str, object]) -> bool:
        for scope in ("session", "user", "day"):
            match self._account_of(scope).room:
                case Room.FREE:
                    continue
                case Room.SPENT:
                    self._exhaust(scope)
                case Room.RESERVED:
                    self._log.warning("response_denied", scope=scope, reserved_usd=float(self._account.reserved_usd))
                case _ as unreachable:
                    assert_never(unreachable)
            return False
        self._estimator.reserve_response(tag, body)
        return True

    def _hold(self, reserved_usd: Decimal, observed_usd: Decimal) -> None:
        self._account.hold(reserved_usd, observed_usd)
        self._budgets.hold(self.costs.user, reserved_usd, observed_usd)
        if observed_usd > 0:
            self._check_session()

    # What happens

    def event_handlers(self) -> Mapping[type, Handler]:
        """An audio delta, the most frequent event, goes straight to the estimator."""
        return {**super().event_handlers(), events.ResponseAudioDelta: self._estimator.on_audio}

    def on_event(self, event: BilledEvent, now: float) -> None:
        """Keep what an estimate will need; when the upstream is lost, bill what it will never report."""
        match event:
            case events.UpstreamReady():
                self._time.begin(now)
            case SessionUsageUpdated(seconds, paused_seconds):
                self._time.tell(seconds, paused_seconds)
                self.pass_time(now)
            case events.UpstreamLost():
                self._time.end(now)
                self.pass_time(now)
                self._bill_reserves("response", "transcription")  # the sidecar has a connection of its own
                self._estimator.start_anew()
            case _:
                self._estimator.on_event(event, now)

    def pass_time(self, now: float) -> None:
        """Bill the time until now; a model that is not billed by it costs nothing here."""
        total = self._prices.of_time(self._model, self._time.seconds(now), self._time.paused_seconds)
        due = total.usd - self._time_billed.usd
        if due > 0:
            self._time_billed = total
            self._bill_own("time", Cost(due))

    def _bill_own(self, kind: str, cost: Cost) -> None:
        """Bill what has no id of the upstream's, and no usage."""
        if cost.usd > 0:
            self._bills += 1
            self._budgets.record(self, kind, f"{kind}_{self._bills}", self._estimator.turn, cost)
            self._account.use(cost.usd)
            self._check_session()

    def on_command(self, command: commands.CountUsage | commands.BeginTurn, now: float) -> None:
        """Bill what was used; note which turn a request belongs to."""
        match command:
            case commands.CountUsage(kind, source_id, usage):
                self._bill(kind, source_id, usage)
            case commands.BeginTurn(turn_id):
                self._estimator.turn = turn_id
            case _:
                assert_never(command)

    def session_closing(self, now: float) -> None:
        """Usage that has not come will not come: what was reserved is the estimate."""
        self._warn_client = self._on_budget_exhausted = None
        self.pass_time(now)
        self._bill_reserves("response", "transcription", "sidecar")
        self._budgets.unsubscribe(self)

    def on_level(self, scope: str, level: BudgetLevel) -> None:
        """A budget of several sessions (`user` or `day`) has reached this level."""
        if level is BudgetLevel.SPENT:
            self._exhaust(scope)
        elif level is BudgetLevel.NEARLY:
            self._warn(scope)

    def _bill_reserves(self, *kinds: str) -> None:
        for key in self._estimator.reserves.open:
            if (kind := self._estimator.reserves[key].kind) in kinds:
                self._bill(kind, key, None)

    def _bill(self, kind: str, source_id: str, usage: Mapping[str, object] | None) -> None:
        if self.costs.has_counted(source_id):
            return
        turn_id, cost = self._estimator.settle(kind, source_id, usage)
        self._log_warnings(cost, kind)
        self._budgets.record(self, kind, source_id, turn_id, cost)
        self._account.use(cost.usd)
        self._check_session()

    # Levels

    def _account_of(self, scope: str) -> BudgetAccount:
        return self._account if scope == "session" else self._budgets.account(scope, self.costs.user)

    def _check_session(self) -> None:
        match self._account.level:
            case BudgetLevel.SPENT:
                self._exhaust("session")
            case BudgetLevel.NEARLY:
                self._warn("session")
            case BudgetLevel.WITHIN:
                pass
            case _ as unreachable:
                assert_never(unreachable)

    def _exhaust(self, scope: str) -> None:
        if self._exhausted_scope is None:
            self._exhausted_scope = scope
            self._log.warning("budget_exhausted", scope=scope, spent_usd=float(self.spent_usd))
            if self._on_budget_exhausted is not None:
                self._on_budget_exhausted()

    def _warn(self, scope: str) -> None:
        if self._warn_client is not None and scope not in self._warned_scopes:
            self._warned_scopes.add(scope)
            account = self._account_of(scope)
            spent, limit = round(float(account.spent_usd), 6), float(account.budget.limit_usd or ZERO)
            self._warn_client(BudgetWarning(scope, spent, limit))

    def _log_warnings(self, cost: Cost, kind: str) -> None:
        """Log each kind of warning once a session: the first line says what to look for."""
        for name in cost.warnings:
            if name not in self._logged_warnings:
                self._logged_warnings.add(name)
                self._log.warning("usage_warning", code=name, kind=kind, model=self._estimator.model_of(kind))
