"""The gate: context before answers, for a client that leads its conversation by OpenAI's own protocol.

With turn detection that answers by itself (`automatic`) the gate asks for the answer after the context; else the
context goes in when the user has spoken, and the client's `response.create` is held while retrieval runs, at most
`policy.wait_seconds_max` (I3), and never doubled. Everything the model says passes, but for answers to what we said
ourselves, and for sound that was interrupted (I5).

    requests ──► Wanted ┐
    events   ──► Gate ──┴► TurnFlow ─► UserInput (what the user says) ──► Prefetch
                             │  └───► Replies ──► Playback
                             ▼  └───► Cuts
                         commands
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from voice_trio.conversation import commands, events
from voice_trio.conversation.passthrough.request_handlers import RequestHandlers
from voice_trio.conversation.passthrough.turn_flow import PassthroughTurnFlow
from voice_trio.conversation.policy import FATAL_CODES, SESSION_EXPIRED
from voice_trio.conversation.turn.turn import TurnState

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.conversation.passthrough import requests
    from voice_trio.conversation.passthrough.responses import Refused
    from voice_trio.conversation.policy import Policy

ITEMS_REMEMBERED_MAX = 32  # words come late by seconds, not by minutes


class PassthroughConversation:
    """One drop-in client's conversation with the model. `handle` never fails and never waits."""

    def __init__(self, policy: Policy, *, id_prefix: str = "vt_", now: float = 0.0) -> None:
        self._prefix = id_prefix
        self._course = course = PassthroughTurnFlow(policy, id_prefix, now)
        self._out, self._questions, self._replies, self._cuts = (
            course.out,
            course.questions,
            course.replies,
            course.cuts,
        )
        self._wanted = RequestHandlers(course)
        self._ended: deque[str] = deque(maxlen=ITEMS_REMEMBERED_MAX)  # items whose end the model announced
        self._over: deque[str] = deque(maxlen=ITEMS_REMEMBERED_MAX)  # items that were committed, or cleared away
        self._handlers: dict[type, Callable[[Any], object]] = {
            events.SpeechStarted: self._on_speech_started,
            events.SpeechStopped: self._on_speech_stopped,
            events.SpeechCommitted: self._on_committed,
            events.TranscriptDelta: self._on_transcript_delta,
            events.TranscriptCompleted: self._on_transcript_completed,
            events.TranscriptFailed: self._on_transcript_failed,
            events.ResponseCreated: self._on_response_created,
            events.OutputItemAdded: self._out.to_client,
            events.ResponseAudioDelta: self._on_answer_audio,
            events.ResponseAudioDone: self._out.to_client,
            events.ResponseTranscriptDelta: self._on_answer_text,
            events.ResponseTranscriptDone: self._out.to_client,
            events.FunctionCalled: self._on_function_called,
            events.ResponseDone: self._on_response_done,
            events.UpstreamError: self._on_model_error,
            events.AudioCleared: self._on_audio_cleared,
            events.ItemTruncated: lambda event: self._unless(self._cuts.hides_truncation(event.item_id), event),
            events.ItemDeleted: lambda event: self._unless(self._cuts.hides_deletion(event.item_id), event),
            events.OtherUpstreamEvent: self._out.to_client,
            events.Interrupt: lambda event: self._course.interrupt(),
            events.AudioSent: self._on_audio_sent,
            events.SearchFinished: lambda event: self._questions.search_over(
                event.search_id, event.passages, self._course.now
            ),
            events.SearchFailed: lambda event: self._questions.search_over(event.search_id, None, self._course.now),
            events.WaitOver: lambda event: self._questions.wait_over(event.turn_id, self._course.now),
            events.CreationOverdue: self._on_creation_overdue,
            events.CommitOverdue: lambda event: course.commit_over(event.number),
            events.DoneOverdue: lambda event: self._replies.overdue(event.tag, self._course.now),
            events.PlaybackCheck: self._on_playback_check,
            events.UpstreamReady: lambda event: None,
            # The session ends: only its client could tell another model what was said.
            events.UpstreamLost: lambda event: None,
            **self._wanted.handlers,
        }

    def handle(self, event: events.Event | requests.Request, now: float) -> list[commands.Command]:
        """What follows from `event` at time `now` (seconds, never going back)."""
        self._course.now = now
        self._handlers[type(event)](event)
        self._course.advance()
        return self._out.take()

    def close(self, now: float) -> list[commands.Command]:
        """The session ends: what remains to be reported."""
        self._course.now = now
        self._course.settle_cuts()
        self._course.finish("ended")
        self._course.report_over()
        return [command for command in self._out.take() if isinstance(command, commands.ReportTurn)]

    def is_answering(self, now: float) -> bool:
        """Whether an answer is due, being generated or, by the clock, being heard."""
        due = self._course.answer_is_due or self._course.held is not None
        return due or self._replies.has_asides or self._replies.is_audible(now)

    def quiet_since(self, now: float) -> float | None:
        """Since when nothing has been said by anybody; `None` while something is."""
        # Without turn detection nobody says when speech has ended: there each word counts by itself.
        is_speaking = self._questions.is_listening and self._wanted.manner.detects_turns
        return None if is_speaking or self.is_answering(now) else self._course.active_at

    # The user speaks

    def _on_speech_started(self, event: events.SpeechStarted) -> None:
        self._out.to_client(event)
        if self._wanted.manner.interrupts and self._course.held is not None:
            self._course.let_go_unheard()
        turn = self._course.turn
        if turn is None or not self._questions.is_listening:
            turn = self._course.begin("barge-in", interrupts=self._wanted.manner.interrupts)
            turn.stages.speech_started = self._course.now
        turn.texts.setdefault(event.item_id, "")

    def _on_speech_stopped(self, event: events.SpeechStopped) -> None:
        self._out.to_client(event)
        self._ended.append(event.item_id)
        if self._course.turn is not None and self._questions.is_listening:
            self._course.turn.stages.speech_stopped = self._course.now

    def _on_committed(self, event: events.SpeechCommitted) -> None:
        self._out.to_client(event)
        turn = self._course.turn
        if turn is not None and event.item_id in turn.committed:
            return  # told twice
        due = self._course.answer_is_due
        if turn is None or not self._questions.is_listening:
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

    def _on_transcript_delta(self, event: events.TranscriptDelta) -> None:
        self._out.to_client(event)
        if not self._wanted.manner.detects_turns and event.item_id not in self._over:
            self._course.active_at = self._course.now
            if not self._questions.is_listening:  # without turn detection nobody announces speech
                self._course.begin("heard", interrupts=False).texts[event.item_id] = ""
        self._questions.hear(event.item_id, event.delta, self._course.now)

    def _on_audio_cleared(self, event: events.AudioCleared) -> None:
        """What was being said was not meant: the next words are another question's."""
        self._out.to_client(event)
        turn = self._course.turn
        if turn is not None and self._questions.is_listening:
            self._over.extend(turn.texts)
            self._course.finish("unanswered", "cleared")

    def _on_transcript_completed(self, event: events.TranscriptCompleted) -> None:
        self._out.to_client(event)
        self._out.add(commands.CountUsage("transcription", event.item_id, event.usage))
        self._questions.hear(event.item_id, event.transcript, self._course.now, final=True)

    def _on_transcript_failed(self, event: events.TranscriptFailed) -> None:
        self._out.to_client(event)
        self._out.add(commands.LogWarning("transcription_failed", f"{event.code}: {event.message}"))
        self._questions.hear_no_more(event.item_id)

    # The model answers

    def _on_response_created(self, event: events.ResponseCreated) -> None:
        reply = self._replies.created(event, self._course.now)
        if reply is not None:
            reply.turn.stages.response_created = self._course.now
        self._out.to_client(event)

    def _on_answer_audio(self, event: events.ResponseAudioDelta) -> None:
        reply = self._replies.find(event.response_id)
        if reply is None:
            if self._replies.is_known(event.response_id):  # aside: no sound of the conversation's
                self._out.to_client(events.OtherUpstreamEvent("response.output_audio.delta", wire=event.wire))
            return
        self._cuts.receive(event.item_id, event.duration_ms, is_heard=not reply.is_silent)
        if not reply.is_silent:
            self._replies.playback.forward(event.item_id, event.duration_ms)
            reply.turn.answer_forwarded = True
            if reply.turn.stages.first_audio_in is None:
                reply.turn.stages.first_audio_in = self._course.now
            self._out.to_client(event)

    def _on_answer_text(self, event: events.ResponseTranscriptDelta) -> None:
        reply = self._replies.find(event.response_id)
        if reply is not None and not reply.is_silent:
            reply.turn.answer[event.item_id] = reply.turn.answer.get(event.item_id, "") + event.delta
        self._out.to_client(event)

    def _on_function_called(self, event: events.FunctionCalled) -> None:
        reply = self._replies.find(event.response_id)
        if reply is not None:
            reply.has_calls = True
        self._out.to_client(event)

    def _on_response_done(self, event: events.ResponseDone) -> None:
        self._out.add(commands.CountUsage("response", event.response_id, event.usage))
        reply = self._replies.done(event.response_id)
        if event.error_code in FATAL_CODES:
            self._out.add(commands.EndSession(event.error_code))
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

    def _on_audio_sent(self, event: events.AudioSent) -> None:
        playback = self._replies.playback
        playback.sent(event.item_id, event.duration_ms, self._course.now)
        reply = self._replies.latest
        if reply is not None and reply.turn.stages.first_audio_out is None and event.item_id in playback:
            reply.turn.stages.first_audio_out = self._course.now

    def _on_playback_check(self, event: events.PlaybackCheck) -> None:
        turn = self._course.turn
        if turn is None or turn.id != event.turn_id or turn.state is not TurnState.ASKED or not self._replies.is_free:
            return
        if self._replies.playback.is_playing(self._course.now):
            self._course.check_playback(turn)
        else:
            self._course.finish(turn.status)

    # What goes wrong

    def _on_model_error(self, event: events.UpstreamError) -> None:
        self._out.add(commands.LogWarning(event.code or "error", event.message))
        if event.code in FATAL_CODES:
            self._out.add(commands.EndSession(event.code))
            return
        if event.code == SESSION_EXPIRED:
            self._out.add(commands.ReplaceUpstream(event.code))
            return
        match self._out.recall(event.event_id):
            case commands.ForwardClientEvent() as passed:
                if passed.is_commit:
                    self._course.commit_over()
                self._out.to_client(commands.UpstreamErrorForwarded(event, passed.asked_as))
            case commands.CreateClientResponse(event_id=tag):
                self._on_answer_refused(event, tag)
            case commands.CancelResponse(response_id=response_id):
                self._replies.not_active(response_id)
            case None:
                self._out.to_client(event)
            case _:
                pass  # about something the client knows nothing of

    def _on_answer_refused(self, event: events.UpstreamError, tag: str) -> None:
        refused = self._replies.refused(tag)
        if refused is not None:
            self._out.to_client(commands.UpstreamErrorForwarded(event, refused.asked_as))
            self._finish_turn_of(refused, "failed")

    def _on_creation_overdue(self, event: events.CreationOverdue) -> None:
        refused = self._replies.refused(event.tag)
        if refused is not None:
            message = "The model did not begin to answer in time."
            self._out.to_client(commands.RequestRefused("server_error", message, refused.asked_as, is_ours=True))
            self._finish_turn_of(refused, "unanswered")

    def _finish_turn_of(self, refused: Refused, status: str) -> None:
        reply = refused.reply
        if reply is not None and not reply.is_silent and reply.turn is self._course.turn:
            self._course.finish(status)

    def _unless(self, hidden: bool, event: events.UpstreamEvent) -> None:
        if not hidden:
            self._out.to_client(event)
