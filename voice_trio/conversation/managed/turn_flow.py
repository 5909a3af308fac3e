"""A turn's course: it begins, its answer is asked for, it is over. The one place where both halves of a turn meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.conversation import commands, events
from voice_trio.conversation.managed.responses import ManagedResponses
from voice_trio.conversation.outbound import Outbound
from voice_trio.conversation.policy import PLAYBACK_CHECK_SECONDS_MIN, STALE_CONTEXTS, TOOL_ROUNDS_MAX
from voice_trio.conversation.retrieval.context_items import ContextItems
from voice_trio.conversation.turn.context_insertion import insert_context
from voice_trio.conversation.turn.turn import Turn, TurnState
from voice_trio.conversation.turn.user_input import UserInput

if TYPE_CHECKING:
    from voice_trio.conversation.managed.responses import ManagedResponse
    from voice_trio.conversation.policy import Policy
    from voice_trio.conversation.turn.history import History


class ManagedTurnFlow:
    """What may happen to turns, at the time `now`, which `Conversation` keeps."""

    def __init__(self, policy: Policy, history: History, id_prefix: str, now: float) -> None:
        self.policy = policy
        self.out = Outbound(id_prefix)
        self.questions = UserInput(policy, self.out)
        self.answers = ManagedResponses(policy, self.out, history)
        self.contexts = ContextItems(STALE_CONTEXTS * policy.context_tokens_max, policy.context_tokens_max)
        self.now = now
        self.active_at = now
        """When somebody last said something."""
        self.has_model = False
        self.speed = self.speed_wanted = policy.speed

    @property
    def turn(self) -> Turn | None:
        """The current turn, or the last one."""
        return self.questions.turn

    def advance(self) -> None:
        """Whatever has become possible: settle, change speed between answers, ask."""
        self.questions.settle_if_possible(self.now)
        if not self.has_model:
            return
        self.answers.settlements.settle_if_due()
        if self.speed != self.speed_wanted and not self.answers.is_open:
            self.speed = self.speed_wanted
            self.out.to_model(commands.ChangeSpeed(self.out.new_id("s"), self.speed))
        turn = self.turn
        if turn is not None and turn.state is TurnState.READY and self.answers.is_free:
            self._ask(turn)

    def begin(self, reason: str, *, cancel: bool) -> Turn:
        """Silence whatever is being said, and listen; `cancel` as for `Answers.interrupt`."""
        interrupted = self.answers.interrupt(self.now, cancel=cancel)
        last = self.turn
        unheard = last is not None and last.is_open and not last.answer_forwarded
        self.finish("joined" if unheard else "completed", reason, interrupted=interrupted)
        return self.questions.begin()

    def _ask(self, turn: Turn) -> None:
        """Context first, then `response.create`, then the client is told (I2)."""
        first_time = turn.outcome is None
        self.answers.settlements.settle()
        if first_time:
            turn.stages.asked = self.now
            turn.choose_context(self.policy.context_tokens_max)
        insert_context(turn, turn.newest_item_id, self.contexts, self.out)
        turn.state = TurnState.ASKED
        turn.attempts += 1
        self.answers.ask(turn, self.now, tools_allowed=turn.tool_rounds < TOOL_ROUNDS_MAX)
        if first_time and turn.outcome is not None:
            self.out.to_client(commands.ContextInjected(turn.outcome, turn.waited_ms, turn.stale, turn.sources))

    def follow_up(self, answer: ManagedResponse) -> None:
        """Once the response is done and every function has returned: give the outputs, and ask to go on."""
        outputs = self.answers.take_tool_outputs(answer)
        if outputs is None or answer.turn is not self.turn:
            return
        for call_id, output in outputs.items():
            self.out.to_model(commands.CreateFunctionOutput(self.out.new_id("f"), call_id, output))
        answer.turn.tool_rounds += 1
        answer.turn.attempts = 0
        answer.turn.state = TurnState.READY

    def check_playback(self, turn: Turn) -> None:
        at = max(self.answers.playback.dry_at(self.now), self.now + PLAYBACK_CHECK_SECONDS_MIN)
        self.out.add(commands.ScheduleEvent(at, events.PlaybackCheck(turn.id)))

    def finish(self, status: str, reason: str = "", *, interrupted: bool = False) -> None:
        """The turn is over: whatever still works for it is cancelled. An interrupted one is reported when settled."""
        turn = self.turn
        if turn is None or not turn.is_open:
            return
        self.active_at = self.now
        if turn.state is TurnState.LISTENING:
            self.out.add(commands.StopSilence())
        unasked = turn.is_unasked
        turn.state, turn.status = TurnState.OVER, status
        turn.stages.interrupted = self.now if interrupted else None
        self.out.add(commands.EndTurn(turn.id, reason or status))
        if unasked or not interrupted:
            self.answers.report(turn, status, self.now)

    def notify(self, code: str, message: str) -> None:
        self.out.to_client(commands.ErrorNotice(code, message))
