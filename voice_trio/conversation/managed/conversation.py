"""The conversation: events with their times in, commands out. All policy of turns is here or one import away.

    events ──► Conversation ──► TurnFlow ──► Questions (what the user says) ──► Prefetch (which words to search)
                    │              │    └──► Answers   (one response at a time) ──► Playback, Settlement
                    ▼              └ Faults (what goes wrong)
                commands

A turn waits for its context at most `policy.wait_seconds_max` from its commit, then its answer is asked for as soon as
the model is free (I2, I3). Whoever speaks or types before that continues the same question: the words are joined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voice_trio.conversation import commands, events
from voice_trio.conversation.managed.failures import Failures
from voice_trio.conversation.managed.turn_flow import ManagedTurnFlow
from voice_trio.conversation.policy import FATAL_CODES
from voice_trio.conversation.turn.history import History, Said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from voice_trio.conversation.policy import Policy


class ManagedConversation:
    """One user's conversation with the model. `handle` never fails and never waits."""

    def __init__(
        self, policy: Policy, *, id_prefix: str = "vt_", now: float = 0.0, history: Iterable[Said] = ()
    ) -> None:
        self._flow = flow = ManagedTurnFlow(policy, History(history), id_prefix, now)
        self._out, self._questions, self._answers = flow.out, flow.questions, flow.answers
        faults = self._faults = Failures(flow)
        self._handlers: dict[type, Callable[[Any], object]] = {
            events.SpeechStarted: self._on_speech_started,
            events.SpeechStopped: self._on_speech_stopped,
            events.SpeechCommitted: self._on_committed,
            events.TranscriptDelta: self._on_transcript_delta,
            events.TranscriptCompleted: self._on_transcript_completed,
            events.TranscriptFailed: faults.on_transcript_failed,
            events.ResponseCreated: self._on_response_created,
            events.OutputItemAdded: self._answers.item_added,
            events.ResponseAudioDelta: self._on_answer_audio,
            events.ResponseAudioDone: self._answers.detail,
            events.ResponseTranscriptDelta: self._on_answer_text,
            events.ResponseTranscriptDone: self._answers.detail,
            events.FunctionCalled: self._on_function_called,
            events.ResponseDone: self._on_response_done,
            events.UpstreamError: faults.on_model_error,
            events.AudioCleared: self._out.to_client,
            events.ItemTruncated: self._out.to_client,
            events.ItemDeleted: self._out.to_client,
            events.OtherUpstreamEvent: self._out.to_client,
            events.TextInput: self._on_text_input,
            events.Interrupt: self._on_interrupt,
            events.PlaybackPosition: lambda event: self._answers.settlements.position(event, self._flow.now),
            events.LanguageDetected: self._on_language_detected,
            events.AudioSent: self._on_audio_sent,
            events.SearchFinished: lambda event: self._questions.search_over(
                event.search_id, event.passages, self._flow.now
            ),
            events.SearchFailed: lambda event: self._questions.search_over(event.search_id, None, self._flow.now),
            events.ToolFinished: self._on_tool_finished,
            events.WaitOver: lambda event: self._questions.wait_over(event.turn_id, self._flow.now),
            events.PositionOverdue: lambda event: self._answers.settlements.position_overdue(event.settlement_id),
            events.CreationOverdue: faults.on_creation_overdue,
            events.DoneOverdue: lambda event: self._answers.overdue(event.tag, self._flow.now),
            events.PlaybackCheck: self._on_playback_check,
            events.ResponseStalled: faults.on_answer_stalled,
            events.UnsolicitedOverdue: lambda event: self._answers.foreign_overdue(event.response_id),
            events.SpeechOverdue: faults.on_speech_overdue,
            events.CommitOverdue: lambda event: None,  # nobody commits by hand here
            events.UpstreamReady: faults.on_model_ready,
            events.UpstreamLost: faults.on_model_lost,
        }

    def handle(self, event: events.Event, now: float) -> list[commands.Command]:
        """What follows from `event` at time `now` (seconds, never going back)."""
        self._flow.now = now
        self._handlers[type(event)](event)
        self._flow.advance()
        return self._out.take()

    def close(self, now: float) -> list[commands.Command]:
        """The session ends: what remains to be reported."""
        self._flow.now = now
        self._answers.settlements.settle()
        self._flow.finish("ended")
        return [command for command in self._out.take() if isinstance(command, commands.ReportTurn)]

    @property
    def history(self) -> Iterator[Said]:
        """What was said and heard in all turns that are over."""
        return iter(self._answers.history)

    def is_answering(self, now: float) -> bool:
        """Whether an answer is due, being generated or being heard."""
        return self._questions.is_waiting or self._answers.is_audible(now)

    def quiet_since(self, now: float) -> float | None:
        """Since when nothing has been said by anybody; `None` while something is."""
        return None if self._questions.is_listening or self.is_answering(now) else self._flow.active_at

    # The user speaks

    def _on_speech_started(self, event: events.SpeechStarted) -> None:
        self._out.to_client(event)
        turn = self._flow.turn
        if turn is None or not self._questions.is_listening:
            # The server cancels its response by itself; a cancel of ours would come late and could hit the next one.
            turn = self._flow.begin("barge-in", cancel=False)
            turn.stages.speech_started = self._flow.now
            self._out.add(commands.StartSilence())
        turn.texts.setdefault(event.item_id, "")

    def _on_speech_stopped(self, event: events.SpeechStopped) -> None:
        self._out.to_client(event)
        if self._flow.turn is not None and self._questions.is_listening:
            self._flow.turn.stages.speech_stopped = self._flow.now

    def _on_committed(self, event: events.SpeechCommitted) -> None:
        self._out.to_client(event)
        turn = self._flow.turn
        if turn is not None and event.item_id in turn.committed:
            return  # told twice
        if turn is None or not self._questions.is_listening:
            turn = self._flow.begin("committed", cancel=True)
        else:
            self._out.add(commands.StopSilence())
        self._flow.active_at = self._flow.now
        self._questions.commit(turn, event.item_id, self._flow.now)

    def _on_transcript_delta(self, event: events.TranscriptDelta) -> None:
        self._out.to_client(event)
        self._questions.hear(event.item_id, event.delta, self._flow.now)

    def _on_transcript_completed(self, event: events.TranscriptCompleted) -> None:
        self._out.to_client(event)
        self._out.add(commands.CountUsage("transcription", event.item_id, event.usage))
        self._questions.hear(event.item_id, event.transcript, self._flow.now, final=True)
        self._answers.history.correct(event.item_id, event.transcript)

    # The user types, interrupts, detects

    def _on_text_input(self, event: events.TextInput) -> None:
        """Answered at once, also while speech is open: what is being said then is the next question, or part of it."""
        turn = self._flow.turn
        if turn is None or not self._questions.is_listening:
            turn = self._flow.begin("typed", cancel=True)
        else:
            self._out.add(commands.StopSilence())
        turn.typed = True
        item_id = self._out.new_id("u")
        if self._flow.has_model:
            self._out.to_model(commands.CreateUserItem(self._out.new_id("e"), item_id, event.text))
        self._flow.active_at = self._flow.now
        self._questions.read(turn, item_id, event.text, self._flow.now)
        self._questions.commit(turn, item_id, self._flow.now)

    def _on_interrupt(self, event: events.Interrupt) -> None:
        interrupted = self._answers.interrupt(self._flow.now, cancel=True, heard=event)
        if not self._questions.is_listening:
            self._flow.finish("unanswered", "interrupt", interrupted=interrupted)

    def _on_language_detected(self, event: events.LanguageDetected) -> None:
        chinese = event.language.lower().replace("_", "-").split("-")[0] == "zh"
        raised = chinese and self._flow.policy.speed == 1.0
        self._flow.speed_wanted = self._flow.policy.chinese_speed if raised else self._flow.policy.speed

    # The model answers

    def _on_response_created(self, event: events.ResponseCreated) -> None:
        answer = self._answers.created(event, self._flow.now)
        if answer is not None:
            answer.turn.stages.response_created = self._flow.now

    def _on_answer_audio(self, event: events.ResponseAudioDelta) -> None:
        answer = self._answers.audio(event, self._flow.now)
        if answer is not None and answer.turn.stages.first_audio_in is None:
            answer.turn.stages.first_audio_in = self._flow.now

    def _on_answer_text(self, event: events.ResponseTranscriptDelta) -> None:
        answer = self._answers.detail(event)
        if answer is not None:
            answer.active_at = self._flow.now
            answer.turn.answer[event.item_id] = answer.turn.answer.get(event.item_id, "") + event.delta

    def _on_function_called(self, event: events.FunctionCalled) -> None:
        answer = self._answers.called(event)
        if answer is not None:
            answer.active_at = self._flow.now
            self._out.add(commands.CallTool(answer.turn.id, event.call_id, event.name, event.arguments))

    def _on_tool_finished(self, event: events.ToolFinished) -> None:
        answer = self._answers.latest
        if answer is not None and event.call_id in answer.calls:
            answer.calls[event.call_id] = event.output
            self._flow.follow_up(answer)

    def _on_response_done(self, event: events.ResponseDone) -> None:
        self._out.add(commands.CountUsage("response", event.response_id, event.usage))
        answer = self._answers.done(event)
        if event.error_code in FATAL_CODES:
            self._out.add(commands.EndSession(event.error_code))
        if answer is None or answer.muted:
            return
        turn = answer.turn
        turn.stages.response_done = self._flow.now
        turn.status = event.status
        if event.status == "completed" and answer.awaits_tools:
            self._flow.follow_up(answer)
        else:
            self._flow.check_playback(turn)
        if event.status != "completed":
            self._faults.on_answer_cut(event)

    def _on_audio_sent(self, event: events.AudioSent) -> None:
        self._answers.playback.sent(event.item_id, event.duration_ms, self._flow.now)
        turn = self._flow.turn
        if turn is not None and turn.stages.first_audio_out is None and event.item_id in self._answers.playback:
            turn.stages.first_audio_out = self._flow.now

    def _on_playback_check(self, event: events.PlaybackCheck) -> None:
        turn = self._flow.turn
        if turn is None or turn.id != event.turn_id or not turn.is_open or self._answers.is_open:
            return
        if self._answers.playback.is_playing(self._flow.now):
            self._flow.check_playback(turn)
        else:
            self._flow.finish(turn.status)
