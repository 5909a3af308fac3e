"""What an interruption leaves behind, until the model has been told of it (I6). One at a time.

It knows what was playing and what was heard of it; it does not know how an answer is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.conversation import commands, events
from voice_trio.conversation.managed.heard_position import PendingTruncation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voice_trio.conversation.outbound import Outbound
    from voice_trio.conversation.policy import Policy
    from voice_trio.conversation.turn.history import History
    from voice_trio.conversation.turn.playback import Heard, Playback
    from voice_trio.conversation.turn.turn import Turn

INTERRUPTED_OUTPUT = '{"error":"interrupted by the user"}'


class ManagedTruncation:
    """Flushes the client, waits for its word and for the model's, and tells the model what was heard."""

    def __init__(self, policy: Policy, out: Outbound, playback: Playback, history: History) -> None:
        self._policy = policy
        self._out = out
        self._playback = playback
        self._history = history
        self._open: PendingTruncation | None = None
        self._count = 0
        self._strange_items: set[str] = set()  # sound of a model that was lost: the present one knows only words

    def begin_answer(self) -> None:
        """What comes is the present model's own sound, whatever ids it gives."""
        self._strange_items.clear()

    def begin(
        self, turn: Turn, calls: Mapping[str, str | None], now: float, *, response_open: bool, client_knows: bool
    ) -> None:
        """What is playing stops here. `client_knows`: it has just said where; `calls`: functions with their outputs."""
        self.settle()
        heard = self._playback.heard(now)
        flushed = self._playback.anything_forwarded
        client_will_say = flushed and self._playback.client_reports and not client_knows
        self._count += 1
        self._open = PendingTruncation(
            self._count, turn, position_known=not client_will_say, response_open=response_open, calls=dict(calls)
        )
        self._open.add(heard)
        self._playback.clear()
        if flushed:
            at = next((item for item in reversed(heard) if item.heard_ms > 0), heard[0])
            self._out.to_client(commands.PlaybackFlush(at.item_id, int(at.heard_ms)))
        if client_will_say:
            self._out.add(
                commands.ScheduleEvent(now + self._policy.position_seconds_max, events.PositionOverdue(self._count))
            )

    def receive(self, item_id: str, duration_ms: float = 0.0) -> None:
        """The model goes on for a while with an answer that nobody hears."""
        if self._open is not None:
            self._open.receive(item_id, duration_ms)

    def response_done(self) -> None:
        """The interrupted response will not grow any more."""
        if self._open is not None:
            self._open.response_open = False

    def position(self, event: events.PlaybackPosition, now: float) -> None:
        """The client's word on its playback, of what was flushed or of what goes on."""
        if self._open is None or not self._open.report(event.item_id, event.played_ms, final=event.flushed):
            self._playback.report(event.item_id, event.played_ms, now)

    def position_overdue(self, settlement_id: int) -> None:
        """The client had its time: the clock's word will do."""
        if self._open is not None and self._open.id == settlement_id:
            self._open.position_known = True

    def settle_if_due(self) -> None:
        if self._open is not None and self._open.is_due:
            self.settle()

    def settle(self) -> None:
        """Tell the model what was heard, by the best knowledge there is now."""
        settlement, self._open = self._open, None
        if settlement is None:
            return
        heard_words = dict(settlement.turn.heard_items(settlement.heard()))
        for verdict in settlement.verdicts():
            item_id = verdict.item_id
            is_strange = item_id in self._strange_items
            if is_strange and not settlement.turn.answer.get(item_id):
                continue  # this model was told nothing of it
            if verdict.heard_ms and not is_strange:
                self._out.to_model(commands.TruncateItem(self._out.new_id("t"), item_id, verdict.heard_ms))
                continue
            self._out.to_model(commands.DeleteItem(self._out.new_id("d"), item_id))
            if is_strange and item_id in heard_words:  # it was told all the words; only these were heard
                self._out.to_model(commands.CreateAssistantItem(self._out.new_id("h"), item_id, heard_words[item_id]))
        self._strange_items.clear()
        for call_id, output in settlement.calls.items():
            self._out.to_model(
                commands.CreateFunctionOutput(self._out.new_id("f"), call_id, output or INTERRUPTED_OUTPUT)
            )
        self.report(settlement.turn, "cancelled", settlement.heard())

    def forget_model(self) -> None:
        """The model is lost: it need not be told any more, and the next one will not know the sound of its items."""
        self._strange_items = set(self._playback)
        settlement, self._open = self._open, None
        if settlement is not None:
            self.report(settlement.turn, "cancelled", settlement.heard())

    def report(self, turn: Turn, status: str, heard: Sequence[Heard]) -> None:
        """The turn's record, once; from here on it is history."""
        if not turn.reported:
            turn.reported = True
            record = turn.record(status, heard)
            self._history.add(record)
            self._out.add(commands.ReportTurn(record))
