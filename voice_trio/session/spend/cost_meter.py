"""What one connection costs: its usage, priced as it comes, held against the session's budget and the day's."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, assert_never

import structlog

from voice_trio.billing.prices import CHARACTERS_PER_TOKEN, Cost
from voice_trio.billing.spending import ZERO, BudgetLevel, SessionCosts
from voice_trio.billing.usage import is_reported
from voice_trio.conversation import commands, events
from voice_trio.conversation.response_slot import TAG
from voice_trio.conversation.session_events import BudgetWarning
from voice_trio.session.observers import Observer, SidecarAudioSent, TranscriptionModelChanged
from voice_trio.session.spend.usage_estimator import OBSERVED_EVENTS, UsageEstimator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from voice_trio.billing.prices import Prices
    from voice_trio.billing.spending import Budget
    from voice_trio.session.config import SessionConfig
    from voice_trio.session.observers import Handler

    BilledCommand = commands.CountUsage | commands.BeginTurn | commands.CreateResponse | commands.CreateClientResponse

log = structlog.get_logger(__name__)


class CostMeter(Observer):
    """Counts nothing; `SessionBill` counts."""

    @property
    def cost(self) -> Cost:
        """What this connection has cost so far."""
        return Cost()

    def cost_of_turn(self, turn_id: int) -> Cost:
        """What a turn has cost so far."""
        return Cost()

    @property
    def reserved_micro_usd(self) -> int:
        """What is reserved for responses and transcriptions that are not billed yet, in millionths of a US dollar."""
        return 0

    def admits(self, command: commands.UpstreamCommand) -> bool:
        """Whether `command` may leave; it reserves the expected cost of a response. Called once, before it is sent."""
        return True

    def open(self, warn: Callable[[BudgetWarning], None], on_budget_exhausted: Callable[[], None]) -> None:
        """The session is ready. From now on, and perhaps at once, budgets warn it and end it by these callbacks."""


class Budgets(Protocol):
    """What a bill needs of the process's budgets."""

    @property
    def prices(self) -> Prices: ...

    @property
    def session_budget(self) -> Budget: ...

    @property
    def day_budget(self) -> Budget: ...

    @property
    def spent_today_usd(self) -> Decimal: ...

    def subscribe(self, bill: SessionBill) -> None:
        """Call the bill's `on_day_level` when the day's budget is nearly or fully spent."""
        ...

    def unsubscribe(self, bill: SessionBill) -> None: ...

    def record(self, bill: SessionBill, kind: str, source_id: str, turn_id: int, cost: Cost) -> bool:
        """Record a cost once; False if `source_id` was recorded before."""
        ...


# How a cost finds its turn. Usage comes with `response.done`, often after the next turn has begun: an interruption
# begins one before the interrupted response is done. So the bill notes the turn that is open when a response is
# requested, under the request's tag. The server returns the tag in `response.created`, where the id of the response
# takes its place. A transcription is billed to the turn that is open when its usage comes.
#
# Why estimates. When a socket is lost, the usage of what it was doing never comes, yet the provider bills it. A budget
# that ignored it could be spent several times over by connections that drop in the middle of every response. So what
# is missing is estimated when the upstream is lost and when the session closes, and marked as an estimate.


