"""The single response sequencer: at most one response in the model at a time (I1), and what becomes of each.

It knows answers, their playback and their interruption; it does not know how a turn came about. `Conversation` asks
through it and is told when an answer has ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from voice_trio.conversation import commands, events
from voice_trio.conversation.managed.truncation import ManagedTruncation
from voice_trio.conversation.turn.playback import CLOCK_SLACK_SECONDS, Playback

if TYPE_CHECKING:
    from voice_trio.conversation.outbound import Outbound
    from voice_trio.conversation.policy import Policy
    from voice_trio.conversation.turn.history import History
    from voice_trio.conversation.turn.turn import Turn

TAG = "vt"  # the metadata key by which a response is known to be ours


class ResponseState(Enum):
    ASKED = "response.create has left"
    ACTIVE = "response.created came"
    DONE = "response.done came, or the response was given up"


@dataclass(slots=True)
class ManagedResponse:
    turn: Turn
    tag: str
    state: ResponseState = ResponseState.ASKED
    response_id: str | None = None
    muted: bool = False
    """Interrupted: nothing more of it is forwarded."""
    active_at: float = 0.0
    """When the model last said something of it."""
    was_reminded: bool = False
    """Interrupted and not done for long, so it was cancelled by id once more."""
    announced: bool = False
    """The client was told `response.created`, so it will be told `response.done`."""
    calls: dict[str, str | None] = field(default_factory=dict)
    """Function calls by id, with their outputs as they come in."""

    @property
    def awaits_tools(self) -> bool:
        return bool(self.calls) and not self.muted


class ManagedResponses:
    """Asks for answers one at a time, passes them on, and settles what an interruption left."""

    def __init__(self, policy: Policy, out: Outbound, history: History) -> None:
        self._policy = policy
        self._out = out
        self.history = history
        self._open: ManagedResponse | None = None
        self._given_up: dict[
            str, ManagedResponse
        ] = {}  # by tag: never created in time; cancelled should they still appear
        self._foreign: set[str] = set()  # responses nobody asked for: cancelled, and waited out
        self._blocked = False
        self.latest: ManagedResponse | None = None
        self.playback = Playback()
        self.settlements = ManagedTruncation(policy, out, self.playback, history)

    @property
    def is_free(self) -> bool:
        """Whether the model may be asked: nothing asked for, nothing active, nothing in the way."""
        return self._open is None and not self._foreign and not self._blocked

    @property
    def is_open(self) -> bool:
        return self._open is not None

    def is_audible(self, now: float) -> bool:
        """Whether there is something to interrupt: an answer on its way or being heard, or functions at work for it."""
        at_work = self.latest is not None and self.latest.awaits_tools
        return (self._open is not None and not self._open.muted) or at_work or self.playback.is_playing(now)

    # Asking

    def ask(self, turn: Turn, now: float, *, tools_allowed: bool) -> None:
        """`response.create`; the caller has settled whatever an interruption left (I6)."""
        if not turn.tool_rounds:
            self.playback.clear()
            self.settlements.begin_answer()
        tag = self._out.new_id("r")
        self._open = self.latest = ManagedResponse(turn, tag)
        self._out.to_model(commands.CreateResponse(tag, {TAG: tag}, tools_allowed))
        self._out.add(commands.ScheduleEvent(now + self._policy.creation_seconds_max, events.CreationOverdue(tag)))

    def refused(self, tag: str) -> ManagedResponse | None:
        """The model refused our `response.create`; the answer it was for, if it is still wanted."""
        answer = self._open
        if answer is None or answer.tag != tag or answer.state is not ResponseState.ASKED:
            return None
        self._close(answer)
        return answer

    def block(self) -> None:
        """Another response is active, unknown to us: wait for any `response.done`."""
        self._blocked = True

    def unblock(self) -> bool:
        was_blocked, self._blocked = self._blocked, False
        return was_blocked

    def give_up_uncreated(self, tag: str) -> ManagedResponse | None:
        """No `response.created` in all this time; the answer, if it is still outstanding."""
        answer = self.refused(tag)
        if answer is not None:
            self._given_up[tag] = answer
        return answer

    # What the model says of a response

    def created(self, event: events.ResponseCreated, now: float) -> ManagedResponse | None:
        """The answer that now begins to be generated, unless nobody wants it."""
        answer, tag = self._open, event.metadata.get(TAG)
        if answer is not None and answer.response_id == event.response_id:
            return None  # told twice
        if answer is None or answer.state is not ResponseState.ASKED or tag not in (None, answer.tag):
            self._refuse(event.response_id, tag, now)
            return None
        answer.state, answer.response_id, answer.active_at = ResponseState.ACTIVE, event.response_id, now
        if answer.muted:  # the user spoke between response.create and response.created
            self._cancel(event.response_id)
            return None
        answer.announced = True
        self._out.to_client(event)
        self._watch(answer)
        return answer

    def item_added(self, event: events.OutputItemAdded) -> None:
        answer = self._find(event.response_id)
        if answer is None or event.kind != "message":
            return
        if not answer.muted:
            self.playback.open(event.item_id)
        else:
            self.settlements.receive(event.item_id)

    def audio(self, event: events.ResponseAudioDelta, now: float) -> ManagedResponse | None:
        """The answer whose audio was passed on; `None` if nobody may hear it (I5)."""
        answer = self._find(event.response_id)
        if answer is None:
            return None
        if answer.muted:
            self.settlements.receive(event.item_id, event.duration_ms)
            return None
        answer.active_at = now
        self.playback.forward(event.item_id, event.duration_ms)
        answer.turn.answer_forwarded = True
        self._out.to_client(event)
        return answer

    def detail(
        self, event: events.ResponseTranscriptDelta | events.ResponseTranscriptDone | events.ResponseAudioDone
    ) -> ManagedResponse | None:
        answer = self._find(event.response_id)
        if answer is None or answer.muted:
            return None
        self._out.to_client(event)
        return answer

    def called(self, event: events.FunctionCalled) -> ManagedResponse | None:
        answer = self._find(event.response_id)
        if answer is None or answer.muted:
            return None
        answer.calls[event.call_id] = None
        return answer

    def done(self, event: events.ResponseDone) -> ManagedResponse | None:
        """The answer that ended; `None` for responses that were never ours to tell of."""
        self._foreign.discard(event.response_id)
        self._blocked = False
        answer = self._find(event.response_id)
        if answer is None:
            return None
        self._close(answer)
        if event.status != "completed":
            answer.calls.clear()  # a cut response asks for nothing
        if answer.announced:
            self._out.to_client(event)
        return answer

    def not_active(self, response_id: str) -> None:
        """The model says there is nothing to cancel: its `response.done` was lost, or is not coming."""
        self._foreign.discard(response_id)
        answer = self._find(response_id)
        if answer is not None:
            self._close(answer)

    def take_tool_outputs(self, answer: ManagedResponse) -> dict[str, str] | None:
        """Every function's output, once the response is done and all have returned; told once."""
        outputs = {call_id: output for call_id, output in answer.calls.items() if output is not None}
        if answer.muted or answer.state is not ResponseState.DONE or not outputs or len(outputs) < len(answer.calls):
            return None
        answer.calls.clear()
        return outputs

    def report(self, turn: Turn, status: str, now: float) -> None:
        """A turn that was not interrupted is over: what was heard is what the clock says."""
        is_latest = self.latest is not None and self.latest.turn is turn
        self.settlements.report(turn, status, self.playback.heard(now) if is_latest else [])

    def foreign_overdue(self, response_id: str) -> None:
        """It was cancelled and is not told of again: nobody waits for it any longer."""
        self._foreign.discard(response_id)

    def give_up_stalled(self, tag: str, now: float) -> ManagedResponse | None:
        """The answer that has come to a standstill, if it is this one; it is cancelled by id and not waited for."""
        answer = self._open
        if answer is None or answer.tag != tag or answer.muted or answer.response_id is None:
            return None
        if now - answer.active_at < self._policy.stall_seconds_max - CLOCK_SLACK_SECONDS:
            self._watch(answer)
            return None
        self._cancel(answer.response_id)
        self._close(answer)
        answer.calls.clear()
        return answer

    # Interruption

    def interrupt(self, now: float, *, cancel: bool, heard: events.Interrupt | None = None) -> bool:
        """Silence, now; false if there was nothing to silence.

        `cancel`: the model does not know yet, so it is told, by id. After a barge-in it cancels by itself.
        """
        answer = self.latest
        if answer is None or not self.is_audible(now):
            return False
        client_knows = False
        if heard is not None and heard.item_id is not None and heard.played_ms is not None:
            client_knows = heard.item_id in self.playback
            self.playback.report(heard.item_id, heard.played_ms, now)
        is_open = answer is self._open
        self.settlements.begin(answer.turn, answer.calls, now, response_open=is_open, client_knows=client_knows)
        answer.calls.clear()
        answer.muted = True
        if is_open:
            if cancel and answer.response_id is not None:
                self._cancel(answer.response_id)
            self._out.add(commands.ScheduleEvent(now + self._policy.done_seconds_max, events.DoneOverdue(answer.tag)))
        return True

    def overdue(self, tag: str, now: float) -> None:
        """An interrupted response is still not done: cancel it by id, and the next time do without."""
        answer = self._open
        if answer is None or answer.tag != tag or not answer.muted:
            return
        if answer.response_id is not None and not answer.was_reminded:
            answer.was_reminded = True
            self._cancel(answer.response_id)
            self._out.add(commands.ScheduleEvent(now + self._policy.done_seconds_max, events.DoneOverdue(tag)))
            return
        if answer.response_id is None:
            self._given_up[tag] = answer
        self._out.add(commands.LogWarning("done_missing", "an interrupted response was never reported done"))
        self._close(answer)

    # A model that is lost

    def lose_model(self) -> ManagedResponse | None:
        """Whatever the model was doing is gone, and it need not be told any more; the answer it was working on."""
        answer, self._open = self._open, None
        self._foreign.clear()
        self._blocked = False
        self.settlements.forget_model()
        if self.latest is not None:
            self.latest.state = ResponseState.DONE
            self.latest.calls.clear()
        return None if answer is None or answer.muted else answer

    # Helpers

    def _find(self, response_id: str) -> ManagedResponse | None:
        answer = self._open
        return answer if answer is not None and answer.response_id == response_id else None

    def _close(self, answer: ManagedResponse) -> None:
        answer.state = ResponseState.DONE
        self._open = None
        if answer.muted:
            self.settlements.response_done()

    def _refuse(self, response_id: str, tag: str | None, now: float) -> None:
        """Nobody asked for this response, or nobody wants it any more: it would be ungrounded, or late."""
        if self._given_up.pop(tag or "", None) is None:
            self._out.add(commands.LogWarning("unasked_response", "the model answered unasked; cancelled"))
        self._foreign.add(response_id)
        self._cancel(response_id)
        self._out.add(
            commands.ScheduleEvent(now + self._policy.done_seconds_max, events.UnsolicitedOverdue(response_id))
        )

    def _watch(self, answer: ManagedResponse) -> None:
        self._out.add(
            commands.ScheduleEvent(
                answer.active_at + self._policy.stall_seconds_max, events.ResponseStalled(answer.tag)
            )
        )

    def _cancel(self, response_id: str) -> None:
        self._out.to_model(commands.CancelResponse(self._out.new_id("c"), response_id))
