"""Budgets at work: a `Purse` for every session, one `Treasury` for the process, the day's sum shared through `State`.

Counting never waits. What was spent goes to the shared state a moment later, by the treasury's one task, so another
instance learns of it within `SHARE_SECONDS`; that, and the answers in progress, is by how much a day may be exceeded.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import structlog
import trio

from voice_trio.conversation import commands as do
from voice_trio.conversation import events as on
from voice_trio.conversation.answers import TAG
from voice_trio.conversation.notices import BudgetWarning
from voice_trio.errors import StateUnavailable
from voice_trio.services.prices import CHARACTERS_PER_TOKEN, Cost
from voice_trio.services.spending import MICRO, ZERO, Budget, Level, SessionCosts, Spending, micro_usd
from voice_trio.session.unbilled import Unbilled
from voice_trio.session.unshared import Unshared

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voice_trio.conversation.commands import Command
    from voice_trio.conversation.events import Event
    from voice_trio.services.prices import Prices
    from voice_trio.services.state import State
    from voice_trio.session.terms import Terms
    from voice_trio.settings import Limits

SHARE_SECONDS = 5.0
"""How often the day's sum is told and asked, at the latest."""
DAY_SECONDS = 86_400
FLUSH_SECONDS_MAX = 2.0

log = structlog.get_logger(__name__)


class Treasury:
    """The money of one process. `run` is its task; everything else is synchronous."""

    def __init__(
        self,
        prices: Prices,
        state: State,
        limits: Limits,
        *,
        unix_time: Callable[[], float] = time.time,
        on_cost: Callable[[str, Cost], None] | None = None,
    ) -> None:
        self.prices = prices
        self.spending = Spending()
        self.session_budget = Budget.of(limits.session_budget_usd)
        self.day_budget = Budget.of(limits.daily_budget_usd)
        self._state = state
        self._unix_time = unix_time
        self._on_cost = on_cost
        self._purses: set[Purse] = set()
        self._unshared = Unshared()
        self._shared: dict[str, int] = {}
        self._day = self._today()
        self._news = trio.Event()

    @property
    def spent_today_usd(self) -> Decimal:
        """What all instances spent since midnight UTC, as far as is known here."""
        day = self._today()
        return Decimal(self._shared.get(day, 0)) / MICRO + self._unshared.usd(day)

    @property
    def is_exhausted(self) -> bool:
        """Whether the day's budget is spent; it opens again at midnight UTC."""
        return self.day_budget.level(self.spent_today_usd) is Level.SPENT

    @property
    def seconds_to_midnight(self) -> float:
        """Until the next day's budget."""
        return DAY_SECONDS - self._unix_time() % DAY_SECONDS

    @property
    def today(self) -> str:
        """The date whose budget is being spent (ISO, UTC)."""
        return self._today()

    def open(self, terms: Terms, *, spent_before_micro_usd: int = 0) -> Purse:
        """A purse for one connection; `spent_before…` is what the session cost before it was resumed."""
        return Purse(self, terms, Decimal(spent_before_micro_usd) / MICRO)

    def watch(self, purse: Purse) -> None:
        """From now on the purse hears of the day's budget."""
        self._purses.add(purse)

    def leave(self, purse: Purse) -> None:
        """The session is over."""
        self._purses.discard(purse)

    def count(self, purse: Purse, kind: str, source_id: str, turn_id: int, cost: Cost) -> bool:
        """Record a cost once, and see what it does to the day; False if it was recorded before."""
        day = self._today()
        if not self.spending.record(day, purse.costs, source_id, turn_id, cost):
            return False
        self._unshared.add(day, purse.costs.user, cost.usd)
        if self._on_cost is not None:
            self._on_cost(kind, cost)
        self._news.set()
        self._look_at_day()
        return True

    async def run(self) -> None:
        """Tell the shared state what was spent, and learn what others spent, until cancelled."""
        while True:
            await self.share()
            with trio.move_on_after(SHARE_SECONDS):
                await self._news.wait()
                await trio.sleep(SHARE_SECONDS / 10)  # one call for what comes together
            self._news = trio.Event()

    async def share(self) -> None:
        """Once; what could not be told stays to be told. Whole millionths go, fractions wait for company."""
        for day in self._unshared.days:
            try:
                await self._share_day(day)
            except StateUnavailable:
                log.warning("spending_not_shared", usd=float(self._unshared.usd(day)))
        await self._learn_today()
        self._forget_old_days()
        self._look_at_day()

    async def _share_day(self, day: str) -> None:
        taken = self._unshared.take(day)
        if taken:
            try:
                self._shared[day] = await self._state.add_spent(day, taken.micro_usd, taken.by_user)
            except BaseException:
                self._unshared.put_back(day, taken)
                raise
        elif day == self._today():
            self._shared[day] = await self._state.spent(day)

    async def _learn_today(self) -> None:
        """A day on which this process has spent nothing yet may be spent by others."""
        day = self._today()
        if day not in self._unshared.days and self.day_budget.limit_usd is not None:
            try:
                self._shared[day] = await self._state.spent(day)
            except StateUnavailable:
                log.warning("spending_not_known")

    def _look_at_day(self) -> None:
        """Warn or end whoever is talking, when the day's sum has come far enough."""
        level = self.day_budget.level(self.spent_today_usd)
        if level is not Level.WITHIN:
            for purse in tuple(self._purses):
                purse.hear_of_day(level)

    def _forget_old_days(self) -> None:
        today = self._today()
        for day in [day for day in self._shared if day != today and not micro_usd(self._unshared.usd(day))]:
            self._shared.pop(day)
            self._unshared.forget(day)

    def _today(self) -> str:
        day = datetime.fromtimestamp(self._unix_time(), UTC).date().isoformat()
        if day < getattr(self, "_day", day):
            log.warning("clock_went_back", from_day=self._day, to_day=day)
        self._day = day
        return day


class Purse:
    """An `Account`: one connection's bill, held against the session's budget and the day's."""

    def __init__(self, treasury: Treasury, terms: Terms, spent_before: Decimal) -> None:
        self.costs = SessionCosts(terms.session_id, terms.user)
        self._treasury = treasury
        self._spent_before = spent_before
        self._model = terms.model.model
        self._ears = self._sidecar = terms.model.transcription_model or ""
        self._log = log.bind(session_id=terms.session_id)
        self._unbilled = Unbilled(len(terms.model.instructions) // CHARACTERS_PER_TOKEN)
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

    def transcribed_by(self, model: str) -> None:
        """What the conversation's own transcription is billed by from now on."""
        self._ears = model

    def streamed(self, source_id: str, seconds: float) -> None:
        """Keep how much the sidecar heard, for the case that its usage never comes."""
        self._unbilled.streamed(source_id, seconds)

    def saw(self, event: Event) -> None:
        """Keep what will be billed; when a model is lost, bill what it never will."""
        match event:
            case on.ModelLost():
                self._settle_all()
                self._unbilled.start_anew()
            case on.ResponseCreated():
                self._turn_of[event.response_id] = self._turn_of.pop(event.metadata.get(TAG, ""), self._turn)
                self._unbilled.saw(event)
            case _:
                self._unbilled.saw(event)

    def did(self, command: Command) -> None:
        """Note whose turn it is, and count what is billed."""
        match command:
            case do.CountUsage(kind, source_id, usage):
                self._bill(kind, source_id, usage)
            case do.BeginTurn(turn_id):
                self._turn = turn_id
            case do.SendToModel(do.CreateResponse(event_id)):
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
        for item_id in self._unbilled.items:
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
