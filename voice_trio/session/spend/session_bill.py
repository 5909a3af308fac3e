"""One connection's bill: what its model uses, priced as it comes, held against the session's budget and the day's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from voice_trio.billing.prices import CHARACTERS_PER_TOKEN, Cost
from voice_trio.billing.spending import ZERO, Level, SessionCosts
from voice_trio.conversation import commands, events
from voice_trio.conversation.managed.responses import TAG
from voice_trio.conversation.session_events import BudgetWarning
from voice_trio.session.spend.usage_estimator import UsageEstimator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from decimal import Decimal

    from voice_trio.billing.spending import Budget
    from voice_trio.conversation.commands import Command
    from voice_trio.conversation.events import Event
    from voice_trio.session.config import SessionConfig
    from voice_trio.session.spend.daily_budget import DailyBudget

log = structlog.get_logger(__name__)


class SessionBill:
    """An `Account`: one connection's bill, held against the session's budget and the day's."""

    def __init__(self, treasury: DailyBudget, terms: SessionConfig, spent_before: Decimal) -> None:
        self.costs = SessionCosts(terms.session_id, terms.user)
        self._treasury = treasury
        self._spent_before = spent_before
        self._model = terms.model.model
        self._ears = self._sidecar = terms.model.transcription_model or ""
        self._is_transcribed = True
        self._log = log.bind(session_id=terms.session_id)
        self._unbilled = UsageEstimator(len(terms.model.instructions) // CHARACTERS_PER_TOKEN)
        self._turn = 0
        self._turn_of: dict[str, int] = {}  # by the tag of a request, then by the id of a response or item
        self._tell: Callable[[BudgetWarning], None] | None = None
        self._run_dry: Callable[[], None] | None = None
        self._warned_of: set[str] = set()
        self._named: set[str] = set()
        self._is_empty = False

    @property
    def cost(self) -> Cost:
        """What this connection cost so far."""
        return self.costs.total

    @property
    def spent_usd(self) -> Decimal:
        """What the session cost so far, with what it cost before it was resumed."""
        return self._spent_before + self.costs.total.usd

    def open(self, tell: Callable[[BudgetWarning], None], run_dry: Callable[[], None]) -> None:
        """The session is ready; it hears at once of a budget that is nearly spent."""
        self._tell, self._run_dry = tell, run_dry
        self._treasury.watch(self)
        self._look_at_session()
        self.hear_of_day(self._treasury.day_budget.level(self._treasury.spent_today_usd))

    def transcribed_by(self, model: str | None) -> None:
        """What the conversation's own transcription is billed by from now on; None: it transcribes nothing."""
        self._is_transcribed = model is not None
        self._ears = model or self._ears

    def streamed(self, source_id: str, seconds: float) -> None:
        """Keep how much the sidecar heard, for the case that its usage never comes."""
        self._unbilled.streamed(source_id, seconds)

    def saw(self, event: Event) -> None:
        """Keep what will be billed; when a model is lost, bill what it never will."""
        match event:
            case events.UpstreamLost():
                self._settle_all()
                self._unbilled.start_anew()
            case events.ResponseCreated():
                self._turn_of[event.response_id] = self._turn_of.pop(event.metadata.get(TAG, ""), self._turn)
                self._unbilled.saw(event)
            case _:
                self._unbilled.saw(event)

    def did(self, command: Command) -> None:
        """Note whose turn it is, and count what is billed."""
        match command:
            case commands.CountUsage(kind, source_id, usage):
                self._bill(kind, source_id, usage)
            case commands.BeginTurn(turn_id):
                self._turn = turn_id
            case commands.SendToUpstream(commands.CreateResponse(event_id) | commands.CreateClientResponse(event_id)):
                self._turn_of[event_id] = self._turn
            case _:
                pass

    def cost_of_turn(self, turn_id: int) -> Cost:
        """What a turn has cost so far."""
        return Cost(self.costs.by_turn.get(turn_id, ZERO))

    def close(self) -> None:
        """The session is over: what never will be billed is estimated."""
        self._tell = self._run_dry = None
        self._settle_all()
        for source_id in self._unbilled.streams:
            self._bill("sidecar", source_id, None)
        self._treasury.leave(self)

    def hear_of_day(self, level: Level) -> None:
        """The day's budget has come so far."""
        if level is Level.SPENT:
            self._run_out("day")
        elif level is Level.NEARLY:
            self._warn("day", self._treasury.spent_today_usd, self._treasury.day_budget)

    def _bill(self, kind: str, source_id: str, usage: Mapping[str, object] | None) -> None:
        prices, unbilled = self._treasury.prices, self._unbilled
        if self.costs.counts(source_id):
            return
        if kind == "response":
            guess = unbilled.guess(source_id)
            cost = (
                prices.estimated_response(self._model, guess)
                if usage is None
                else prices.of_response(self._model, usage)
            )
            unbilled.settle_response(source_id, usage)
        else:
            ears, seconds = self._hears_with(kind), unbilled.seconds_of(source_id)
            cost = (
                prices.estimated_transcription(ears, seconds) if usage is None else prices.of_transcription(ears, usage)
            )
            unbilled.settle_item(source_id)
        self._name(cost, kind)
        self._treasury.count(self, kind, source_id, self._turn_of.pop(source_id, self._turn), cost)
        self._look_at_session()

    def _settle_all(self) -> None:
        for response_id in self._unbilled.responses:
            self._bill("response", response_id, None)
        for item_id in self._unbilled.items if self._is_transcribed else ():
            self._bill("transcription", item_id, None)

    def _hears_with(self, kind: str) -> str:
        return self._sidecar if kind == "sidecar" else self._ears

    def _look_at_session(self) -> None:
        budget = self._treasury.session_budget
        match budget.level(self.spent_usd):
            case Level.SPENT:
                self._run_out("session")
            case Level.NEARLY:
                self._warn("session", self.spent_usd, budget)
            case _:
                pass

    def _run_out(self, scope: str) -> None:
        if not self._is_empty:
            self._is_empty = True
            self._log.warning("budget_exhausted", scope=scope, spent_usd=float(self.spent_usd))
            if self._run_dry is not None:
                self._run_dry()

    def _warn(self, scope: str, spent: Decimal, budget: Budget) -> None:
        if self._tell is not None and scope not in self._warned_of:
            self._warned_of.add(scope)
            self._tell(BudgetWarning(scope, round(float(spent), 6), float(budget.limit_usd or ZERO)))

    def _name(self, cost: Cost, kind: str) -> None:
        """Each odd thing once a session: its first line says what to look for."""
        for name in cost.warnings:
            if name not in self._named:
                self._named.add(name)
                model = self._model if kind == "response" else self._hears_with(kind)
                self._log.warning("usage_warning", code=name, kind=kind, model=model)
