"""What goes wrong with a model, and what becomes of the turn it was working on: never silence, the user is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.conversation import commands, events
from voice_trio.conversation.policy import ALREADY_ACTIVE, FATAL_CODES, RESPONSE_ATTEMPTS_MAX, SESSION_EXPIRED
from voice_trio.conversation.turn.turn import TurnState

if TYPE_CHECKING:
    from voice_trio.conversation.managed.turn_flow import ManagedTurnFlow


class Failures:
    """Errors, delays, and a model that is lost and replaced."""

    def __init__(self, flow: ManagedTurnFlow) -> None:
        self._flow = flow
        self._out = flow.out
        self._answers = flow.answers
        self._questions = flow.questions
        self._lost_speech_of: int | None = None

    def on_transcript_failed(self, event: events.TranscriptFailed) -> None:
        text = "Your words could not be transcribed; the answer may miss its documents."
        self._flow.notify("transcription_failed", text)
        self._out.add(commands.LogWarning("transcription_failed", f"{event.code}: {event.message}"))
        self._questions.hear_no_more(event.item_id)

    def on_answer_cut(self, event: events.ResponseDone) -> None:
        """Failed or incomplete: never silence, the user is told."""
        self._out.add(commands.LogWarning("answer_" + event.status, f"{event.reason} {event.error_code}".strip()))
        if event.error_code in FATAL_CODES:
            return  # the session ends, and says so
        if event.status == "incomplete":
            self._flow.notify("answer_incomplete", "The answer was cut short by the model.")
        elif event.status != "cancelled":
            self._flow.notify("answer_failed", "The model failed to answer. Please ask again.")

    def on_model_error(self, event: events.UpstreamError) -> None:
        command = self._out.recall(event.event_id)
        self._out.add(commands.LogWarning(event.code or "error", event.message))
        if event.code in FATAL_CODES:
            self._out.add(commands.EndSession(event.code))
        elif event.code == SESSION_EXPIRED:
            self._out.add(commands.ReplaceUpstream(event.code))
        elif isinstance(command, commands.CreateResponse):
            self._on_answer_refused(command.event_id, event.code)
        elif isinstance(command, commands.CancelResponse):
            self._answers.not_active(command.response_id)
        elif isinstance(command, commands.CreateUserItem):
            self._flow.notify("bad_message", "The model did not accept the text.")
        elif command is None:
            self._flow.notify("model_error", "The model reported an error; the conversation goes on.")

    def _on_answer_refused(self, tag: str, code: str) -> None:
        answer = self._answers.refused(tag)
        if answer is None or answer.muted:
            return
        if code == ALREADY_ACTIVE and answer.turn.attempts < RESPONSE_ATTEMPTS_MAX:
            answer.turn.state = TurnState.READY
            self._answers.block()
            self._out.add(
                commands.ScheduleEvent(self._flow.now + self._flow.policy.done_seconds_max, events.CreationOverdue(tag))
            )
            return
        self._flow.notify("answer_failed", "The model refused to answer. Please ask again.")
        self._flow.finish("failed")

    def on_creation_overdue(self, event: events.CreationOverdue) -> None:
        latest = self._answers.latest
        if latest is not None and latest.tag == event.tag and self._answers.unblock():
            return
        answer = self._answers.give_up_uncreated(event.tag)
        if answer is not None and not answer.muted:
            self._flow.notify("answer_failed", "The model did not answer in time. Please ask again.")
            self._flow.finish("unanswered")

    def on_model_ready(self, _event: events.UpstreamReady) -> None:
        """Tell the model what was said before it came; then go on where the last one was lost."""
        self._flow.has_model = True
        self._flow.contexts.forget()
        self._flow.speed = self._flow.policy.speed
        for said in self._answers.history:
            self._tell_again(said.item_id, said.text, is_user=said.role == "user")
        turn = self._flow.turn
        if turn is not None and turn.is_open:
            for item_id, text in turn.texts.items():
                if item_id not in self._answers.history:
                    self._tell_again(item_id, text, is_user=True)
            # An item without words was not told again; without any, the context simply comes last.
            turn.newest_item_id = next((item for item in reversed(turn.texts) if turn.texts[item].strip()), None)
            for item_id, text in turn.answer.items():
                self._tell_again(item_id, text, is_user=False)
        if self._lost_speech_of is not None:
            at = self._flow.now + self._flow.policy.speech_again_seconds
            self._out.add(commands.ScheduleEvent(at, events.SpeechOverdue(self._lost_speech_of)))
            self._lost_speech_of = None

    def on_speech_overdue(self, event: events.SpeechOverdue) -> None:
        """The upstream was lost while the user spoke, and they have not gone on: they had finished."""
        turn = self._flow.turn
        if turn is not None and turn.id == event.turn_id:
            self._flow.notify("answer_failed", "Your words were lost with the connection. Please say that again.")

    def on_answer_stalled(self, event: events.ResponseStalled) -> None:
        """The model fell silent in the middle of an answer."""
        answer = self._answers.give_up_stalled(event.tag, self._flow.now)
        if answer is not None:
            self._out.add(commands.LogWarning("answer_stalled", "an active response said nothing for long; cancelled"))
            self._flow.notify("answer_incomplete", "The answer broke off. Please ask again.")
            answer.turn.status = "incomplete"
            self._flow.check_playback(answer.turn)

    def on_model_lost(self, _event: events.UpstreamLost) -> None:
        """An answer nobody has heard anything of is asked for again; of any other, what there is of it remains."""
        self._flow.has_model = False
        answer, turn = self._answers.lose_model(), self._flow.turn
        if turn is None or not turn.is_open:
            return
        turn.forget_model()
        if turn.answer_forwarded:
            turn.status = "incomplete" if answer is not None else turn.status
            self._flow.check_playback(turn)
        elif turn.state is TurnState.LISTENING:  # the audio so far is lost; the words it gave join what comes next
            self._flow.finish("joined", "model lost")
            self._lost_speech_of = turn.id
        elif turn.said:
            turn.state = TurnState.READY if turn.state is TurnState.ASKED else turn.state
        else:
            self._flow.notify("answer_failed", "Your words were lost with the connection. Please say that again.")
            self._flow.finish("unanswered")

    def _tell_again(self, item_id: str, text: str, *, is_user: bool) -> None:
        if text.strip():
            create = commands.CreateUserItem if is_user else commands.CreateAssistantItem
            self._out.to_model(create(self._out.new_id("h"), item_id, text.strip()))
