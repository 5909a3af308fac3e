"""The conversation: events with their times in, commands out. All policy of turns is here or one import away.

    events ──► Conversation ──► Questions (what the user says) ──► Prefetch (which words to search)
                    │      └──► Answers   (one response at a time) ──► Playback, Settlement
                    ▼
                commands

A turn waits for its context at most `policy.wait_seconds_max` from its commit, then its answer is asked for as soon as
the model is free (I2, I3). Whoever speaks or types before that continues the same question: the words are joined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voice_trio.conversation import commands as do
from voice_trio.conversation import events as on
from voice_trio.conversation.answers import Answers
from voice_trio.conversation.history import History, Said
from voice_trio.conversation.outbound import Outbound
from voice_trio.conversation.policy import (
    FATAL_CODES,
    PLAYBACK_CHECK_SECONDS_MIN,
    RESPONSE_ATTEMPTS_MAX,
    TOOL_ROUNDS_MAX,
    Policy,
)
from voice_trio.conversation.questions import Questions
from voice_trio.conversation.turn import Turn, TurnState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from voice_trio.conversation.answers import Answer

SESSION_EXPIRED = "session_expired"
ALREADY_ACTIVE = "conversation_already_has_active_response"


class Conversation:
    """One user's conversation with the model. `handle` never fails and never waits."""

    def __init__(
        self, policy: Policy, *, id_prefix: str = "vt_", now: float = 0.0, history: Iterable[Said] = ()
    ) -> None:
        self._policy = policy
        self._out = Outbound(id_prefix)
        self._questions = Questions(policy, self._out)
        self._answers = Answers(policy, self._out, History(history))
        self._has_model = False
        self._speed = self._speed_wanted = policy.speed
        self._active_at = now
        self._now = now
        self._handlers: dict[type, Callable[[Any], object]] = {
            on.SpeechStarted: self._on_speech_started,
            on.SpeechStopped: self._on_speech_stopped,
            on.SpeechCommitted: self._on_committed,
            on.TranscriptDelta: self._on_transcript_delta,
            on.TranscriptCompleted: self._on_transcript_completed,
            on.TranscriptFailed: self._on_transcript_failed,
            on.ResponseCreated: self._on_response_created,
            on.OutputItemAdded: self._answers.item_added,
            on.AnswerAudio: self._on_answer_audio,
            on.AnswerAudioDone: self._answers.detail,
            on.AnswerText: self._on_answer_text,
            on.AnswerTextDone: self._answers.detail,
            on.FunctionCalled: self._on_function_called,
            on.ResponseDone: self._on_response_done,
            on.ModelError: self._on_model_error,
            on.OtherModelEvent: self._out.to_client,
            on.TextInput: self._on_text_input,
            on.Interrupt: self._on_interrupt,
            on.PlaybackPosition: lambda event: self._answers.position(event, self._now),
            on.LanguageDetected: self._on_language_detected,
            on.AudioSent: self._on_audio_sent,
            on.SearchFinished: lambda event: self._questions.search_over(event.search_id, event.passages, self._now),
            on.SearchFailed: lambda event: self._questions.search_over(event.search_id, None, self._now),
            on.ToolFinished: self._on_tool_finished,
            on.WaitOver: lambda event: self._questions.wait_over(event.turn_id, self._now),
            on.PositionOverdue: lambda event: self._answers.position_overdue(event.settlement_id),
            on.CreationOverdue: self._on_creation_overdue,
            on.DoneOverdue: lambda event: self._answers.overdue(event.tag, self._now),
            on.PlaybackCheck: self._on_playback_check,
            on.ModelReady: self._on_model_ready,
            on.ModelLost: self._on_model_lost,
        }

    def handle(self, event: on.Event, now: float) -> list[do.Command]:
        """What follows from `event` at time `now` (seconds, never going back)."""
        self._now = now
        self._handlers[type(event)](event)
        self._advance()
        return self._out.take()

    def close(self, now: float) -> list[do.Command]:
        """The session ends: what remains to be reported."""
        self._now = now
        self._answers.settle()
        self._finish_turn("ended")
        return [command for command in self._out.take() if isinstance(command, do.ReportTurn)]

    @property
    def history(self) -> Iterator[Said]:
        """What was said and heard in all turns that are over."""
        return iter(self._answers.history)

    @property
    def is_listening(self) -> bool:
        """Whether the user is speaking."""
        return self._questions.is_listening

    def is_answering(self, now: float) -> bool:
        """Whether an answer is due, being generated or being heard."""
        return self._questions.is_waiting or self._answers.is_audible(now)

    def quiet_since(self, now: float) -> float | None:
        """Since when nothing has been said by anybody; `None` while something is."""
        return None if self.is_listening or self.is_answering(now) else self._active_at

    # The user speaks

    def _on_speech_started(self, event: on.SpeechStarted) -> None:
        self._out.to_client(event)
        turn = self._questions.turn
        if turn is None or not self.is_listening:
            # The server cancels its response by itself; a cancel of ours would come late and could hit the next one.
            turn = self._begin_turn("barge-in", cancel=False)
            turn.stages.speech_started = self._now
        turn.texts.setdefault(event.item_id, "")

    def _on_speech_stopped(self, event: on.SpeechStopped) -> None:
        self._out.to_client(event)
        if self._questions.turn is not None and self.is_listening:
            self._questions.turn.stages.speech_stopped = self._now

    def _on_committed(self, event: on.SpeechCommitted) -> None:
        self._out.to_client(event)
        turn = self._questions.turn
        if turn is None or not self.is_listening:
            turn = self._begin_turn("committed", cancel=True)
        self._active_at = self._now
        self._questions.commit(turn, event.item_id, self._now)

    def _on_transcript_delta(self, event: on.TranscriptDelta) -> None:
        self._out.to_client(event)
        self._questions.hear(event.item_id, event.delta, self._now)

    def _on_transcript_completed(self, event: on.TranscriptCompleted) -> None:
        self._out.to_client(event)
        self._out.add(do.CountUsage("transcription", event.item_id, event.usage))
        self._questions.hear(event.item_id, event.transcript, self._now, final=True)

    def _on_transcript_failed(self, event: on.TranscriptFailed) -> None:
        self._notify("transcription_failed", "Your words could not be transcribed; the answer may miss its documents.")
        self._out.add(do.Warn("transcription_failed", f"{event.code}: {event.message}"))
        self._questions.hear_no_more(event.item_id)

    # The user types, interrupts, detects

    def _on_text_input(self, event: on.TextInput) -> None:
        turn = self._questions.turn
        if turn is None or not self.is_listening:
            turn = self._begin_turn("typed", cancel=True)
            turn.typed = True
        item_id = self._out.new_id("u")
        if self._has_model:
            self._out.to_model(do.CreateUserItem(self._out.new_id("e"), item_id, event.text))
        self._active_at = self._now
        turn.texts[item_id] = ""
        self._questions.hear(item_id, event.text, self._now, final=True)
        if turn.typed:  # typed into open speech it is part of that question, and answered when the speech is committed
            self._questions.commit(turn, item_id, self._now)

    def _on_interrupt(self, event: on.Interrupt) -> None:
        interrupted = self._answers.interrupt(self._now, cancel=True, heard=event)
        if not self.is_listening:
            self._finish_turn("unanswered", "interrupt", report=not interrupted)

    def _on_language_detected(self, event: on.LanguageDetected) -> None:
        chinese = event.language.lower().replace("_", "-").split("-")[0] == "zh"
        raised = chinese and self._policy.speed == 1.0
        self._speed_wanted = self._policy.chinese_speed if raised else self._policy.speed

    # The model answers

    def _on_response_created(self, event: on.ResponseCreated) -> None:
        answer = self._answers.created(event)
        if answer is not None:
            answer.turn.stages.response_created = self._now

    def _on_answer_audio(self, event: on.AnswerAudio) -> None:
        answer = self._answers.audio(event)
        if answer is not None and answer.turn.stages.first_audio_in is None:
            answer.turn.stages.first_audio_in = self._now

    def _on_answer_text(self, event: on.AnswerText) -> None:
        answer = self._answers.detail(event)
        if answer is not None:
            answer.turn.answer[event.item_id] = answer.turn.answer.get(event.item_id, "") + event.delta

    def _on_function_called(self, event: on.FunctionCalled) -> None:
        answer = self._answers.called(event)
        if answer is not None:
            self._out.add(do.CallTool(answer.turn.id, event.call_id, event.name, event.arguments))

    def _on_tool_finished(self, event: on.ToolFinished) -> None:
        answer = self._answers.latest
        if answer is not None and event.call_id in answer.calls:
            answer.calls[event.call_id] = event.output
            self._follow_up(answer)

    def _on_response_done(self, event: on.ResponseDone) -> None:
        self._out.add(do.CountUsage("response", event.response_id, event.usage))
        answer = self._answers.done(event)
        if answer is None or answer.muted:
            return
        turn = answer.turn
        turn.stages.response_done = self._now
        turn.status = event.status
        if event.status == "completed" and answer.awaits_tools:
            self._follow_up(answer)
        else:
            self._check_playback(turn)
        if event.status != "completed":
            self._on_answer_cut(event)

    def _on_answer_cut(self, event: on.ResponseDone) -> None:
        """Failed or incomplete: never silence, the user is told."""
        self._out.add(do.Warn("answer_" + event.status, f"{event.reason} {event.error_code}".strip()))
        if event.error_code in FATAL_CODES:
            self._out.add(do.EndSession(event.error_code, fatal=True))
        elif event.status == "incomplete":
            self._notify("answer_incomplete", "The answer was cut short by the model.")
        elif event.status != "cancelled":
            self._notify("answer_failed", "The model failed to answer. Please ask again.")

    def _on_audio_sent(self, event: on.AudioSent) -> None:
        self._answers.playback.sent(event.item_id, event.duration_ms, self._now)
        turn = self._questions.turn
        if turn is not None and turn.stages.first_audio_out is None and event.item_id in self._answers.playback:
            turn.stages.first_audio_out = self._now

    def _on_playback_check(self, event: on.PlaybackCheck) -> None:
        turn = self._questions.turn
        if turn is None or turn.id != event.turn_id or not turn.is_open or self._answers.is_open:
            return
        if self._answers.playback.is_playing(self._now):
            self._check_playback(turn)
        else:
            self._finish_turn(turn.status)

    # Errors and delays

    def _on_model_error(self, event: on.ModelError) -> None:
        command = self._out.recall(event.event_id)
        self._out.add(do.Warn(event.code or "error", event.message))
        if event.code in FATAL_CODES or event.code == SESSION_EXPIRED:
            self._out.add(do.EndSession(event.code, fatal=event.code in FATAL_CODES))
        elif isinstance(command, do.CreateResponse):
            self._on_answer_refused(command.event_id, event.code)
        elif isinstance(command, do.CancelResponse):
            self._answers.not_active(command.response_id)
        elif isinstance(command, do.CreateUserItem):
            self._notify("bad_message", "The model did not accept the text.")
        elif command is None:
            self._notify("model_error", "The model reported an error; the conversation goes on.")

    def _on_answer_refused(self, tag: str, code: str) -> None:
        answer = self._answers.refused(tag)
        if answer is None or answer.muted:
            return
        if code == ALREADY_ACTIVE and answer.turn.attempts < RESPONSE_ATTEMPTS_MAX:
            answer.turn.state = TurnState.READY
            self._answers.block()
            self._out.add(do.FeedAt(self._now + self._policy.done_seconds_max, on.CreationOverdue(tag)))
            return
        self._notify("answer_failed", "The model refused to answer. Please ask again.")
        self._finish_turn("failed")

    def _on_creation_overdue(self, event: on.CreationOverdue) -> None:
        latest = self._answers.latest
        if latest is not None and latest.tag == event.tag and self._answers.unblock():
            return
        answer = self._answers.give_up_uncreated(event.tag)
        if answer is not None and not answer.muted:
            self._notify("answer_failed", "The model did not answer in time. Please ask again.")
            self._finish_turn("unanswered")

    def _on_model_ready(self, _event: on.ModelReady) -> None:
        """Tell the model what was said before it came; then go on where the last one was lost."""
        self._has_model = True
        self._speed = self._policy.speed
        for said in self._answers.history:
            self._tell_again(said.item_id, said.text, is_user=said.role == "user")
        turn = self._questions.turn
        if turn is not None and turn.is_open:
            for item_id, text in turn.texts.items():
                if item_id not in self._answers.history:
                    self._tell_again(item_id, text, is_user=True)
            # An item without words was not told again; without any, the context simply comes last.
            turn.newest_item_id = next((item for item in reversed(turn.texts) if turn.texts[item].strip()), None)
            for item_id, text in turn.answer.items():
                self._tell_again(item_id, text, is_user=False)

    def _on_model_lost(self, _event: on.ModelLost) -> None:
        """An answer nobody has heard anything of is asked for again; of any other, what there is of it remains."""
        self._has_model = False
        answer, turn = self._answers.lose_model(), self._questions.turn
        if turn is None or not turn.is_open:
            return
        turn.forget_model()
        if turn.answer_forwarded:
            turn.status = "incomplete" if answer is not None else turn.status
            self._check_playback(turn)
        elif turn.state is TurnState.LISTENING:  # the audio so far is lost; the words it gave join what comes next
            self._finish_turn("joined", "model lost")
        elif turn.said:
            turn.state = TurnState.READY if turn.state is TurnState.ASKED else turn.state
        else:
            self._notify("answer_failed", "Your words were lost with the connection. Please say that again.")
            self._finish_turn("unanswered")

    def _tell_again(self, item_id: str, text: str, *, is_user: bool) -> None:
        if text.strip():
            create = do.CreateUserItem if is_user else do.CreateAssistantItem
            self._out.to_model(create(self._out.new_id("h"), item_id, text.strip()))

    # Turns

    def _advance(self) -> None:
        """Whatever has become possible: settle, change speed between answers, ask."""
        self._questions.settle_if_possible(self._now)
        if not self._has_model:
            return
        self._answers.settle_if_due()
        if self._speed != self._speed_wanted and not self._answers.is_open:
            self._speed = self._speed_wanted
            self._out.to_model(do.ChangeSpeed(self._out.new_id("s"), self._speed))
        turn = self._questions.turn
        if turn is not None and turn.state is TurnState.READY and self._answers.is_free:
            self._ask(turn)

    def _begin_turn(self, reason: str, *, cancel: bool) -> Turn:
        """Silence whatever is being said, and listen; `cancel` as for `Answers.interrupt`."""
        interrupted = self._answers.interrupt(self._now, cancel=cancel)
        last = self._questions.turn
        unheard = last is not None and last.is_open and not last.answer_forwarded
        self._finish_turn("joined" if unheard else "completed", reason, report=not interrupted)
        return self._questions.begin()

    def _ask(self, turn: Turn) -> None:
        """Context first, then `response.create`, then the client is told (I2)."""
        first_time = turn.outcome is None
        self._answers.settle()
        if first_time:
            turn.stages.asked = self._now
            turn.choose_context(self._policy.context_tokens_max)
        if turn.context is not None and not turn.context_sent:
            turn.context_sent = True
            context = do.CreateContextItem(
                self._out.new_id("e"), self._out.new_id("x"), turn.newest_item_id, turn.context.text
            )
            self._out.to_model(context)
        turn.state = TurnState.ASKED
        turn.attempts += 1
        self._answers.ask(turn, self._now, tools_allowed=turn.tool_rounds < TOOL_ROUNDS_MAX)
        if first_time and turn.outcome is not None:
            self._out.to_client(do.ContextInjected(turn.outcome, turn.waited_ms, turn.stale, turn.sources))

    def _follow_up(self, answer: Answer) -> None:
        """Once the response is done and every function has returned: give the outputs, and ask to go on."""
        outputs = self._answers.take_tool_outputs(answer)
        if outputs is None or answer.turn is not self._questions.turn:
            return
        for call_id, output in outputs.items():
            self._out.to_model(do.CreateFunctionOutput(self._out.new_id("f"), call_id, output))
        answer.turn.tool_rounds += 1
        answer.turn.state = TurnState.READY

    def _check_playback(self, turn: Turn) -> None:
        at = max(self._answers.playback.dry_at(self._now), self._now + PLAYBACK_CHECK_SECONDS_MIN)
        self._out.add(do.FeedAt(at, on.PlaybackCheck(turn.id)))

    def _finish_turn(self, status: str, reason: str = "", *, report: bool = True) -> None:
        """The turn is over: whatever still works for it is cancelled. An interrupted one is reported when settled."""
        turn = self._questions.turn
        self._active_at = self._now
        if turn is None or not turn.is_open:
            return
        unasked = turn.is_unasked
        turn.state, turn.status = TurnState.OVER, status
        turn.stages.interrupted = None if report else self._now
        self._out.add(do.EndTurn(turn.id, reason or status))
        if report or unasked:
            self._answers.report(turn, status, self._now)

    def _notify(self, code: str, message: str) -> None:
        self._out.to_client(do.ErrorNotice(code, message))
