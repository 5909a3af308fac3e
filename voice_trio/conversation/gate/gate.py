"""The gate: context before answers, for a client that leads its conversation by OpenAI's own protocol.

With turn detection that answers by itself (`automatic`) the gate asks for the answer after the context; else the
context goes in when the user has spoken, and the client's `response.create` is held while retrieval runs, at most
`policy.wait_seconds_max` (I3), and never doubled. Everything the model says passes, but for what the client never
asked for, and for sound that was interrupted (I5).

    events, requests ──► Gate ──► Questions (what the user says) ──► Prefetch
                          │  └──► Replies ──► Playback
                          ▼  └──► Cuts
                      commands
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from voice_trio.conversation import commands as do
from voice_trio.conversation import events as on
from voice_trio.conversation.context_ledger import ContextLedger
from voice_trio.conversation.gate import requests
from voice_trio.conversation.gate.cuts import Cuts
from voice_trio.conversation.gate.replies import Replies
from voice_trio.conversation.outbound import Outbound
from voice_trio.conversation.policy import FATAL_CODES, PLAYBACK_CHECK_SECONDS_MIN, STALE_CONTEXTS
from voice_trio.conversation.questions import Questions
from voice_trio.conversation.turn import TurnState
from voice_trio.conversation.words import token_estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.conversation.gate.replies import Reply
    from voice_trio.conversation.policy import Policy
    from voice_trio.conversation.turn import Turn

SESSION_EXPIRED = "session_expired"
ALREADY_ACTIVE = "conversation_already_has_active_response"
COMMIT_SECONDS_MAX = 3.0  # a held request waits no longer for the model's word on a commit
GIVEN_TEXTS_MAX = 8  # what the user wrote since the last answer, as far as it is searched for


class Gate:
    """One drop-in client's conversation with the model. `handle` never fails and never waits."""

    def __init__(self, policy: Policy, *, id_prefix: str = "vt_", now: float = 0.0) -> None:
        self._policy = policy
        self._prefix = id_prefix
        self._now = self._active_at = now
        self._out = Outbound(id_prefix)
        self._questions = Questions(policy, self._out)
        self._contexts = ContextLedger(STALE_CONTEXTS * policy.context_tokens_max, policy.context_tokens_max)
        self._replies = Replies(policy, self._out)
        self._cuts = Cuts(self._out)
        self._manner = requests.MannerSet(automatic=True, interrupts=True, detects_turns=True)
        self._held: requests.AnswerAsked | None = None
        self._answer_is_due = False
        self._cut_is_due = False
        self._commits_due = 0
        self._given: dict[str, str] = {}  # what the user wrote since the last answer, by item
        self._reports: list[tuple[Turn, str]] = []  # turns that are over but for the last word on what was heard
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
            on.ItemTruncated: lambda event: self._unless(self._cuts.hides_truncation(event.item_id), event),
            on.ItemDeleted: lambda event: self._unless(self._cuts.hides_deletion(event.item_id), event),
            on.OtherModelEvent: self._out.to_client,
            on.Interrupt: lambda event: self._interrupt(),
            on.AudioSent: self._on_audio_sent,
            on.SearchFinished: lambda event: self._questions.search_over(event.search_id, event.passages, self._now),
            on.SearchFailed: lambda event: self._questions.search_over(event.search_id, None, self._now),
            on.WaitOver: lambda event: self._questions.wait_over(event.turn_id, self._now),
            on.CreationOverdue: self._on_creation_overdue,
            on.DoneOverdue: lambda event: self._replies.overdue(event.tag, self._now),
            on.PlaybackCheck: self._on_playback_check,
            on.ModelReady: lambda event: None,
            on.ModelLost: lambda event: (
                None
            ),  # the session ends: only its client could tell another model what was said
            requests.MannerSet: self._on_manner_set,
            requests.AnswerAsked: self._on_answer_asked,
            requests.AnswerStopped: self._on_answer_stopped,
            requests.ItemGiven: self._on_item_given,
            requests.ItemCut: self._on_item_cut,
            requests.ItemFetched: self._on_item_fetched,
            requests.ItemDropped: self._on_item_dropped,
            requests.AudioCommitted: self._on_audio_committed,
            requests.PassedOn: lambda event: self._pass_on(event.body, event.event_id, after_audio=event.after_audio),
        }

    def handle(self, event: on.Event | requests.Request, now: float) -> list[do.Command]:
        """What follows from `event` at time `now` (seconds, never going back)."""
        self._now = now
        self._handlers[type(event)](event)
        self._advance()
        return self._out.take()

    def close(self, now: float) -> list[do.Command]:
        """The session ends: what remains to be reported."""
        self._now = now
        self._settle_cuts()
        self._finish("ended")
        self._report_over()
        return [command for command in self._out.take() if isinstance(command, do.ReportTurn)]

    @property
    def is_listening(self) -> bool:
        """Whether the user is speaking."""
        return self._questions.is_listening

    def is_answering(self, now: float) -> bool:
        """Whether an answer is due, being generated or, by the clock, being heard."""
        return self._answer_is_due or self._held is not None or self._replies.is_audible(now)

    def quiet_since(self, now: float) -> float | None:
        """Since when nothing has been said by anybody; `None` while something is."""
        return None if self.is_listening or self.is_answering(now) else self._active_at

    # The user speaks

    def _on_speech_started(self, event: on.SpeechStarted) -> None:
        self._out.to_client(event)
        if self._manner.interrupts and self._held is not None:
            self._let_go_unheard()
        turn = self._questions.turn
        if turn is None or not self.is_listening:
            turn = self._begin("barge-in", interrupts=self._manner.interrupts)
            turn.stages.speech_started = self._now
        turn.texts.setdefault(event.item_id, "")

    def _on_speech_stopped(self, event: on.SpeechStopped) -> None:
        self._out.to_client(event)
        if self._questions.turn is not None and self.is_listening:
            self._questions.turn.stages.speech_stopped = self._now

    def _on_committed(self, event: on.SpeechCommitted) -> None:
        self._out.to_client(event)
        turn = self._questions.turn
        if turn is not None and event.item_id in turn.committed:
            return  # told twice
        if turn is None or not self.is_listening:
            turn = self._begin("committed", interrupts=False)
        by_hand = self._commits_due > 0
        self._commits_due = max(0, self._commits_due - 1)
        self._active_at = self._now
        self._answer_is_due = self._manner.automatic and self._manner.detects_turns and not by_hand
        self._cut_is_due = True
        self._questions.commit(turn, event.item_id, self._now)

    def _on_transcript_delta(self, event: on.TranscriptDelta) -> None:
        self._out.to_client(event)
        turn = self._questions.turn
        if (
            not self._manner.detects_turns
            and not self.is_listening
            and (turn is None or event.item_id not in turn.texts)
        ):
            turn = self._begin("heard", interrupts=False)  # without turn detection nobody announces speech
            turn.texts[event.item_id] = ""
        self._questions.hear(event.item_id, event.delta, self._now)

    def _on_transcript_completed(self, event: on.TranscriptCompleted) -> None:
        self._out.to_client(event)
        self._out.add(do.CountUsage("transcription", event.item_id, event.usage))
        self._questions.hear(event.item_id, event.transcript, self._now, final=True)

    def _on_transcript_failed(self, event: on.TranscriptFailed) -> None:
        self._out.to_client(event)
        self._out.add(do.Warn("transcription_failed", f"{event.code}: {event.message}"))
        self._questions.hear_no_more(event.item_id)

    # What the client asks for

    def _on_manner_set(self, event: requests.MannerSet) -> None:
        self._manner = event

    def _on_item_given(self, event: requests.ItemGiven) -> None:
        self._active_at = self._now
        if not event.is_users:
            self._given.clear()
        elif event.text.strip():
            self._given[event.item_id or self._out.new_id("u")] = event.text
            if len(self._given) > GIVEN_TEXTS_MAX:
                self._given.pop(next(iter(self._given)))
        self._pass_on(event.body, event.event_id)

    def _on_audio_committed(self, event: requests.AudioCommitted) -> None:
        self._commits_due += 1
        self._out.add(do.FeedAt(self._now + COMMIT_SECONDS_MAX, on.CreationOverdue("")))
        self._pass_on({"type": "input_audio_buffer.commit"}, event.event_id, after_audio=True)

    def _on_answer_asked(self, event: requests.AnswerAsked) -> None:
        if event.aside:
            if not self._replies.ask_aside(event.body, event.event_id):
                self._refuse(event, "too_many_responses", "Too many responses outside of the conversation are running.")
            return
        if self._replies.is_active or self._held is not None:
            self._refuse(event, ALREADY_ACTIVE, "Conversation already has an active response in progress.")
            return
        self._active_at = self._now
        self._held = event
        if self._given and not self.is_listening:
            turn = self._begin("typed", interrupts=False)
            turn.typed = True
            given, self._given = self._given, {}
            for item_id, text in given.items():
                self._questions.read(turn, item_id, text, self._now)
            self._questions.commit(turn, next(reversed(given)), self._now)

    def _on_answer_stopped(self, event: requests.AnswerStopped) -> None:
        """Always by id, where there is one: a late cancel without it can kill the next answer."""
        reply = self._replies.open
        meant = event.response_id or (reply.response_id if reply is not None else None)
        if self._held is not None and event.response_id is None:
            self._let_go_unheard()
            return
        if reply is not None and event.response_id in (None, reply.response_id):
            reply.stops_at_once = reply.response_id is None
            self._interrupt()
        elif event.response_id is None:
            self._drop_due_answer()
        if meant is not None or reply is None:
            body = {} if meant is None else {"response_id": meant}
            self._pass_on({"type": "response.cancel", **body}, event.event_id)

    def _on_item_cut(self, event: requests.ItemCut) -> None:
        self._cuts.cut_by_client(event)
        reply = self._replies.latest
        if reply is not None and reply.heard is not None:
            reply.heard = [
                replace(item, heard_ms=min(float(event.audio_end_ms), item.sent_ms))
                if item.item_id == event.item_id
                else item
                for item in reply.heard
            ]

    def _on_item_fetched(self, event: requests.ItemFetched) -> None:
        if self._cuts.is_forgotten(event.item_id):
            self._out.to_client(do.EmptyItemShown(event.item_id))
        else:
            self._pass_on({"type": "conversation.item.retrieve", "item_id": event.item_id}, event.event_id)

    def _on_item_dropped(self, event: requests.ItemDropped) -> None:
        if self._cuts.is_forgotten(event.item_id):
            self._out.to_client(do.DropAcknowledged(event.item_id))
        else:
            self._pass_on({"type": "conversation.item.delete", "item_id": event.item_id}, event.event_id)

    # The model answers

    def _on_response_created(self, event: on.ResponseCreated) -> None:
        reply = self._replies.created(event)
        if reply is not None:
            reply.turn.stages.response_created = self._now
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
                reply.turn.stages.first_audio_in = self._now
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
        self._active_at = self._now
        turn = reply.turn
        turn.stages.response_done, turn.status = self._now, event.status
        turn.answer_forwarded = turn.answer_forwarded or bool(turn.answer)
        if not reply.is_silent and not reply.has_calls:
            self._check_playback(turn)

    def _on_audio_sent(self, event: on.AudioSent) -> None:
        playback = self._replies.playback
        playback.sent(event.item_id, event.duration_ms, self._now)
        reply = self._replies.latest
        if reply is not None and reply.turn.stages.first_audio_out is None and event.item_id in playback:
            reply.turn.stages.first_audio_out = self._now

    def _on_playback_check(self, event: on.PlaybackCheck) -> None:
        turn = self._questions.turn
        if turn is None or turn.id != event.turn_id or turn.state is not TurnState.ASKED or not self._replies.is_free:
            return
        if self._replies.playback.is_playing(self._now):
            self._check_playback(turn)
        else:
            self._finish(turn.status)

    # What goes wrong

    def _on_model_error(self, event: on.ModelError) -> None:
        self._out.add(do.Warn(event.code or "error", event.message))
        if event.code in FATAL_CODES or event.code == SESSION_EXPIRED:
            self._out.add(do.EndSession(event.code, fatal=event.code in FATAL_CODES))
            return
        match self._out.recall(event.event_id):
            case do.PassOn() as passed:
                if passed.after_audio:
                    self._commits_due = max(0, self._commits_due - 1)
                self._out.to_client(replace(event, event_id=passed.asked_as))
            case do.AskAsClient(event_id=tag):
                self._on_answer_refused(event, tag)
            case do.CancelResponse(response_id=response_id):
                self._replies.not_active(response_id)
            case None:
                self._out.to_client(event)
            case _:
                pass  # about something the client knows nothing of

    def _on_answer_refused(self, event: on.ModelError, tag: str) -> None:
        is_known, reply, asked_as = self._replies.refused(tag)
        if is_known:
            self._out.to_client(replace(event, event_id=asked_as))
        if reply is not None and reply.turn is self._questions.turn:
            self._finish("failed")

    def _on_creation_overdue(self, event: on.CreationOverdue) -> None:
        if not event.tag:
            self._commits_due = 0
            return
        is_known, reply, asked_as = self._replies.refused(event.tag)
        if is_known and reply is not None:
            message = "The model did not begin to answer in time."
            self._out.to_client(do.RequestRefused("server_error", message, asked_as, is_ours=True))
            if reply.turn is self._questions.turn:
                self._finish("unanswered")

    # The course of a turn

    def _advance(self) -> None:
        """Whatever has become possible: settle, put the context in, ask."""
        self._questions.settle_if_possible(self._now)
        if self._replies.is_free and self._cut_is_due:
            self._settle_cuts()
        turn = self._questions.turn
        is_ready = turn is not None and turn.state is TurnState.READY
        if turn is not None and is_ready and not turn.typed and not self._answer_is_due:
            self._put_context_in(turn)
        if self._held is None and not self._answer_is_due:
            return
        if not self._replies.is_free or self._commits_due or (self._questions.is_waiting and not is_ready):
            return
        self._ask(turn if turn is not None and is_ready else self._turn_without_question())

    def _ask(self, turn: Turn) -> Reply:
        """Context first, then `response.create` (I2); the client's own words for it, where it gave any."""
        request, self._held, self._answer_is_due = self._held, None, False
        self._settle_cuts()
        if turn.state is not TurnState.LISTENING:
            self._put_context_in(turn)
            turn.state = TurnState.ASKED
        turn.stages.asked = turn.stages.asked or self._now
        turn.attempts += 1
        if not turn.tool_rounds:
            self._replies.playback.clear()
        body, asked_as = (request.body, request.event_id) if request is not None else ({}, None)
        return self._replies.ask(turn, body, asked_as, self._now)

    def _turn_without_question(self) -> Turn:
        """An answer is asked for although nobody said anything new: a greeting, or what follows a function's output."""
        turn, reply = self._questions.turn, self._replies.latest
        if turn is not None and turn.state is TurnState.LISTENING:
            return turn
        if turn is not None and turn.is_open and reply is not None and reply.turn is turn and reply.has_calls:
            turn.tool_rounds += 1
            return turn
        turn = self._begin("asked", interrupts=False)
        turn.state = TurnState.READY
        return turn

    def _put_context_in(self, turn: Turn) -> None:
        if turn.context_sent or turn.outcome is not None:
            return
        turn.choose_context(self._policy.context_tokens_max)
        if turn.context is None:
            return
        turn.context_sent = True
        newest = turn.newest_item_id
        after = None if newest is None or newest.startswith(self._prefix) else newest
        context = do.CreateContextItem(self._out.new_id("e"), self._out.new_id("x"), after, turn.context.text)
        for stale_id in self._contexts.add(context.item_id, token_estimate(context.text)):
            self._out.to_model(do.DeleteItem(self._out.new_id("d"), stale_id))
        self._out.to_model(context)

    def _begin(self, reason: str, *, interrupts: bool) -> Turn:
        interrupted = interrupts and self._interrupt()
        last = self._questions.turn
        unheard = last is not None and last.is_open and (last.is_unasked or (interrupted and not last.answer_forwarded))
        self._finish("joined" if unheard else "completed", reason, interrupted=interrupted)
        self._answer_is_due = False
        return self._questions.begin()

    def _interrupt(self) -> bool:
        """Silence, now; false if there was nothing to silence."""
        playback = self._replies.playback
        if not self._replies.is_audible(self._now):
            return False
        heard = playback.heard(self._now)
        self._cuts.interrupted(heard)
        self._replies.silence(self._now)
        at = heard[-1] if heard else None
        self._out.to_client(do.PlaybackFlush(at.item_id if at else "", int(at.heard_ms) if at else 0))
        return True

    def _let_go_unheard(self) -> None:
        """A held request whose answer nobody wants any more: the client is owed its response, created and cancelled."""
        request = self._held
        if request is None:
            return
        if not self._replies.is_free:
            self._held = None
            self._refuse(request, ALREADY_ACTIVE, "Conversation already has an active response in progress.")
            return
        turn = self._questions.turn
        reply = self._ask(turn if turn is not None and turn.is_unasked else self._turn_without_question())
        reply.stops_at_once = True
        self._replies.silence(self._now)

    def _drop_due_answer(self) -> None:
        if self._answer_is_due:
            self._answer_is_due = False
            self._finish("unanswered", "cancelled")

    def _finish(self, status: str, reason: str = "", *, interrupted: bool = False) -> None:
        """The turn is over: whatever still works for it is cancelled. What was heard of it may still become known."""
        turn = self._questions.turn
        if turn is None or not turn.is_open:
            return
        self._active_at = self._now
        turn.state, turn.status = TurnState.OVER, status
        turn.stages.interrupted = self._now if interrupted else None
        self._out.add(do.EndTurn(turn.id, reason or status))
        self._report_over()
        self._reports.append((turn, "cancelled" if interrupted and turn.answer_forwarded else status))
        if not interrupted:
            self._report_over()

    def _settle_cuts(self) -> None:
        self._cut_is_due = False
        self._cuts.settle()
        self._report_over()

    def _report_over(self) -> None:
        for turn, status in self._reports:
            reply = self._replies.latest
            heard = []
            if reply is not None and reply.turn is turn:
                heard = self._replies.playback.heard(self._now) if reply.heard is None else reply.heard
            if not turn.reported:
                turn.reported = True
                self._out.add(do.ReportTurn(turn.record(status, heard)))
        self._reports.clear()

    def _check_playback(self, turn: Turn) -> None:
        at = max(self._replies.playback.dry_at(self._now), self._now + PLAYBACK_CHECK_SECONDS_MIN)
        self._out.add(do.FeedAt(at, on.PlaybackCheck(turn.id)))

    def _pass_on(self, body: requests.Body, asked_as: str | None, *, after_audio: bool = False) -> None:
        self._out.to_model(do.PassOn(self._out.new_id("p"), body, asked_as, after_audio))

    def _refuse(self, event: requests.FromDropIn, code: str, message: str) -> None:
        self._out.to_client(do.RequestRefused(code, message, event.event_id))

    def _unless(self, hidden: bool, event: on.ModelEvent) -> None:
        if not hidden:
            self._out.to_client(event)
