"""What goes wrong with an upstream, and what becomes of the turn it was working on: the client always sees an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from voice_trio.conversation import commands, events
from voice_trio.conversation.policy import (
    BUDGET_EXHAUSTED,
    BUDGET_RESERVED_MESSAGE,
    CONTINUATIONS_MAX,
    FATAL_CODES,
    RESPONSE_ATTEMPTS_MAX,
    SESSION_EXPIRED,
)
from voice_trio.conversation.turn.turn import TurnState
from voice_trio.conversation.upstream_errors import ErrorKind, cause_of, kind_of

if TYPE_CHECKING:
    from voice_trio.conversation.managed.turn_flow import ManagedTurnFlow
    from voice_trio.conversation.turn.turn import Turn

WORDS_LOST = "Your words were lost with the connection. Please say that again."


class ManagedFailures:
    """Errors, delays, and an upstream that is lost and replaced."""

    def __init__(self, flow: ManagedTurnFlow) -> None:
        self._flow = flow
        self._out = flow.out
        self._responses = flow.responses
        self._lost_turn: Turn | None = None
        """The upstream was lost while the user said it; over when the user goes on, or has finished."""

    def on_event(
        self, event: events.UpstreamError | events.UpstreamReady | events.UpstreamLost | events.ResponseDenied
    ) -> None:
        match event:
            case events.ResponseDenied():
                self._on_denied(event)
            case events.UpstreamError():
                self._on_error(event)
            case events.UpstreamReady():
                self._on_ready()
            case events.UpstreamLost():
                self._on_lost()
            case _:
                assert_never(event)

    def on_transcript_failed(self, event: events.TranscriptFailed) -> None:
        text = "Your words could not be transcribed; the answer may miss its documents."
        self._flow.notify("transcription_failed", text)
        self._out.warn("transcription_failed", f"{event.code}: {event.message}")
        self._flow.user_input.transcription_failed(event.item_id)

    def on_response_cut(self, event: events.ResponseDone) -> None:
        """A response failed, was incomplete, or was cancelled by the upstream."""
        self._out.warn("answer_" + event.status, f"{event.reason} {event.error_code}".strip())
        if event.error_code in FATAL_CODES:
            return  # the session ends, with an error of its own
        if event.status == "incomplete":
            self._flow.notify("answer_incomplete", "The answer was cut short by the model.")
        elif event.status != "cancelled":
            self._flow.notify("answer_failed", "The model failed to answer. Please ask again.")

    def _on_error(self, event: events.UpstreamError) -> None:
        kind = kind_of(event)
        command = cause_of(event, kind, self._out, self._responses.asked_tag)
        self._out.warn(event.code or "error", event.message)
        if event.code in FATAL_CODES:
            self._out.issued.append(commands.EndSession(event.code))
        elif event.code == SESSION_EXPIRED:
            self._out.issued.append(commands.ReplaceUpstream(event.code))
        elif isinstance(command, commands.CreateResponse):
            self._on_response_refused(command.event_id, kind)
        elif isinstance(command, commands.CancelResponse):
            self._responses.not_active(command.response_id)
        elif isinstance(command, commands.CreateUserItem):
            self._flow.notify("bad_message", "The model did not accept the text.")
        elif command is None and not kind.heals and not self._out.is_ours(event.event_id):
            self._flow.notify("model_error", "The model reported an error; the conversation goes on.")

    def _on_response_refused(self, tag: str, kind: ErrorKind) -> None:
        response = self._responses.refused(tag)
        if response is None or response.interrupted:
            return
        if kind is ErrorKind.ALREADY_ACTIVE and response.turn.attempts < RESPONSE_ATTEMPTS_MAX:
            response.turn.state = TurnState.READY
            self._responses.block(tag, self._flow.now)
            return
        self._flow.notify("answer_failed", "The model refused to answer. Please ask again.")
        self._flow.finish("failed")

    def _on_denied(self, event: events.ResponseDenied) -> None:
        response = self._responses.refused(event.tag)
        if response is not None and not response.interrupted:
            self._flow.notify(BUDGET_EXHAUSTED, BUDGET_RESERVED_MESSAGE)
            self._flow.finish("failed")

    def on_creation_overdue(self, event: events.CreationOverdue) -> None:
        if self._responses.unblock(event.tag):
            return
        response = self._responses.give_up_uncreated(event.tag)
        if response is not None and not response.interrupted:
            self._flow.notify("answer_failed", "The model did not answer in time. Please ask again.")
            self._flow.finish("unanswered")

    def on_response_stalled(self, event: events.ResponseStalled) -> None:
        response = self._responses.stalled(event.tag, self._flow.now)
        if response is not None:
            response.calls.clear()
            self._flow.notify("answer_incomplete", "The answer broke off. Please ask again.")
            response.turn.status = "incomplete"
            self._flow.check_playback(response.turn)

    def _on_ready(self) -> None:
        """Tell the upstream what was said before it came; then go on where the last one was lost."""
        flow, history = self._flow, self._flow.history
        flow.has_upstream = True
        flow.context_items.forget()
        flow.speed = flow.policy.speed
        for said in history:
            self._tell(said.item_id, said.text, is_user=said.role == "user")
        turn = flow.turn
        if turn is not None and turn.is_open:
            for item_id, text in turn.texts.items():
                if item_id not in history:
                    self._tell(item_id, text, is_user=True)
            # An item without words was not created again; without any, the context simply comes last.
            turn.newest_item_id = next((item for item in reversed(turn.texts) if turn.texts[item].strip()), None)
            for item_id, text in turn.response_texts.items():
                self._tell(item_id, text, is_user=False)
        if turn is not None and turn is self._lost_turn:
            for item_id, text in turn.texts.items():
                if item_id not in turn.lost_items and item_id not in history:
                    self._tell(item_id, text, is_user=True)
            policy = flow.policy
            at = flow.now + (policy.known_words_seconds if turn.lost_words else policy.speech_again_seconds)
            self._out.issued.append(commands.ScheduleEvent(at, events.SpeechOverdue(turn.id)))

    def on_speech_overdue(self, event: events.SpeechOverdue) -> None:
        """The upstream was lost while the user spoke, and they have not gone on: they had finished.

        The question is asked with the words that are known (F68), which become items of this upstream.
        """
        flow, lost = self._flow, self._lost_turn
        if lost is None or flow.turn is not lost or lost.id != event.turn_id:
            return
        self._lost_turn = None
        if not lost.lost_words:
            flow.notify("answer_failed", WORDS_LOST)
            return
        turn = flow.begin("upstream lost", cancel=False)
        for item_id in turn.lost_items:
            if flow.has_upstream:
                self._tell(item_id, turn.texts[item_id], is_user=True)
        turn.lost_items = frozenset()
        newest = next(item for item in reversed(turn.texts) if turn.texts[item].strip())
        flow.user_input.commit(turn, newest, flow.now)

    def _on_lost(self) -> None:
        """A response that was not heard at all is asked for again; of any other, what there is of it remains."""
        flow, latest = self._flow, self._responses.latest
        flow.has_upstream = False
        response, turn = self._responses.upstream_lost(), flow.turn
        flow.truncation.upstream_lost()
        awaits_more = response is not None or (latest is not None and latest.awaits_tools)
        if latest is not None:
            latest.calls.clear()
        if turn is None or not turn.is_open:
            return
        turn.forget_upstream()
        if turn.response_forwarded:
            self._on_answer_lost(turn, awaits_more=awaits_more or turn.state is TurnState.READY)
        elif turn.state is TurnState.LISTENING:  # the audio so far is lost; the words it gave join what comes next
            turn.lost_items = frozenset(item_id for item_id in list(turn.texts)[-1:] if item_id not in turn.committed)
            flow.finish("joined", "model lost")
            self._lost_turn = turn
        elif turn.said:
            turn.state = TurnState.READY if turn.state is TurnState.ASKED else turn.state
        else:
            flow.notify("answer_failed", WORDS_LOST)
            flow.finish("unanswered")

    def _on_answer_lost(self, turn: Turn, *, awaits_more: bool) -> None:
        """The user has heard a part of the answer, or all of it: the next upstream goes on where the sound stopped."""
        if not awaits_more:
            self._flow.check_playback(turn)
            return
        turn.keep_spoken_words(self._responses.playback.heard(self._flow.now))
        if turn.continuations < CONTINUATIONS_MAX:
            turn.continues, turn.state = True, TurnState.READY
            return
        self._flow.notify("answer_incomplete", "The answer broke off. Please ask again.")
        turn.status, turn.state = "incomplete", TurnState.ASKED
        self._flow.check_playback(turn)

    def _tell(self, item_id: str, text: str, *, is_user: bool) -> None:
        if text.strip():
            create = commands.CreateUserItem if is_user else commands.CreateAssistantItem
            self._out.to_upstream(create(self._out.new_id("h"), item_id, text.strip()))
