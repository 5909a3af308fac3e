"""How a turn goes on under the passthrough policy: context first, then the response, once it is asked for.

One place knows the user's half (`UserInput`), the responses and what was truncated; it does not know the names of the
events that set it in motion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.conversation import commands
from voice_trio.conversation.outbound import Outbound
from voice_trio.conversation.passthrough.responses import PassthroughResponses
from voice_trio.conversation.passthrough.truncation import PassthroughTruncation
from voice_trio.conversation.response import CLIENT_CANCELLED, TURN_DETECTED
from voice_trio.conversation.turn.turn import TurnState
from voice_trio.conversation.turn.turn_flow import TurnFlow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.conversation.passthrough import requests
    from voice_trio.conversation.policy import Policy
    from voice_trio.conversation.turn.playback import Heard
    from voice_trio.conversation.turn.turn import Turn

ALREADY_ACTIVE_MESSAGE = "Conversation already has an active response in progress."


class PassthroughTurnFlow(TurnFlow[PassthroughResponses]):
    """The turns of a client of OpenAI's protocol, which asks for responses itself or has the session promise them."""

    def __init__(self, policy: Policy, id_prefix: str, now: float) -> None:
        out = Outbound(id_prefix)
        super().__init__(policy, out, PassthroughResponses(policy, out), now)
        self.truncation = PassthroughTruncation(out)
        self.held: requests.ResponseRequested | None = None
        """A client's request, until retrieval is over and the slot is free."""
        self.response_is_due = False
        """The gateway itself is to ask, as the session promised."""
        self.truncation_is_due = False
        self._dropped: list[commands.ResponseNotAsked] = []  # until the client knows of no active response
        self._commits: list[int] = []  # of the client's, by number, that the upstream has not answered yet
        self._commit_count = 0
        self._prefix = id_prefix
        self._reports: list[tuple[Turn, str]] = []  # turns that are over but for the client's heard position

    # `advance` runs after each event and does what has become possible. Its order carries invariants:
    #
    # 1. The wait for context ends (I3) before anything else looks at the turn's state.
    # 2. What an interruption left is settled once the next turn is committed and no response is open: until then the
    #    client's own truncation may come, and the interrupted item may grow (I6).
    # 3. The context goes in as soon as it is settled, also before any request: a client that asks at any time later
    #    finds it there (I2). A typed question's context waits for the request that came with it.
    # 4. A held request, or the response that the session promised, leaves if the slot is free (I1), the client's own
    #    commits are answered, and the current turn waits for nothing.

    def advance(self) -> None:
        """Do what has become possible: settle, put the context in, ask."""
        turn = self.user_input.turn
        if turn is not None and turn.state is TurnState.WAITING:
            self.user_input.settle_if_possible(turn, self.now)
        if self.truncation_is_due and self.responses.open is None:
            self.settle_truncation()
        if self._dropped and self.responses.is_free:
            for notice in self._dropped:
                self.out.to_client(notice)
            self._dropped.clear()
        ready = turn if turn is not None and turn.state is TurnState.READY else None
        if ready is not None and not ready.typed and not self.response_is_due:
            self._choose_and_insert_context(ready)
        if self.held is None and not self.response_is_due:
            return
        if self._commits or not self.responses.is_free or (self.user_input.is_waiting and ready is None):
            return
        self._ask(ready or self._turn_without_question())

    def begin(self, reason: str, *, interrupts: bool) -> Turn:
        """Begin a turn; a response that goes on is silenced if the client's session `interrupts`."""
        interrupted = interrupts and self.interrupt()
        last = self.user_input.turn
        unheard = False
        if last is not None and last.is_open:
            unheard = last.is_unasked or (interrupted and not last.response_forwarded)
        self.finish("joined" if unheard else "completed", reason, interrupted=interrupted)
        self.response_is_due = False
        return self.user_input.begin()

    def interrupt(self, reason: str = TURN_DETECTED) -> bool:
        """Silence the response now; false if there was nothing to silence."""
        playback = self.responses.playback
        if not self.responses.is_audible(self.now):
            return False
        heard = playback.heard(self.now)
        self.truncation.interrupted(heard)
        self.responses.silence(self.now, reason)
        at = heard[-1] if heard else None
        self.out.to_client(commands.PlaybackFlush(at.item_id if at else "", int(at.heard_ms) if at else 0))
        return True

    def drop_held(self) -> None:
        """The held request's response is not wanted any more: the client still gets it, created and cancelled."""
        request = self.held
        if request is None:
            return
        if not self.responses.is_free:
            self.held = None
            metadata = request.body.get("metadata")
            self._dropped.append(commands.ResponseNotAsked(metadata if isinstance(metadata, dict) else None))
            return
        turn = self.turn
        self._ask(turn if turn is not None and turn.is_unasked else self._turn_without_question())
        self.responses.silence(self.now, CLIENT_CANCELLED)

    def drop_due_response(self) -> None:
        if self.response_is_due:
            self.response_is_due = False
            self.finish("unanswered", "cancelled")

    def finish(self, status: str, reason: str = "", *, interrupted: bool = False) -> None:
        """The turn is over; what was heard of an interrupted one may still become known."""
        turn = self.user_input.turn
        if turn is None or not turn.is_open:
            return
        self.end_turn(turn, status, reason, interrupted=interrupted)
        self.report_finished()
        self._reports.append((turn, "cancelled" if interrupted and turn.response_forwarded else status))
        if not interrupted:
            self.report_finished()

    def settle_truncation(self) -> None:
        self.truncation_is_due = False
        self.truncation.settle()
        self.report_finished()

    def report_finished(self) -> None:
        """Report turns that are over, with what is known by now of what was heard."""
        for turn, status in self._reports:
            self.report(turn, status, self._heard_of(turn, self.now))
        self._reports.clear()

    def unreported(self, now: float) -> list[tuple[Turn, Sequence[Heard]]]:
        """Turns that are over and whose truncation is not settled, and the current one."""
        turns = [turn for turn, _ in self._reports]
        turns += [turn for turn, _ in super().unreported(now) if turn not in turns]
        return [(turn, self._heard_of(turn, now)) for turn in turns]

    def _heard_of(self, turn: Turn, now: float) -> Sequence[Heard]:
        response = self.responses.latest
        if response is None or response.turn is not turn:
            return []
        return self.responses.playback.heard(now) if response.heard is None else response.heard

    def note_commit(self) -> int:
        """The client has committed by itself: no response is asked for before the upstream has answered that."""
        self._commit_count += 1
        self._commits.append(self._commit_count)
        return self._commit_count

    def commit_over(self, number: int | None = None) -> None:
        """The upstream has answered the client's oldest commit; or, by its number, one it should have answered."""
        if number is None and self._commits:
            self._commits.pop(0)
        elif number is not None and number in self._commits:
            self._commits.remove(number)

    def forward(
        self, body: requests.Body, client_event_id: str | None, *, overtakes: bool = False, is_commit: bool = False
    ) -> None:
        """An event of the client's goes on to the upstream, under an event id of ours."""
        command = commands.ForwardClientEvent(self.out.new_id("p"), body, client_event_id, overtakes, is_commit)
        self.out.to_upstream(command)

    def refuse(self, event: requests.ClientRequest, code: str, message: str) -> None:
        self.out.to_client(commands.RequestRefused(code, message, event.event_id))

    def _ask(self, turn: Turn) -> None:
        """Context first, then `response.create` (I2); the client's own body for it, where it gave any."""
        request, self.held, self.response_is_due = self.held, None, False
        self.settle_truncation()
        if turn.state is not TurnState.LISTENING:
            self._choose_and_insert_context(turn)
            turn.state = TurnState.ASKED
        turn.stages.asked = turn.stages.asked or self.now
        turn.attempts += 1
        if not turn.tool_rounds:
            self.responses.playback.clear()
        self.responses.ask(turn, request, self.now)

    def _turn_without_question(self) -> Turn:
        """A response is asked for without a new question: a greeting, or what follows a function's output."""
        turn, response = self.turn, self.responses.latest
        if turn is not None and turn.state is TurnState.LISTENING:
            return turn
        if turn is not None and turn.is_open and response is not None and response.turn is turn and response.has_calls:
            turn.tool_rounds += 1
            return turn
        turn = self.begin("asked", interrupts=False)
        turn.state = TurnState.READY
        return turn

    def _choose_and_insert_context(self, turn: Turn) -> None:
        if turn.outcome is None:
            turn.choose_context(self.policy.context_tokens_max)
            newest = turn.newest_item_id
            self.insert_context(turn, None if newest is None or newest.startswith(self._prefix) else newest)
