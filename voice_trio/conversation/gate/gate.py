"""The gate: context before answers, for a client that leads its conversation by OpenAI's own protocol.

With turn detection that answers by itself (`automatic`) the gate asks for the answer after the context; else the
context goes in when the user has spoken, and the client's `response.create` is held while retrieval runs, at most
`policy.wait_seconds_max` (I3), and never doubled. Everything the model says passes, but for answers to what we said
ourselves, and for sound that was interrupted (I5).

    requests ──► Wanted ┐
    events   ──► Gate ──┴► Course ──► Questions (what the user says) ──► Prefetch
                             │  └───► Replies ──► Playback
                             ▼  └───► Cuts
                         commands
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from voice_trio.conversation import commands as do
from voice_trio.conversation import events as on
from voice_trio.conversation.gate.course import Course
from voice_trio.conversation.gate.wanted import Wanted
from voice_trio.conversation.policy import FATAL_CODES, SESSION_EXPIRED
from voice_trio.conversation.turn import TurnState

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.conversation.gate import requests
    from voice_trio.conversation.gate.replies import Refused
    from voice_trio.conversation.policy import Policy

ITEMS_REMEMBERED_MAX = 32  # words come late by seconds, not by minutes


class Gate:
    """One drop-in client's conversation with the model. `handle` never fails and never waits."""

    def __init__(self, policy: Policy, *, id_prefix: str = "vt_", now: float = 0.0) -> None:
        self._prefix = id_prefix
        self._course = course = Course(policy, id_prefix, now)
        self._out, self._questions, self._replies, self._cuts = (
            course.out,
            course.questions,
            course.replies,
            course.cuts,
        )
        self._wanted = Wanted(course)
        self._ended: deque[str] = deque(maxlen=ITEMS_REMEMBERED_MAX)  # items whose end the model announced
        self._over: deque[str] = deque(maxlen=ITEMS_REMEMBERED_MAX)  # items that were committed, or cleared away
        self._handlers: dict[type, Callable[[Any], object]] = {
            on.SpeechStarted: self._on_speech_started,
            on.SpeechStopped: self._on_speech_stopped,
            on.SpeechCommitted: self._on_committed,
            on.TranscriptDelta: self._on_transcript_delta,
            on.TranscriptCompleted: self._on_transcript_completed,
            on.TranscriptFailed: self._on_transcript_failed,
            on.ResponseCreated: self._on_response_created,
            on.OutputItemAdded: self._out.to_client,
            on.AnswerAudio: self._on_answer_audio,
            on.AnswerAudioDone: self._out.to_client,
            on.AnswerText: self._on_answer_text,
            on.AnswerTextDone: self._out.to_client,
            on.FunctionCalled: self._on_function_called,
            on.ResponseDone: self._on_response_done,
            on.ModelError: self._on_model_error,
            on.AudioCleared: self._on_audio_cleared,
            on.ItemTruncated: lambda event: self._unless(self._cuts.hides_truncation(event.item_id), event),
            on.ItemDeleted: lambda event: self._unless(self._cuts.hides_deletion(event.item_id), event),
            on.OtherModelEvent: self._out.to_client,
            on.Interrupt: lambda event: self._course.interrupt(),
            on.AudioSent: self._on_audio_sent,
            on.SearchFinished: lambda event: self._questions.search_over(
                event.search_id, event.passages, self._course.now
            ),
            on.SearchFailed: lambda event: self._questions.search_over(event.search_id, None, self._course.now),
            on.WaitOver: lambda event: self._questions.wait_over(event.turn_id, self._course.now),
            on.CreationOverdue: self._on_creation_overdue,
            on.CommitOverdue: lambda event: course.commit_over(event.number),
            on.DoneOverdue: lambda event: self._replies.overdue(event.tag, self._course.now),
            on.PlaybackCheck: self._on_playback_check,
            on.ModelReady: lambda event: None,
            # The session ends: only its client could tell another model what was said.
            on.ModelLost: lambda event: None,
            **self._wanted.handlers,
        }

    def handle(self, event: on.Event | requests.Request, now: float) -> list[do.Command]:
        """What follows from `event` at time `now` (seconds, never going back)."""
        self._course.now = now
        self._handlers[type(event)](event)
        self._course.advance()
        return self._out.take()

    def close(self, now: float) -> list[do.Command]:
        """The session ends: what remains to be reported."""
        self._course.now = now
        self._course.settle_cuts()
        self._course.finish("ended")
        self._course.report_over()
        return [command for command in self._out.take() if isinstance(command, do.ReportTurn)]

    @property
    def is_listening(self) -> bool:
        """Whether the user is speaking."""
        return self._questions.is_listening

    def is_answering(self, now: float) -> bool:
        """Whether an answer is due, being generated or, by the clock, being heard."""
        due = self._course.answer_is_due or self._course.held is not None
        return due or self._replies.has_asides or self._replies.is_audible(now)

    def quiet_since(self, now: float) -> float | None:
        """Since when nothing has been said by anybody; `None` while something is."""
        # Without turn detection nobody says when speech has ended: there each word counts by itself.
        is_speaking = self.is_listening and self._wanted.manner.detects_turns
        return None if is_speaking or self.is_answering(now) else self._course.active_at

    # The user speaks

    def _on_speech_started(self, event: on.SpeechStarted) -> None:
        self._out.to_client(event)
        if self._wanted.manner.interrupts and self._course.held is not None:
            self._course.let_go_unheard()
        turn = self._course.turn
        if turn is None or not self.is_listening:
            turn = self._course.begin("barge-in", interrupts=self._wanted.manner.interrupts)
            turn.stages.speech_started = self._course.now
        turn.texts.setdefault(event.item_id, "")

    def _on_speech_stopped(self, event: on.SpeechStopped) -> None:
        self._out.to_client(event)
        self._ended.append(event.item_id)
        if self._course.turn is not None and self.is_listening:
            self._course.turn.stages.speech_stopped = self._course.now

    def _on_committed(self, event: on.SpeechCommitted) -> None:
        self._out.to_client(event)
        turn = self._course.turn
        if turn is not None and event.item_id in turn.committed:
            return  # told twice
        due = self._course.answer_is_due
        if turn is None or not self.is_listening:
            turn = self._course.begin("committed", interrupts=False)
        self._over.append(event.item_id)
        by_itself = event.item_id in self._ended  # the model's turn detection announced its end
        if not by_itself:
            self._course.commit_over()
        self._course.active_at = self._course.now
        manner = self._wanted.manner
        self._course.answer_is_due = due or (manner.automatic and manner.detects_turns and by_itself)
        self._course.cut_is_due = True
        self._questions.commit(turn, event.item_id, self._course.now)

    def _on_transcript_delta(self, event: on.TranscriptDelta) -> None:
        self._out.to_client(event)
        if not self._wanted.manner.detects_turns and event.item_id not in self._over:
            self._course.active_at = self._course.now
            if not self.is_listening:  # without turn detection nobody announces speech
                self._course.begin("heard", interrupts=False).texts[event.item_id] = ""
        self._questions.hear(event.item_id, event.delta, self._course.now)

    def _on_audio_cleared(self, event: on.AudioCleared) -> None:
        """What was being said was not meant: the next words are another question's."""
        self._out.to_client(event)
        turn = self._course.turn
        if turn is not None and self.is_listening:
            self._over.extend(turn.texts)
            self._course.finish("unanswered", "cleared")

    def _on_transcript_completed(self, event: on.TranscriptCompleted) -> None:
        self._out.to_client(event)
        self._out.add(do.CountUsage("transcription", event.item_id, event.usage))
        self._questions.hear(event.item_id, event.transcript, self._course.now, final=True)

    def _on_transcript_failed(self, event: on.TranscriptFailed) -> None:
        self._out.to_client(event)
        self._out.add(do.Warn("transcription_failed", f"{event.code}: {event.message}"))
        self._questions.hear_no_more(event.item_id)

    # The model answers

    def _on_response_created(self, event: on.ResponseCreated) -> None:
        reply = self._replies.created(event, self._course.now)
        if reply is not None:
            reply.turn.stages.response_created = self._course.now
        self._out.to_client(event)

    def _on_answer_audio(self, event: on.AnswerAudio) -> None:
        reply = self._replies.find(event.response_id)
        if reply is None:
            if self._replies.is_known(event.response_id):  # aside: no sound of the conversation's
                self._out.to_client(on.OtherModelEvent("response.output_audio.delta", wire=event.wire))
            return
        self._cuts.receive(event.item_id, event.duration_ms, is_heard=not reply.is_silent)
        if not reply.is_silent:
            self._replies.playback.forward(event.item_id, event.duration_ms)
            reply.turn.answer_forwarded = True
            if reply.turn.stages.first_audio_in is None:
                reply.turn.stages.first_audio_in = self._course.now
            self._out.to_client(event)

    def _on_answer_text(self, event: on.AnswerText) -> None:
        reply = self._replies.find(event.response_id)
        if reply is not None and not reply.is_silent:
            reply.turn.answer[event.item_id] = reply.turn.answer.get(event.item_id, "") + event.delta
        self._out.to_client(event)

    def _on_function_called(self, event: on.FunctionCalled) -> None:
        reply = self._replies.find(event.response_id)
        if reply is not None:
            reply.has_calls = True
        self._out.to_client(event)

    def _on_response_done(self, event: on.ResponseDone) -> None:
        self._out.add(do.CountUsage("response", event.response_id, event.usage))
        reply = self._replies.done(event.response_id)
        if event.error_code in FATAL_CODES:
            self._out.add(do.EndSession(event.error_code, fatal=True))
            return
        self._out.to_client(event)
        if reply is None:
            return
        self._course.active_at = self._course.now
        turn = reply.turn
        turn.stages.response_done, turn.status = self._course.now, event.status
        turn.answer_forwarded = turn.answer_forwarded or bool(turn.answer)
        if not reply.is_silent and not reply.has_calls:
            self._course.check_playback(turn)

    def _on_audio_sent(self, event: on.AudioSent) -> None:
        playback = self._replies.playback
        playback.sent(event.item_id, event.duration_ms, self._course.now)
        reply = self._replies.latest
        if reply is not None and reply.turn.stages.first_audio_out is None and event.item_id in playback:
            reply.turn.stages.first_audio_out = self._course.now

    def _on_playback_check(self, event: on.PlaybackCheck) -> None:
        turn = self._course.turn
        if turn is None or turn.id != event.turn_id or turn.state is not TurnState.ASKED or not self._replies.is_free:
            return
        if self._replies.playback.is_playing(self._course.now):
            self._course.check_playback(turn)
        else:
            self._course.finish(turn.status)

    # What goes wrong

    def _on_model_error(self, event: on.ModelError) -> None:
        self._out.add(do.Warn(event.code or "error", event.message))
        if event.code in FATAL_CODES or event.code == SESSION_EXPIRED:
            self._out.add(do.EndSession(event.code, fatal=event.code in FATAL_CODES))
            return
        match self._out.recall(event.event_id):
            case do.PassOn() as passed:
                if passed.is_commit:
                    self._course.commit_over()
                self._out.to_client(do.ErrorPassed(event, passed.asked_as))
            case do.AskAsClient(event_id=tag):
                self._on_answer_refused(event, tag)
            case do.CancelResponse(response_id=response_id):
                self._replies.not_active(response_id)
            case None:
                self._out.to_client(event)
            case _:
                pass  # about something the client knows nothing of

    def _on_answer_refused(self, event: on.ModelError, tag: str) -> None:
        refused = self._replies.refused(tag)
        if refused is not None:
            self._out.to_client(do.ErrorPassed(event, refused.asked_as))
            self._finish_turn_of(refused, "failed")

    def _on_creation_overdue(self, event: on.CreationOverdue) -> None:
        refused = self._replies.refused(event.tag)
        if refused is not None:
            message = "The model did not begin to answer in time."
            self._out.to_client(do.RequestRefused("server_error", message, refused.asked_as, is_ours=True))
            self._finish_turn_of(refused, "unanswered")

    def _finish_turn_of(self, refused: Refused, status: str) -> None:
        reply = refused.reply
        if reply is not None and not reply.is_silent and reply.turn is self._course.turn:
            self._course.finish(status)

    def _unless(self, hidden: bool, event: on.ModelEvent) -> None:
        if not hidden:
            self._out.to_client(event)
