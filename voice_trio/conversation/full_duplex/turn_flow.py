"""How a turn goes on where the upstream decides: it is recognised, its context is given, its end is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.conversation import commands, events
from voice_trio.conversation.full_duplex.commands import AppendThinking
from voice_trio.conversation.full_duplex.context_feed import ContextFeed
from voice_trio.conversation.full_duplex.events import AnswerOverdue, LateWordsOver
from voice_trio.conversation.full_duplex.responses import FullDuplexResponses
from voice_trio.conversation.outbound import Outbound
from voice_trio.conversation.policy import PLAYBACK_CHECK_SECONDS_MIN
from voice_trio.conversation.turn.record import Outcome
from voice_trio.conversation.turn.turn import TurnState
from voice_trio.conversation.turn.user_input import UserInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.conversation.policy import Policy
    from voice_trio.conversation.turn.history import History
    from voice_trio.conversation.turn.playback import Heard
    from voice_trio.conversation.turn.turn import Turn

LATE_WORDS_SECONDS = 0.8
"""Words reach the gateway 0.4 to 0.8 s after they were said (recorded): the last ones of a question may come after its
answer has begun."""
JOINED_SECONDS_MAX = 6.0
"""A question without an answer for longer is not part of what the user says next."""
TYPED = "The user has typed this instead of saying it. Answer it aloud now:\n"


class FullDuplexTurnFlow:
    """What may happen to turns at the time `now`, which the conversation sets before each event."""

    def __init__(self, policy: Policy, history: History, id_prefix: str, now: float) -> None:
        self.policy = policy
        self.history = history
        self.out = Outbound(id_prefix)
        self.user_input = UserInput(policy, self.out)
        self.responses = FullDuplexResponses(self.out)
        self.context = ContextFeed(self.out)
        self.delegations: list[str] = []
        """Questions of the upstream's own that wait for passages."""
        self.now = self.active_at = now
        self.item_id = ""
        """The item of what the user is saying."""
        self.words = 0
        self.unasked_text: str | None = None
        """What is appended for this turn, once its wait for context is over."""

    @property
    def turn(self) -> Turn | None:
        """The current turn, or the last one."""
        return self.user_input.turn

    def begin(self, reason: str) -> Turn:
        """Silence the assistant, if it speaks, and begin a turn."""
        last = self.turn
        is_flushed = self.responses.flush(self.now)
        if last is not None and last.is_open:
            self.finish(self._status_of(last, is_flushed=is_flushed), reason, interrupted=is_flushed)
        self.unasked_text = None
        return self.user_input.begin()

    def _status_of(self, last: Turn, *, is_flushed: bool) -> str:
        if last.state is TurnState.ASKED:
            return "cancelled" if is_flushed else "completed"
        committed = last.stages.committed
        is_recent = committed is None or self.now - committed <= JOINED_SECONDS_MAX
        return "joined" if is_recent else "unanswered"

    def close_question(self, turn: Turn) -> None:
        """The user has stopped, or is being answered: no more words are expected, though some may be on their way."""
        turn.stages.speech_stopped = turn.stages.committed = self.now
        turn.committed.add(self.item_id)
        turn.newest_item_id = self.item_id
        self.out.to_client(events.SpeechStopped(self.item_id))
        self.out.to_client(events.SpeechCommitted(self.item_id))

    def complete_transcript(self, turn: Turn) -> None:
        """The words of the newest item are complete."""
        if self.item_id in turn.texts and self.item_id not in turn.transcribed:
            turn.transcribed.add(self.item_id)
            self.out.to_client(events.TranscriptCompleted(self.item_id, turn.texts[self.item_id].strip()))

    def answer_begins(self) -> None:
        """The assistant begins to speak: to what the user said, to what was appended, or of its own accord."""
        turn = self.turn
        if turn is None or not turn.is_open:
            turn = self.user_input.begin()
            self.item_id = ""
        if turn.state is TurnState.LISTENING and self.item_id:
            self.close_question(turn)
            at = self.now + LATE_WORDS_SECONDS
            self.out.issued.append(commands.ScheduleEvent(at, LateWordsOver(turn.id)))
        self.unasked_text = None
        turn.state = TurnState.ASKED
        stages = turn.stages
        stages.asked = stages.asked or self.now
        stages.response_created = stages.response_created or self.now
        self.responses.begin(turn, self.now)

    def settle_context(self, turn: Turn) -> None:
        """The first word of the answer: what was given until now is this turn's context."""
        if turn.outcome is not None:
            return
        search = self.context.searched(turn)
        turn.stages.context_settled = self.now
        if turn.context is None or search is None:
            turn.outcome = Outcome.LATE if turn.prefetch.is_running else Outcome.NONE
        else:
            turn.outcome = Outcome.LOCAL if search.local else Outcome.HIDDEN
            turn.stale = not search.local and search is not turn.prefetch.newest
        self._report_context(turn, 0)

    def answer_delegations(self, *, overdue: str = "") -> None:
        """Answer what the upstream asked, as far as passages are in; of what is `overdue`, that nothing was found."""
        turn = self.turn if self.turn is not None and self.turn.is_open else None
        for delegation_id in list(self.delegations):
            is_running = turn is not None and turn.prefetch.is_running
            if self.context.answer(delegation_id, turn):
                self._note_delegated(turn)
            elif delegation_id == overdue or not is_running:
                self.context.answer_nothing(delegation_id)
            else:
                continue
            self.delegations.remove(delegation_id)

    def _note_delegated(self, turn: Turn | None) -> None:
        """Passages that came after the first word, where the upstream waited for them."""
        if turn is not None and turn.outcome in (Outcome.LATE, Outcome.NONE):
            turn.outcome = Outcome.WAITED
            begun = turn.stages.response_created or self.now
            self._report_context(turn, round((self.now - begun) * 1000))

    def _report_context(self, turn: Turn, waited_ms: int) -> None:
        assert turn.outcome is not None
        self.out.to_client(commands.ContextInjected(turn.outcome, waited_ms, turn.stale, turn.injected))

    def advance(self) -> None:
        """Append what the upstream has not heard as sound, once its context is settled and it takes appends."""
        turn = self.turn
        if turn is None or self.unasked_text is None or not turn.is_open:
            return
        if turn.state is TurnState.WAITING:
            self.user_input.settle_if_possible(turn, self.now)
        if turn.state is not TurnState.READY or not self.context.is_open:
            return
        self.context.offer(turn)
        self.out.to_upstream(AppendThinking(self.out.new_id("q"), self.unasked_text))
        self.unasked_text = None
        turn.stages.asked = self.now
        at = self.now + self.policy.silent_seconds
        self.out.issued.append(commands.ScheduleEvent(at, AnswerOverdue(turn.id)))

    def check_playback(self) -> None:
        """The turn is over once its response has been heard; look again when that should be so."""
        turn = self.turn
        if turn is None or turn.state is not TurnState.ASKED or self.responses.is_open or self.delegations:
            return
        playback = self.responses.playback
        if not playback.is_playing(self.now):
            self.finish(turn.status)
            return
        at = max(playback.dry_at(self.now), self.now + PLAYBACK_CHECK_SECONDS_MIN)
        self.out.issued.append(commands.ScheduleEvent(at, events.PlaybackCheck(turn.id)))

    def finish(self, status: str, reason: str = "", *, interrupted: bool = False) -> None:
        """The turn is over: all that still works for it is cancelled, and it is reported."""
        turn = self.turn
        if turn is None or not turn.is_open:
            return
        self.complete_transcript(turn)
        if turn.state is TurnState.ASKED:
            self.settle_context(turn)
        self.active_at = self.now
        turn.state, turn.status = TurnState.OVER, status
        turn.stages.interrupted = self.now if interrupted else None
        self.delegations.clear()
        self.out.issued.append(commands.EndTurn(turn.id, reason or status))
        if not turn.reported:
            turn.reported = True
            record = turn.record(status, self.heard_of(turn))
            self.history.add(record)
            self.out.issued.append(commands.ReportTurn(record))
        self.responses.playback.clear()

    def heard_of(self, turn: Turn) -> Sequence[Heard]:
        """What was heard of the turn's responses."""
        return self.responses.playback.heard(self.now) if self.responses.turn is turn else []

    def notify(self, code: str, message: str) -> None:
        self.out.to_client(commands.ErrorNotice(code, message))
