"""The full-duplex conversation: the upstream decides when to answer, so context goes in while the user speaks.

    events ──► FullDuplexConversation ──► FullDuplexTurnFlow ──► UserInput (what the user says) ──► Prefetch
                    │                            ├─────────────► ContextFeed (what the upstream is given)
                    ▼                            └─────────────► FullDuplexResponses (what the assistant says)
                commands

Turns are recognised. One begins with the user's first word. Its response begins with the assistant's first word or
loud sound. It is over when the response has been heard, or when the user speaks again. Clients get the same events as
from any other conversation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from voice_trio.conversation import commands, events
from voice_trio.conversation.full_duplex.events import (
    AnswerOverdue,
    AnswerQuiet,
    AssistantWords,
    DelegationCreated,
    DelegationOverdue,
    FullDuplexEvent,
    LateWordsOver,
    OutputAudio,
    UserWords,
    WordsPaused,
)
from voice_trio.conversation.full_duplex.failures import FullDuplexFailures
from voice_trio.conversation.full_duplex.turn_flow import LATE_WORDS_SECONDS, TYPED, FullDuplexTurnFlow
from voice_trio.conversation.turn.history import History, Said
from voice_trio.conversation.turn.snapshot import open_turns
from voice_trio.conversation.turn.turn import TurnState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from voice_trio.conversation.policy import Policy
    from voice_trio.conversation.retrieval.passage import Passage
    from voice_trio.conversation.turn.snapshot import OpenTurn
    from voice_trio.conversation.turn.turn import Turn

Handled: TypeAlias = events.Event | FullDuplexEvent

PAUSE_SECONDS = 1.2
"""Without a word for so long the user has stopped, whether or not the assistant answers; words come every 0.2 s."""
DELEGATION_SECONDS_MAX = 2.0
"""How long the upstream waits for what it asked; then the answer says that nothing was found."""


class FullDuplexConversation:
    """A conversation with an upstream that listens and speaks at once. `handle` never fails and never waits."""

    def __init__(
        self, policy: Policy, *, id_prefix: str = "vt_", now: float = 0.0, history: Iterable[Said] = ()
    ) -> None:
        self._flow = flow = FullDuplexTurnFlow(policy, History(history), id_prefix, now)
        self._out, self._user_input, self._responses = flow.out, flow.user_input, flow.responses
        self._answer_began_at = 0.0
        self._answer_start_ms: int | None = None
        self._failures = FullDuplexFailures(flow)

    def handle(self, event: Handled, now: float) -> list[commands.Command]:
        """What follows from `event` at time `now` (seconds, never going back)."""
        issued: list[commands.Command] = []
        self._out.issued = issued
        self._flow.now = now
        match event:
            case OutputAudio():
                self._on_output(event, now)
            case events.AudioSent(item_id, duration_ms):
                self.audio_sent(item_id, duration_ms, now)
            case UserWords():
                self._on_user_words(event, now)
            case AssistantWords():
                self._on_assistant_words(event, now)
            case DelegationCreated():
                self._on_delegation(event, now)
            case events.SearchFinished():
                self._on_search(event.search_id, event.passages, now)
            case events.SearchFailed():
                self._on_search(event.search_id, None, now)
            case events.TextInput() | events.Interrupt() | events.PlaybackPosition():
                self._on_client(event, now)
            case events.UpstreamError() | events.UpstreamReady() | events.UpstreamLost():
                self._failures.on_event(event)
            case _:
                self._on_timer(event, now)
        self._flow.advance()
        return issued

    def audio_sent(self, item_id: str, duration_ms: float, now: float) -> None:
        """Sound of the response has been written to the client. It makes nothing else possible: no commands."""
        self._responses.playback.sent(item_id, duration_ms, now)
        turn = self._responses.turn
        if turn is not None and turn.stages.first_audio_out is None and item_id in self._responses.playback:
            turn.stages.first_audio_out = now

    def close(self, now: float) -> list[commands.Command]:
        """The session ends: what remains to be reported."""
        issued: list[commands.Command] = []
        self._out.issued = issued
        self._flow.now = now
        self._flow.finish("ended")
        return [command for command in issued if isinstance(command, commands.ReportTurn)]

    @property
    def history(self) -> Iterator[Said]:
        """What was said and heard in all turns that are over."""
        return iter(self._flow.history)

    def is_answering(self, now: float) -> bool:
        """Whether a response is being heard, or due because the upstream was asked for one."""
        turn = self._flow.turn
        is_due = turn is not None and turn.typed and turn.is_unasked
        return is_due or self._responses.is_audible(now)

    def quiet_since(self, now: float) -> float | None:
        """Since when neither side has said anything; `None` while one does."""
        is_busy = self._user_input.is_listening or self.is_answering(now)
        return None if is_busy else self._flow.active_at

    def open_turns(self, now: float) -> tuple[OpenTurn, ...]:
        """The turns that are not reported yet, oldest first, in the words known so far."""
        turn = self._flow.turn
        if turn is None or (turn.reported and turn.status != "joined"):
            return ()
        heard = self._responses.playback.heard(now) if self._responses.turn is turn else []
        return open_turns([(turn, heard)], responding=self._responses.turn if self._responses.is_open else None)

    # The user speaks

    def _on_user_words(self, event: UserWords, now: float) -> None:
        flow, turn = self._flow, self._flow.turn
        self._responses.is_muted = False
        flow.active_at = now
        if turn is not None and self._is_late(event, turn, now):
            self._out.to_client(events.TranscriptDelta(flow.item_id, event.delta))
            self._user_input.hear(flow.item_id, event.delta, now)
            return
        if turn is None or turn.state is not TurnState.LISTENING:
            turn = self._begin_spoken(now)
        self._out.to_client(events.TranscriptDelta(flow.item_id, event.delta))
        self._user_input.hear(flow.item_id, event.delta, now)
        flow.words += 1
        self._out.issued.append(commands.ScheduleEvent(now + PAUSE_SECONDS, WordsPaused(turn.id, flow.words), turn.id))

    def _is_late(self, event: UserWords, turn: Turn, now: float) -> bool:
        """Whether these words belong to the question that is being answered: they were said before the answer."""
        if turn.state is not TurnState.ASKED or not self._flow.item_id or self._flow.item_id in turn.transcribed:
            return False
        if self._answer_start_ms is not None and event.end_ms:
            return event.start_ms < self._answer_start_ms
        return now - self._answer_began_at < LATE_WORDS_SECONDS

    def _begin_spoken(self, now: float) -> Turn:
        flow = self._flow
        item_id = self._out.new_id("u")
        self._out.to_client(events.SpeechStarted(item_id))
        turn = flow.begin("barge-in")
        flow.item_id = item_id
        turn.texts[item_id] = ""
        turn.stages.speech_started = now
        return turn

    def _on_words_paused(self, event: WordsPaused, now: float) -> None:
        flow, turn = self._flow, self._flow.turn
        if turn is None or event.turn_id != turn.id or event.words != flow.words or not self._user_input.is_listening:
            return
        flow.close_question(turn)
        flow.complete_transcript(turn)
        self._user_input.commit(turn, flow.item_id, now)  # words too few to be searched for during speech

    # The assistant speaks

    def _on_assistant_words(self, event: AssistantWords, now: float) -> None:
        if not self._responses.admits_words:
            return
        if not self._responses.is_open:
            self._answer_begins(now)
        if self._answer_start_ms is None:
            self._answer_start_ms = event.start_ms
        turn = self._responses.turn
        assert turn is not None
        self._flow.settle_context(turn)
        self._responses.say(event.delta, now)

    def _on_output(self, event: OutputAudio, now: float) -> None:
        if not self._flow.context.is_open:  # sound comes back, so sound has arrived: from now on it takes appends
            self._flow.context.is_open = True
            self._offer()
        if not self._responses.admits_sound(event, now):
            return
        if not self._responses.is_open:
            if not event.is_loud:
                return
            self._answer_begins(now)
        self._responses.sound(event, now)

    def _answer_begins(self, now: float) -> None:
        self._answer_began_at, self._answer_start_ms = now, None
        self._flow.answer_begins()

    def _on_quiet(self, event: AnswerQuiet, now: float) -> None:
        turn = self._responses.turn
        if self._responses.quiet(event, now) and turn is not None:
            turn.stages.response_done = now
            self._flow.settle_context(turn)
            self._flow.check_playback()

    def _on_delegation(self, event: DelegationCreated, now: float) -> None:
        self._flow.delegations.append(event.delegation_id)
        self._flow.answer_delegations()
        if event.delegation_id in self._flow.delegations:
            at = now + DELEGATION_SECONDS_MAX
            self._out.issued.append(commands.ScheduleEvent(at, DelegationOverdue(event.delegation_id)))

    # Passages

    def _on_search(self, search_id: int, passages: tuple[Passage, ...] | None, now: float) -> None:
        turn = self._flow.turn
        if turn is None or not turn.is_open or not turn.prefetch.finish(search_id, passages, now):
            return  # too late for its turn, and no other turn may have it (I4)
        if turn.is_unasked or self._flow.delegations:
            self._user_input.start(turn, turn.prefetch.resume(now))
        self._offer()
        self._flow.answer_delegations()

    def _offer(self) -> None:
        turn = self._flow.turn
        if turn is not None and turn.outcome is None and turn.is_open:
            self._flow.context.offer(turn)

    # The client

    def _on_client(self, event: events.TextInput | events.Interrupt | events.PlaybackPosition, now: float) -> None:
        match event:
            case events.TextInput():
                self._on_text_input(event, now)
            case events.Interrupt():
                self._on_interrupt(event, now)
            case events.PlaybackPosition():
                self._responses.playback.report(event.item_id, event.played_ms, now)

    def _on_text_input(self, event: events.TextInput, now: float) -> None:
        flow = self._flow
        self._responses.is_muted = False
        turn = flow.begin("typed")
        turn.typed = True
        flow.item_id = self._out.new_id("u")
        flow.active_at = now
        self._user_input.read(turn, flow.item_id, event.text, now)
        self._user_input.commit(turn, flow.item_id, now)
        flow.unasked_text = TYPED + event.text

    def _on_interrupt(self, event: events.Interrupt, now: float) -> None:
        if event.item_id is not None and event.played_ms is not None:
            self._responses.playback.report(event.item_id, event.played_ms, now)
        is_flushed = self._responses.flush(now)
        self._responses.is_muted = True
        turn = self._flow.turn
        if turn is not None and turn.is_open and turn.state is not TurnState.LISTENING:
            status = "cancelled" if turn.state is TurnState.ASKED else "unanswered"
            self._flow.finish(status, "interrupt", interrupted=is_flushed)

    def _on_timer(self, event: Handled, now: float) -> None:
        match event:
            case WordsPaused():
                self._on_words_paused(event, now)
            case LateWordsOver():
                turn = self._flow.turn
                if turn is not None and turn.id == event.turn_id:
                    self._flow.complete_transcript(turn)
            case AnswerQuiet():
                self._on_quiet(event, now)
            case AnswerOverdue():
                self._failures.on_answer_overdue(event)
            case DelegationOverdue():
                self._flow.answer_delegations(overdue=event.delegation_id)
            case events.PlaybackCheck():
                self._flow.check_playback()
            case events.WaitOver():
                self._user_input.wait_over(event.turn_id, now)
            case events.SpeechOverdue():
                self._failures.on_speech_overdue(event)
            case _:
                pass  # events of other kinds of upstream
