"""The passthrough conversation: context before responses, for a client that leads by OpenAI's own protocol.

With turn detection that responds by itself (`automatic`) the gateway asks for the response after the context; else the
context goes in when the user has spoken, and the client's `response.create` is held while retrieval runs, at most
`policy.wait_seconds_max` (I3), and never doubled. Everything the upstream says passes, but for answers to what we said
ourselves, and for sound that was interrupted (I5).

    requests ──► RequestHandlers ──┐
    events   ──► PassthroughConversation ──► PassthroughTurnFlow ──► UserInput (what the user says) ──► Prefetch
                    │        │                   └─────────────► PassthroughResponses, PassthroughTruncation
                    ▼        └──► PassthroughResponseHandlers, PassthroughFailures
                commands
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, assert_never

from voice_trio.conversation import commands, events
from voice_trio.conversation.passthrough import requests
from voice_trio.conversation.passthrough.failures import PassthroughFailures
from voice_trio.conversation.passthrough.request_handlers import RequestHandlers
from voice_trio.conversation.passthrough.response_handlers import PassthroughResponseHandlers
from voice_trio.conversation.passthrough.turn_flow import PassthroughTurnFlow
from voice_trio.conversation.turn.snapshot import open_turns
from voice_trio.conversation.turn.turn import TurnState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.conversation.policy import Policy
    from voice_trio.conversation.turn.history import Said
    from voice_trio.conversation.turn.snapshot import OpenTurn

ITEMS_REMEMBERED_MAX = 32  # words come late by seconds, not by minutes

PassthroughWork: TypeAlias = events.AudioSent | events.SearchFinished | events.SearchFailed
PassthroughTimer: TypeAlias = (
    events.WaitOver
    | events.CreationOverdue
    | events.DoneOverdue
    | events.ResponseSilent
    | events.ResponseStalled
    | events.UnsolicitedOverdue
    | events.PlaybackCheck
    | events.CommitMissing
    | events.CommitOverdue
)
PassthroughInput: TypeAlias = (
    events.UpstreamEvent
    | requests.Request
    | PassthroughWork
    | PassthroughTimer
    | events.Interrupt
    | events.UpstreamReady
    | events.UpstreamLost
    | events.ResponseDenied
)
"""What this policy is given. It never calls tools or asks for a position, so their results and timers do not occur."""


class PassthroughConversation:
    """One client's conversation with the upstream. `handle` never fails and never waits."""

    def __init__(self, policy: Policy, *, id_prefix: str = "vt_", now: float = 0.0) -> None:
        self._flow = flow = PassthroughTurnFlow(policy, id_prefix, now)
        self._out, self._user_input, self._responses, self._truncation = (
            flow.out,
            flow.user_input,
            flow.responses,
            flow.truncation,
        )
        self._response_handlers = PassthroughResponseHandlers(flow)
        self._failures = PassthroughFailures(flow)
        self._requests = RequestHandlers(flow)
        self._stopped: list[str] = []  # items whose end the upstream announced
        self._over: list[str] = []  # items that were committed, or cleared away

    def handle(self, event: PassthroughInput, now: float) -> list[commands.Command]:
        """What follows from `event` at time `now` (seconds, never going back)."""
        issued: list[commands.Command] = []
        self._out.issued = issued
        self._flow.now = now
        match event:
            case events.ResponseAudioDelta():
                if self._response_handlers.forward_audio(event, now):
                    return issued
            case requests.ClientRequest():
                self._requests.handle(event)
            case events.AudioSent() | events.SearchFinished() | events.SearchFailed():
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
            case events.OtherUpstreamEvent():
                self._response_handlers.on_other(event, now)
            case events.ItemTruncated() | events.ItemDeleted():
                self._on_item_changed(event)
            case events.UpstreamError() | events.ResponseDenied():
                self._failures.on_event(event)
            case events.Interrupt():
                self._flow.interrupt()
            case events.UpstreamReady() | events.UpstreamLost():
                self._on_upstream_changed(event)
            case _:
                self._on_timer(event)
        self._flow.advance()
        return issued

    def audio_sent(self, item_id: str, duration_ms: float, now: float) -> None:
        """Sound of the response has been written to the client. It has no commands."""
        playback = self._responses.playback
        playback.sent(item_id, duration_ms, now)
        response = self._responses.latest
        if response is not None and response.turn.stages.first_audio_out is None and item_id in playback:
            response.turn.stages.first_audio_out = now

    def close(self, now: float) -> list[commands.Command]:
        """The session ends: what remains to be reported."""
        issued: list[commands.Command] = []
        self._out.issued = issued
        self._flow.now = now
        self._flow.settle_truncation()
        self._flow.finish("ended")
        self._flow.report_finished()
        return [command for command in issued if isinstance(command, commands.ReportTurn)]

    # Queries beside `handle`: what they tell changes with time alone, between events.

    def is_answering(self, now: float) -> bool:
        """Whether a response is due, being generated or, by the clock, being heard."""
        is_due = self._flow.response_is_due or self._flow.held is not None
        return is_due or self._responses.has_out_of_band or self._responses.is_audible(now)

    def quiet_since(self, now: float) -> float | None:
        """Since when neither side has said anything; `None` while one does."""
        # Without turn detection no event says when speech has ended: there each word counts by itself.
        is_speaking = self._user_input.is_listening and self._requests.turn_policy.detects_turns
        return None if is_speaking or self.is_answering(now) else self._flow.active_at

    @property
    def history(self) -> Iterable[Said]:
        """Nothing: the client keeps what was said."""
        return ()

    def open_turns(self, now: float) -> tuple[OpenTurn, ...]:
        """The turns that are not reported yet, oldest first, in the words known so far."""
        response = self._responses.open
        return open_turns(self._flow.unreported(now), responding=None if response is None else response.turn)

    # Dispatch

    def _on_input(self, event: events.InputEvent) -> None:
        self._out.to_client(event)
        match event:
            case events.SpeechStarted():
                self._on_speech_started(event)
            case events.SpeechStopped():
                self._on_speech_stopped(event)
            case events.SpeechCommitted():
                self._on_committed(event)
            case events.TranscriptDelta():
                self._on_transcript_delta(event)
            case events.TranscriptCompleted():
                self._out.issued.append(commands.CountUsage("transcription", event.item_id, event.usage))
                self._user_input.hear(event.item_id, event.transcript, self._flow.now, final=True)
            case events.TranscriptFailed():
                self._out.warn("transcription_failed", f"{event.code}: {event.message}")
                self._user_input.transcription_failed(event.item_id)
            case events.AudioCleared():
                self._on_audio_cleared()
            case _:
                assert_never(event)

    def _on_work(self, event: PassthroughWork, now: float) -> None:
        match event:
            case events.AudioSent(item_id, duration_ms):
                self.audio_sent(item_id, duration_ms, now)
            case events.SearchFinished():
                self._user_input.search_over(event.search_id, event.passages, now)
            case events.SearchFailed():
                self._user_input.search_over(event.search_id, None, now)
            case _:
                assert_never(event)

    def _on_timer(self, event: PassthroughTimer) -> None:
        now = self._flow.now
        match event:
            case events.WaitOver():
                self._user_input.wait_over(event.turn_id, now)
            case events.CreationOverdue():
                self._failures.on_creation_overdue(event)
            case events.DoneOverdue():
                self._responses.done_overdue(event.tag, now)
            case events.ResponseSilent():
                pass  # OpenAI's protocol has no event for it
            case events.ResponseStalled():
                self._failures.on_response_stalled(event)
            case events.UnsolicitedOverdue():
                self._responses.unsolicited_overdue(event.response_id)
            case events.PlaybackCheck():
                self._on_playback_check(event)
            case events.CommitMissing():
                pass  # only the managed policy waits for one
            case events.CommitOverdue():
                self._flow.commit_over(event.number)
            case _:
                assert_never(event)

    def _on_upstream_changed(self, event: events.UpstreamReady | events.UpstreamLost) -> None:
        """The session ends with its upstream: only the client could tell another one what was said."""
        if isinstance(event, events.UpstreamLost):
            self._responses.upstream_lost()

    def _on_item_changed(self, event: events.ItemTruncated | events.ItemDeleted) -> None:
        """Acknowledgements of our own truncations and deletions stay hidden."""
        match event:
            case events.ItemTruncated():
                is_hidden = self._truncation.hides_truncation(event.item_id)
            case events.ItemDeleted():
                is_hidden = self._truncation.hides_deletion(event.item_id)
            case _:
                assert_never(event)
        if not is_hidden:
            self._out.to_client(event)

    # The user speaks

    def _on_speech_started(self, event: events.SpeechStarted) -> None:
        interrupts = self._requests.turn_policy.interrupts
        if interrupts and self._flow.held is not None:
            self._flow.drop_held()
        turn = self._flow.turn
        if turn is None or not self._user_input.is_listening:
            turn = self._flow.begin("barge-in", interrupts=interrupts)
            turn.stages.speech_started = self._flow.now
        turn.texts.setdefault(event.item_id, "")

    def _on_speech_stopped(self, event: events.SpeechStopped) -> None:
        self._stopped = _remember(self._stopped, event.item_id)
        if self._flow.turn is not None and self._user_input.is_listening:
            self._flow.turn.stages.speech_stopped = self._flow.now

    def _on_committed(self, event: events.SpeechCommitted) -> None:
        turn = self._flow.turn
        if turn is not None and event.item_id in turn.committed:
            return  # a repeated event
        is_due = self._flow.response_is_due
        if turn is None or not self._user_input.is_listening:
            turn = self._flow.begin("committed", interrupts=False)
        self._over = _remember(self._over, event.item_id)
        by_upstream = event.item_id in self._stopped  # its turn detection announced the end of speech
        if not by_upstream:
            self._flow.commit_over()
        self._flow.active_at = self._flow.now
        policy = self._requests.turn_policy
        self._flow.response_is_due = is_due or (policy.automatic and policy.detects_turns and by_upstream)
        self._flow.truncation_is_due = True
        self._user_input.commit(turn, event.item_id, self._flow.now)

    def _on_transcript_delta(self, event: events.TranscriptDelta) -> None:
        if not self._requests.turn_policy.detects_turns and event.item_id not in self._over:
            self._flow.active_at = self._flow.now
            if not self._user_input.is_listening:  # without turn detection no event announces speech
                self._flow.begin("heard", interrupts=False).texts[event.item_id] = ""
        self._user_input.hear(event.item_id, event.delta, self._flow.now)

    def _on_audio_cleared(self) -> None:
        """What was being said was not meant: the next words are another question's."""
        turn = self._flow.turn
        if turn is not None and self._user_input.is_listening:
            self._over = _remember(self._over, *turn.texts)
            self._flow.finish("unanswered", "cleared")

    # What is heard

    def _on_playback_check(self, event: events.PlaybackCheck) -> None:
        turn = self._flow.turn
        if turn is None or turn.id != event.turn_id or turn.state is not TurnState.ASKED:
            return
        if self._responses.open is None and self._flow.is_heard(turn):
            self._flow.finish(turn.status)


def _remember(known: list[str], *item_ids: str) -> list[str]:
    return [*known, *item_ids][-ITEMS_REMEMBERED_MAX:]
