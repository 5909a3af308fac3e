"""How a turn goes on under the managed policy: it begins, its response is asked for, it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.conversation import commands
from voice_trio.conversation.managed.responses import ManagedResponses
from voice_trio.conversation.managed.truncation import ManagedTruncation
from voice_trio.conversation.outbound import Outbound
from voice_trio.conversation.policy import TOOL_ROUNDS_MAX
from voice_trio.conversation.response import CLIENT_CANCELLED, TURN_DETECTED
from voice_trio.conversation.turn.turn import Turn, TurnState
from voice_trio.conversation.turn.turn_flow import TurnFlow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.conversation import events
    from voice_trio.conversation.managed.responses import ManagedResponse
    from voice_trio.conversation.policy import Policy
    from voice_trio.conversation.turn.history import History
    from voice_trio.conversation.turn.playback import Heard

# An instruction in `response.create` would replace the session's own, so it is an item. It stands behind the words that
# the user heard, and is not told to yet another upstream.
CONTINUE = (
    "A technical fault cut your last message short: the user has heard it up to the last word above. Go on from "
    "exactly there, in the same language and tone, and say the rest of the answer. Begin in the middle of the sentence "
    "if it broke off there. Do not greet, apologise, mention the fault, or repeat what was said."
)


class ManagedTurnFlow(TurnFlow[ManagedResponses]):
    """The turns of a client of the voice protocol, which never asks for a response itself."""

    def __init__(self, policy: Policy, history: History, id_prefix: str, now: float) -> None:
        out = Outbound(id_prefix)
        super().__init__(policy, out, ManagedResponses(policy, out), now)
        self.history = history
        self.truncation = ManagedTruncation(policy, out, self.responses.playback, self.report)
        self.has_upstream = False
        self.speed = self.speed_wanted = policy.speed

    # `advance` runs after each event and does what has become possible. Its order carries invariants:
    #
    # 1. The wait for context ends (I3) before anything else looks at the turn's state. It ends without an upstream,
    #    too: a lost one costs no search its result.
    # 2. What an interruption left is settled before `response.create` can leave (I6).
    # 3. The speed changes between responses only: the upstream refuses `session.update` of it during one. It leaves
    #    before the next `response.create`, which it is meant for.
    # 4. `response.create` leaves if the turn's context is settled and the slot is free (I1). All events that can make
    #    this true, `response.done`, timers, results of searches, come through here, so no event has to know what it
    #    made possible.
    #
    # Sound that is forwarded or sent makes nothing of this possible, because its response still occupies the slot or is
    # over, and the current turn is that response's (`begin` interrupts): `ManagedConversation` spares it the call.

    def advance(self) -> None:
        """Do what has become possible: settle, change the speed, ask."""
        turn = self.user_input.turn
        if turn is not None and turn.state is TurnState.WAITING:
            self.user_input.settle_if_possible(turn, self.now)
        if not self.has_upstream:
            return
        pending = self.truncation.pending
        if pending is not None and pending.is_final:
            self.truncation.settle()
        if self.responses.open is not None:
            return
        if self.speed != self.speed_wanted:
            self.speed = self.speed_wanted
            self.out.to_upstream(commands.ChangeSpeed(self.out.new_id("s"), self.speed))
        if turn is not None and turn.state is TurnState.READY and self.responses.is_free:
            self._ask(turn)

    def begin(self, reason: str, *, cancel: bool) -> Turn:
        """Silence the response, if any, and begin a turn; `cancel` as for `interrupt`."""
        interrupted = self.interrupt(cancel=cancel)
        last = self.user_input.turn
        unheard = last is not None and last.state is not TurnState.OVER and not last.response_forwarded
        broke_off = last is not None and last.continues
        status = "joined" if unheard else "incomplete" if broke_off else "completed"
        self.finish(status, reason, interrupted=interrupted)
        return self.user_input.begin()

    def interrupt(self, *, cancel: bool, heard: events.Interrupt | None = None) -> bool:
        """Silence the response now; false if there was nothing to silence.

        `cancel`: send `response.cancel` by id. After a barge-in the upstream cancels by itself.
        """
        responses, now = self.responses, self.now
        response = responses.latest
        if response is None or not responses.is_audible(now):
            return False
        client_knows = False
        if heard is not None and heard.item_id is not None and heard.played_ms is not None:
            client_knows = heard.item_id in responses.playback
            responses.playback.report(heard.item_id, heard.played_ms, now)
        self.truncation.begin(response, now, client_knows=client_knows)
        response.calls.clear()
        response.interrupted = True
        response.interrupted_by = CLIENT_CANCELLED if cancel else TURN_DETECTED
        if response is responses.open:
            if cancel and response.response_id is not None:
                responses.cancel(response.response_id)
            responses.expect_done(response, now)
        return True

    def follow_up(self, response: ManagedResponse) -> None:
        """Once the response is done and every function has returned: give the outputs, and ask to go on."""
        outputs = self.responses.take_tool_outputs(response)
        turn = response.turn
        if outputs is None or turn is not self.turn:
            return
        for call_id, output in outputs.items():
            self.out.to_upstream(commands.CreateFunctionOutput(self.out.new_id("f"), call_id, output))
        turn.tool_rounds += 1
        turn.attempts = 0
        turn.state = TurnState.READY

    def on_playback_check(self, event: events.PlaybackCheck) -> None:
        """By the clock the turn's response has been heard: the turn is over, unless more of it came."""
        turn = self.turn
        is_due = turn is not None and turn.id == event.turn_id and turn.state is TurnState.ASKED
        if turn is not None and is_due and self.responses.open is None and self.is_heard(turn):
            self.finish(turn.status)

    def finish(self, status: str, reason: str = "", *, interrupted: bool = False) -> None:
        """The turn is over; one whose response was interrupted is reported when its truncation is settled."""
        turn = self.user_input.turn
        if turn is None or turn.state is TurnState.OVER:
            return
        if turn.state is TurnState.LISTENING:
            self.out.issued.append(commands.StopSilence())
        self.end_turn(turn, status, reason, interrupted=interrupted)
        if not (turn.was_asked and interrupted):
            latest = self.responses.latest
            is_latest = latest is not None and latest.turn is turn
            self.report(turn, status, self.responses.playback.heard(self.now) if is_latest else [])

    def report(self, turn: Turn, status: str, heard: Sequence[Heard]) -> None:
        """The turn's record, once; from here on it is history."""
        if not turn.reported:
            turn.reported = True
            record = turn.record(status, heard)
            self.history.add(record)
            self.out.issued.append(commands.ReportTurn(record))

    def unreported(self, now: float) -> list[tuple[Turn, Sequence[Heard]]]:
        """An interrupted turn whose truncation is not settled, and the current one."""
        pending = self.truncation.pending
        if pending is None:
            return super().unreported(now)
        interrupted = pending.response.turn
        others = [(turn, heard) for turn, heard in super().unreported(now) if turn is not interrupted]
        return [(interrupted, pending.heard()), *others]

    def _say_how_to_continue(self, turn: Turn) -> None:
        turn.continues = False
        turn.continuations += 1
        if any(text.strip() for text in turn.response_texts.values()):  # else it is asked again from its beginning
            self.out.to_upstream(commands.CreateInstructionItem(self.out.new_id("e"), self.out.new_id("i"), CONTINUE))

    def notify(self, code: str, message: str) -> None:
        self.out.to_client(commands.ErrorNotice(code, message))

    def _ask(self, turn: Turn) -> None:
        """Context first, then `response.create`, then `context.injected` to the client (I2)."""
        is_first = turn.outcome is None
        self.truncation.settle()
        if turn.continues:
            self._say_how_to_continue(turn)
        if is_first:
            turn.stages.asked = self.now
            turn.choose_context(self.policy.context_tokens_max)
        self.insert_context(turn, turn.newest_item_id)
        if not turn.tool_rounds and not turn.continuations:
            self.responses.playback.clear()
            self.truncation.begin_response()
        turn.state = TurnState.ASKED
        turn.attempts += 1
        self.responses.ask(turn, self.now, tools_allowed=turn.tool_rounds < TOOL_ROUNDS_MAX)
        if is_first and turn.outcome is not None:
            self.out.to_client(commands.ContextInjected(turn.outcome, turn.waited_ms, turn.stale, turn.injected))
