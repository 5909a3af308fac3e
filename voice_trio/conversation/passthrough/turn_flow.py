"""The course of a drop-in client's turns: context first, then the answer, once it is asked for and the model is free.

One place knows the user's half (`Questions`), the responses (`Replies`) and what was cut (`Cuts`); it does not know
what the events are called that set it in motion.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from voice_trio.conversation import commands, events
from voice_trio.conversation.outbound import Outbound
from voice_trio.conversation.passthrough.responses import PassthroughResponses
from voice_trio.conversation.passthrough.truncation import PassthroughTruncation
from voice_trio.conversation.policy import ALREADY_ACTIVE, PLAYBACK_CHECK_SECONDS_MIN, STALE_CONTEXTS
from voice_trio.conversation.retrieval.context_items import ContextItems
from voice_trio.conversation.turn.context_insertion import insert_context
from voice_trio.conversation.turn.turn import TurnState
from voice_trio.conversation.turn.user_input import UserInput

if TYPE_CHECKING:
    from voice_trio.conversation.passthrough import requests
    from voice_trio.conversation.policy import Policy
    from voice_trio.conversation.turn.turn import Turn

ALREADY_ACTIVE_SAID = "Conversation already has an active response in progress."


class PassthroughTurnFlow:
    """What may happen to turns, at the time `now`, which `Gate` keeps."""

    def __init__(self, policy: Policy, id_prefix: str, now: float) -> None:
        self.now = self.active_at = now
        self.out = Outbound(id_prefix)
        self.questions = UserInput(policy, self.out)
        self.replies = PassthroughResponses(policy, self.out)
        self.cuts = PassthroughTruncation(self.out)
        self.held: requests.ResponseRequested | None = None
        """A client's request, until retrieval is over."""
        self.answer_is_due = False
        """The gateway itself is to ask, as the session promised."""
        self.cut_is_due = False
        self._commits: deque[int] = deque()  # of the client's, by number, that the model has not answered yet
        self._commit_count = 0
        self._policy = policy
        self._prefix = id_prefix
        self._contexts = ContextItems(STALE_CONTEXTS * policy.context_tokens_max, policy.context_tokens_max)
        self._reports: list[tuple[Turn, str]] = []  # turns that are over but for the last word on what was heard

    @property
    def turn(self) -> Turn | None:
        """The current turn, or the last one."""
        return self.questions.turn

    def advance(self) -> None:
        """Whatever has become possible: settle, put the context in, ask."""
        self.questions.settle_if_possible(self.now)
        if self.replies.is_free and self.cut_is_due:
            self.settle_cuts()
        turn = self.turn
        is_ready = turn is not None and turn.state is TurnState.READY
        if turn is not None and is_ready and not turn.typed and not self.answer_is_due:
            self._put_context_in(turn)
        if self.held is None and not self.answer_is_due:
            return
        if not self.replies.is_free or self._commits or (self.questions.is_waiting and not is_ready):
            return
        self._ask(turn if turn is not None and is_ready else self._turn_without_question())

    def _ask(self, turn: Turn) -> None:
        """Context first, then `response.create` (I2); the client's own words for it, where it gave any."""
        request, self.held, self.answer_is_due = self.held, None, False
        self.settle_cuts()
        if turn.state is not TurnState.LISTENING:
            self._put_context_in(turn)
            turn.state = TurnState.ASKED
        turn.stages.asked = turn.stages.asked or self.now
        turn.attempts += 1
        if not turn.tool_rounds:
            self.replies.playback.clear()
        body, asked_as = (request.body, request.event_id) if request is not None else ({}, None)
        self.replies.ask(turn, body, asked_as, self.now)

    def _turn_without_question(self) -> Turn:
        """An answer is asked for although nobody said anything new: a greeting, or what follows a function's output."""
        turn, reply = self.turn, self.replies.latest
        if turn is not None and turn.state is TurnState.LISTENING:
            return turn
        if turn is not None and turn.is_open and reply is not None and reply.turn is turn and reply.has_calls:
            turn.tool_rounds += 1
            return turn
        turn = self.begin("asked", interrupts=False)
        turn.state = TurnState.READY
        return turn

    def _put_context_in(self, turn: Turn) -> None:
        if turn.outcome is None:
            turn.choose_context(self._policy.context_tokens_max)
            newest = turn.newest_item_id
            after = None if newest is None or newest.startswith(self._prefix) else newest
            insert_context(turn, after, self._contexts, self.out)

    def begin(self, reason: str, *, interrupts: bool) -> Turn:
        interrupted = interrupts and self.interrupt()
        last = self.turn
        unheard = last is not None and last.is_open and (last.is_unasked or (interrupted and not last.answer_forwarded))
        self.finish("joined" if unheard else "completed", reason, interrupted=interrupted)
        self.answer_is_due = False
        return self.questions.begin()

    def interrupt(self) -> bool:
        """Silence, now; false if there was nothing to silence."""
        playback = self.replies.playback
        if not self.replies.is_audible(self.now):
            return False
        heard = playback.heard(self.now)
        self.cuts.interrupted(heard)
        self.replies.silence(self.now)
        at = heard[-1] if heard else None
        self.out.to_client(commands.PlaybackFlush(at.item_id if at else "", int(at.heard_ms) if at else 0))
        return True

    def let_go_unheard(self) -> None:
        """A held request whose answer nobody wants any more: the client is owed its response, created and cancelled."""
        request = self.held
        if request is None:
            return
        if not self.replies.is_free:
            self.held = None
            self.refuse(request, ALREADY_ACTIVE, ALREADY_ACTIVE_SAID)
            return
        turn = self.turn
        self._ask(turn if turn is not None and turn.is_unasked else self._turn_without_question())
        self.replies.silence(self.now)

    def drop_due_answer(self) -> None:
        if self.answer_is_due:
            self.answer_is_due = False
            self.finish("unanswered", "cancelled")

    def finish(self, status: str, reason: str = "", *, interrupted: bool = False) -> None:
        """The turn is over: whatever still works for it is cancelled. What was heard of it may still become known."""
        turn = self.turn
        if turn is None or not turn.is_open:
            return
        self.active_at = self.now
        turn.state, turn.status = TurnState.OVER, status
        turn.stages.interrupted = self.now if interrupted else None
        self.out.add(commands.EndTurn(turn.id, reason or status))
        self.report_over()
        self._reports.append((turn, "cancelled" if interrupted and turn.answer_forwarded else status))
        if not interrupted:
            self.report_over()

    def settle_cuts(self) -> None:
        self.cut_is_due = False
        self.cuts.settle()
        self.report_over()

    def report_over(self) -> None:
        for turn, status in self._reports:
            reply = self.replies.latest
            heard = []
            if reply is not None and reply.turn is turn:
                heard = self.replies.playback.heard(self.now) if reply.heard is None else reply.heard
            if not turn.reported:
                turn.reported = True
                self.out.add(commands.ReportTurn(turn.record(status, heard)))
        self._reports.clear()

    def check_playback(self, turn: Turn) -> None:
        at = max(self.replies.playback.dry_at(self.now), self.now + PLAYBACK_CHECK_SECONDS_MIN)
        self.out.add(commands.ScheduleEvent(at, events.PlaybackCheck(turn.id)))

    def note_commit(self) -> int:
        """The client has committed by hand: no answer is asked for before the model has said so."""
        self._commit_count += 1
        self._commits.append(self._commit_count)
        return self._commit_count

    def commit_over(self, number: int | None = None) -> None:
        """The model has answered the oldest commit by hand; or, by its number, one it should long have answered."""
        if number is None and self._commits:
            self._commits.popleft()
        elif number is not None and number in self._commits:
            self._commits.remove(number)

    def pass_on(
        self, body: requests.Body, asked_as: str | None, *, overtakes: bool = False, is_commit: bool = False
    ) -> None:
        self.out.to_model(commands.ForwardClientEvent(self.out.new_id("p"), body, asked_as, overtakes, is_commit))

    def refuse(self, event: requests.ClientRequest, code: str, message: str) -> None:
        self.out.to_client(commands.RequestRefused(code, message, event.event_id))
