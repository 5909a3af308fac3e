"""The managed conversation: the gateway leads, for clients of the voice protocol. Events in, commands out.

    events ──► ManagedConversation ──► ManagedTurnFlow ──► UserInput (what the user says) ──► Prefetch
                    │        │             └─────────────► ManagedResponses (one at a time), ManagedTruncation
                    ▼        └──► ManagedResponseHandlers, ManagedFailures
                commands

A turn waits for its context at most `policy.wait_seconds_max` from its commit, then its response is asked for as soon
as the slot is free (I2, I3). A user who speaks or types before that continues the same question: the words are merged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from voice_trio.conversation import commands, events
from voice_trio.conversation.managed.failures import ManagedFailures
from voice_trio.conversation.managed.response_handlers import ManagedResponseHandlers
from voice_trio.conversation.managed.turn_flow import ManagedTurnFlow
from voice_trio.conversation.turn.history import History, Said
from voice_trio.conversation.turn.snapshot import open_turns
from voice_trio.conversation.turn.turn import TurnState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from voice_trio.conversation.policy import Policy
    from voice_trio.conversation.turn.snapshot import OpenTurn


class ManagedConversation:
    """One user's conversation with the upstream. `handle` never fails and never waits."""

    def __init__(
        self, policy: Policy, *, id_prefix: str = "vt_", now: float = 0.0, history: Iterable[Said] = ()
    ) -> None:
        self._flow = flow = ManagedTurnFlow(policy, History(history), id_prefix, now)
        self._out, self._user_input, self._responses = flow.out, flow.user_input, flow.responses
        self._playback, self._truncation = flow.responses.playback, flow.truncation
        self._failures = ManagedFailures(flow)
        self._commits_never = False
        self._response_handlers = ManagedResponseHandlers(flow, self._failures)

    def handle(self, event: events.Event, now: float) -> list[commands.Command]:
        """What follows from `event` at time `now` (seconds, never going back)."""
        issued: list[commands.Command] = []
        self._out.issued = issued
        self._flow.now = now
        match event:
            case events.ResponseAudioDelta():
                self._on_response_audio(event, now)
                return issued
            case events.AudioSent(item_id, duration_ms):
                self.audio_sent(item_id, duration_ms, now)
                return issued
            case events.SearchFinished() | events.SearchFailed() | events.ToolFinished():
                self._on_work(event, now)
            case (
                events.SpeechStarted()
                | events.SpeechStopped()
                | events.SpeechCommitted()
                | events.TranscriptDelta()
                | events.TranscriptCompleted()
                | events.TranscriptFailed()
                | events.AudioCleared()
            ):
                self._on_input(event)
            case (
                events.ResponseCreated()
                | events.OutputItemAdded()
                | events.ResponseAudioDone()
                | events.ResponseTranscriptDelta()
                | events.ResponseTranscriptDone()
                | events.FunctionCalled()
                | events.ResponseDone()
            ):
                self._response_handlers.on_event(event, now)
            case events.Interrupt():
                self._on_interrupt(event)
            case events.TextInput() | events.PlaybackPosition() | events.LanguageDetected():
                self._on_client(event)
            case events.UpstreamError() | events.UpstreamReady() | events.UpstreamLost() | events.ResponseDenied():
                self._failures.on_event(event)
            case events.OtherUpstreamEvent():
                self._responses.note_life(event, now)  # the protocol has no event for it
            case events.ItemTruncated() | events.ItemDeleted():
                issued.append(commands.SendToClient(event))
            case _:
                self._on_timer(event)
        self._flow.advance()
        return issued

    def audio_sent(self, item_id: str, duration_ms: float, now: float) -> None:
        """Sound of the response has been written to the client. It makes nothing else possible: no commands."""
        self._playback.sent(item_id, duration_ms, now)
        turn = self._user_input.turn
        if turn is not None and turn.stages.first_audio_out is None and item_id in self._playback:
            turn.stages.first_audio_out = now

    def close(self, now: float) -> list[commands.Command]:
        """The session ends: what remains to be reported."""
        issued: list[commands.Command] = []
        self._out.issued = issued
        self._flow.now = now
        self._truncation.settle()
        self._flow.finish("ended")
        return [command for command in issued if isinstance(command, commands.ReportTurn)]

    @property
    def history(self) -> Iterator[Said]:
        """What was said and heard in all turns that are over."""
        return iter(self._flow.history)

    # Queries beside `handle`: what they tell changes with time alone, between events.

    def is_answering(self, now: float) -> bool:
        """Whether a response is due, being generated or being heard."""
        return self._user_input.is_waiting or self._responses.is_audible(now)

    def quiet_since(self, now: float) -> float | None:
        """Since when neither side has said anything; `None` while one does."""
        is_busy = self._user_input.is_listening or self.is_answering(now)
        return None if is_busy else self._flow.active_at

    def open_turns(self, now: float) -> tuple[OpenTurn, ...]:
        """The turns that are not reported yet, oldest first, in the words known so far."""
        response = self._responses.open
        return open_turns(self._flow.unreported(now), responding=None if response is None else response.turn)

    # Dispatch

    def _on_input(self, event: events.InputEvent) -> None:
        match event:
            case events.SpeechStarted():
                self._on_speech_started(event)
            case events.SpeechStopped():
                self._on_speech_stopped(event)
            case events.SpeechCommitted():
                self._on_committed(event)
            case events.TranscriptDelta():
                self._out.to_client(event)
                self._user_input.hear(event.item_id, event.delta, self._flow.now)
            case events.TranscriptCompleted():
                self._on_transcript_completed(event)
            case events.TranscriptFailed():
                self._failures.on_transcript_failed(event)
            case events.AudioCleared():
                self._out.to_client(event)
            case _:
                assert_never(event)

    def _on_client(self, event: events.TextInput | events.PlaybackPosition | events.LanguageDetected) -> None:
        match event:
            case events.TextInput():
                self._on_text_input(event)
            case events.PlaybackPosition():
                self._truncation.position(event, self._flow.now)
            case events.LanguageDetected():
                self._on_language_detected(event)
            case _:
                assert_never(event)

    def _on_work(self, event: events.SearchFinished | events.SearchFailed | events.ToolFinished, now: float) -> None:
        match event:
            case events.SearchFinished():
                self._user_input.search_over(event.search_id, event.passages, now)
            case events.SearchFailed():
                self._user_input.search_over(event.search_id, None, now)
            case events.ToolFinished():
                self._response_handlers.on_tool_finished(event)
            case _:
                assert_never(event)

    def _on_timer(self, event: events.TimerEvent) -> None:
        now = self._flow.now
        match event:
            case events.WaitOver():
                self._user_input.wait_over(event.turn_id, now)
            case events.PositionOverdue():
                self._truncation.position_overdue(event.truncation_id)
            case events.CreationOverdue():
                self._failures.on_creation_overdue(event)
            case events.DoneOverdue():
                self._responses.done_overdue(event.tag, now)
            case events.ResponseSilent():
                self._responses.silent(event.tag, now)
            case events.ResponseStalled():
                self._failures.on_response_stalled(event)
            case events.UnsolicitedOverdue():
                self._responses.unsolicited_overdue(event.response_id)
            case events.PlaybackCheck():
                self._flow.on_playback_check(event)
            case events.SpeechOverdue():
                self._failures.on_speech_overdue(event)
            case events.CommitMissing():
                self._on_commit_missing(event)
            case events.CommitOverdue():
                pass  # only a client of OpenAI's protocol commits by itself
            case _:
                assert_never(event)

    # The user speaks

    def _on_speech_started(self, event: events.SpeechStarted) -> None:
        self._out.to_client(event)
        turn = self._flow.turn
        if turn is None or not self._user_input.is_listening:
            # A server that cancels its response by itself needs no cancel of ours, which would come late.
            turn = self._flow.begin("barge-in", cancel=not self._flow.policy.upstream_interrupts)
            turn.stages.speech_started = self._flow.now
            self._out.issued.append(commands.StartSilence())
        turn.texts.setdefault(event.item_id, "")

    def _on_speech_stopped(self, event: events.SpeechStopped) -> None:
        self._out.to_client(event)
        if self._flow.turn is not None and self._user_input.is_listening:
            self._flow.turn.stages.speech_stopped = self._flow.now
            seconds = 0.0 if self._commits_never else self._flow.policy.commit_seconds_max
            self._out.issued.append(
                commands.ScheduleEvent(self._flow.now + seconds, events.CommitMissing(event.item_id))
            )

    def _on_committed(self, event: events.SpeechCommitted) -> None:
        self._out.to_client(event)
        turn = self._flow.turn
        if turn is not None and event.item_id in turn.committed:
            return  # a repeated event
        self._commits_never = False
        if turn is None or not self._user_input.is_listening:
            turn = self._flow.begin("committed", cancel=True)
        else:
            self._out.issued.append(commands.StopSilence())
        self._flow.active_at = self._flow.now
        self._user_input.commit(turn, event.item_id, self._flow.now)

    def _on_commit_missing(self, event: events.CommitMissing) -> None:
        """The end of speech counts as its commit (F24). An upstream that never commits is not waited for again."""
        turn = self._flow.turn
        if turn is None or not self._user_input.is_listening or event.item_id != next(reversed(turn.texts), None):
            return  # it was committed, or the user has gone on
        self._out.warn("commit_missing", "speech ended, and no commit followed")
        self._on_committed(events.SpeechCommitted(event.item_id))
        self._commits_never = True

    def _on_transcript_completed(self, event: events.TranscriptCompleted) -> None:
        self._out.to_client(event)
        self._out.issued.append(commands.CountUsage("transcription", event.item_id, event.usage))
        self._user_input.hear(event.item_id, event.transcript, self._flow.now, final=True)
        self._flow.history.correct(event.item_id, event.transcript)

    # The user types, interrupts, detects

    def _on_text_input(self, event: events.TextInput) -> None:
        """Answered at once, also while speech is open: what is being said then is the next question, or part of it."""
        turn = self._flow.turn
        if turn is None or not self._user_input.is_listening:
            turn = self._flow.begin("typed", cancel=True)
        else:
            self._out.issued.append(commands.StopSilence())
        turn.typed = True
        item_id = self._out.new_id("u")
        if self._flow.has_upstream:
            self._out.to_upstream(commands.CreateUserItem(self._out.new_id("e"), item_id, event.text))
        self._flow.active_at = self._flow.now
        self._user_input.read(turn, item_id, event.text, self._flow.now)
        self._user_input.commit(turn, item_id, self._flow.now)

    def _on_interrupt(self, event: events.Interrupt) -> None:
        interrupted = self._flow.interrupt(cancel=True, heard=event)
        turn = self._user_input.turn
        if turn is not None and turn.state is not TurnState.LISTENING:
            status = "incomplete" if turn.continues else "unanswered"
            self._flow.finish(status, "interrupt", interrupted=interrupted)

    def _on_language_detected(self, event: events.LanguageDetected) -> None:
        policy = self._flow.policy
        chinese = event.language.lower().replace("_", "-").split("-")[0] == "zh"
        self._flow.speed_wanted = policy.chinese_speed if chinese and policy.speed == 1.0 else policy.speed

    def _on_response_audio(self, event: events.ResponseAudioDelta, now: float) -> None:
        """A piece of sound: forwarded unless its response was interrupted (I5). It makes nothing else possible."""
        response = self._responses.open
        if response is None or response.response_id != event.response_id:
            self._flow.advance()
            return
        if response.interrupted:  # not heard, but part of the item that is truncated
            self._truncation.receive(event.item_id, event.duration_ms)
            self._flow.advance()
            return
        response.active_at = now
        self._playback.forward(event.item_id, event.duration_ms)
        turn = response.turn
        turn.response_forwarded = True
        if turn.stages.first_audio_in is None:
            turn.stages.first_audio_in = now
        self._out.issued.append(commands.SendToClient(event))