class SessionBill(CostMeter):
    """One connection's bill; `spent_before` (USD) is what the session cost before it was resumed."""

    event_types: ClassVar = (*OBSERVED_EVENTS, events.UpstreamLost, SidecarAudioSent, TranscriptionModelChanged)
    command_types: ClassVar = (
        commands.CountUsage,
        commands.BeginTurn,
        commands.CreateResponse,
        commands.CreateClientResponse,
    )

    def __init__(self, budgets: Budgets, config: SessionConfig, spent_before: Decimal) -> None:
        self.costs = SessionCosts(config.session_id, config.user)
        self._budgets = budgets
        self._spent_before = spent_before
        self._model = config.model.model
        self._transcription_model = self._sidecar_model = config.model.transcription_model or ""
        self._is_transcribed = True
        self._log = log.bind(session_id=config.session_id)
        self._estimator = UsageEstimator(len(config.model.instructions) // CHARACTERS_PER_TOKEN)
        self._turn = 0
        self._turn_of: dict[str, int] = {}  # by the tag of a request, then by the id of a response or item
        self._warn_client: Callable[[BudgetWarning], None] | None = None
        self._on_budget_exhausted: Callable[[], None] | None = None
        self._warned_scopes: set[str] = set()
        self._logged_warnings: set[str] = set()
        self._is_exhausted = False

    @property
    def cost(self) -> Cost:
        return self.costs.total

    @property
    def spent_usd(self) -> Decimal:
        """What the session has cost so far, with what it cost before it was resumed."""
        return self._spent_before + self.costs.total.usd

    def cost_of_turn(self, turn_id: int) -> Cost:
        return Cost(self.costs.by_turn.get(turn_id, ZERO))

    def open(self, warn: Callable[[BudgetWarning], None], on_budget_exhausted: Callable[[], None]) -> None:
        self._warn_client, self._on_budget_exhausted = warn, on_budget_exhausted
        self._budgets.subscribe(self)
        self._check_session_budget()
        self.on_day_level(self._budgets.day_budget.level(self._budgets.spent_today_usd))

    def event_handlers(self) -> Mapping[type, Handler]:
        """An audio delta, the most frequent event, goes straight to the estimator."""
        return {**super().event_handlers(), events.ResponseAudioDelta: self._estimator.on_event}

    def on_event(self, event: events.Event | SidecarAudioSent | TranscriptionModelChanged, now: float) -> None:
        """Keep what an estimate will need; when the upstream is lost, bill what it will never report."""
        match event:
            case events.UpstreamLost():
                self._bill_estimates()
                self._estimator.start_anew()
            case SidecarAudioSent(source_id, seconds):
                self._estimator.add_stream(source_id, seconds)
            case TranscriptionModelChanged(model):
                self._is_transcribed = model is not None
                self._transcription_model = model or self._transcription_model
            case events.ResponseCreated():
                self._turn_of[event.response_id] = self._turn_of.pop(event.metadata.get(TAG, ""), self._turn)
                self._estimator.on_event(event, now)
            case _:
                self._estimator.on_event(event, now)

    def on_command(self, command: BilledCommand, now: float) -> None:
        """Note which turn a request belongs to, and bill what was used."""
        match command:
            case commands.CountUsage(kind, source_id, usage):
                self._bill(kind, source_id, usage)
            case commands.BeginTurn(turn_id):
                self._turn = turn_id
            case commands.CreateResponse(event_id) | commands.CreateClientResponse(event_id):
                self._turn_of[event_id] = self._turn
            case _:
                assert_never(command)

    def session_closing(self, now: float) -> None:
        """Usage that has not come will not come: it is estimated."""
        self._warn_client = self._on_budget_exhausted = None
        self._bill_estimates()
        for source_id in self._estimator.streams:
            self._bill("sidecar", source_id, None)
        self._budgets.unsubscribe(self)

    def on_day_level(self, level: BudgetLevel) -> None:
        """The day's budget, over all sessions, has reached this level."""
        if level is BudgetLevel.SPENT:
            self._exhaust("day")
        elif level is BudgetLevel.NEARLY:
            self._warn("day", self._budgets.spent_today_usd, self._budgets.day_budget)

    def _bill(self, kind: str, source_id: str, usage: Mapping[str, object] | None) -> None:
        if self.costs.has_counted(source_id):
            return
        if kind == "response":
            cost = self._price_response(source_id, usage)
        else:
            cost = self._price_transcription(kind, source_id, usage)
        self._log_warnings(cost, kind)
        self._budgets.record(self, kind, source_id, self._turn_of.pop(source_id, self._turn), cost)
        self._check_session_budget()

    def _price_response(self, response_id: str, usage: Mapping[str, object] | None) -> Cost:
        prices = self._budgets.prices
        estimate = prices.estimated_response(self._model, self._estimator.estimate(response_id))
        self._estimator.settle_response(response_id, usage)
        if usage is None or not is_reported(usage):
            return estimate
        return prices.of_response(self._model, usage).or_estimate(estimate)

    def _price_transcription(self, kind: str, source_id: str, usage: Mapping[str, object] | None) -> Cost:
        seconds = self._estimator.seconds_of(source_id)
        self._estimator.settle_item(source_id)
        prices, model = self._budgets.prices, self._model_of(kind)
        estimate = prices.estimated_transcription(model, seconds)
        if usage is None or not is_reported(usage):
            return estimate
        return prices.of_transcription(model, usage).or_estimate(estimate)

    def _bill_estimates(self) -> None:
        for response_id in self._estimator.responses:
            self._bill("response", response_id, None)
        for item_id in self._estimator.items if self._is_transcribed else ():
            self._bill("transcription", item_id, None)

    def _model_of(self, kind: str) -> str:
        if kind == "response":
            return self._model
        return self._sidecar_model if kind == "sidecar" else self._transcription_model

    def _check_session_budget(self) -> None:
        budget = self._budgets.session_budget
        match budget.level(self.spent_usd):
            case BudgetLevel.SPENT:
                self._exhaust("session")
            case BudgetLevel.NEARLY:
                self._warn("session", self.spent_usd, budget)
            case _:
                pass

    def _exhaust(self, scope: str) -> None:
        if not self._is_exhausted:
            self._is_exhausted = True
            self._log.warning("budget_exhausted", scope=scope, spent_usd=float(self.spent_usd))
            if self._on_budget_exhausted is not None:
                self._on_budget_exhausted()

    def _warn(self, scope: str, spent: Decimal, budget: Budget) -> None:
        if self._warn_client is not None and scope not in self._warned_scopes:
            self._warned_scopes.add(scope)
            self._warn_client(BudgetWarning(scope, round(float(spent), 6), float(budget.limit_usd or ZERO)))

    def _log_warnings(self, cost: Cost, kind: str) -> None:
        """Log each kind of warning once a session: the first line says what to look for."""
        for name in cost.warnings:
            if name not in self._logged_warnings:
                self._logged_warnings.add(name)
                self._log.warning("usage_warning", code=name, kind=kind, model=self._model_of(kind))
