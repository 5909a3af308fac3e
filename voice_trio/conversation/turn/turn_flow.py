"""The bookkeeping of turns that both policies share: a turn ends once, is reported once, and is watched until heard.

A turn that was not answered when the user goes on is merged into the next one: its words and transcripts move there and
its record says "joined". A turn is over when its response is done and heard to its end by the clock, or when it is
interrupted, fails, or is merged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from voice_trio.conversation import commands, events
from voice_trio.conversation.policy import PLAYBACK_CHECK_SECONDS_MIN, STALE_CONTEXTS
from voice_trio.conversation.response_slot import ResponseSlot
from voice_trio.conversation.retrieval.context_items import ContextItems
from voice_trio.conversation.turn.turn import TurnState
from voice_trio.conversation.turn.user_input import UserInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.conversation.outbound import Outbound
    from voice_trio.conversation.policy import Policy
    from voice_trio.conversation.turn.playback import Heard
    from voice_trio.conversation.turn.turn import Turn

S = TypeVar("S", bound=ResponseSlot[Any])


class TurnFlow(Generic[S]):
    """What may happen to turns at the time `now`, which the conversation sets before each event."""

    def __init__(self, policy: Policy, out: Outbound, responses: S, now: float) -> None:
        self.policy = policy
        self.out = out
        self.responses = responses
        self.user_input = UserInput(policy, out)
        self.context_items = ContextItems(STALE_CONTEXTS * policy.context_tokens_max, policy.context_tokens_max)
        self.now = self.active_at = now
        """`active_at`: when the user or the assistant last said something."""

    @property
    def turn(self) -> Turn | None:
        """The current turn, or the last one."""
        return self.user_input.turn

    def end_turn(self, turn: Turn, status: str, reason: str, *, interrupted: bool) -> None:
        """The turn is over: all that still works for it is cancelled."""
        self.active_at = self.now
        turn.state, turn.status = TurnState.OVER, status
        turn.stages.interrupted = self.now if interrupted else None
        self.out.issued.append(commands.EndTurn(turn.id, reason or status))

    def report(self, turn: Turn, status: str, heard: Sequence[Heard]) -> None:
        """The turn's record, once."""
        if not turn.reported:
            turn.reported = True
            self.out.issued.append(commands.ReportTurn(turn.record(status, heard)))

    def unreported(self, now: float) -> list[tuple[Turn, Sequence[Heard]]]:
        """The current turn, unless it is reported, with what was heard of it; and one that the next will continue."""
        turn, latest = self.turn, self.responses.latest
        if turn is None or (turn.reported and turn.status != "joined"):
            return []
        is_latest = latest is not None and latest.turn is turn
        return [(turn, self.responses.playback.heard(now) if is_latest else [])]

    def insert_context(self, turn: Turn, after: str | None) -> None:
        """The context that was chosen for `turn`, if any, after the item `after` (`None`: last), once."""
        if turn.context is not None and not turn.context_sent:
            turn.context_sent = True
            self.context_items.insert(turn.context.text, after, self.out)

    def check_playback(self, turn: Turn) -> None:
        """Look again when the clock says that the turn's response has been heard."""
        at = max(self.responses.playback.dry_at(self.now), self.now + PLAYBACK_CHECK_SECONDS_MIN)
        self.out.issued.append(commands.ScheduleEvent(at, events.PlaybackCheck(turn.id)))

    def is_heard(self, turn: Turn) -> bool:
        """Whether the turn's response has been heard to its end; if not, look again later."""
        if self.responses.playback.is_playing(self.now):
            self.check_playback(turn)
            return False
        return True
