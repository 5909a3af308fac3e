"""What goes wrong with a full-duplex upstream: errors, an answer that does not come, a connection that is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.conversation import commands, events
from voice_trio.conversation.full_duplex.turn_flow import TYPED
from voice_trio.conversation.policy import FATAL_CODES, SESSION_EXPIRED
from voice_trio.conversation.response import UPSTREAM_LOST
from voice_trio.conversation.turn.turn import TurnState

if TYPE_CHECKING:
    from voice_trio.conversation.full_duplex.events import AnswerOverdue
    from voice_trio.conversation.full_duplex.turn_flow import FullDuplexTurnFlow
    from voice_trio.conversation.turn.turn import Turn

REPEATED = "The connection failed for a moment. Just before, the user said this. Answer it aloud now:\n"
CONTINUED = (
    "The connection failed for a moment and cut your answer short. The user heard this of it. Go on from there:\n"
)


class FullDuplexFailures:
    """What becomes of the turn that an upstream was working on: the client always sees an error, or an answer."""

    def __init__(self, flow: FullDuplexTurnFlow) -> None:
        self._flow = flow
        self._out = flow.out

    def on_event(self, event: events.UpstreamError | events.UpstreamReady | events.UpstreamLost) -> None:
        match event:
            case events.UpstreamReady():
                self._on_ready()
            case events.UpstreamLost():
                self._on_lost()
            case events.UpstreamError():
                self._on_error(event)

    def _on_error(self, event: events.UpstreamError) -> None:
        self._out.warn(event.code or "error", event.message)
        if event.code in FATAL_CODES:
            self._out.issued.append(commands.EndSession(event.code))
        elif event.code == SESSION_EXPIRED:
            self._out.issued.append(commands.ReplaceUpstream(event.code))
        elif not self._out.is_ours(event.event_id):
            self._flow.notify("model_error", "The model reported an error; the conversation goes on.")

    def _on_lost(self) -> None:
        """The upstream is gone, with what it was saying; the next one gets what the user waits for."""
        self._flow.context.forget()
        self._flow.delegations.clear()
        self._flow.responses.cut("incomplete", UPSTREAM_LOST)

    def _on_ready(self) -> None:
        """An upstream that has heard the history. It must hear sound before it takes appends."""
        flow, turn = self._flow, self._flow.turn
        self._out.issued.append(commands.StartSilence())
        if turn is None or not turn.is_open or not turn.said:
            return
        if turn.state is TurnState.ASKED:
            self._continue(turn)
        elif turn.state is not TurnState.LISTENING:
            flow.unasked_text = (TYPED if turn.typed else REPEATED) + turn.said
        else:
            at = flow.now + flow.policy.known_words_seconds
            self._out.issued.append(commands.ScheduleEvent(at, events.SpeechOverdue(turn.id)))

    def _continue(self, turn: Turn) -> None:
        """The answer broke off: from where its sound stopped the next upstream goes on."""
        heard = self._flow.heard_of(turn)
        turn.keep_spoken_words(heard)
        words = " ".join(text for _, text in turn.heard_items(heard))
        self._flow.unasked_text = CONTINUED + words if words else REPEATED + turn.said
        turn.state = TurnState.READY

    def on_speech_overdue(self, event: events.SpeechOverdue) -> None:
        """The upstream was lost while the user spoke, and they have not gone on: they had finished."""
        flow, turn = self._flow, self._flow.turn
        if turn is None or turn.id != event.turn_id or turn.state is not TurnState.LISTENING:
            return
        flow.close_question(turn)
        flow.complete_transcript(turn)
        flow.user_input.commit(turn, flow.item_id, flow.now)
        flow.unasked_text = REPEATED + turn.said

    def on_answer_overdue(self, event: AnswerOverdue) -> None:
        """The upstream was given a question, and does not answer it."""
        turn = self._flow.turn
        if turn is not None and turn.id == event.turn_id and turn.is_unasked:
            self._flow.notify("answer_failed", "The model did not answer in time. Please ask again.")
            self._flow.finish("unanswered")
